"""Where a lab works on the user's own cluster: a namespace of its own with limits, or one that it shares; and its end.

Removes a namespace that was made for a lab, or what has the lab's label in one that was not. Touches nothing else.
"""

import http.client
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

from labsupport.process.ownership import LABEL_KEY, Owner, label
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters import objects
from labsupport.systems.clusters.door import ApiDoor
from labsupport.systems.clusters.own_door import OwnDoor

OWNER_KEY = "labsupport.owner"
RECORD = "own-cluster.json"
USERS_KUBECONFIG = "private/users-kubeconfig"
GONE_WITHIN_SECONDS = 60
# Enough for every experiment, and little beside what a cluster has.
QUOTA = {
    "pods": "20",
    "limits.cpu": "8",
    "limits.memory": "4Gi",
    "persistentvolumeclaims": "10",
    "requests.storage": "10Gi",
    "services.loadbalancers": "0",
    "services.nodeports": "0",
}
DEFAULT_LIMITS = {"cpu": "400m", "memory": "200Mi"}
DEFAULT_REQUESTS = {"cpu": "10m", "memory": "20Mi"}


@dataclass(frozen=True)
class Place:
    """Where a lab works on the user's cluster: kept in its run folder, so that whoever ends the lab finds it.

    `is_labs`: the namespace was made for this lab, and goes with it; else it is the user's, and stays.
    """

    lab: str
    namespace: str
    is_labs: bool
    kubectl: str

    def write(self, folder: Path) -> None:
        (folder / RECORD).write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> "Place | None":
        file = folder / RECORD
        return cls(**json.loads(file.read_text())) if file.exists() else None

    @property
    def scope(self) -> objects.Scope:
        return objects.Scope(self.namespace, "" if self.is_labs else label(self.lab))


def make_namespace(door: ApiDoor, name: str, owner: Owner) -> None:
    """Make a namespace with limits, which goes with its owner, and return when pods can be made in it."""
    identity = json.dumps({"computer": platform.node(), **asdict(owner)})
    metadata = {"name": name, "labels": {LABEL_KEY: name}, "annotations": {OWNER_KEY: identity}}
    door.create("/api/v1/namespaces", {"metadata": metadata})
    limit = {"type": "Container", "default": DEFAULT_LIMITS, "defaultRequest": DEFAULT_REQUESTS}
    within = f"/api/v1/namespaces/{name}"
    door.create(f"{within}/limitranges", {"metadata": {"name": "lab"}, "spec": {"limits": [limit]}})
    door.create(f"{within}/resourcequotas", {"metadata": {"name": "lab"}, "spec": {"hard": QUOTA}})
    objects.have_namespace(door, name)


def leave_own_cluster(folder: Path) -> None:
    """Remove what the lab of a run folder has on the user's cluster, and wait until it is gone.

    Raises:
        ClusterError: the cluster does not answer, or refuses.
        WaitExpired: something stays.
    """
    place = Place.read(folder)
    if place is None:
        return
    door = OwnDoor(folder / USERS_KUBECONFIG)
    try:
        if place.is_labs:
            remove_namespace(door, place.namespace)
        else:
            remove_from(door, objects.Snapshot(frozenset()), place)
    finally:
        door.close()


def remove_from(door: ApiDoor, before: objects.Snapshot, place: Place) -> objects.Removed:
    """Remove what the lab made in its place since `before`, with the claims of its StatefulSets, which get no label."""
    claims = [] if place.is_labs else _claims_of_sets(door, place)
    removed = objects.remove_since(door, before, place.scope)
    for path in claims:
        door.delete(path)
    return removed


def _claims_of_sets(door: ApiDoor, place: Place) -> list[str]:
    within = f"/namespaces/{place.namespace}"
    sets = (door.find(f"/apis/apps/v1{within}/statefulsets?labelSelector={label(place.lab)}") or {}).get("items") or ()
    starts = [
        f"{template['metadata']['name']}-{each['metadata']['name']}-"
        for each in sets
        for template in each["spec"].get("volumeClaimTemplates") or ()
    ]
    path = f"/api/v1{within}/persistentvolumeclaims"
    claims = (door.find(path) or {}).get("items") or () if starts else ()
    names = [each["metadata"]["name"] for each in claims]
    return [f"{path}/{name}" for name in names for start in starts if name.removeprefix(start).isdigit()]


def remove_namespace(door: ApiDoor, name: str) -> None:
    """Remove a namespace with all in it, its pods without waiting for them, and wait until it is gone."""
    door.delete(f"/api/v1/namespaces/{name}/pods?gracePeriodSeconds=0")
    door.delete(f"/api/v1/namespaces/{name}")
    wait_until(
        lambda: door.status(f"/api/v1/namespaces/{name}") == http.client.NOT_FOUND,
        f"the namespace {name} to be gone",
        within_seconds=GONE_WITHIN_SECONDS,
        last_seen=lambda: json.dumps((door.find(f"/api/v1/namespaces/{name}") or {}).get("status")),
        do=f"see what holds it: `kubectl get namespace {name} -o yaml`",
    )


def sweep_namespaces(door: ApiDoor) -> list[str]:
    """Remove the namespaces of labs of this computer whose owner is dead; return their names."""
    removed = []
    for each in (door.find(f"/api/v1/namespaces?labelSelector={LABEL_KEY}") or {}).get("items") or ():
        metadata = each["metadata"]
        owner = json.loads((metadata.get("annotations") or {}).get(OWNER_KEY) or "{}")
        if owner.pop("computer", "") == platform.node() and not Owner(**owner).is_alive():
            door.delete(f"/api/v1/namespaces/{metadata['name']}")
            removed.append(str(metadata["name"]))
    return removed
