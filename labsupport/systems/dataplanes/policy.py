"""The policy agent as a program of a node: how it is started, what it has in force, how what it made is removed."""

from pathlib import Path

from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.node import NodeOnMachine
from labsupport.systems.dataplanes.dataplane import Fabric
from labsupport.systems.dataplanes.inside import policy_agent as program
from labsupport.systems.dataplanes.inside.policy_decisions import IN_FORCE
from labsupport.systems.dataplanes.inside.policy_rules import TABLE


def policy_agent(fabric: Fabric, node: NodeOnMachine) -> Component:
    """Return the agent of a node: it turns NetworkPolicy objects into sets and rules of the node's firewall."""
    words = [node.name, str(fabric.kubeconfig), str(policy_file(node))]
    argv = [node.machine.interpreter, "-I", "-S", str(Path(program.__file__)), *words]
    return Component(f"policy-agent@{node.name}", node.machine, argv)


def policy_file(node: NodeOnMachine) -> Path:
    """Where an agent of the node writes what it puts in place; what is in force stands beside it."""
    return node.node.folder / "policy"


def has_in_force(node: NodeOnMachine, policy: str) -> bool:
    """Whether the node's agent has put the NetworkPolicy of this name in `default` in place."""
    try:
        return f"default-{policy}" in policy_file(node).with_suffix(IN_FORCE).read_text().splitlines()
    except FileNotFoundError:
        return False


def clear_policy(node: NodeOnMachine) -> None:
    """Remove the agent's rules, if it made any."""
    policy_file(node).with_suffix(IN_FORCE).unlink(missing_ok=True)
    node.machine.runner.run(["nft", "delete", "table", "inet", TABLE])
