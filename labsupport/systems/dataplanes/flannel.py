"""Flannel: the real flanneld on every node, with one of its backends.

Its own CNI plugin, which only turns flanneld's answer (subnet.env) into a configuration of the plugin `bridge`, is not
to be had as a module: that one translation is done here.
"""

import json
from pathlib import Path

from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.network import CNI_VERSION, NetworkPlan
from labsupport.systems.clusters.node import NodeOnMachine
from labsupport.systems.dataplanes.dataplane import Fabric, remove_links

BACKENDS = ("vxlan", "host-gw", "udp")
BRIDGE = "cni0"


class Flannel:
    """flanneld with `backend`: vxlan (an overlay by the kernel), host-gw (routes), udp (an overlay by flanneld)."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.name = f"flannel-{backend}"

    def configuration(self, node: NodeOnMachine) -> str:
        _subnet_file(node).unlink(missing_ok=True)
        return ""

    def connect(self, fabric: Fabric) -> None:
        for node in fabric.nodes:
            _network_file(node).write_text(network_configuration(fabric.plan, self.backend))

    def daemons(self, fabric: Fabric, node: NodeOnMachine) -> list[Component]:
        argv = [
            "flanneld",
            "--kube-subnet-mgr",
            f"--kubeconfig-file={fabric.kubeconfig}",
            f"--net-config-path={_network_file(node)}",
            f"--subnet-file={_subnet_file(node)}",
            "--iface=eth0",
            "--ip-masq",
        ]
        return [Component(f"flanneld@{node.name}", node.machine, argv, {"NODE_NAME": node.name})]

    def is_up(self, node: NodeOnMachine) -> bool:
        answer = read_answer(_subnet_file(node))
        if not answer:
            return False
        node.node.write_network(bridge_configuration(answer))
        return True

    def disconnect(self, fabric: Fabric) -> None:
        script = 'nft delete table ip flannel-ipv4; nft delete table ip6 flannel-ipv6; ip route flush root "$1"'
        for node in fabric.nodes:
            # The names flanneld gives: flannel.1 for vxlan (after its VNI), flannel0 for udp.
            remove_links(node, BRIDGE, "flannel.1", "flannel0")
            node.machine.runner.run(["sh", "-c", script, "sh", str(fabric.plan.pods)])


def network_configuration(plan: NetworkPlan, backend: str) -> str:
    """Write what flanneld reads: the range of all pods, and the backend."""
    return json.dumps({"Network": str(plan.pods), "EnableNFTables": True, "Backend": {"Type": backend}})


def read_answer(file: Path) -> dict[str, str]:
    """Return what flanneld tells in subnet.env; empty until it does."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    answer = dict(line.split("=", 1) for line in lines if "=" in line)
    return answer if {"FLANNEL_NETWORK", "FLANNEL_SUBNET", "FLANNEL_MTU"} <= answer.keys() else {}


def bridge_configuration(answer: dict[str, str]) -> str:
    """Write the CNI configuration that follows from flanneld's answer: a bridge a node, its packets as big as fit."""
    first, _, length = answer["FLANNEL_SUBNET"].partition("/")
    subnet = f"{first.rpartition('.')[0]}.0/{length}"
    ipam = {
        "type": "host-local",
        "dataDir": "/run/cni-ipam",
        "ranges": [[{"subnet": subnet, "gateway": first}]],
        "routes": [{"dst": answer["FLANNEL_NETWORK"]}],
    }
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "mtu": int(answer["FLANNEL_MTU"]),
        "ipMasq": False,
        "isDefaultGateway": True,
        "hairpinMode": True,
        "ipam": ipam,
    }
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return json.dumps({"cniVersion": CNI_VERSION, "name": "cbr0", "plugins": plugins}, indent=2)


def _network_file(node: NodeOnMachine) -> Path:
    return node.node.folder / "flannel.json"


def _subnet_file(node: NodeOnMachine) -> Path:
    return node.node.folder / "subnet.env"
