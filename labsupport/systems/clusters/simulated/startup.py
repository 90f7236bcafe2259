"""How a cluster with simulated nodes comes up: the embedded cluster's control plane, on this computer's loopback."""

import http.client
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from labsupport.errors import ClusterError
from labsupport.process.ownership import give_to_caller
from labsupport.process.progress import Listener, Progress
from labsupport.systems.clusters import dns, storage
from labsupport.systems.clusters.certificates import Identity, write_private
from labsupport.systems.clusters.client_files import write_client_files
from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.control_plane import ADMINISTRATORS, CONTROLLER_MANAGER, Addresses, ControlPlane
from labsupport.systems.clusters.door import ApiDoor
from labsupport.systems.clusters.first_objects import FirstObjects
from labsupport.systems.clusters.network import NetworkPlan
from labsupport.systems.clusters.readiness import are_usable, shows_health_to, wait_with
from labsupport.systems.clusters.simulated import nodes, volumes
from labsupport.systems.clusters.startup import (
    CLUSTER_FOLDER,
    RECORD_NAME,
    ROLE_BINDINGS,
    limits_of,
    made,
    when,
)
from labsupport.systems.clusters.tools import ClusterTools
from labsupport.systems.machines.machine import Host

HERE = "127.0.0.1"
# In place of a network that nodes and pods would be on: nobody is, so it is this computer's too.
PLANE_FOLDER = "control-plane"


@dataclass(frozen=True)
class Standing:
    """A cluster that is up. Written to its folder, so that another process can find it again."""

    server: str
    dns_port: int
    size: int
    components: tuple[Component, ...]

    def write(self, folder: Path) -> None:
        record = {
            "server": self.server,
            "dns_port": self.dns_port,
            "size": self.size,
            "components": [[each.name, list(each.argv), dict(each.environment)] for each in self.components],
        }
        give_to_caller(write_private(folder / RECORD_NAME, json.dumps(record, indent=1)))

    @classmethod
    def find(cls, host: Host) -> "Standing":
        """Return the cluster that another process started for the lab with this run folder.

        Raises:
            ClusterError: there is none.
        """
        try:
            record = json.loads((host.folder / CLUSTER_FOLDER / RECORD_NAME).read_text())
        except FileNotFoundError as error:
            tried = f"attach to the cluster of {host.folder.name}"
            raise ClusterError(tried, "it has none", "start a new lab: `./lab down`, then `./lab up`") from error
        components = [Component(name, host, tuple(argv), given).find() for name, argv, given in record["components"]]
        return cls(record["server"], record["dns_port"], record["size"], tuple(components))


@dataclass
class Startup:
    """A cluster on its way up: what is there so far. `run` brings up the rest."""

    host: Host
    tools: ClusterTools
    size: int
    listener: Listener
    plan: NetworkPlan = field(default_factory=NetworkPlan)
    components: list[Component] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> Path:
        return self.host.folder / CLUSTER_FOLDER

    def run(self) -> Standing:
        """Bring everything up; return when simulated pods can run."""
        volumes.have_place()
        port, dns_port = free_ports(2)
        addresses = Addresses(HERE, HERE, port, dns_port, only_here=True)
        plane = ControlPlane(self.folder / PLANE_FOLDER, addresses, self.plan)
        self._start("etcd", plane.etcd(self.tools.path("etcd")))
        authority = plane.write_files()
        plane.write_kubeconfig(nodes.PROGRAM, Identity(nodes.USER, (ADMINISTRATORS,)))
        door = write_client_files(self.folder, addresses.server, authority)
        first = FirstObjects(self.tools.seeds, self.tools.path("kube-apiserver"))
        if first.are_kept:
            put = partial(first.put, plane.etcd_socket, watched=False)
            wait_with(self.components, put, "etcd to take objects")
        self._start("kube-apiserver", plane.api_server(self.tools.path("kube-apiserver")))
        wait_with(self.components, door.listens, "the API server to listen")
        answers = partial(door.status, "/version", within_seconds=0.5)
        wait_with(self.components, lambda: answers() == http.client.OK, "the API server to answer")
        self._tell("the API server answers")
        self._start_clients(plane, door)
        self._tell("simulated pods can run")
        if not first.are_kept:
            first.keep(plane.etcd_socket)
        standing = Standing(addresses.server, dns_port, self.size, tuple(self.components))
        standing.write(self.folder)
        return standing

    def _start_clients(self, plane: ControlPlane, door: ApiDoor) -> None:
        """Start each client of the API server when it is let in; make what every cluster has; until pods can run."""
        classes = [(storage.STORAGE_CLASSES, each) for each in storage.standard_classes()]
        version = self.tools.version(nodes.PROGRAM)
        wanted = [
            ("/api/v1/nodes", nodes.simulated_node(f"node-{position + 1}", position, self.plan, version))
            for position in range(self.size)
        ]
        kwok = nodes.kwok(self.tools.path(nodes.PROGRAM), plane.kubeconfig_of(nodes.PROGRAM))
        steps: list[Callable[[], bool]] = [
            made(door, volumes.rule()),
            made(door, dns.dns_rights(), self._starter("coredns", plane)),
            made(door, classes),
            made(door, wanted, lambda: self._start(nodes.PROGRAM, kwok)),
            when(lambda: door.find(f"{ROLE_BINDINGS}/system:kube-scheduler"), self._starter("kube-scheduler", plane)),
            when(lambda: shows_health_to(door, CONTROLLER_MANAGER), self._starter("kube-controller-manager", plane)),
            # Before anybody can ask for a volume that the rule is against.
            lambda: not door.would_create(volumes.VOLUMES, volumes.forbidden_volume()),
        ]

        def all_done() -> bool:
            steps[:] = [step for step in steps if not step()]
            return not steps and are_usable(door, self.size)

        wait_with(self.components, all_done, "simulated pods to be able to run", door=door)

    def _starter(self, name: str, plane: ControlPlane) -> Callable[[], None]:
        return lambda: self._start(name, plane.client(name, self.tools.path(name)))

    def _start(self, name: str, argv: list[str]) -> None:
        component = Component(name, self.host, tuple(argv), limits_of(name))
        component.start()
        self.components.append(component)

    def _tell(self, what: str) -> None:
        self.listener(Progress(f"{what} ({time.monotonic() - self.started:.1f} s)"))


def free_ports(count: int) -> list[int]:
    """Return ports that are free at this computer's loopback address, by TCP and by UDP."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as by_tcp, socket.socket(type=socket.SOCK_DGRAM) as by_udp:
            by_tcp.bind((HERE, 0))
            port = by_tcp.getsockname()[1]
            try:
                by_udp.bind((HERE, port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found
