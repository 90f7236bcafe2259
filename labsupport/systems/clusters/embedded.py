"""The embedded cluster: Kubernetes' own programs as processes of a machine, its nodes inner machines.

Owns what one offers beside what every cluster does, and that all of it ends together. startup.py brings it up.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from labsupport.process.progress import Listener, silent
from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.lab_cluster import LabCluster, named
from labsupport.systems.clusters.node import NodeOnMachine
from labsupport.systems.clusters.readiness import READY_WITHIN_SECONDS, are_usable, wait_with
from labsupport.systems.clusters.startup import Standing, Startup, claim_folder, end
from labsupport.systems.clusters.store import all_keys_by_socket
from labsupport.systems.clusters.tools import ClusterTools
from labsupport.systems.dataplanes.named import dataplane_called
from labsupport.systems.dataplanes.plain import PLAIN
from labsupport.systems.machines import links
from labsupport.systems.machines.machine import Machine

KIND = "embedded"


class EmbeddedCluster(LabCluster):
    """A running embedded cluster. Made by `start_embedded_cluster`."""

    kind = KIND

    def __init__(self, machine: Machine, tools: ClusterTools, standing: Standing) -> None:
        super().__init__(machine, tools, standing.server, standing.nodes, standing.dataplane, standing.plan)
        self._components = {component.name: component for component in standing.components}

    @property
    def components(self) -> tuple[Component, ...]:
        """Everything that runs, in the order of its start."""
        return tuple(self._components.values())

    @property
    def parts(self) -> Mapping[str, Component]:
        """Everything that runs, by name, in the order of its start."""
        return self._components

    def etcd_answer(self) -> str:
        return all_keys_by_socket(self.machine.runner, self.folder / "control-plane" / "etcd.sock")

    def component(self, name: str) -> Component:
        """Return a component by name: etcd, kube-apiserver, kubelet@node-1, …; each stops and starts alone.

        Raises:
            ClusterError: there is none of that name.
        """
        return named(name, self._components, "component")

    def wait_ready(self, *, within_seconds: float = READY_WITHIN_SECONDS) -> None:
        """Return when every node takes pods, and namespace `default` too.

        Raises:
            ClusterError: a component ended by itself; its own last words are in the message.
            WaitExpired: it took longer.
        """
        running = [component for component in self.components if component.is_running()]
        wait_with(
            running,
            lambda: are_usable(self.door, len(self.nodes)),
            "pods to be able to run",
            within_seconds=within_seconds,
            door=self.door,
        )

    def cut_off(self, node: NodeOnMachine) -> None:
        """Take a node off the machine's switch."""
        links.cut_off(node.name, self.machine.runner)

    def connect_again(self, node: NodeOnMachine) -> None:
        """Put a node back on the switch; never cut off is fine."""
        links.connect_again(node.name, self.machine.runner)

    def _have_kube_proxy(self, node: NodeOnMachine, wanted: bool) -> None:
        """Have kube-proxy run on a node, or neither it nor its rules."""
        name = f"kube-proxy@{node.name}"
        proxy = self._components.setdefault(name, Component(name, node.machine, tuple(node.node.kube_proxy())))
        if wanted:
            proxy.start()
        elif proxy.is_running():
            proxy.stop()
            node.machine.runner.run(["sh", "-c", "for family in ip ip6; do nft delete table $family kube-proxy; done"])

    def _keep(self) -> None:
        """Put on record what another process needs to find the cluster."""
        Standing(self.server, self.plan, self.nodes, self.components, self.dataplane).write(self.folder)

    def close(self) -> None:
        """End it all at once, and remove its files; its machine stays."""
        self.door.close()
        end(self.machine, self.nodes, self.components)


def start_embedded_cluster(
    machine: Machine,
    tools: ClusterTools,
    *,
    nodes: int = 1,
    archives: Sequence[Path] = (),
    dataplane: str = PLAIN,
    listener: Listener = silent,
) -> EmbeddedCluster:
    """Start a cluster on `machine` and return it when pods can run.

    Args:
        dataplane: how pods reach each other, by name; with "none" the nodes are there, and not ready.
        archives: image archives (as `docker save` writes them) that the nodes have from the start.
        listener: told each phase as it is reached.

    Raises:
        UsageError: there is no such dataplane.
        ClusterError: a component ended; the message has its own last words. Nothing is left.
        WaitExpired: it took longer than two minutes. Nothing is left.
    """
    up = Startup(machine, tools, nodes, tuple(archives), listener, dataplane_called(dataplane))
    claim_folder(machine)
    try:
        return EmbeddedCluster(machine, tools, up.run())
    except BaseException:
        end(machine, up.nodes, up.components)
        raise


def attach_embedded_cluster(machine: Machine, tools: ClusterTools) -> EmbeddedCluster:
    """Return the cluster that already runs on `machine`, such as the one `./lab up` keeps.

    Raises:
        ClusterError: there is none.
    """
    return EmbeddedCluster(machine, tools, Standing.find(machine, tools))
