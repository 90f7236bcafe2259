"""A cluster that a lab itself started on its machine: its nodes, its programs, and how its pods are connected.

Backends add how one starts and ends, and which programs there are. Must not know which backend it is.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labsupport.process.commands import Runner
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters import images
from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.control_plane import Addresses, ControlPlane
from labsupport.systems.clusters.network import NetworkPlan
from labsupport.systems.clusters.node import CONTAINERD_SOCKET, NodeOnMachine
from labsupport.systems.clusters.objects import have_namespace
from labsupport.systems.clusters.readiness import wait_with
from labsupport.systems.clusters.started import Part, StartedCluster, named
from labsupport.systems.clusters.startup import fabric_of
from labsupport.systems.clusters.storage import LOCAL_PATH, LOCAL_PATH_NAMESPACE, local_path_objects
from labsupport.systems.clusters.tools import ClusterTools
from labsupport.systems.dataplanes.dataplane import Dataplane
from labsupport.systems.dataplanes.named import WITHOUT_KUBE_PROXY, dataplane_called
from labsupport.systems.dataplanes.nothing import NOTHING
from labsupport.systems.dataplanes.product import Provided
from labsupport.systems.machines.machine import Machine
from labsupport.systems.products import ReadyProduct

__all__ = ["LabCluster", "Part", "named"]


class LabCluster(StartedCluster):
    """A cluster on a lab's machine, which it ends with; each of its nodes is a machine too.

    Attributes:
        kind: embedded or kind.
        dataplane: how the nodes' pods reach each other.
        dns_address: of the machine.
    """

    def __init__(
        self,
        machine: Machine,
        tools: ClusterTools,
        server: str,
        nodes: Sequence[NodeOnMachine],
        dataplane: Dataplane,
        plan: NetworkPlan,
    ) -> None:
        super().__init__(machine, tools, server)
        self.machine = machine
        self.plan = plan
        self.nodes = tuple(nodes)
        self.size = len(self.nodes)
        self.dataplane = dataplane
        self.dns_address = machine.address
        self._components: dict[str, Component] = {}

    @property
    def beside_volumes(self) -> Runner:
        """Runs commands on the first node: all nodes see the folders of volumes."""
        return self.nodes[0].machine.runner

    def _have_kube_proxy(self, node: NodeOnMachine, wanted: bool) -> None:
        """Have kube-proxy run on a node, or neither it nor its rules."""
        raise NotImplementedError

    def _keep(self) -> None:
        """Put on record what another process needs to find the cluster."""
        raise NotImplementedError

    def load_images(self, *archives: Path) -> list[str]:
        """Import image archives (as `docker save` writes them) into every node; return the names in them."""
        names: set[str] = set()
        shown = self.folder / "image.tar"  # an archive elsewhere may be hidden from the nodes; their folder never is
        for archive in archives:
            shutil.copyfile(archive, shown)
            try:
                for node in self.nodes:
                    ctr = self._tools.path("ctr")
                    names |= set(images.import_archive(node.machine.runner, ctr, shown, socket=CONTAINERD_SOCKET))
            finally:
                shown.unlink()
        return sorted(names)

    def provide_product(self, ready: ReadyProduct) -> None:
        """Put a CNI product's images on every node, so that `use_dataplane` can connect pods with it."""
        self.load_images(*ready.archives)
        Provided.of(self.folder, ready.product.name).write(ready.manifest, self._tools.commands / "kubectl")

    def provide_local_path(self) -> None:
        """Add the storage class `local-path` and its provisioner; nodes must have the image lab/toolbox for it."""
        if LOCAL_PATH in self._components:
            return
        have_namespace(self.door, LOCAL_PATH_NAMESPACE)
        for path, wanted in local_path_objects():
            self.door.create(path, wanted)
        plane = ControlPlane(self.folder / "control-plane", Addresses("", self.server), self.plan)
        component = Component(LOCAL_PATH, self.machine, tuple(plane.client(LOCAL_PATH, self._tools.path(LOCAL_PATH))))
        component.start()
        self._components[LOCAL_PATH] = component
        self._keep()

    def use_dataplane(self, name: str) -> None:
        """Connect pods another way from now on. Pods that run keep a network that is gone: remove them first.

        Raises:
            UsageError: there is no such dataplane.
            ClusterError: one of its programs ended; the message has its own last words.
        """
        wanted, fabric = dataplane_called(name), fabric_of(self.machine, self.nodes, self.plan, self._tools)
        ending = self._daemons(self.dataplane)
        for component in ending:
            component.kill()
            del self._components[component.name]
        # Until then they may make anew what is removed next.
        gone = f"the programs of the dataplane {self.dataplane.name} to end"
        wait_until(lambda: not any(each.is_running() for each in ending), gone, within_seconds=60, every_seconds=0.005)
        self.dataplane.disconnect(fabric)
        self.dataplane = wanted
        for node in self.nodes:
            self._have_kube_proxy(node, name not in WITHOUT_KUBE_PROXY)
            known = wanted.configuration(node)
            if known or name == NOTHING:
                node.node.write_network(known)
        wanted.connect(fabric)
        daemons = [daemon for node in self.nodes for daemon in wanted.daemons(fabric, node)]
        for daemon in daemons:
            daemon.start()
            self._components[daemon.name] = daemon
        self._keep()
        waiting = list(self.nodes)

        def are_up() -> bool:
            waiting[:] = [node for node in waiting if not wanted.is_up(node)]
            return not waiting

        wait_with(daemons, are_up, f"the dataplane {name}")
        if name != NOTHING:
            self.wait_ready()

    def daemons(self) -> list[str]:
        """Name the programs of the dataplane, with their nodes."""
        return [component.name for component in self._daemons(self.dataplane)]

    def _daemons(self, dataplane: Dataplane) -> list[Component]:
        fabric = fabric_of(self.machine, self.nodes, self.plan, self._tools)
        names = [daemon.name for node in self.nodes for daemon in dataplane.daemons(fabric, node)]
        return [self._components[name] for name in names if name in self._components]

    def provenance(self) -> dict[str, Any]:
        """What this cluster is, as plain values for evidence."""
        return {**super().provenance(), "dataplane": self.dataplane.name}
