"""The policy agent as a program of a node: how it is started, and how what it made is removed."""

from pathlib import Path

from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.node import NodeOnMachine
from labsupport.systems.dataplanes.dataplane import Fabric
from labsupport.systems.dataplanes.inside import policy_agent as program
from labsupport.systems.dataplanes.inside.policy_rules import TABLE


def policy_agent(fabric: Fabric, node: NodeOnMachine) -> Component:
    """Return the agent of a node: it turns NetworkPolicy objects into sets and rules of the node's firewall."""
    words = [node.name, str(fabric.kubeconfig), str(node.node.folder / "policy.nft")]
    argv = [node.machine.interpreter, "-I", "-S", str(Path(program.__file__)), *words]
    return Component(f"policy-agent@{node.name}", node.machine, argv)


def has_in_force(node: NodeOnMachine, policy: str) -> bool:
    """Whether the node's firewall has rules for the NetworkPolicy of this name in `default`."""
    return f"default-{policy}" in node.machine.runner.run(["nft", "list", "table", "inet", TABLE]).stdout


def clear_policy(node: NodeOnMachine) -> None:
    """Remove the agent's rules, if it made any."""
    node.machine.runner.run(["nft", "delete", "table", "inet", TABLE])
