"""How an embedded cluster comes up: what starts when, and what each part waits for.

Everything starts at once where it can. What would ask in vain and then pause for a second starts the moment it gets an
answer: most of a cluster's start is otherwise spent in such pauses.
"""

import http.client
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from labsupport.errors import ClusterError
from labsupport.process.ownership import give_to_caller
from labsupport.process.progress import Listener, Progress
from labsupport.systems.clusters import dns, images, storage
from labsupport.systems.clusters.certificates import write_private
from labsupport.systems.clusters.client_files import write_client_files
from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.control_plane import CONTROLLER_MANAGER, POD_NETWORK, Addresses, ControlPlane
from labsupport.systems.clusters.door import ApiDoor
from labsupport.systems.clusters.first_objects import FirstObjects
from labsupport.systems.clusters.image_files import ProgramImage
from labsupport.systems.clusters.network import NetworkPlan
from labsupport.systems.clusters.node import CONTAINERD_SOCKET, Node, NodeIdentity, NodeOnMachine, NodePrograms
from labsupport.systems.clusters.readiness import are_usable, shows_health_to, wait_with
from labsupport.systems.clusters.tools import ClusterTools
from labsupport.systems.dataplanes.dataplane import Dataplane, Fabric
from labsupport.systems.dataplanes.named import WITHOUT_KUBE_PROXY, dataplane_called
from labsupport.systems.dataplanes.nothing import NOTHING
from labsupport.systems.machines.machine import Host, Machine
from labsupport.systems.machines.seeds import plant

CLUSTER_FOLDER = "cluster"
RECORD_NAME = "cluster.json"
# A socket's path may have 107 bytes; etcd's is the longest below a run folder.
LONGEST_RUN_FOLDER = 107 - len("/cluster/control-plane/etcd-peer.sock")
ROLE_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
# Collect garbage rarely until a program has grown to its limit. That is well above what it holds for good: a program
# that cannot get below its limit collects without end, which took more than half of the API server's time.
MEMORY_LIMITS = {"kube-apiserver": "400MiB", "kube-controller-manager": "200MiB", "kubelet": "150MiB"}


@dataclass(frozen=True)
class Standing:
    """A cluster that is up. Written to its folder, so that another process can find it again."""

    server: str
    plan: NetworkPlan
    nodes: tuple[NodeOnMachine, ...]
    components: tuple[Component, ...]
    dataplane: Dataplane

    def write(self, folder: Path) -> None:
        record = {
            "server": self.server,
            "dataplane": self.dataplane.name,
            "nodes": [node.name for node in self.nodes],
            "components": [[each.name, list(each.argv), dict(each.environment)] for each in self.components],
        }
        give_to_caller(write_private(folder / RECORD_NAME, json.dumps(record, indent=1)))

    @classmethod
    def find(cls, machine: Machine, tools: ClusterTools) -> "Standing":
        """Return the cluster that another process started on `machine`.

        Raises:
            ClusterError: there is none.
        """
        folder = machine.folder / CLUSTER_FOLDER
        try:
            record = json.loads((folder / RECORD_NAME).read_text())
        except FileNotFoundError as error:
            tried = f"attach to the cluster of {machine.name}"
            raise ClusterError(tried, "it has none", "start a new lab: `./lab down`, then `./lab up`") from error
        plan, programs = NetworkPlan(), NodePrograms(tools.programs, tools.plugins)
        inner = {name: machine.inner(name) for name in record["nodes"]}
        identities = [NodeIdentity(name, inner[name].address, plan.pods_of(i)) for i, name in enumerate(inner)]
        nodes = [NodeOnMachine(Node(folder / each.name, each, programs), inner[each.name]) for each in identities]
        components = [
            Component(name, inner.get(name.partition("@")[2], machine), tuple(argv), environment).find()
            for name, argv, environment in record["components"]
        ]
        return cls(record["server"], plan, tuple(nodes), tuple(components), dataplane_called(record["dataplane"]))


@dataclass
class Startup:
    """A cluster on its way up: what is there so far. `run` brings up the rest."""

    machine: Machine
    tools: ClusterTools
    size: int
    archives: tuple[Path, ...]
    listener: Listener
    dataplane: Dataplane
    plan: NetworkPlan = field(default_factory=NetworkPlan)
    nodes: list[NodeOnMachine] = field(default_factory=list)
    components: list[Component] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> Path:
        return self.machine.folder / CLUSTER_FOLDER

    def run(self) -> "Standing":
        """Bring everything up; return when pods can run."""
        seed = self._image_seed()
        self._start_etcd()
        plane = ControlPlane(self.folder / "control-plane", self._addresses(), self.plan)
        authority = plane.write_files()
        door = write_client_files(self.folder, plane.addresses.server, authority)
        self._put_first_objects(plane)
        # What takes longest of all comes early; by the time it listens, the nodes are there.
        self._start("kube-apiserver", plane.api_server(self.tools.path("kube-apiserver")))
        self._start_nodes(seed)
        self._tell("etcd, API server and container runtimes started")
        self._connect_nodes()
        for node in self.nodes:
            node.node.write_client_files(authority, plane.addresses.server_inside, self.plan)
        # From here on a connection waits in line until it is answered: what connects now is not refused.
        wait_with(self.components, door.listens, "the API server to listen")
        # By now it is; on a computer with much else to do it may not be, and a kubelet without a runtime ends.
        wait_with(self.components, self._runtimes_listen, "the container runtimes to listen")
        for node in self.nodes:
            self._start(f"kubelet@{node.name}", node.node.kubelet(), on=node.machine)
        answers = partial(door.status, "/version", within_seconds=0.5)
        wait_with(self.components, lambda: answers() == http.client.OK, "the API server to answer")
        self._tell("the API server answers")
        self._start_clients(plane, door)
        self._tell("pods can run")
        if not self._first_objects.are_kept:
            self._first_objects.keep(plane.etcd_socket)
        standing = Standing(
            plane.addresses.server, self.plan, tuple(self.nodes), tuple(self.components), self.dataplane
        )
        standing.write(self.folder)
        return standing

    def _image_seed(self) -> Path:
        pause = ProgramImage(images.PAUSE_IMAGE, self.tools.path("pause"))
        seeds = images.ImageSeeds(self.tools.seeds, self.tools.path("containerd"), self.tools.path("ctr"))
        return seeds.ensure(self.machine, [pause], self.archives, self.listener)

    @cached_property
    def _first_objects(self) -> FirstObjects:
        return FirstObjects(self.tools.seeds, self.tools.path("kube-apiserver"))

    def _put_first_objects(self, plane: ControlPlane) -> None:
        """Put them where the API server will look for them."""
        # etcd's socket is root's: for others the API server makes them itself.
        if self._first_objects.are_kept and os.geteuid() == 0:
            put = partial(self._first_objects.put, plane.etcd_socket, watched=False)
            wait_with(self.components, put, "etcd to take objects")

    def _start_etcd(self) -> None:
        folder = self.folder / "control-plane"
        folder.mkdir(mode=0o700)
        self._start("etcd", ControlPlane(folder, Addresses("", ""), self.plan).etcd(self.tools.path("etcd")))

    def _start_nodes(self, seed: Path) -> None:
        programs = NodePrograms(self.tools.programs, self.tools.plugins)
        for position in range(self.size):
            name = f"node-{position + 1}"
            inner = self.machine.nested(name)
            identity = NodeIdentity(name, inner.address, self.plan.pods_of(position))
            node = NodeOnMachine(Node(self.folder / name, identity, programs), inner)
            self.nodes.append(node)
            node.node.write_runtime_files(self.dataplane.configuration(node))
            plant(inner.runner, seed, node.node.containerd_root)
            self._start(f"containerd@{name}", node.node.containerd(), on=inner)

    def _runtimes_listen(self) -> bool:
        return all(node.machine.runner.run(["test", "-S", str(CONTAINERD_SOCKET)]).succeeded for node in self.nodes)

    def _addresses(self) -> Addresses:
        return Addresses(inside=self.machine.switch_address, outside=self.machine.address)

    def _connect_nodes(self) -> None:
        """Have the dataplane lay what it needs, and show every node the folder that all volumes are in."""
        volumes = self.folder / "volumes"
        volumes.mkdir()
        volumes.chmod(0o777)
        for machine in (self.machine, *(node.machine for node in self.nodes)):
            machine.runner.run(["ln", "-sfn", str(volumes), storage.SHARED_VOLUMES]).or_raise()
        for node in self.nodes:
            node.machine.runner.run(node.node.usual_places()).or_raise()
        self.dataplane.connect(fabric_of(self.machine, self.nodes, self.plan, self.tools))

    def _start_clients(self, plane: ControlPlane, door: ApiDoor) -> None:
        """Start each client of the API server when it is let in; make what every cluster has; until pods can run."""
        classes = [(storage.STORAGE_CLASSES, each) for each in storage.standard_classes()]
        steps: list[Callable[[], bool]] = [
            made(door, dns.dns_objects(self.plan, address=self._addresses().inside), self._starter("coredns", plane)),
            made(door, classes),
            # Refused, it would pause: so not before its role is bound.
            when(lambda: door.find(f"{ROLE_BINDINGS}/system:kube-scheduler"), self._starter("kube-scheduler", plane)),
            # It asks whether the server is healthy, which is when all roles are made; a no costs it a second.
            when(lambda: shows_health_to(door, CONTROLLER_MANAGER), self._starter("kube-controller-manager", plane)),
            *(self._placed(door, node) for node in self.nodes),
            *(partial(self.dataplane.is_up, node) for node in self.nodes),
        ]
        needed = len(self.nodes) if self.dataplane.name != NOTHING else 0

        def all_done() -> bool:
            steps[:] = [step for step in steps if not step()]
            return not steps and are_usable(door, needed)

        wait_with(self.components, all_done, "pods to be able to run", door=door)

    def _starter(self, name: str, plane: ControlPlane) -> Callable[[], None]:
        return lambda: self._start(name, plane.client(name, self.tools.path(name)))

    def _placed(self, door: ApiDoor, node: NodeOnMachine) -> Callable[[], bool]:
        """A step: once a node has registered, say which range its pods have, and start what connects them."""
        path, pods = f"/api/v1/nodes/{node.name}", str(node.node.identity.pods)

        def place() -> None:
            door.patch(path, {"spec": {"podCIDR": pods, "podCIDRs": [pods]}})
            if self.dataplane.name not in WITHOUT_KUBE_PROXY:
                self._start(f"kube-proxy@{node.name}", node.node.kube_proxy(), on=node.machine)
            for daemon in self.dataplane.daemons(fabric_of(self.machine, self.nodes, self.plan, self.tools), node):
                daemon.start()
                self.components.append(daemon)

        return when(lambda: door.find(path) and door.find(f"{ROLE_BINDINGS}/system:node-proxier"), place)

    def _start(self, name: str, argv: list[str], *, on: Machine | None = None) -> None:
        environment = limits_of(name)
        if name.startswith("containerd@"):
            environment["PATH"] = f"{self.tools.programs}:/usr/sbin:/usr/bin:/sbin:/bin"
        component = Component(name, on or self.machine, tuple(argv), environment)
        component.start()
        self.components.append(component)

    def _tell(self, what: str) -> None:
        self.listener(Progress(f"{what} ({time.monotonic() - self.started:.1f} s)"))


def claim_folder(host: Host) -> Path:
    """Take the place of the one cluster that a machine has, or this computer for a lab; return its folder.

    Raises:
        ClusterError: there is one already, or no room for it.
    """
    folder = host.folder / CLUSTER_FOLDER
    tried = f"start a cluster on {host.folder.name}"
    if len(str(host.folder).encode()) > LONGEST_RUN_FOLDER:
        happened = f"the run folder {host.folder} has a path too long for sockets in it"
        raise ClusterError(tried, happened, "set LAB_RUN_ROOT to a shorter folder")
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise ClusterError(tried, "it has one already", "use that one; or start another machine") from error
    folder.chmod(0o711)
    return folder


def limits_of(name: str) -> dict[str, str]:
    """What tells a component, such as kubelet@node-1, how much memory it may take before it collects garbage often."""
    limit = MEMORY_LIMITS.get(name.partition("@")[0])
    return {"GOGC": "400", "GOMEMLIMIT": limit} if limit else {}


def fabric_of(machine: Machine, nodes: Sequence[NodeOnMachine], plan: NetworkPlan, tools: ClusterTools) -> Fabric:
    """Say what a dataplane is to connect.

    Raises:
        UsageError: a node has an address of the range of pods, or of Services.
    """
    plan.refuse_addresses_of({node.name: node.address for node in nodes})
    kubeconfig_file = machine.folder / CLUSTER_FOLDER / "control-plane" / f"{POD_NETWORK}.kubeconfig"
    return Fabric(machine, tuple(nodes), plan, kubeconfig_file, tools.seeds)


def made(
    door: ApiDoor, wanted: Iterable[tuple[str, dict[str, Any]]], then: Callable[[], None] = lambda: None
) -> Callable[[], bool]:
    """A step: make the wanted objects, in order, as soon as the server takes them."""
    missing = list(wanted)

    def are_made() -> bool:
        while missing and door.create_if_possible(*missing[0]):
            del missing[0]
        if not missing:
            then()
        return not missing

    return are_made


def when(look: Callable[[], object], then: Callable[[], None]) -> Callable[[], bool]:
    """A step: do something once, when something is so."""

    def happened() -> bool:
        if not look():
            return False
        then()
        return True

    return happened


def end(machine: Machine, nodes: Sequence[NodeOnMachine], components: Sequence[Component]) -> None:
    """End what a start has made so far, and remove its files."""
    for component in components:
        if component.machine is machine:
            component.kill()
    for node in nodes:
        node.machine.close()
    images.remove(machine, machine.folder / CLUSTER_FOLDER)
