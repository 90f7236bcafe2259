"""Antrea's way: Open vSwitch on every node, whose flows forward, translate and refuse the packets of pods.

The switch is the real one, and so are its Geneve tunnels between nodes. Where the kernel has it, the kernel forwards;
else Open vSwitch does itself, in user space. What makes Antrea of it is not here: its agent and its controller, in
whose place inside/ovs_agent.py makes far fewer flows in the same order.
"""

import json
from pathlib import Path

from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.network import CNI_VERSION
from labsupport.systems.clusters.node import MORE_PLUGINS, NodeOnMachine
from labsupport.systems.dataplanes.dataplane import Fabric, remove_links, remove_routes, run_lines
from labsupport.systems.dataplanes.inside import ovs_agent, ovs_plugin
from labsupport.systems.dataplanes.inside.addresses import gateway_of, hardware_of
from labsupport.systems.dataplanes.inside.ovs_database import SOCKET
from labsupport.systems.dataplanes.inside.ovs_flows import BRIDGE, GATEWAY, Peer, Settings
from labsupport.systems.dataplanes.policy import clear_policy
from labsupport.systems.kernel_features import FEATURES, KernelFeatures

# What Geneve takes of 1500 bytes: 20 of IPv4, 8 of UDP, 8 of its own, 14 of the frame within.
MTU = 1450
# Tunnels end at addresses of their own, on a second card of each node on the same wire.
TUNNELS = "10.230.0"
# Else the first card would answer for the second, and the kernel get the tunnels' packets.
ANSWERS_FOR_ITSELF_ONLY = "/proc/sys/net/ipv4/conf/eth0/arp_ignore"
IN_KERNEL, IN_USER_SPACE = "system", "netdev"
RUN = "/run/openvswitch"
# An interface that the switch makes for itself where it forwards in user space.
IN_USER_SPACE_TOO = "ovs-netdev"


class OpenVSwitch:
    """A database, a switch and an agent on each node."""

    name = "ovs"

    def configuration(self, node: NodeOnMachine) -> str:
        (_folder(node) / ovs_agent.READY).unlink(missing_ok=True)
        return ""

    def connect(self, fabric: Fabric) -> None:
        # This computer's own way to the pods; nodes make theirs.
        lines = [f"route replace {node.node.identity.pods} via {node.address}" for node in fabric.nodes]
        run_lines(fabric.machine, ["ip", "-batch", "-"], lines)
        datapath = datapath_of(KernelFeatures(fabric.machine.runner))
        for node in fabric.nodes:
            _folder(node).mkdir(exist_ok=True)
            settings_of(fabric, node, datapath).write(_settings(node))
            script = 'mkdir -p "$1" && echo 1 >"$2" && ovsdb-tool create "$3"'
            words = ["sh", RUN, ANSWERS_FOR_ITSELF_ONLY, str(_database(node))]
            node.machine.runner.run(["sh", "-c", script, *words]).or_raise()
            card = f"{ovs_agent.CARD} address {hardware_of(_tunnel(fabric, node))} type macvlan mode bridge"
            lines = [f"link add link eth0 name {card}", f"link set {ovs_agent.CARD} up"]
            run_lines(node.machine, ["ip", "-batch", "-"], lines)

    def daemons(self, fabric: Fabric, node: NodeOnMachine) -> list[Component]:
        database = ["ovsdb-server", str(_database(node)), f"--remote=punix:{SOCKET}", "--pidfile"]
        # It would look for the database once, and then again a second later.
        switch = f"until [ -S {SOCKET} ]; do sleep 0.01; done; exec ovs-vswitchd --pidfile"
        agent = [node.machine.interpreter, "-I", "-S", str(Path(ovs_agent.__file__)), str(_settings(node))]
        return [
            Component(f"ovsdb-server@{node.name}", node.machine, database),
            Component(f"ovs-vswitchd@{node.name}", node.machine, ["sh", "-c", switch]),
            Component(f"ovs-agent@{node.name}", node.machine, agent),
        ]

    def is_up(self, node: NodeOnMachine) -> bool:
        if not (_folder(node) / ovs_agent.READY).exists():
            return False
        node.node.write_network(plugin_configuration(str(node.node.identity.pods)))
        return True

    def disconnect(self, fabric: Fabric) -> None:
        remove_routes(fabric, fabric.machine)
        # The kernel keeps a datapath, or the interfaces made for one in user space, when the switch ends. The plugin
        # stays: the runtime may still want to take down a pod with it.
        script = 'ovs-dpctl del-dp ovs-system 2>/dev/null; rm -rf "$1" "$2"; echo 0 >"$3"'
        for node in fabric.nodes:
            words = ["sh", RUN, str(_folder(node)), ANSWERS_FOR_ITSELF_ONLY]
            node.machine.runner.run(["sh", "-c", script, *words])
            remove_links(node, GATEWAY, BRIDGE, ovs_agent.OUTSIDE, IN_USER_SPACE_TOO, ovs_agent.CARD)
            clear_policy(node)


def datapath_of(kernel: KernelFeatures) -> str:
    """Choose who forwards: the kernel where it can, else Open vSwitch itself."""
    feature = next(each for each in FEATURES if each.name == "openvswitch")
    return IN_KERNEL if kernel.verdict(feature).available else IN_USER_SPACE


def settings_of(fabric: Fabric, node: NodeOnMachine, datapath: str) -> Settings:
    """Say to a node's agent who it is, and who the others are."""
    others = [each for each in fabric.nodes if each.name != node.name]
    pods = str(node.node.identity.pods)
    return Settings(
        node=node.name,
        kubeconfig=str(fabric.kubeconfig),
        folder=str(_folder(node)),
        plugins=MORE_PLUGINS,
        interpreter=node.machine.interpreter,
        datapath=datapath,
        pods=pods,
        gateway=gateway_of(pods),
        tunnel=_tunnel(fabric, node),
        peers=tuple(Peer(str(each.node.identity.pods), _tunnel(fabric, each)) for each in others),
        mtu=MTU,
    )


def plugin_configuration(pods: str) -> str:
    """Write the CNI configuration of a node: our plugin, with addresses from host-local."""
    ranges = [[{"subnet": pods, "gateway": gateway_of(pods)}]]
    ipam = {"type": "host-local", "dataDir": "/run/cni-ipam", "ranges": ranges}
    plugins = [
        {"type": ovs_plugin.NAME, "mtu": MTU, "ipam": ipam},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return json.dumps({"cniVersion": CNI_VERSION, "name": "lab", "plugins": plugins}, indent=2)


def _tunnel(fabric: Fabric, node: NodeOnMachine) -> str:
    return f"{TUNNELS}.{fabric.position(node) + 1}"


def _folder(node: NodeOnMachine) -> Path:
    return node.node.folder / "ovs"


def _settings(node: NodeOnMachine) -> Path:
    return node.node.folder / "ovs.json"


def _database(node: NodeOnMachine) -> Path:
    return _folder(node) / "conf.db"
