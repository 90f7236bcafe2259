"""What exists on a cluster, and removing what came since. Never touches what was there before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.door import ApiDoor

# The cluster makes these by itself, everywhere and again; or they are only traces of others.
OWN_OBJECTS = {
    ("", "events"),
    ("events.k8s.io", "events"),
    ("", "endpoints"),
    ("discovery.k8s.io", "endpointslices"),
    ("coordination.k8s.io", "leases"),
    ("", "nodes"),
    ("", "componentstatuses"),
    ("networking.k8s.io", "ipaddresses"),
    ("storage.k8s.io", "csinodes"),
    ("apiregistration.k8s.io", "apiservices"),
    ("flowcontrol.apiserver.k8s.io", "flowschemas"),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
}
# A dataplane makes kinds of these groups, and objects of them, and takes them back itself.
DATAPLANE_GROUPS = ("cilium.io",)
OWN_CONFIG_MAP = "kube-root-ca.crt"
OWN_SERVICE_ACCOUNT = "default"
SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
# Controllers make these there when they first need them.
_MADE_IN_SYSTEM_NAMESPACES = ("serviceaccounts", "configmaps", "secrets")
# Owners before what they own would make anew; claims before their volumes.
_FIRST = (
    "cronjobs",
    "jobs",
    "deployments",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "replicationcontrollers",
    "pods",
)
_GONE_WITHIN_SECONDS = 60


@dataclass(frozen=True)
class ResourceKind:
    """A kind of object that can be listed and deleted; `prefix` is its group's path."""

    group: str
    name: str
    prefix: str
    namespaced: bool

    def path(self, item: dict[str, Any]) -> str:
        """Return the path of one of its objects."""
        metadata = item["metadata"]
        namespace = f"/namespaces/{metadata['namespace']}" if self.namespaced else ""
        return f"{self.prefix}{namespace}/{self.name}/{metadata['name']}"


@dataclass(frozen=True)
class Scope:
    """The objects to look at: those of one namespace, those with one label; all, where neither is said."""

    namespace: str = ""
    label: str = ""

    def path(self, kind: ResourceKind) -> str:
        """Return the path that lists them, of one kind; empty where none can be in it."""
        if self.namespace and not kind.namespaced:
            return ""
        place = f"/namespaces/{self.namespace}" if self.namespace else ""
        # From the server's memory: no read of etcd, which a notebook may have stopped.
        chosen = f"&labelSelector={quote(self.label)}" if self.label else ""
        return f"{kind.prefix}{place}/{kind.name}?resourceVersion=0{chosen}"


EVERYTHING = Scope()


@dataclass(frozen=True)
class Snapshot:
    """The unique ids of all objects at one moment."""

    uids: frozenset[str]


@dataclass(frozen=True)
class Removed:
    """Names of what was removed, as kubectl writes them: pods/web-0, in no namespace or in `default`."""

    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names)


def take_snapshot(door: ApiDoor, scope: Scope = EVERYTHING) -> Snapshot:
    """Note what there is in a scope."""
    return Snapshot(frozenset(item["metadata"]["uid"] for _, item in _objects(door, scope, resource_kinds(door))))


def remove_since(door: ApiDoor, before: Snapshot, scope: Scope = EVERYTHING) -> Removed:
    """Remove what is in a scope now and was not there at `before`, and wait until it has gone.

    Raises:
        WaitExpired: something stays, such as a volume whose finalizer nobody removes; the message names it.
    """
    kinds = resource_kinds(door)
    new = _new_objects(door, before, scope, kinds)
    for kind, item in sorted(new, key=lambda each: _turn(each[0])):
        door.delete(kind.path(item), _options(kind))
    names = tuple(sorted(_shown(kind, item) for kind, item in new))
    if new:
        left: list[str] = []
        # All kinds are many requests: until these have gone, look at what was there and at what owners make anew.
        there = {kind for kind, _ in new}
        few = [kind for kind in kinds if kind in there or kind.name in _FIRST]

        def all_gone() -> bool:
            # A kind of the trial's own may go meanwhile, with its definition.
            remaining = _remaining(door, before, scope, few, may_be_gone=True)
            remaining = remaining or _remaining(door, before, scope, resource_kinds(door))
            left[:] = [_shown(kind, item) for kind, item in remaining]
            return not left

        wait_until(
            all_gone,
            "the trial's objects to be gone",
            within_seconds=_GONE_WITHIN_SECONDS,
            last_seen=lambda: f"still there: {', '.join(left)}",
            do="see what holds them (finalizers, a stopped component): `kubectl get -o yaml`; or start a new lab",
        )
    return Removed(names)


def have_namespace(door: ApiDoor, name: str) -> None:
    """Make a namespace if need be, after the end of one that is ending, and return when pods can be made in it.

    Raises:
        WaitExpired: the controller-manager, which ends namespaces and makes their accounts, did not do so in time.
    """

    def usable() -> bool:
        door.create_if_possible("/api/v1/namespaces", {"metadata": {"name": name}})
        found = door.find(f"/api/v1/namespaces/{name}") or {"metadata": {"deletionTimestamp": ""}}
        account = f"/api/v1/namespaces/{name}/serviceaccounts/{OWN_SERVICE_ACCOUNT}"
        return "deletionTimestamp" not in found["metadata"] and door.find(account) is not None

    wait_until(
        usable,
        f"namespace {name} with its default service account",
        within_seconds=90,
        every_seconds=0.005,
        do="is the controller-manager running? it makes accounts, and ends what is in a namespace that goes",
    )


def _remaining(
    door: ApiDoor, before: Snapshot, scope: Scope, kinds: Sequence[ResourceKind], *, may_be_gone: bool = False
) -> list[tuple[ResourceKind, dict[str, Any]]]:
    """What is new and still there; pods made again meanwhile by an owner that had not seen its end are deleted too."""
    found = _new_objects(door, before, scope, kinds, may_be_gone=may_be_gone)
    for kind, item in found:
        if kind.name == "pods" or not item["metadata"].get("deletionTimestamp"):
            door.delete(kind.path(item), _options(kind))
    return found


def _new_objects(
    door: ApiDoor, before: Snapshot, scope: Scope, kinds: Sequence[ResourceKind], *, may_be_gone: bool = False
) -> list[tuple[ResourceKind, dict[str, Any]]]:
    found = _objects(door, scope, kinds, may_be_gone=may_be_gone)
    return [
        (kind, item)
        for kind, item in found
        if item["metadata"]["uid"] not in before.uids and not is_made_anew(item, before)
    ]


def _objects(
    door: ApiDoor, scope: Scope, kinds: Sequence[ResourceKind], *, may_be_gone: bool = False
) -> Iterator[tuple[ResourceKind, dict[str, Any]]]:
    for kind in kinds:
        path = scope.path(kind)
        if not path:
            continue
        # Of a user's own cluster, who may not list a kind has made none of it.
        listing = (door.find(path) or {}) if may_be_gone or scope != EVERYTHING else door.get(path)
        for item in listing.get("items") or ():
            if not is_made_by_cluster(kind, item):
                yield kind, item


def resource_kinds(door: ApiDoor) -> list[ResourceKind]:
    """Return every kind that can be listed and deleted, in its group's preferred version."""
    kinds = _kinds_of(door.get("/api/v1"), "", "/api/v1")
    for group in door.get("/apis").get("groups") or ():
        version = group["preferredVersion"]["groupVersion"]
        kinds += _kinds_of(door.get(f"/apis/{version}"), group["name"], f"/apis/{version}")
    return kinds


def _kinds_of(listing: dict[str, Any], group: str, prefix: str) -> list[ResourceKind]:
    return [
        ResourceKind(group, each["name"], prefix, each["namespaced"])
        for each in listing.get("resources") or ()
        if {"list", "delete"} <= set(each["verbs"]) and (group, each["name"]) not in OWN_OBJECTS
    ]


def is_made_by_cluster(kind: ResourceKind, item: dict[str, Any]) -> bool:
    """Whether the cluster, or its dataplane, makes such an object by itself."""
    metadata = item["metadata"]
    return (
        kind.group in DATAPLANE_GROUPS
        or (kind.name == "customresourcedefinitions" and item["spec"]["group"] in DATAPLANE_GROUPS)
        or (kind.name == "configmaps" and metadata["name"] == OWN_CONFIG_MAP)
        or (kind.name == "serviceaccounts" and metadata["name"] == OWN_SERVICE_ACCOUNT)
        or (kind.name in _MADE_IN_SYSTEM_NAMESPACES and metadata["namespace"] in SYSTEM_NAMESPACES)
    )


def is_made_anew(item: dict[str, Any], before: Snapshot) -> bool:
    """Whether an object that was there before made it, or a node did: of a control plane in pods, after a fault."""
    owners = item["metadata"].get("ownerReferences") or ()
    return any(owner["uid"] in before.uids or owner["kind"] == "Node" for owner in owners)


def _turn(kind: ResourceKind) -> int:
    return _FIRST.index(kind.name) if kind.name in _FIRST else len(_FIRST)


def _options(kind: ResourceKind) -> dict[str, Any]:
    grace = {"gracePeriodSeconds": 0} if kind.name == "pods" else {}
    return {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background", **grace}


def _shown(kind: ResourceKind, item: dict[str, Any]) -> str:
    name = f"{kind.name}/{item['metadata']['name']}"
    namespace = item["metadata"].get("namespace")
    return name if namespace in (None, "default") else f"{name} in {namespace}"
