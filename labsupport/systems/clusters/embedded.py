"""The embedded cluster: Kubernetes' own programs as processes of a machine, its nodes inner machines.

Owns what one offers beside what every cluster does, and that all of it ends together. startup.py brings it up.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from labsupport.errors import ClusterError
from labsupport.process.progress import Listener, silent
from labsupport.systems.clusters import images
from labsupport.systems.clusters.cluster import ReachableCluster
from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.control_plane import AUDIT_LOG, CLIENT_FOLDER, FAULT_JOURNAL, Addresses, ControlPlane
from labsupport.systems.clusters.node import CONTAINERD_SOCKET, NodeOnMachine
from labsupport.systems.clusters.objects import have_namespace
from labsupport.systems.clusters.readiness import READY_WITHIN_SECONDS, are_usable, wait_with
from labsupport.systems.clusters.startup import CLUSTER_FOLDER, Standing, Startup, door_of, end, fabric_of
from labsupport.systems.clusters.storage import LOCAL_PATH, LOCAL_PATH_NAMESPACE, local_path_objects
from labsupport.systems.clusters.tools import ClusterTools
from labsupport.systems.dataplanes.dataplane import Dataplane
from labsupport.systems.dataplanes.named import WITHOUT_KUBE_PROXY, dataplane_called
from labsupport.systems.dataplanes.nothing import NOTHING
from labsupport.systems.dataplanes.plain import PLAIN
from labsupport.systems.machines.machine import Machine

KIND = "embedded"
Thing = TypeVar("Thing")


class EmbeddedCluster(ReachableCluster):
    """A running embedded cluster. Made by `start_embedded_cluster`.

    Attributes:
        nodes: the nodes, each with the inner machine it runs on.
        dataplane: how their pods reach each other.
        dns_address: where CoreDNS answers this computer, port 53.
        audit_log: the API server's audit log, one JSON object a line.
        fault_journal: what was broken on purpose, and mended: see systems/faults.py.
        etcd_socket: where etcd listens, on the machine.
    """

    kind = KIND

    def __init__(self, machine: Machine, tools: ClusterTools, standing: Standing) -> None:
        self.folder = machine.folder / CLUSTER_FOLDER
        client = self.folder / CLIENT_FOLDER
        kubeconfig = client / "kubeconfig"
        super().__init__(kubeconfig, door_of(self.folder, standing.server), client_environment(kubeconfig, tools))
        self.machine = machine
        self.plan = standing.plan
        self.nodes = standing.nodes
        self.dataplane = standing.dataplane
        self.dns_address = machine.address
        self.audit_log = client / AUDIT_LOG
        self.fault_journal = client / FAULT_JOURNAL
        self.etcd_socket = self.folder / "control-plane" / "etcd.sock"
        self._tools = tools
        self._components = {component.name: component for component in standing.components}

    @property
    def components(self) -> tuple[Component, ...]:
        """Everything that runs, in the order of its start."""
        return tuple(self._components.values())

    def component(self, name: str) -> Component:
        """Return a component by name: etcd, kube-apiserver, kubelet@node-1, …; each stops and starts alone.

        Raises:
            ClusterError: there is none of that name.
        """
        return _named(name, self._components, "component")

    def node(self, name: str) -> NodeOnMachine:
        """Return a node by name.

        Raises:
            ClusterError: there is none of that name.
        """
        return _named(name, {node.name: node for node in self.nodes}, "node")

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
        wanted, fabric = dataplane_called(name), fabric_of(self.machine, self.nodes, self.plan)
        for component in self._daemons(self.dataplane):
            component.kill()
            del self._components[component.name]
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

    def _have_kube_proxy(self, node: NodeOnMachine, wanted: bool) -> None:
        """Have kube-proxy run on a node, or neither it nor its rules."""
        name = f"kube-proxy@{node.name}"
        proxy = self._components.setdefault(name, Component(name, node.machine, tuple(node.node.kube_proxy())))
        if wanted:
            proxy.start()
        elif proxy.is_running():
            proxy.stop()
            node.machine.runner.run(["sh", "-c", "for family in ip ip6; do nft delete table $family kube-proxy; done"])

    def daemons(self) -> list[str]:
        """Name the programs of the dataplane, with their nodes."""
        return [component.name for component in self._daemons(self.dataplane)]

    def _daemons(self, dataplane: Dataplane) -> list[Component]:
        fabric = fabric_of(self.machine, self.nodes, self.plan)
        names = [daemon.name for node in self.nodes for daemon in dataplane.daemons(fabric, node)]
        return [self._components[name] for name in names if name in self._components]

    def _keep(self) -> None:
        """Put on record what another process needs to find the cluster."""
        Standing(self.server, self.plan, self.nodes, self.components, self.dataplane).write(self.folder)

    def provenance(self) -> dict[str, Any]:
        """What this cluster is, as plain values for evidence."""
        return {
            "kind": self.kind,
            "version": self.version,
            "nodes": len(self.nodes),
            "dataplane": self.dataplane.name,
            "tools": [dict(source) for source in self._tools.sources],
        }

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
        WaitExpired: it took longer than a minute. Nothing is left.
    """
    up = Startup(machine, tools, nodes, tuple(archives), listener, dataplane_called(dataplane))
    up.claim_folder()
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


def client_environment(kubeconfig: Path, tools: ClusterTools) -> dict[str, str]:
    """What a command, a kernel or a terminal on this computer needs to talk to the cluster."""
    return {
        "KUBECONFIG": str(kubeconfig),
        "KUBECACHEDIR": str(kubeconfig.with_name("cache")),
        # Neither aliases nor defaults of the user's own kubectl.
        "KUBERC": "off",
        "PATH": f"{tools.commands}:{os.environ.get('PATH', os.defpath)}",
    }


def _named(name: str, things: dict[str, Thing], what: str) -> Thing:
    if name not in things:
        raise ClusterError(f"find the {what} {name!r}", "there is none", f"use one of {', '.join(things)}")
    return things[name]
