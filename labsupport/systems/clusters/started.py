"""A cluster whose programs a lab has started, wherever they run: each can be stopped alone, and its logs be read.

Backends add how it starts and ends, and what its nodes are. Must not know which backend it is.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from labsupport.errors import ClusterError
from labsupport.process.commands import Runner
from labsupport.systems.clusters.client_files import KUBECONFIG, client_environment, door_of
from labsupport.systems.clusters.cluster import ReachableCluster
from labsupport.systems.clusters.control_plane import AUDIT_LOG, CLIENT_FOLDER, FAULT_JOURNAL
from labsupport.systems.clusters.dns import DNS_PORT
from labsupport.systems.clusters.node import NodeOnMachine
from labsupport.systems.clusters.readiness import READY_WITHIN_SECONDS
from labsupport.systems.clusters.startup import CLUSTER_FOLDER
from labsupport.systems.clusters.tools import ClusterTools
from labsupport.systems.machines.machine import Host

Thing = TypeVar("Thing")


class Part(Protocol):
    """A program of a cluster that can be had alone: by its name, kube-scheduler, or kubelet@node-1 on a node."""

    name: str

    def start(self) -> None: ...

    def stop(self, *, within_seconds: float = 5) -> None: ...

    def kill(self) -> None: ...

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...

    def is_running(self) -> bool: ...

    def said(self) -> str:
        """Return what it has written to its log."""
        ...


class StartedCluster(ReachableCluster):
    """A cluster that a lab started, and that ends with the lab.

    Attributes:
        kind: embedded, kind or simulated.
        size: how many nodes it has.
        nodes: those that are machines, each with its machine.
        simulated: the parts that are not the real thing, for evidence.
        dns_address, dns_port: where CoreDNS answers this computer.
        audit_log: the API server's audit log, one JSON object a line.
        fault_journal: what was broken on purpose, and mended: see systems/faults.py.
    """

    kind: str
    dns_address: str
    dns_port = DNS_PORT
    size: int
    nodes: tuple[NodeOnMachine, ...] = ()
    simulated: tuple[str, ...] = ()

    def __init__(self, host: Host, tools: ClusterTools, server: str) -> None:
        self.folder = host.folder / CLUSTER_FOLDER
        client = self.folder / CLIENT_FOLDER
        kubeconfig = client / KUBECONFIG
        super().__init__(kubeconfig, door_of(self.folder, server), client_environment(kubeconfig, tools))
        self.audit_log = client / AUDIT_LOG
        self.fault_journal = client / FAULT_JOURNAL
        self._tools = tools

    @property
    def beside_volumes(self) -> Runner:
        """Runs commands where the folders of volumes are that the controller-manager makes."""
        raise NotImplementedError

    @property
    def parts(self) -> Mapping[str, Part]:
        """Everything that runs, by name, in the order of its start."""
        raise NotImplementedError

    def wait_ready(self, *, within_seconds: float = READY_WITHIN_SECONDS) -> None:
        """Return when every node takes pods, and namespace `default` too.

        Raises:
            ClusterError: a program ended by itself; its own last words are in the message.
            WaitExpired: it took longer.
        """
        raise NotImplementedError

    def etcd_answer(self) -> str:
        """Return what etcd itself says it holds: see store.py."""
        raise NotImplementedError

    def close(self) -> None:
        """End it all at once, and remove its files."""
        raise NotImplementedError

    def cut_off(self, node: NodeOnMachine) -> None:
        """Cut a node off the network of its machine, as if its cable were pulled."""
        raise NotImplementedError

    def connect_again(self, node: NodeOnMachine) -> None:
        """Undo `cut_off`; never cut off is fine."""
        raise NotImplementedError

    def component(self, name: str) -> Part:
        """Return a component by name: etcd, kube-apiserver, kubelet@node-1, …; each stops and starts alone.

        Raises:
            ClusterError: there is none of that name.
        """
        return named(name, self.parts, "component")

    def node(self, name: str) -> NodeOnMachine:
        """Return a node that is a machine, by name.

        Raises:
            ClusterError: there is none of that name.
        """
        return named(name, {node.name: node for node in self.nodes}, "node")

    def provenance(self) -> dict[str, Any]:
        """What this cluster is, as plain values for evidence."""
        return {
            "kind": self.kind,
            "version": self.version,
            "nodes": self.size,
            "tools": [dict(source) for source in self._tools.sources],
        }


def named(name: str, things: Mapping[str, Thing], what: str) -> Thing:
    if name not in things:
        raise ClusterError(f"find the {what} {name!r}", "there is none", f"use one of {', '.join(things)}")
    return things[name]
