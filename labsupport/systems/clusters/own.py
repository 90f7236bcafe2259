"""The user's own cluster as a lab's: a namespace of its own there, with limits, and a way in that reaches no further.

Reads the user's kubeconfig and never writes it: what commands use is a copy in the lab's folder. Where this user may
make no namespace, the lab works in the one that is theirs. own_place.py knows what is the lab's, and removes it.
"""

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labsupport.errors import ClusterError, RequirementMissing
from labsupport.process.commands import LocalRunner
from labsupport.process.ownership import Owner, give_to_caller
from labsupport.systems.clusters import objects
from labsupport.systems.clusters.cluster import ReachableCluster
from labsupport.systems.clusters.kubeconfig import with_files, with_namespace, with_token
from labsupport.systems.clusters.own_door import OwnDoor, require_answer, require_rights
from labsupport.systems.clusters.own_place import (
    USERS_KUBECONFIG,
    Place,
    make_namespace,
    remove_from,
    sweep_namespaces,
)
from labsupport.systems.machines.own_engine import own_kubeconfigs

KIND = "own"
COMMANDS_FOLDER = "bin"
LAUNCHER = """#!/bin/sh
PYTHONPATH={package} exec {python} -P -m labsupport.systems.clusters.labelled_kubectl {folder} "$@"
"""
LIMITED = "private/kubeconfig"
ACCOUNT = "lab"
ALLOW_OPTION = "--allow-cluster-changes"
TOKEN_SECONDS = 12 * 3600
ROLES = "rbac.authorization.k8s.io"


class OwnCluster(ReachableCluster):
    """The user's cluster, as far as one lab uses it. It has neither an audit log nor nodes that a lab could touch."""

    kind = KIND
    audit_log: Path | None = None
    nodes: tuple[Any, ...] = ()

    def __init__(self, folder: Path, place: Place, sources: tuple[Mapping[str, Any], ...]) -> None:
        kubeconfig = folder / LIMITED
        commands = Path(place.kubectl).parent if place.is_labs else folder / COMMANDS_FOLDER
        environment = {
            "KUBECONFIG": str(kubeconfig),
            "KUBECACHEDIR": str(kubeconfig.with_name("cache")),
            "KUBERC": "off",
            "PATH": f"{commands}:{os.environ.get('PATH', os.defpath)}",
        }
        super().__init__(kubeconfig, OwnDoor(kubeconfig), environment)
        self.place = place
        self._sources = sources

    def use_namespace(self, name: str) -> None:
        """Refuse: on a cluster that is not the lab's alone it has one namespace."""
        raise ClusterError(
            f"use the namespace {name}",
            f"on your own cluster the lab has one, {self.place.namespace}",
            "leave --cluster own out for experiments with several",
        )

    def snapshot(self) -> objects.Snapshot:
        return objects.take_snapshot(self.door, self.place.scope)

    def remove_since(self, before: objects.Snapshot) -> objects.Removed:
        return remove_from(self.door, before, self.place)

    def provenance(self) -> dict[str, Any]:
        """What this cluster is, as plain values for evidence."""
        return {"kind": self.kind, "version": self.version, "tools": [dict(source) for source in self._sources]}


def own_kubectl(folder: Path) -> None:
    """Put a `kubectl` into the lab's folder that labels what it makes."""
    commands = folder / COMMANDS_FOLDER
    commands.mkdir(exist_ok=True)
    words = {"package": str(Path(__file__).parents[3]), "python": sys.executable, "folder": str(folder)}
    launcher = commands / "kubectl"
    launcher.write_text(LAUNCHER.format(**{name: shlex.quote(word) for name, word in words.items()}))
    launcher.chmod(0o755)


def users_kubeconfig(kubectl: Path) -> str:
    """Return the user's current context, with everything in it that it takes, as a kubeconfig of its own.

    Raises:
        RequirementMissing: there is none.
    """
    argv = [str(kubectl), "config", "view", "--minify", "--flatten", "--raw"]
    said = LocalRunner({"KUBECONFIG": os.pathsep.join(map(str, own_kubeconfigs())), "KUBERC": "off"}).run(argv)
    if not said.succeeded:
        raise RequirementMissing(
            "find your own cluster: kubectl config view --minify",
            said.stderr.strip(),
            "choose one: `kubectl config use-context …`; or leave --cluster own out",
        )
    return said.stdout


@dataclass(frozen=True)
class Joining:
    """How a lab comes to the user's cluster.

    Args:
        lab: its name.
        folder: its run folder.
        kubeconfig: the user's, as `users_kubeconfig` returns it.
        kubectl: the program.
        owner: the process that a namespace of the lab goes with.
        with_users_rights: whether its commands may do all that the user may, in all of the cluster.
        sources: where the program came from, for evidence.
    """

    lab: str
    folder: Path
    kubeconfig: str
    kubectl: Path
    owner: Owner
    with_users_rights: bool = False
    sources: tuple[Mapping[str, Any], ...] = ()


def join_own_cluster(how: Joining) -> OwnCluster:
    """Have a namespace on the user's cluster, and return the cluster as it is from there.

    Raises:
        RequirementMissing: it does not answer, or this user may do nothing there.
    """
    lab, folder, kubeconfig = how.lab, how.folder, how.kubeconfig
    _write_private(folder / USERS_KUBECONFIG, kubeconfig)
    door = OwnDoor(folder / USERS_KUBECONFIG)
    try:
        require_answer(door)
        if all(door.may(verb, "namespaces") for verb in ("create", "delete", "get")):
            sweep_namespaces(door)
            place = Place(lab, lab, True, str(how.kubectl))
            place.write(folder)
            make_namespace(door, lab, how.owner)
        else:
            place = Place(lab, _namespace_in(kubeconfig), False, str(how.kubectl))
            require_rights(door, place.namespace)
            place.write(folder)
            own_kubectl(folder)
        text = with_namespace(kubeconfig, place.namespace)
        narrow = place.is_labs and not how.with_users_rights
        _write_private(folder / LIMITED, _narrowed(door, text, place.namespace) if narrow else text)
    finally:
        door.close()
    return OwnCluster(folder, place, how.sources)


def attach_own_cluster(folder: Path, sources: tuple[Mapping[str, Any], ...]) -> OwnCluster:
    """Return the cluster as a running lab has it.

    Raises:
        ClusterError: that lab has none.
    """
    place = Place.read(folder)
    if place is None:
        raise ClusterError(f"use the cluster of {folder.name}", "it has none", "start a new lab")
    return OwnCluster(folder, place, sources)


def _narrowed(door: OwnDoor, kubeconfig: str, namespace: str) -> str:
    """The same kubeconfig with an account that reaches this namespace only.

    Raises:
        RequirementMissing: this user may not give anybody such an account.
    """
    within = f"/namespaces/{namespace}"
    binding = {
        "metadata": {"name": ACCOUNT},
        "roleRef": {"apiGroup": ROLES, "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}],
    }
    request = {"spec": {"expirationSeconds": TOKEN_SECONDS}}
    try:
        door.create(f"/api/v1{within}/serviceaccounts", {"metadata": {"name": ACCOUNT}})
        door.create(f"/apis/{ROLES}/v1{within}/rolebindings", binding)
        answer = door.create(f"/api/v1{within}/serviceaccounts/{ACCOUNT}/token", request)
    except ClusterError as error:
        raise RequirementMissing(
            f"have an account on your cluster that reaches the namespace {namespace} only",
            error.happened,
            f"let the lab use your own rights there, in all of the cluster: {ALLOW_OPTION}",
        ) from error
    return with_token(kubeconfig, ACCOUNT, str(answer["status"]["token"]))


def _namespace_in(kubeconfig: str) -> str:
    import yaml

    contexts = yaml.safe_load(kubeconfig)["contexts"]
    return str(contexts[0]["context"].get("namespace") or "default")


def _write_private(file: Path, kubeconfig: str) -> None:
    """Write a kubeconfig, and its keys and certificates beside it, for who the lab works for and nobody else."""
    text, files = with_files(kubeconfig)
    for path, content in {file: text.encode(), **{file.with_name(name): raw for name, raw in files.items()}}.items():
        path.touch(0o600)
        give_to_caller(path)
        path.write_bytes(content)
