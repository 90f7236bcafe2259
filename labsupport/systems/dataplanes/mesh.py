"""Weave's way: nodes find each other by gossip, and one flat network spans them all, wrapped in VXLAN.

The gossip is Weave's own library (toolchain/mesh), the carrier the kernel's VXLAN at Weave's port. What makes Weave of
it is not here: its router and its plugin; the project was archived in June 2024. Policies are enforced as its
controller did, by sets of addresses in the firewall: policy.py. Replies of Services cross the bridge of a node, and are
translated back there: that takes a kernel whose firewall sees bridges (br_netfilter), as with Weave.
"""

import json
from contextlib import suppress
from pathlib import Path

from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.network import CNI_VERSION
from labsupport.systems.clusters.node import NodeOnMachine
from labsupport.systems.dataplanes.dataplane import Fabric, remove_links, remove_routes, run_lines
from labsupport.systems.dataplanes.inside.addresses import gateway_of, hardware_of
from labsupport.systems.dataplanes.policy import clear_policy, policy_agent

BRIDGE, DEVICE = "weave", "vxlan-6784"
PORT = 6784
# What VXLAN takes of 1500 bytes.
MTU = 1450
SEED = "seed"
# Where administrators of a node find whom its member knows.
SHOWN = "/run/mesh.json"


class Mesh:
    """A member of the mesh on each node, which is told of one other: a seed beside the cluster's own programs."""

    name = "mesh"

    def configuration(self, node: NodeOnMachine) -> str:
        _known(node).unlink(missing_ok=True)
        return ""

    def connect(self, fabric: Fabric) -> None:
        # This computer's own way to the pods; nodes are on one network with all of them.
        lines = [f"route replace {node.node.identity.pods} via {node.address}" for node in fabric.nodes]
        run_lines(fabric.machine, ["ip", "-batch", "-"], lines)
        for node in fabric.nodes:
            _wanted(node).write_text(json.dumps({"pods": str(fabric.plan.pods), "others": len(fabric.nodes) - 1}))
            gateway = f"{gateway_of(str(node.node.identity.pods))}/{fabric.plan.pods.prefixlen}"
            lines = [
                f"link add {BRIDGE} mtu {MTU} type bridge",
                f"address add {gateway} dev {BRIDGE}",
                f"link set {BRIDGE} up",
                f"link add {DEVICE} mtu {MTU} type vxlan id 1 dstport {PORT} local {node.address}",
                f"link set {DEVICE} master {BRIDGE} up",
            ]
            run_lines(node.machine, ["ip", "-batch", "-"], lines)
            node.machine.runner.run(["ln", "-sfn", str(_known(node)), SHOWN]).or_raise()

    def daemons(self, fabric: Fabric, node: NodeOnMachine) -> list[Component]:
        seed = node.machine.host_address
        words = ["-known", seed, "-device", DEVICE, "-file", str(_known(node))]
        member = Component(f"mesh@{node.name}", node.machine, [*_member(node.name, node.address), *words])
        programs = [member, policy_agent(fabric, node)]
        if fabric.position(node) == 0:
            programs.insert(0, Component(f"mesh@{SEED}", fabric.machine, _member(SEED, seed)))
        return programs

    def is_up(self, node: NodeOnMachine) -> bool:
        wanted = json.loads(_wanted(node).read_text())
        with suppress(FileNotFoundError):
            if len(json.loads(_known(node).read_text())["wires"]) >= wanted["others"]:
                node.node.write_network(bridge_configuration(str(node.node.identity.pods), wanted["pods"]))
                return True
        return False

    def disconnect(self, fabric: Fabric) -> None:
        remove_routes(fabric, fabric.machine)
        for node in fabric.nodes:
            clear_policy(node)
            remove_links(node, DEVICE, BRIDGE)
            _known(node).unlink(missing_ok=True)


def bridge_configuration(pods: str, all_pods: str) -> str:
    """Write the CNI configuration of a node: its part of the addresses, but all pods are neighbours."""
    first = pods.partition("/")[0].rpartition(".")[0]
    own = {"subnet": all_pods, "rangeStart": f"{first}.2", "rangeEnd": f"{first}.254", "gateway": gateway_of(pods)}
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "mtu": MTU,
        "ipMasq": False,
        "isDefaultGateway": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam", "ranges": [[own]]},
    }
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return json.dumps({"cniVersion": CNI_VERSION, "name": "lab", "plugins": plugins}, indent=2)


def _member(name: str, address: str) -> list[str]:
    return ["mesh", "-name", hardware_of(address), "-nickname", name, "-address", address]


def _known(node: NodeOnMachine) -> Path:
    """Where the member of a node writes whom it knows."""
    return node.node.folder / "mesh.json"


def _wanted(node: NodeOnMachine) -> Path:
    return node.node.folder / "mesh-wanted.json"
