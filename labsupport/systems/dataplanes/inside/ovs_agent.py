"""Sets up Open vSwitch on a node, and keeps its flows as the cluster says: `python -I -S ovs_agent.py SETTINGS`.

It is to Open vSwitch what Antrea's agent is: bridges, gateway and tunnel first, then flows from pods, Services and
NetworkPolicies, all put in place at once. Standard library only: it runs on nodes, where nothing else is.
"""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, __file__.rsplit("/", 5)[0])

from labsupport.process.commands import Invocation, LocalRunner, Runner
from labsupport.systems.dataplanes.inside import ovs_plugin
from labsupport.systems.dataplanes.inside.addresses import gateway_of, hardware_of
from labsupport.systems.dataplanes.inside.ovs_database import SOCKET, Ports
from labsupport.systems.dataplanes.inside.ovs_flows import (
    BRIDGE,
    GATEWAY,
    TUNNEL,
    Settings,
    flows,
    translations_of,
)
from labsupport.systems.dataplanes.inside.policy_decisions import decide, not_understood, tell_in_force
from labsupport.systems.dataplanes.inside.watching import Server, Watch, say

WATCHED = (
    "/api/v1/pods",
    "/api/v1/namespaces",
    "/apis/networking.k8s.io/v1/networkpolicies",
    "/api/v1/services",
    "/apis/discovery.k8s.io/v1/endpointslices",
)
# The bridge that tunnels leave by, and the node's own second card, on the wire of the first.
OUTSIDE, CARD = "br-tun", "tunnel"
READY = "ready"
LOOKS_EVERY_SECONDS = 0.01


def main(settings: Settings) -> None:
    """Follow the cluster for ever."""
    runner: Runner = LocalRunner()
    folder = Path(settings.folder)
    _wait_for_database()
    _set_up(settings, runner)
    _install_plugin(settings)
    ports, watch = Ports(), Watch(Server(settings.kubeconfig), WATCHED)
    threading.Thread(target=ports.follow, args=(watch.changed.set,), daemon=True).start()
    file = folder / "flows"
    for pods, namespaces, policies, services, slices in watch.changes():
        for name in not_understood(policies):
            say(f"{name}: ports by name are not understood, and stay closed")
        decisions = decide(settings.node, pods, namespaces, policies)
        lines = flows(settings, ports.attached(), translations_of(services, slices), decisions)
        file.write_text("\n".join(lines) + "\n")
        words = ["ovs-ofctl", "--protocols=OpenFlow14", "--bundle", "--names", "replace-flows", BRIDGE, str(file)]
        result = runner.run(words)
        if not result.succeeded:  # a port that has just gone: its going is told too, and all is written again
            say(f"{result.command}: {result.stderr.strip()}")
            continue
        tell_in_force(folder.parent / "policy", decisions)
        (folder / READY).touch()
        say(f"{len(lines)} flows, {len(ports.attached())} ports, {len(policies)} policies")


def _wait_for_database() -> None:
    again = threading.Event()
    while not Path(SOCKET).exists():
        again.wait(LOOKS_EVERY_SECONDS)


def _set_up(settings: Settings, runner: Runner) -> None:
    runner.run(["ovs-vsctl", "--timeout=20", *_bridges(settings)]).or_raise()
    lines = "\n".join(_links(settings)) + "\n"
    runner.run(["ip", "-batch", "-"], invocation=Invocation(stdin=lines)).or_raise()
    for peer in settings.peers:
        # Else the first packet to each node would be lost to a question for its hardware address.
        words = ["tnl/neigh/set", OUTSIDE, peer.tunnel, hardware_of(peer.tunnel)]
        runner.run(["ovs-appctl", *words]).or_raise()


def _bridges(settings: Settings) -> Iterator[str]:
    """Words for ovs-vsctl: a bridge for pods, one for tunnels."""
    kind = f"datapath_type={settings.datapath}"
    own = hardware_of(settings.tunnel)
    yield from ("--", "add-br", OUTSIDE, "--", "set", "bridge", OUTSIDE, kind, f'other-config:hwaddr="{own}"')
    yield from ("--", "add-port", OUTSIDE, CARD)
    yield from ("--", "add-br", BRIDGE, "--", "set", "bridge", BRIDGE, kind, "fail_mode=secure")
    gateway = f'mac="{hardware_of(settings.gateway)}"'
    yield from ("--", "add-port", BRIDGE, GATEWAY, "--", "set", "interface", GATEWAY, "type=internal", gateway)
    yield f"mtu_request={settings.mtu}"
    yield from ("--", "add-port", BRIDGE, TUNNEL, "--", "set", "interface", TUNNEL, "type=geneve")
    yield from ("options:remote_ip=flow", "options:key=flow")


def _links(settings: Settings) -> Iterator[str]:
    """Lines for ip: addresses of both gateways, and how the node itself gets to the pods of others."""
    yield f"address add {settings.tunnel}/24 dev {OUTSIDE}"
    yield f"link set {OUTSIDE} up"
    yield f"address add {settings.gateway}/{settings.pods.partition('/')[2]} dev {GATEWAY}"
    yield f"link set {GATEWAY} up"
    for peer in settings.peers:
        gateway = gateway_of(peer.pods)
        yield f"neighbour replace {gateway} lladdr {hardware_of(gateway)} dev {GATEWAY} nud permanent"
        yield f"route replace {peer.pods} via {gateway} dev {GATEWAY} onlink"


def _install_plugin(settings: Settings) -> None:
    """Put the CNI plugin where the container runtime looks, with the way to the programs that it calls."""
    file = Path(settings.plugins) / ovs_plugin.NAME
    file.parent.mkdir(exist_ok=True)
    run = f'exec {settings.interpreter} -I -S {ovs_plugin.__file__} "$@"'
    file.write_text(f"#!/bin/sh\nPATH={os.environ['PATH']}\n{run}\n")
    file.chmod(0o755)


if __name__ == "__main__":
    main(Settings.read(Path(sys.argv[1])))
