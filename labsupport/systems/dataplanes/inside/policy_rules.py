"""NetworkPolicy objects as firewall rules: plain functions, from what the API server has to what `nft -f` takes.

As Calico does it: sets of addresses, kept up to date, and few rules that ask them. Not understood, so not enforced, are
ports by name; `not_understood` says where.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

TABLE = "lab-policy"
Thing = dict[str, Any]


def ruleset(node: str, pods: Sequence[Thing], namespaces: Sequence[Thing], policies: Sequence[Thing]) -> str:
    """Return the whole table of a node, to be put in the place of the one before at once."""
    cluster = _Cluster(pods, namespaces)
    local = [pod for pod in pods if pod["spec"].get("nodeName") == node]
    sets: list[str] = []
    directions = {"in": ("Ingress", "daddr", "saddr"), "out": ("Egress", "saddr", "daddr")}
    chains = []
    for direction, (kind, own, other) in directions.items():
        rules = []
        isolated: set[str] = set()
        for number, policy in enumerate(_of_kind(policies, kind)):
            chosen = cluster.addresses(
                pod for pod in local if _is_chosen(pod, policy) and not pod["spec"].get("hostNetwork")
            )
            isolated |= set(chosen)
            name = f"{direction}-{number}-{_short(policy)}"
            sets.append(_set(name, chosen))
            for place, allowed in enumerate(policy["spec"].get(kind.lower()) or ()):
                peers = allowed.get("from" if kind == "Ingress" else "to")
                match = ""
                if peers:
                    sets.append(_set(f"{name}-{place}", cluster.peers(peers, policy["metadata"]["namespace"])))
                    match = f" ip {other} @{name}-{place}"
                rules += [f"ip {own} @{name}{match}{port} return" for port in _ports(allowed.get("ports"))]
        sets.append(_set(f"isolated-{direction}", sorted(isolated)))
        chains.append(_chain(direction, [f"ip {own} != @isolated-{direction} return", *rules, "counter drop"]))
    base = [
        "type filter hook forward priority filter; policy accept;",
        "ct state established,related accept",
        "jump out",
        "jump in",
    ]
    body = "\n".join([*sets, *chains, _chain("forward", base)])
    return f"table inet {TABLE} {{}}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{body}\n}}\n"


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


def _ports(ports: Sequence[Thing] | None) -> Iterator[str]:
    """Yield the end of a rule for each port; once nothing where all ports are meant."""
    if not ports:
        yield ""
    for each in ports or ():
        protocol = each.get("protocol", "TCP").lower()
        if "port" not in each:
            yield f" meta l4proto {protocol}"
        elif isinstance(each["port"], int):
            last = each.get("endPort", each["port"])
            yield f" {protocol} dport {each['port']}-{last}" if last > each["port"] else f" {protocol} dport {last}"


def _set(name: str, members: Sequence[str]) -> str:
    """Write a set of addresses and ranges; what is marked with `!` is cut out of the range before it."""
    import ipaddress

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
    elements = ", ".join(str(each) for each in ipaddress.collapse_addresses(ranges))
    content = f" elements = {{ {elements} }};" if elements else ""
    return f"  set {name} {{ type ipv4_addr; flags interval;{content} }}"


def _chain(name: str, rules: Sequence[str]) -> str:
    return "\n".join([f"  chain {name} {{", *(f"    {rule}" for rule in rules), "  }"])
