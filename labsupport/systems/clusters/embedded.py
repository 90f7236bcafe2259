"""The embedded cluster: Kubernetes' own programs as processes of a machine, its nodes inner machines.

Owns when each starts, and that all of it ends together. Everything starts at once where it can: what must come first waits
for nothing, what would only ask in vain and then pause starts the moment it gets an answer.
"""

import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labsupport.errors import ClusterError, WaitExpired
from labsupport.process.commands import Invocation
from labsupport.process.ownership import give_to_caller
from labsupport.process.progress import Listener, Progress, silent
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters import dns, images, storage
from labsupport.systems.clusters.certificates import Authority, write_private
from labsupport.systems.clusters.cluster import ReachableCluster
from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.control_plane import Addresses, ControlPlane
from labsupport.systems.clusters.door import ApiDoor
from labsupport.systems.clusters.kubeconfig import kubeconfig
from labsupport.systems.clusters.network import NetworkPlan, route_commands
from labsupport.systems.clusters.node import CONTAINERD_SOCKET, Node, NodeIdentity, NodePrograms
from labsupport.systems.clusters.tools import ClusterTools
from labsupport.systems.machines.machine import Machine

KIND = "embedded"
READY_WITHIN_SECONDS = 60
# Collect garbage rarely while everything starts, and as always once a program has grown to its limit.
START_FAST = {"GOGC": "400"}
MEMORY_LIMITS = {"kube-apiserver": "220MiB", "kube-controller-manager": "90MiB", "kubelet": "90MiB"}


@dataclass(frozen=True)
class NodeOnMachine:
    """A node and the inner machine it runs on."""

    node: Node
    machine: Machine

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def address(self) -> str:
        return self.node.identity.address


class EmbeddedCluster(ReachableCluster):
    """A running embedded cluster. Made by `start_embedded_cluster`."""

    kind = KIND

    def __init__(self, rise: "_Rise", kubeconfig_file: Path, door: ApiDoor) -> None:
        environment = {
            "KUBECONFIG": str(kubeconfig_file),
            "KUBECACHEDIR": str(kubeconfig_file.parent / "cache"),
            # Neither aliases nor defaults of the user's own kubectl.
            "KUBERC": "off",
            "PATH": f"{rise.tools.commands}:{os.environ.get('PATH', os.defpath)}",
        }
        super().__init__(kubeconfig_file, door, environment)
        self.machine = rise.machine
        self.nodes = tuple(rise.nodes)
        self.audit_log = rise.control_plane.audit_log
        self.dns_address = rise.machine.address
        self.plan = rise.plan
        self._tools = rise.tools
        self._components = {component.name: component for component in rise.components}
        self._folder = rise.folder

    @property
    def components(self) -> tuple[Component, ...]:
        """Everything that runs, in the order of its start."""
        return tuple(self._components.values())

    def component(self, name: str) -> Component:
        """Return a component by name: etcd, kube-apiserver, kubelet@node-1, …; each stops and starts alone.

        Raises:
            ClusterError: there is none of that name.
        """
        if name not in self._components:
            raise ClusterError(
                f"find the component {name!r}", "there is none of that name", f"use one of {', '.join(self._components)}"
            )
        return self._components[name]

    def node(self, name: str) -> NodeOnMachine:
        """Return a node by name.

        Raises:
            ClusterError: there is none of that name.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise ClusterError(f"find the node {name!r}", "there is none of that name", f"use one of {names}")

    def wait_ready(self, *, within_seconds: float = READY_WITHIN_SECONDS) -> None:
        """Return when every node takes pods, and namespace `default` too.

        Raises:
            ClusterError: a component ended; its own last words are in the message.
            WaitExpired: it took longer.
        """
        _wait_until_usable(self.door, self.components, len(self.nodes), within_seconds)

    def load_images(self, *archives: Path) -> list[str]:
        """Import image archives (as `docker save` writes them) into every node; return the names in them."""
        names: list[str] = []
        for node in self.nodes:
            for archive in archives:
                # Seen inside only where the machine shows it: a copy in the run folder always is.
                shown = self._folder / "images" / archive.name
                shown.parent.mkdir(exist_ok=True)
                shutil.copyfile(archive, shown)
                try:
                    ctr = self._tools.path("ctr")
                    names += images.import_archive(node.machine.runner, ctr, shown, socket=CONTAINERD_SOCKET)
                finally:
                    shown.unlink()
        return sorted(set(names))

    def provenance(self) -> dict[str, Any]:
        """What this cluster is, as plain values for evidence."""
        return {
            "kind": self.kind,
            "version": self.version,
            "nodes": len(self.nodes),
            "tools": [dict(source) for source in self._tools.sources],
        }

    def close(self) -> None:
        """End it all at once; its machine stays."""
        self.door.close()
        _end(self.machine, self.nodes, self.components, self._folder)


def start_embedded_cluster(
    machine: Machine,
    tools: ClusterTools,
    *,
    nodes: int = 1,
    archives: Sequence[Path] = (),
    listener: Listener = silent,
) -> EmbeddedCluster:
    """Start a cluster on `machine` and return it when its nodes take pods.

    Args:
        archives: more image archives that the nodes have from the start.
        listener: told each phase as it is reached.

    Raises:
        ClusterError: a component ended; the message has its own last words. Nothing is left.
        WaitExpired: it took longer than a minute. Nothing is left.
    """
    rise = _Rise(machine, tools, nodes, tuple(archives), listener)
    try:
        return rise.run()
    except BaseException:
        _end(machine, rise.nodes, rise.components, rise.folder)
        raise


@dataclass
class _Rise:
    """A cluster on its way up: what is there so far."""

    machine: Machine
    tools: ClusterTools
    size: int
    archives: tuple[Path, ...]
    listener: Listener
    plan: NetworkPlan = field(default_factory=NetworkPlan)
    nodes: list[NodeOnMachine] = field(default_factory=list)
    components: list[Component] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> Path:
        return self.machine.folder / "cluster"

    def run(self) -> EmbeddedCluster:
        self.folder.mkdir(mode=0o711)
        self.folder.chmod(0o711)
        seed = self._image_seed()
        self._start_etcd()
        self._start_nodes(seed)
        self.control_plane = ControlPlane(self.folder / "control-plane", self._addresses(), self.plan)
        authority = self.control_plane.write_files()
        self._start("kube-apiserver", self.control_plane.api_server(self.tools.path("kube-apiserver")))
        self._tell("programs started")
        cluster = self._cluster(authority)
        self._connect_nodes()
        self._write_client_files(authority)
        self._wait_for_api(cluster.door)
        self._tell("API server answers")
        self._start_clients()
        self._furnish(cluster.door)
        self._tell("nodes ready")
        cluster.wait_ready(within_seconds=READY_WITHIN_SECONDS)
        self._tell("cluster ready")
        return cluster

    def _image_seed(self) -> Path:
        self.listener(Progress("preparing images for the nodes"))
        wanted = (
            images.ProgramImage(images.PAUSE_IMAGE, self.tools.path("pause")),
            images.ProgramImage(images.AGNHOST_IMAGE, self.tools.path("agnhost"), ("pause",)),
        )
        seeds = images.ImageSeeds(self.tools.seeds)
        return seeds.ensure(
            self.machine, containerd=self.tools.path("containerd"), images=wanted, archives=self.archives
        )

    def _start_etcd(self) -> None:
        plane = ControlPlane(self.folder / "control-plane", Addresses("", ""), self.plan)
        self._start("etcd", plane.etcd(self.tools.path("etcd")))

    def _start_nodes(self, seed: Path) -> None:
        programs = NodePrograms(
            containerd=self.tools.path("containerd"),
            runc=self.tools.path("runc"),
            kubelet=self.tools.path("kubelet"),
            kube_proxy=self.tools.path("kube-proxy"),
            plugins=self.tools.plugins,
        )
        for position in range(self.size):
            name = f"node-{position + 1}"
            inner = self.machine.nested(name)
            identity = NodeIdentity(name, inner.address, self.plan.pods_of(position))
            node = NodeOnMachine(Node(self.folder / name, identity, programs), inner)
            self.nodes.append(node)
            images.plant(seed, node.node.containerd_root)
            node.node.write_runtime_files()
            path = f"{self.tools.programs}:{os.defpath}"
            self._start(f"containerd@{name}", node.node.containerd(), on=inner, environment={"PATH": path})

    def _addresses(self) -> Addresses:
        return Addresses(inside=self.nodes[0].machine.host_address, outside=self.machine.address)

    def _cluster(self, authority: Authority) -> EmbeddedCluster:
        plane = self.control_plane
        pair = (plane.folder / "lab.crt", plane.folder / "lab.key")
        door = ApiDoor(plane.addresses.server, authority=plane.folder / "ca.crt", certificate=pair[0], key=pair[1])
        client = self.folder / "client"
        client.mkdir(mode=0o700)
        (client / "cache").mkdir(mode=0o700)
        lab = plane.pair("lab")
        text = kubeconfig(server=plane.addresses.server, authority=authority.certificate, pair=lab, user="lab")
        file = write_private(client / "kubeconfig", text)
        for path, mode in ((client, 0o700), (client / "cache", 0o700), (file, 0o600)):
            give_to_caller(path, mode)
        return EmbeddedCluster(self, file, door)

    def _connect_nodes(self) -> None:
        """Lay routes to every node's pods, and the folder all nodes' volumes are in."""
        addresses = {position: node.address for position, node in enumerate(self.nodes)}
        volumes = self.folder / "volumes"
        volumes.mkdir(mode=0o777)
        volumes.chmod(0o777)
        for position, machine in [(None, self.machine), *((i, node.machine) for i, node in enumerate(self.nodes))]:
            script = "\n".join(" ".join(words[1:]) for words in route_commands(addresses, self.plan, of=position))
            if script:
                invocation = Invocation(stdin=script + "\n")
                machine.runner.run(["ip", "-batch", "-"], invocation=invocation).or_raise()
            machine.runner.run(["ln", "-sfn", str(volumes), storage.SHARED_VOLUMES]).or_raise()
            if position is not None:
                forward = Invocation(stdin="1\n")
                machine.runner.run(["tee", "/proc/sys/net/ipv4/ip_forward"], invocation=forward).or_raise()

    def _write_client_files(self, authority: Authority) -> None:
        for node in self.nodes:
            node.node.write_client_files(authority, self.control_plane.addresses.server_inside, self.plan)

    def _wait_for_api(self, door: ApiDoor) -> None:
        self._wait(lambda: door.status("/version") == 200, "the API server to answer")

    def _start_clients(self) -> None:
        plane = self.control_plane
        for node in self.nodes:
            self._start(f"kubelet@{node.name}", node.node.kubelet(), on=node.machine)
        self._start("kube-controller-manager", plane.controller_manager(self.tools.path("kube-controller-manager")))
        self._start("kube-scheduler", plane.scheduler(self.tools.path("kube-scheduler")))

    def _furnish(self, door: ApiDoor) -> None:
        """Make what every cluster has, as soon as the API server takes it: pod ranges of nodes, storage classes, DNS."""
        missing = list(dns.dns_objects(self.plan, address=self._addresses().inside).items())
        missing += [(storage.STORAGE_CLASSES, each) for each in storage.standard_classes()]
        unplaced = {node.name: node for node in self.nodes}

        def furnished() -> bool:
            while missing and door.create_if_possible(*missing[0]):
                missing.pop(0)
                if len(missing) == len(storage.standard_classes()):
                    self._start("coredns", self.control_plane.coredns(self.tools.path("coredns")))
            for name, node in list(unplaced.items()):
                if door.find(f"/api/v1/nodes/{name}"):
                    pods = str(node.node.identity.pods)
                    door.patch(f"/api/v1/nodes/{name}", {"spec": {"podCIDR": pods, "podCIDRs": [pods]}})
                    self._start(f"kube-proxy@{name}", node.node.kube_proxy(), on=node.machine)
                    del unplaced[name]
            return not missing and not unplaced

        self._wait(furnished, "the nodes to register")

    def _start(
        self, name: str, argv: list[str], *, on: Machine | None = None, environment: dict[str, str] | None = None
    ) -> None:
        kind = name.partition("@")[0]
        limit = {"GOMEMLIMIT": MEMORY_LIMITS[kind]} if kind in MEMORY_LIMITS else {}
        fast = START_FAST if kind in MEMORY_LIMITS else {}
        component = Component(name, on or self.machine, argv, {**fast, **limit, **(environment or {})})
        component.start()
        self.components.append(component)

    def _wait(self, look: Any, what: str) -> None:
        _wait_with(self.components, look, what, READY_WITHIN_SECONDS)

    def _tell(self, what: str) -> None:
        self.listener(Progress(f"{what} ({time.monotonic() - self.started:.2f} s)"))


def _wait_until_usable(door: ApiDoor, components: Sequence[Component], nodes: int, within_seconds: float) -> None:
    def usable() -> bool:
        found = door.find("/api/v1/nodes")
        items = (found or {}).get("items") or []
        return (
            len(items) >= nodes
            and all(_takes_pods(item) for item in items)
            and door.find("/api/v1/namespaces/default/serviceaccounts/default") is not None
        )

    _wait_with(components, usable, "all nodes to take pods", within_seconds)


def _takes_pods(node: dict[str, Any]) -> bool:
    conditions = {each["type"]: each["status"] for each in node.get("status", {}).get("conditions", [])}
    taints = node.get("spec", {}).get("taints") or []
    return conditions.get("Ready") == "True" and not any(taint["key"].endswith("/not-ready") for taint in taints)


def _wait_with(components: Sequence[Component], look: Any, what: str, within_seconds: float) -> None:
    """Wait, and say at once when a component ends instead of waiting for nothing."""

    def look_around() -> bool:
        if look():
            return True
        for component in components:
            component.refuse_if_ended(f"wait for {what}")
        return False

    wait_until(look_around, what, within_seconds=within_seconds, every_seconds=0.02, last_seen=lambda: _state(components))


def _state(components: Sequence[Component]) -> str:
    running = [component.name for component in components if component.is_running()]
    logs = sorted({str(component.log.parent) for component in components})
    return f"running: {', '.join(running) or 'nothing'}; their logs are in {' and '.join(logs)}"


def _end(machine: Machine, nodes: Sequence[NodeOnMachine], components: Sequence[Component], folder: Path) -> None:
    for component in components:
        if component.machine is machine:
            component.kill()
    with ThreadPoolExecutor(max_workers=max(1, len(nodes))) as pool:
        for done in [pool.submit(node.machine.close) for node in nodes]:
            done.result()
    shutil.rmtree(folder, ignore_errors=True)


__all__ = ["EmbeddedCluster", "NodeOnMachine", "WaitExpired", "start_embedded_cluster"]
