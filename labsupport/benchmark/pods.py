"""Measures how a cluster of one node gets from one pod to a hundred."""

from typing import Any

from labsupport.benchmark import readings
from labsupport.benchmark.clusters import start_cluster
from labsupport.benchmark.equipment import Clock, Equipment, Seen
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.embedded import EmbeddedCluster
from labsupport.systems.clusters.images import PAUSE_IMAGE

PODS = 100
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
NAME = "many"
WITHIN_SECONDS = 240.0
LOOK_EVERY_SECONDS = 0.02


def measure_pods(equipment: Equipment) -> Seen:
    """Start a cluster, then one pod, then 99 more; the curve is (seconds since scaling, pods ready)."""
    with equipment.machine() as lab:
        cluster = start_cluster(equipment, lab)
        clock = Clock()
        cluster.door.create(DEPLOYMENTS, deployment())
        _wait_for(cluster, 1)
        first, clock = clock.seconds, Clock()
        cluster.door.patch(f"{DEPLOYMENTS}/{NAME}", {"spec": {"replicas": PODS}})
        curve = _wait_for(cluster, PODS, clock)
        values: dict[str, float | None] = {
            "pods-1": first,
            "pods-100": curve[-1][0],
            "pods-rest": readings.rest_megabytes(lab.name),
            "pods-peak": readings.peak_megabytes(lab.name),
        }
        cluster.door.close()
        values["pods-close"] = lab.close()
    return Seen(values, curve=curve)


def deployment() -> dict[str, Any]:
    """Make a Deployment of one pod that does nothing, with an image that every node has from the start."""
    container = {"name": "pause", "image": PAUSE_IMAGE, "imagePullPolicy": "Never"}
    labels = {"app": NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
            },
        },
    }


def _wait_for(cluster: EmbeddedCluster, pods: int, clock: Clock | None = None) -> tuple[tuple[float, float], ...]:
    """Wait until so many pods are ready; return the points (seconds, pods ready) at which their number changed."""
    clock = clock or Clock()
    points: list[tuple[float, float]] = []

    def are_ready() -> bool:
        status = (cluster.door.find(f"{DEPLOYMENTS}/{NAME}") or {}).get("status", {})
        ready = int(status.get("readyReplicas", 0))
        if ready and (not points or points[-1][1] != ready):
            points.append((clock.seconds, float(ready)))
        return ready == pods

    wait_until(
        are_ready,
        f"{pods} pods to be ready",
        within_seconds=WITHIN_SECONDS,
        every_seconds=LOOK_EVERY_SECONDS,
        last_seen=lambda: f"the last counts were {points[-3:]}",
    )
    return tuple(points)
