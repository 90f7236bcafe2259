"""The flows of a node's Open vSwitch: plain functions, from who is where and what is allowed to what `ovs-ofctl` takes.

A packet goes from table to table: where it comes from, which Service it means, whether its pod may send it, whether
the other may get it, and out at a port. The order is Antrea's; its agent makes many more of them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labsupport.systems.dataplanes.inside.addresses import hardware_of
from labsupport.systems.dataplanes.inside.policy_decisions import DIRECTIONS, Decision, Ports, Rule, isolated

BRIDGE, GATEWAY, TUNNEL = "br-int", "gw0", "tun0"
ORIGIN, SERVICE, ENDPOINT, STATE, EGRESS, INGRESS, COMMIT, FORWARD = 0, 10, 11, 20, 30, 40, 50, 60
# Connections as they are to the pods' policies, and as the Service is translated: two sets of them.
POLICY_ZONE, SERVICE_ZONE = 1, 2
_ENDS = {"in": ("nw_dst", "nw_src"), "out": ("nw_src", "nw_dst")}
_NEXT = {"in": COMMIT, "out": INGRESS}
_TABLES = {"in": INGRESS, "out": EGRESS}
_LAST_PORT = 0xFFFF
Thing = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """Another node: the range of its pods, and where its tunnel ends."""

    pods: str
    tunnel: str


@dataclass(frozen=True)
class Settings:
    """What the agent of a node is told: who it is, who the others are, and which datapath forwards."""

    node: str
    kubeconfig: str
    folder: str
    plugins: str
    interpreter: str
    datapath: str
    pods: str
    gateway: str
    tunnel: str
    peers: tuple[Peer, ...]
    mtu: int

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, file: Path) -> "Settings":
        content = json.loads(file.read_text())
        return cls(**{**content, "peers": tuple(Peer(**each) for each in content["peers"])})


@dataclass(frozen=True)
class Attached:
    """A port of the bridge, and the pod that hangs on it."""

    port: str
    address: str
    hardware: str


@dataclass(frozen=True)
class Translation:
    """A port of a Service, and the pods behind it, as ADDRESS:PORT."""

    protocol: str
    address: str
    port: int
    ends: tuple[str, ...]


def flows(
    settings: Settings,
    attached: Sequence[Attached],
    translations: Sequence[Translation],
    decisions: Sequence[Decision],
) -> list[str]:
    """Return all flows of a node."""
    return [
        *_origin(attached),
        *_services(translations),
        *_policies(settings, decisions),
        *_forward(settings, attached),
    ]


def translations_of(services: Sequence[Thing], slices: Sequence[Thing]) -> list[Translation]:
    """Say which pods are behind each port of each Service, from the API server's objects."""
    found = []
    for service in services:
        address = service["spec"].get("clusterIP")
        if address in (None, "", "None"):
            continue
        own = [each for each in slices if _is_of(each, service["metadata"])]
        for port in service["spec"].get("ports") or ():
            ends = tuple(sorted(_ends(own, port.get("name") or "")))
            found.append(Translation(port.get("protocol", "TCP").lower(), address, port["port"], ends))
    return found


def _is_of(endpoints: Thing, service: Thing) -> bool:
    named = (endpoints["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
    return bool(named == service["name"] and endpoints["metadata"]["namespace"] == service["namespace"])


def _ends(slices: Sequence[Thing], port_name: str) -> Iterator[str]:
    for each in slices:
        for port in each.get("ports") or ():
            if (port.get("name") or "") != port_name:
                continue
            for endpoint in each.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready") is not False:
                    yield from (f"{address}:{port['port']}" for address in endpoint["addresses"])


def _origin(attached: Sequence[Attached]) -> Iterator[str]:
    """Where packets come from: a pod may only send as itself."""
    known = f"actions=ct(zone={SERVICE_ZONE},nat,table={SERVICE})"
    yield f"table={ORIGIN},priority=100,arp,actions=NORMAL"
    for port in (GATEWAY, TUNNEL):
        yield f"table={ORIGIN},priority=90,ip,in_port={port},{known}"
    for each in attached:
        sender = f'in_port="{each.port}",dl_src={each.hardware},nw_src={each.address}'
        yield f"table={ORIGIN},priority=90,ip,{sender},{known}"
    yield f"table={ORIGIN},priority=0,actions=drop"


def _services(translations: Sequence[Translation]) -> Iterator[str]:
    for each in translations:
        meant = f"{each.protocol},nw_dst={each.address},tp_dst={each.port}"
        match = f"table={SERVICE},priority=100,ct_state=+new+trk,{meant}"
        to = [f"actions=ct(commit,zone={SERVICE_ZONE},nat(dst={end}),table={STATE})" for end in each.ends]
        if len(to) == 1:
            yield f"{match},{to[0]}"
        elif to:
            choose = f"multipath(symmetric_l4,0,modulo_n,{len(to)},0,reg1[0..15])"
            yield f"{match},actions={choose},resubmit(,{ENDPOINT})"
            yield from (
                f"table={ENDPOINT},priority=100,reg1={place},{meant},{action}" for place, action in enumerate(to)
            )
    look_up = f"actions=ct(zone={POLICY_ZONE},table={EGRESS})"
    yield f"table={SERVICE},priority=0,ip,{look_up}"
    yield f"table={STATE},priority=0,ip,{look_up}"


def _policies(settings: Settings, decisions: Sequence[Decision]) -> Iterator[str]:
    # What was let in once stays in, as do its answers; and a node may always talk to its own pods.
    for state in ("+est+trk", "+rel+trk"):
        yield f"table={EGRESS},priority=200,ct_state={state},ip,actions=resubmit(,{FORWARD})"
    itself = f"ip,in_port={GATEWAY},nw_src={settings.gateway}"
    yield f"table={INGRESS},priority=200,{itself},actions=resubmit(,{COMMIT})"
    for direction in DIRECTIONS:
        own, _ = _ENDS[direction]
        table, further = _TABLES[direction], f"actions=resubmit(,{_NEXT[direction]})"
        for decision in decisions:
            if decision.direction == direction:
                allowed = dict.fromkeys(each for rule in decision.rules for each in _matches(decision, rule))
                yield from (f"table={table},priority=100,{match},{further}" for match in allowed)
        for pod in isolated(decisions, direction):
            yield f"table={table},priority=50,ip,{own}={pod},actions=drop"
        yield f"table={table},priority=0,{further}"
    yield f"table={COMMIT},priority=0,ip,actions=ct(commit,zone={POLICY_ZONE},table={FORWARD})"


def _matches(decision: Decision, rule: Rule) -> Iterator[str]:
    own, other = _ENDS[decision.direction]
    ends = ["ip"] if rule.ports is None else [end for ports in rule.ports for end in _port_matches(ports)]
    peers = [""] if rule.peers is None else [f",{other}={peer}" for peer in rule.peers]
    for pod in decision.pods:
        yield from (f"{end},{own}={pod}{peer}" for peer in peers for end in ends)


def _port_matches(ports: Ports) -> Iterator[str]:
    """A match has a value and a mask, no range: so a range is several of them."""
    if ports.first is None or ports.last is None:
        yield ports.protocol
        return
    first = ports.first
    while first <= ports.last:
        size = first & -first or _LAST_PORT + 1
        while first + size - 1 > ports.last:
            size //= 2
        yield f"{ports.protocol},tp_dst={first:#x}/{_LAST_PORT + 1 - size:#x}"
        first += size


def _forward(settings: Settings, attached: Sequence[Attached]) -> Iterator[str]:
    for each in attached:
        out = f'actions=set_field:{each.hardware}->eth_dst,output:"{each.port}"'
        yield f"table={FORWARD},priority=100,ip,nw_dst={each.address},{out}"
    to_node = f"actions=set_field:{hardware_of(settings.gateway)}->eth_dst,output:{GATEWAY}"
    yield f"table={FORWARD},priority=100,ip,nw_dst={settings.gateway},{to_node}"
    for peer in settings.peers:
        wrap = f"actions=set_field:{peer.tunnel}->tun_dst,output:{TUNNEL}"
        yield f"table={FORWARD},priority=90,ip,nw_dst={peer.pods},{wrap}"
    yield f"table={FORWARD},priority=80,ip,nw_dst={settings.pods},actions=drop"
    yield f"table={FORWARD},priority=0,ip,{to_node}"
