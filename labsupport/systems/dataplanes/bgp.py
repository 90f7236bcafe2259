"""Calico's way: a BGP daemon on every node tells the others its pod range; packets travel as they are.

The daemon is BIRD, whose copy Calico ships. What makes Calico of it is not here: its agent (Felix) and its own plugin.
Policies are enforced as Calico does it, by sets of addresses in the firewall: policy.py.
"""

from collections.abc import Sequence
from pathlib import Path

from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.network import cni_configuration
from labsupport.systems.clusters.node import NodeOnMachine
from labsupport.systems.dataplanes.dataplane import Fabric, remove_links, remove_routes, run_lines
from labsupport.systems.dataplanes.policy import clear_policy, policy_agent

# A number for private networks; Calico's default.
AUTONOMOUS_SYSTEM = 64512
CONTROL = "/run/bird.ctl"


class Bgp:
    """BIRD on each node, all peers of all (a full mesh), and a policy agent."""

    name = "bgp"

    def configuration(self, node: NodeOnMachine) -> str:
        return cni_configuration(node.node.identity.pods)

    def connect(self, fabric: Fabric) -> None:
        # This computer's own way to the pods; nodes learn theirs.
        lines = [f"route replace {node.node.identity.pods} via {node.address}" for node in fabric.nodes]
        run_lines(fabric.machine, ["ip", "-batch", "-"], lines)
        for node in fabric.nodes:
            _file(node).write_text(bird_configuration(node, fabric.nodes))

    def daemons(self, fabric: Fabric, node: NodeOnMachine) -> list[Component]:
        argv = ["bird", "-f", "-c", str(_file(node)), "-s", CONTROL, "-P", "/run/bird.pid"]
        return [Component(f"bird@{node.name}", node.machine, argv), policy_agent(fabric, node)]

    def is_up(self, node: NodeOnMachine) -> bool:
        learnt = node.machine.runner.run(["ip", "route", "show", "proto", "bird"]).stdout.count(" via ")
        return learnt >= _file(node).read_text().count("neighbor ")

    def disconnect(self, fabric: Fabric) -> None:
        remove_routes(fabric, fabric.machine, *(node.machine for node in fabric.nodes))
        for node in fabric.nodes:
            clear_policy(node)
            remove_links(node)


def bird_configuration(node: NodeOnMachine, nodes: Sequence[NodeOnMachine]) -> str:
    """Write BIRD's configuration: what this node announces, to whom, and that what it hears goes to the kernel."""
    peers = "".join(
        f"""
protocol bgp {peer.name.replace("-", "_")} {{
    local {node.address} as {AUTONOMOUS_SYSTEM};
    neighbor {peer.address} as {AUTONOMOUS_SYSTEM};
    direct;
    connect delay time 1;
    connect retry time 1;
    error wait time 1, 2;
    ipv4 {{ import all; export where source = RTS_STATIC; next hop self; }};
}}
"""
        for peer in nodes
        if peer.name != node.name
    )
    return f"""\
log stderr all;
router id {node.address};

# Often: with nothing to do it sleeps for three seconds, though what it heard waits to be told.
protocol device {{ scan time 1; }}

# Announced as one range. For addresses of it that no pod has, the kernel answers that there is no way on.
protocol static pods {{
    ipv4;
    route {node.node.identity.pods} unreachable;
}}

protocol kernel {{
    scan time 1;
    ipv4 {{ import none; export all; }};
}}
{peers}"""


def _file(node: NodeOnMachine) -> Path:
    return node.node.folder / "bird.conf"
