"""The kind cluster: what `kind create cluster` made on the lab's engine, with the promises of every lab's cluster.

Owns what it offers and its end; startup.py brings it up. Its nodes are containers of the engine, which ends with the
lab's machine.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property

from labsupport.errors import ClusterError
from labsupport.process.commands import CommandResult, Invocation
from labsupport.process.ownership import give_to_caller
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters import images
from labsupport.systems.clusters.certificates import write_private
from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.kind import dns
from labsupport.systems.clusters.kind.configuration import (
    ETCD_PORT,
    OWN_KUBECONFIG,
    KindPlan,
)
from labsupport.systems.clusters.kind.helper import KIND, Helper
from labsupport.systems.clusters.kind.image import PLUGINS, PROGRAMS
from labsupport.systems.clusters.kind.nodes import KindNode
from labsupport.systems.clusters.kind.parts import ETCD, STATIC_PODS, UNITS, DnsDeployment, NodeUnit, StaticPod
from labsupport.systems.clusters.lab_cluster import LabCluster, Part
from labsupport.systems.clusters.node import Node, NodeIdentity, NodeOnMachine, NodePrograms
from labsupport.systems.clusters.readiness import READY_WITHIN_SECONDS, are_usable
from labsupport.systems.clusters.startup import CLUSTER_FOLDER, RECORD_NAME, fabric_of
from labsupport.systems.clusters.store import all_keys_by_port
from labsupport.systems.clusters.tools import ClusterTools
from labsupport.systems.dataplanes.dataplane import Dataplane
from labsupport.systems.dataplanes.named import dataplane_called
from labsupport.systems.dataplanes.nothing import NOTHING
from labsupport.systems.engines.engine import Engine
from labsupport.systems.machines.machine import Machine

PROXY = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"
PROXY_PROCESS = "^/usr/local/bin/kube-proxy"
# A label that no node has: pods that ask for it run nowhere.
NOWHERE = "labsupport.invalid/nowhere"
DELETED_WITHIN_SECONDS = 60.0
# Of the cluster's folder, as every lab's cluster has it: what programs of the lab reach the API server with.
CONTROL_PLANE_FOLDER = "control-plane"


class KindCluster(LabCluster):
    """A running cluster of kind. Made by `start_kind_cluster`."""

    kind = KIND

    def __init__(
        self,
        machine: Machine,
        engine: Engine,
        tools: ClusterTools,
        plan: KindPlan,
        dataplane: Dataplane,
    ) -> None:
        nodes = [_node(machine, engine, plan, position) for position in range(plan.size)]
        super().__init__(machine, tools, plan.server, nodes, dataplane, plan.network)
        self.engine = engine
        self.plan_of_kind = plan

    @cached_property
    def containers(self) -> tuple[KindNode, ...]:
        """The nodes as what they are: containers of the engine."""
        return tuple(node.machine for node in self.nodes if isinstance(node.machine, KindNode))

    @property
    def parts(self) -> Mapping[str, Part]:
        """Everything that runs, by name."""
        first = self.containers[0]
        found: list[Part] = [NodeUnit(ETCD, first, ETCD), *(StaticPod(name, first) for name in STATIC_PODS)]
        found.append(DnsDeployment(self.door, self.containers, self.dns_address))
        found += [NodeUnit(name, node) for node in self.containers for name in UNITS]
        return {**{part.name: part for part in found}, **self._components}

    def wait_ready(self, *, within_seconds: float = READY_WITHIN_SECONDS) -> None:
        """Return when every node takes pods, namespace `default` too, and names are answered.

        Raises:
            WaitExpired: it took longer; the message says what does not run.
        """
        wait_until(
            self.is_usable,
            "pods to be able to run",
            within_seconds=within_seconds,
            every_seconds=0.02,
            last_seen=lambda: f"not running: {', '.join(self._ended()) or 'nothing'}",
            do=f"`docker exec {self.containers[0].container} journalctl --unit kubelet` says more",
        )

    def connect_pods(self) -> None:
        """Give each node its range of addresses, have the dataplane connect them, and return when pods can run."""
        fabric = fabric_of(self.machine, self.nodes, self.plan, self._tools)
        for node in self.nodes:
            pods = str(node.node.identity.pods)
            self.door.patch(f"/api/v1/nodes/{node.name}", {"spec": {"podCIDR": pods, "podCIDRs": [pods]}})
        self.dataplane.connect(fabric)
        for daemon in (daemon for node in self.nodes for daemon in self.dataplane.daemons(fabric, node)):
            daemon.start()
            self._components[daemon.name] = daemon
        self._keep()
        self.wait_ready()

    def is_usable(self) -> bool:
        """Whether pods can run, and names are answered; without a dataplane, whether nodes are there."""
        if self.dataplane.name == NOTHING:
            return are_usable(self.door, 0)
        return are_usable(self.door, len(self.nodes)) and dns.answers(self.dns_address)

    def cut_off(self, node: NodeOnMachine) -> None:
        """Take a node's port on the engine's network down."""
        self.containers[self.nodes.index(node)].set_port("down")

    def connect_again(self, node: NodeOnMachine) -> None:
        """Take it up again; never cut off is fine."""
        self.containers[self.nodes.index(node)].set_port("up")

    def close(self) -> None:
        """Have kind delete it, and remove its files; engine and machine stay."""
        self.door.close()
        delete(self.machine, self.engine, self.plan_of_kind)

    def etcd_answer(self) -> str:
        return all_keys_by_port(self.containers[0].runner, ETCD_PORT)

    def _ended(self) -> list[str]:
        return [part.name for part in self.parts.values() if not part.is_running()]

    def _have_kube_proxy(self, node: NodeOnMachine, wanted: bool) -> None:
        """Have kube-proxy run, or neither it nor its rules; on all nodes alike, as it is a DaemonSet."""
        self.door.patch(PROXY, {"spec": {"template": {"spec": {"nodeSelector": {NOWHERE: None if wanted else "yes"}}}}})
        runner = node.machine.runner
        running = ["pgrep", "--full", "--", PROXY_PROCESS]
        wait_until(lambda: runner.run(running).succeeded == wanted, "kube-proxy", within_seconds=60)
        if not wanted:
            runner.run(["sh", "-c", "for family in ip ip6; do nft delete table $family kube-proxy; done"])

    def _keep(self) -> None:
        """Put on record what another process needs to find the cluster."""
        record = {
            "plan": self.plan_of_kind.as_record(),
            "dataplane": self.dataplane.name,
            "components": [[each.name, list(each.argv), dict(each.environment)] for each in self._components.values()],
        }
        give_to_caller(write_private(self.folder / RECORD_NAME, json.dumps(record, indent=1)))

    def take_over(self, components: Sequence[tuple[str, list[str], dict[str, str]]]) -> None:
        """Find the programs that another process started beside kind's own: a dataplane's, a provisioner."""
        places = {node.name: node.machine for node in self.nodes}
        for name, argv, environment in components:
            machine = places.get(name.partition("@")[2], self.machine)
            self._components[name] = Component(name, machine, tuple(argv), environment).find()


def attach_kind_cluster(machine: Machine, engine: Engine, tools: ClusterTools) -> KindCluster:
    """Return the cluster that already runs on `machine`, such as the one `./lab up` keeps.

    Raises:
        ClusterError: there is none, or a node of it has ended.
    """
    try:
        record = json.loads((machine.folder / CLUSTER_FOLDER / RECORD_NAME).read_text())
    except FileNotFoundError as error:
        tried = f"attach to the cluster of {machine.name}"
        raise ClusterError(tried, "it has none", "start a new lab: `./lab down`, then `./lab up`") from error
    plan = KindPlan.of_record(record["plan"])
    found = KindCluster(machine, engine, tools, plan, dataplane_called(record["dataplane"]))
    found.take_over(record["components"])
    return found


def delete(machine: Machine, engine: Engine, plan: KindPlan) -> None:
    """Have kind delete the cluster, if there is one, and remove its files."""
    words = [str(plan.kind), "delete", "cluster", f"--name={plan.name}", "--quiet"]
    # Its own kubeconfig: kind would tidy up the user's.
    words.append(f"--kubeconfig={plan.folder / OWN_KUBECONFIG}")
    run_kind(machine, engine, words, within_seconds=DELETED_WITHIN_SECONDS)
    images.remove(machine, machine.folder / CLUSTER_FOLDER)


def run_kind(machine: Machine, engine: Engine, words: Sequence[str], *, within_seconds: float) -> CommandResult:
    """Run kind on the machine, so that it ends with it, and looks for free ports where they are published.

    On an engine of the user's that is this computer.
    """
    if isinstance(machine, Helper):
        return machine.run_here(words, engine.environment, within_seconds)
    # Asked about the engine, which kind does five times, docker first asks each plugin in its folder about itself.
    without_plugins = {"DOCKER_CONFIG": str(machine.folder / CLUSTER_FOLDER)}
    invocation = Invocation(environment={**engine.environment, **without_plugins})
    return machine.runner.run(words, within_seconds=within_seconds, invocation=invocation)


def _node(machine: Machine, engine: Engine, plan: KindPlan, position: int) -> NodeOnMachine:
    name = plan.names[position]
    running = KindNode(machine, plan.folder / name, engine, plan.containers[position], plan.engine_network)
    identity = NodeIdentity(name, running.address, plan.network.pods_of(position))
    return NodeOnMachine(Node(plan.folder / name, identity, NodePrograms(PROGRAMS, PLUGINS)), running)
