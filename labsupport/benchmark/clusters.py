"""Measures the embedded cluster: alone, with two nodes, beside others, and the floor below which it cannot get."""

import http.client
from contextlib import ExitStack
from typing import TYPE_CHECKING

from labsupport.benchmark import readings
from labsupport.benchmark.equipment import Clock, Equipment, Seen, TimedMachine
from labsupport.process.progress import Listener, Progress, silent
from labsupport.process.waiting import wait_until

if TYPE_CHECKING:
    from labsupport.systems.clusters.embedded import EmbeddedCluster
    from labsupport.systems.clusters.lab_cluster import LabCluster

REPLICAS = 3
CLUSTERS_BESIDE = 5
WITHIN_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.02
DNS_WITHIN_SECONDS = 0.5


def measure_cluster(equipment: Equipment) -> Seen:
    """Start a cluster of one node from nothing, bring up a StatefulSet on it, and end it."""
    with equipment.machine() as lab:
        phases = {"machine": lab.clock.seconds}
        cluster = start_cluster(equipment, lab, listener=lambda told: note_phase(phases, told, lab.clock.seconds))
        values: dict[str, float | None] = {
            "cluster-ready": lab.clock.seconds,
            "cluster-cpu": readings.processor_seconds(lab.name),
        }
        bring_up_statefulset(equipment, cluster)
        values["statefulset"] = lab.clock.seconds
        values["cluster-rest"] = readings.rest_megabytes(lab.name)
        values["cluster-peak"] = readings.peak_megabytes(lab.name)
        values["cluster-disk"] = readings.disk_megabytes(lab.machine.folder)
        cluster.door.close()
        values["cluster-close"] = lab.close()
    return Seen(values, parts={"cluster-ready": phases})


def measure_floor(equipment: Equipment) -> Seen:
    """Start etcd and an API server alone, as a lab's cluster has them, on a machine that runs already."""
    from labsupport.systems.clusters.certificates import Identity, write_private
    from labsupport.systems.clusters.components import Component
    from labsupport.systems.clusters.control_plane import ADMINISTRATORS, Addresses, ControlPlane
    from labsupport.systems.clusters.door import ApiDoor
    from labsupport.systems.clusters.network import NetworkPlan
    from labsupport.systems.clusters.readiness import wait_with
    from labsupport.systems.clusters.startup import limits_of

    with equipment.machine() as lab:
        # Nobody asks it for what it advertises.
        addresses = Addresses(inside="10.0.0.1", outside=lab.machine.address)
        plane = ControlPlane(lab.machine.folder / "floor" / "control-plane", addresses, NetworkPlan())
        authority = plane.write_files()
        pair = authority.issue(Identity("bench", (ADMINISTRATORS,)))
        key = write_private(plane.folder / "bench.key", pair.key)
        certificate = write_private(plane.folder / "bench.crt", pair.certificate)
        door = ApiDoor(addresses.server, authority=plane.folder / "ca.crt", certificate=certificate, key=key)
        words = {
            "etcd": plane.etcd(equipment.cluster_tools.path("etcd")),
            "kube-apiserver": plane.api_server(equipment.cluster_tools.path("kube-apiserver")),
        }
        programs = [Component(name, lab.machine, argv, limits_of(name)) for name, argv in words.items()]
        before, clock = readings.processor_seconds(lab.name), Clock()
        for program in programs:
            program.start()
        wait_with(programs, lambda: door.status("/readyz") == http.client.OK, "the API server to be ready", door=door)
        seconds, after = clock.seconds, readings.processor_seconds(lab.name)
        door.close()
    return Seen({"floor-ready": seconds, "floor-cpu": None if after is None or before is None else after - before})


def measure_flannel(equipment: Equipment) -> Seen:
    """Start a cluster of two nodes that flannel connects, from nothing."""
    with equipment.machine("flannel") as lab:
        cluster = start_cluster(equipment, lab, nodes=2, dataplane="flannel-vxlan")
        seconds = lab.clock.seconds
        cluster.door.close()
    return Seen({"flannel-ready": seconds})


def measure_beside(equipment: Equipment) -> Seen:
    """Start five labs with a cluster each, one after the other, none ending before the last is up."""
    named = {2: "second", CLUSTERS_BESIDE: "fifth"}
    values: dict[str, float | None] = {}
    with ExitStack() as stack:
        for place in range(1, CLUSTERS_BESIDE + 1):
            lab = stack.enter_context(equipment.machine())
            stack.callback(start_cluster(equipment, lab).door.close)
            if name := named.get(place):
                values[f"{name}-ready"] = lab.clock.seconds
                values[f"{name}-rest"] = readings.rest_megabytes(lab.name)
    return Seen(values)


def start_cluster(
    equipment: Equipment,
    lab: TimedMachine,
    *,
    nodes: int = 1,
    dataplane: str | None = None,
    listener: Listener = silent,
) -> "EmbeddedCluster":
    """Start a cluster as labs do, and return it when pods can run."""
    from labsupport.systems.clusters.embedded import start_embedded_cluster
    from labsupport.systems.dataplanes.plain import PLAIN

    return start_embedded_cluster(
        lab.machine,
        equipment.cluster_tools,
        nodes=nodes,
        archives=equipment.archives,
        dataplane=dataplane or PLAIN,
        listener=listener,
    )


def note_phase(phases: dict[str, float], told: Progress, seconds: float) -> None:
    """Note how long a phase took that a cluster tells the end of, as `what has happened (… s)`."""
    phases[told.text.partition(" (")[0]] = seconds - sum(phases.values())


def bring_up_statefulset(equipment: Equipment, cluster: "LabCluster") -> None:
    """Apply the StatefulSet `web` of notebook 08; return when all of it is there, and its names too."""
    manifest = equipment.project.assets / "08-statefulset" / "web.yaml"
    cluster.runner.run(["kubectl", "apply", "-f", str(manifest)]).or_raise()
    path = "/apis/apps/v1/namespaces/default/statefulsets/web"
    names = [f"web-{place}.web.default.svc.cluster.local" for place in range(REPLICAS)]

    def is_up() -> bool:
        status = (cluster.door.find(path) or {}).get("status", {})
        return bool(status.get("readyReplicas") == REPLICAS) and _claims_are_bound(cluster)

    wait_until(is_up, "the StatefulSet", within_seconds=WITHIN_SECONDS, every_seconds=LOOK_EVERY_SECONDS)
    wait_until(
        lambda: all(_resolves(cluster.dns_address, name) for name in names),
        f"the names {', '.join(names)}",
        within_seconds=WITHIN_SECONDS,
        every_seconds=LOOK_EVERY_SECONDS,
    )


def _claims_are_bound(cluster: "LabCluster") -> bool:
    claims = (cluster.door.find("/api/v1/namespaces/default/persistentvolumeclaims") or {}).get("items") or []
    return [claim["status"].get("phase") for claim in claims] == ["Bound"] * REPLICAS


def _resolves(server: str, name: str) -> bool:
    import dns.exception
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [server]
    resolver.lifetime = DNS_WITHIN_SECONDS
    try:
        return bool(list(resolver.resolve(name, "A")))
    except (dns.exception.DNSException, OSError):
        return False
