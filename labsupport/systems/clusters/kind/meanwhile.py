"""What the lab does itself while `kind create cluster` works, and would otherwise be waited for before or afterwards.

The roles that every API server makes are put into etcd before it starts, as an embedded cluster's are; cluster DNS is
asked for as soon as the API server answers, not when kubeadm has done the rest. And what kubeadm is not to do is done.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.door import ApiDoor
from labsupport.systems.clusters.first_objects import FirstObjects
from labsupport.systems.clusters.startup import made

LOOK_EVERY_SECONDS = 0.02
# What `kubectl exec` and `kubectl logs` take. kubeadm gives the API server this right where it prepares for nodes that
# join, which it is not told to do for a single node.
KUBELET_ACCESS: tuple[str, dict[str, Any]] = (
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "kubeadm:apiserver-kubelet-client"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "system:kubelet-api-admin",
        },
        "subjects": [
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "kube-apiserver-kubelet-client"}
        ],
    },
)


def work_beside_kind(
    door: ApiDoor,
    etcd_socket: Callable[[], Path | None],
    first_objects: FirstObjects | None,
    wanted: Sequence[tuple[str, dict[str, Any]]],
    *,
    stop: Event,
    within_seconds: float,
) -> None:
    """Do all of it, each step when its time has come; return when all is done, or kind failed.

    Args:
        etcd_socket: where etcd is to be reached from here; None while its node does not run.
        first_objects: what to put there; None where there is no way to it.
        wanted: objects to make, in order, each with the API path it is posted to.
        stop: set where kind failed.

    Raises:
        WaitExpired: the API server did not come.
    """
    steps: list[Callable[[], bool]] = [made(door, wanted)]
    if first_objects is not None:
        steps.insert(0, partial(_put, first_objects, etcd_socket))

    def are_done() -> bool:
        while steps and steps[0]():
            del steps[0]
        return not steps or stop.is_set()

    wait_until(are_done, "kind's API server", within_seconds=within_seconds, every_seconds=LOOK_EVERY_SECONDS)


def _put(first_objects: FirstObjects, etcd_socket: Callable[[], Path | None]) -> bool:
    """Put the objects of an earlier API server into etcd, if there are any; False while nobody answers there."""
    if not first_objects.are_kept:
        return True
    socket = etcd_socket()
    return socket is not None and first_objects.put(socket, watched=True)
