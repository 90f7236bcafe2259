"""Decisions about pods as firewall rules: plain functions, to what `nft -f` takes.

As Calico does it: sets of addresses, kept up to date, and few rules that ask them.
"""

from collections.abc import Iterator, Sequence

from labsupport.systems.dataplanes.inside.policy_decisions import DIRECTIONS, Decision, Ports, Rule, isolated

TABLE = "lab-policy"
# Direction → where a packet has the pod's own address, and where the other's.
_ENDS = {"in": ("daddr", "saddr"), "out": ("saddr", "daddr")}


def ruleset(decisions: Sequence[Decision]) -> str:
    """Return the whole table of a node, to be put in the place of the one before at once."""
    sets: list[str] = []
    chains = []
    for direction in DIRECTIONS:
        own, _ = _ENDS[direction]
        rules: list[str] = []
        for number, decision in enumerate(each for each in decisions if each.direction == direction):
            name = f"{direction}-{number}-{decision.policy}"
            sets.append(_set(name, [f"{pod}/32" for pod in decision.pods]))
            for place, rule in enumerate(decision.rules):
                if rule.peers is not None:
                    sets.append(_set(f"{name}-{place}", rule.peers))
                rules += _lines(direction, name, place, rule)
        sets.append(_set(f"isolated-{direction}", [f"{pod}/32" for pod in isolated(decisions, direction)]))
        chains.append(_chain(direction, [f"ip {own} != @isolated-{direction} return", *rules, "counter drop"]))
    base = [
        "type filter hook forward priority filter; policy accept;",
        "ct state established,related accept",
        "jump out",
        "jump in",
    ]
    body = "\n".join([*sets, *chains, _chain("forward", base)])
    return f"table inet {TABLE} {{}}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{body}\n}}\n"


def _lines(direction: str, name: str, place: int, rule: Rule) -> Iterator[str]:
    own, other = _ENDS[direction]
    match = "" if rule.peers is None else f" ip {other} @{name}-{place}"
    for end in [""] if rule.ports is None else map(_end, rule.ports):
        yield f"ip {own} @{name}{match}{end} return"


def _end(ports: Ports) -> str:
    """Write the end of a rule for a range of ports."""
    if ports.first is None:
        return f" meta l4proto {ports.protocol}"
    span = f"{ports.first}-{ports.last}" if ports.last != ports.first else f"{ports.first}"
    return f" {ports.protocol} dport {span}"


def _set(name: str, members: Sequence[str]) -> str:
    content = f" elements = {{ {', '.join(members)} }};" if members else ""
    return f"  set {name} {{ type ipv4_addr; flags interval;{content} }}"


def _chain(name: str, rules: Sequence[str]) -> str:
    return "\n".join([f"  chain {name} {{", *(f"    {rule}" for rule in rules), "  }"])
