"""What NetworkPolicy objects mean for the pods of one node: who is isolated, and who may still talk to whom.

Plain functions, from what the API server has. How it is enforced is another matter: policy_rules.py does it in the
firewall, ovs_flows.py in Open vSwitch. Not understood, so not enforced, are ports by name; `not_understood` says where.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Thing = dict[str, Any]
IN_FORCE = ".in-force"
DIRECTIONS = {"in": "Ingress", "out": "Egress"}


@dataclass(frozen=True)
class Ports:
    """A range of ports of a protocol, in small letters; all of them where `first` is None."""

    protocol: str
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True)
class Rule:
    """What a policy allows: with these peers (ranges of addresses; None: anybody), to these ports (None: any)."""

    peers: tuple[str, ...] | None
    ports: tuple[Ports, ...] | None


@dataclass(frozen=True)
class Decision:
    """One direction ("in" or "out") of one policy: `pods` of this node are isolated, but for what `rules` allow."""

    policy: str
    direction: str
    pods: tuple[str, ...]
    rules: tuple[Rule, ...]


def decide(node: str, pods: Sequence[Thing], namespaces: Sequence[Thing], policies: Sequence[Thing]) -> list[Decision]:
    """Return what all policies mean for a node's own pods; those of them that choose none of them too."""
    cluster = _Cluster(pods, namespaces)
    local = [pod for pod in pods if pod["spec"].get("nodeName") == node and not pod["spec"].get("hostNetwork")]
    found = []
    for direction, kind in DIRECTIONS.items():
        for policy in _of_kind(policies, kind):
            rules = [_rule(cluster, policy, allowed, kind) for allowed in policy["spec"].get(kind.lower()) or ()]
            chosen = cluster.addresses(pod for pod in local if _is_chosen(pod, policy))
            found.append(Decision(_short(policy), direction, tuple(chosen), tuple(rules)))
    return found


def isolated(decisions: Iterable[Decision], direction: str) -> list[str]:
    """Return the addresses of the pods that some policy isolates in a direction."""
    return sorted({pod for each in decisions if each.direction == direction for pod in each.pods})


def tell_in_force(file: Path, decisions: Iterable[Decision]) -> None:
    """Write beside `file` which policies are in force now, for whoever waits for one."""
    draft = file.with_suffix(".draft")
    draft.write_text("".join(f"{name}\n" for name in sorted({each.policy for each in decisions})))
    draft.replace(file.with_suffix(IN_FORCE))


def not_understood(policies: Sequence[Thing]) -> list[str]:
    """Name the policies with ports by name, whose rules allow nothing here."""
    return [
        _short(policy)
        for policy in policies
        for kind in ("ingress", "egress")
        for rule in policy["spec"].get(kind) or ()
        if any(isinstance(port.get("port"), str) for port in rule.get("ports") or ())
    ]


class _Cluster:
    """Who has which address."""

    def __init__(self, pods: Sequence[Thing], namespaces: Sequence[Thing]) -> None:
        self._pods = pods
        self._labels = {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in namespaces}

    def addresses(self, pods: Iterable[Thing]) -> list[str]:
        return sorted({pod["status"]["podIP"] for pod in pods if pod.get("status", {}).get("podIP")})

    def peers(self, peers: Sequence[Thing], namespace: str) -> list[str]:
        """Return the addresses and ranges that a rule's `from` or `to` names."""
        found: list[str] = []
        for peer in peers:
            if block := peer.get("ipBlock"):
                found.append(block["cidr"])
                found += [f"!{each}" for each in block.get("except") or ()]
                continue
            found += self.addresses(pod for pod in self._pods if self._is_peer(pod, peer, namespace))
        return found

    def _is_peer(self, pod: Thing, peer: Thing, namespace: str) -> bool:
        its = pod["metadata"]["namespace"]
        if "namespaceSelector" in peer:
            if not selects(peer["namespaceSelector"], self._labels.get(its, {})):
                return False
        elif its != namespace:
            return False
        return selects(peer.get("podSelector") or {}, pod["metadata"].get("labels") or {})


def selects(selector: Thing, labels: dict[str, str]) -> bool:
    """Whether a label selector chooses these labels; an empty one chooses all."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for term in selector.get("matchExpressions") or ():
        key, values, there = term["key"], term.get("values") or (), term["key"] in labels
        holds = {
            "In": there and labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": there,
            "DoesNotExist": not there,
        }[term["operator"]]
        if not holds:
            return False
    return True


def _of_kind(policies: Sequence[Thing], kind: str) -> list[Thing]:
    ordered = sorted(policies, key=lambda each: (each["metadata"]["namespace"], each["metadata"]["name"]))
    return [each for each in ordered if kind in _kinds(each)]


def _kinds(policy: Thing) -> Sequence[str]:
    default = ("Ingress", "Egress") if policy["spec"].get("egress") else ("Ingress",)
    kinds: Sequence[str] = policy["spec"].get("policyTypes") or default
    return kinds


def _is_chosen(pod: Thing, policy: Thing) -> bool:
    return pod["metadata"]["namespace"] == policy["metadata"]["namespace"] and selects(
        policy["spec"].get("podSelector") or {}, pod["metadata"].get("labels") or {}
    )


def _short(policy: Thing) -> str:
    name = f"{policy['metadata']['namespace']}-{policy['metadata']['name']}"
    return "".join(each if each.isalnum() or each == "-" else "-" for each in name)[:40]


def _rule(cluster: _Cluster, policy: Thing, allowed: Thing, kind: str) -> Rule:
    peers = allowed.get("from" if kind == "Ingress" else "to")
    who = tuple(_ranges(cluster.peers(peers, policy["metadata"]["namespace"]))) if peers else None
    return Rule(who, _ports(allowed.get("ports")))


def _ports(ports: Sequence[Thing] | None) -> tuple[Ports, ...] | None:
    if not ports:
        return None
    found = []
    for each in ports:
        protocol = each.get("protocol", "TCP").lower()
        if "port" not in each:
            found.append(Ports(protocol))
        elif isinstance(each["port"], int):
            found.append(Ports(protocol, each["port"], each.get("endPort", each["port"])))
    return tuple(found)


def _ranges(members: Sequence[str]) -> list[str]:
    """Merge addresses and ranges; what is marked with `!` is cut out of the ranges before it."""
    ranges: list[ipaddress.IPv4Network] = []
    for member in members:
        network = ipaddress.IPv4Network(member.lstrip("!"))
        if not member.startswith("!"):
            ranges.append(network)
            continue
        cut: list[ipaddress.IPv4Network] = []
        for each in ranges:
            cut += each.address_exclude(network) if network.subnet_of(each) else [each]
        ranges = cut
    return [str(each) for each in ipaddress.collapse_addresses(ranges)]
