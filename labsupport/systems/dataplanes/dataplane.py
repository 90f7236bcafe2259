"""What every dataplane promises, and what it is given to work with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from labsupport.process.commands import Invocation
from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.network import NetworkPlan
from labsupport.systems.clusters.node import NodeOnMachine
from labsupport.systems.machines.machine import Machine


@dataclass(frozen=True)
class Fabric:
    """What a dataplane connects: the nodes of one cluster, and the machine with its control plane.

    Attributes:
        kubeconfig: with which the dataplane's own programs talk to the API server.
        kept: folder of the cache, where a dataplane keeps from one lab to the next what takes long to make.
    """

    machine: Machine
    nodes: Sequence[NodeOnMachine]
    plan: NetworkPlan
    kubeconfig: Path
    kept: Path

    def position(self, node: NodeOnMachine) -> int:
        return [each.name for each in self.nodes].index(node.name)


class Dataplane(Protocol):
    """A way to connect pods. It has no state of its own: what it made is on the nodes."""

    name: str

    def configuration(self, node: NodeOnMachine) -> str:
        """Return the node's CNI configuration list where it is known beforehand; empty where it is not."""
        ...

    def connect(self, fabric: Fabric) -> None:
        """Lay what has to be there before any daemon."""
        ...

    def daemons(self, fabric: Fabric, node: NodeOnMachine) -> list[Component]:
        """Return the dataplane's programs of a node; started once it has registered and has its pod range."""
        ...

    def is_up(self, node: NodeOnMachine) -> bool:
        """Whether pods can be connected on this node; writes its CNI configuration where that was not known before."""
        ...

    def disconnect(self, fabric: Fabric) -> None:
        """Remove what `connect`, the daemons (which have ended) and the plugins have made."""
        ...


def run_lines(machine: Machine, program: Sequence[str], lines: Sequence[str]) -> None:
    """Hand a program of the machine (ip -batch, nft -f) its lines."""
    if lines:
        invocation = Invocation(stdin="\n".join(lines) + "\n")
        machine.runner.run(program, invocation=invocation).or_raise()


def remove_routes(fabric: Fabric, *machines: Machine) -> None:
    """Remove every machine's routes to the pods of all nodes."""
    ranges = [str(node.node.identity.pods) for node in fabric.nodes]
    for machine in machines:
        machine.runner.run(["sh", "-c", 'for each; do ip route flush root "$each"; done', "sh", *ranges])


def remove_links(node: NodeOnMachine, *names: str) -> None:
    """Remove interfaces, if they are there, and the addresses given to pods."""
    script = 'for each; do ip link delete "$each" 2>/dev/null; done; rm -rf /run/cni-ipam'
    node.machine.runner.run(["sh", "-c", script, "sh", *names])
