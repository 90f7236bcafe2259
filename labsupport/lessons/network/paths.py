"""The way a packet takes between two networks of one machine: by the rules, and as it was seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ENGINE = "alpha"
# Bridges of the machine, by the kind of network whose containers are on them.
BRIDGES = {"bridge": "docker0", "mine": "br-mine", "overlay": "docker_gwbridge"}
PUBLISHING = frozenset(BRIDGES)
UPLINK, LOOPBACK = f"{ENGINE} eth0", f"{ENGINE} lo"


@dataclass(frozen=True)
class Way:
    """The interfaces that the first packet passes, whether an answer comes, and why."""

    stations: tuple[str, ...]
    answered: bool
    because: str

    @property
    def shown(self) -> str:
        return " → ".join(self.stations) or "no packet is sent"


def predicted(source: str, target: str, by: str) -> Way:
    """Say what the rules of both drivers make of it; `by` is address, name or published port."""
    if source == "none":
        return Way((), False, "A container on none has loopback only: there is no interface to leave by.")
    if by == "name":
        return _by_name(source, target)
    if by == "address":
        return _by_address(source, target)
    return _by_port(source, target)


def _by_name(source: str, target: str) -> Way:
    if source == target and source in ("mine", "macvlan", "overlay"):
        way = _same_network(source)
        because = "Docker's own DNS, at 127.0.0.11 in the container, knows the names on networks the user made. "
        return Way(way.stations, True, because + way.because)
    if source in ("host", "bridge"):
        because = "On the default bridge and on host a container gets the machine's own DNS, which knows no containers."
    else:
        because = "Docker's own DNS tells a container only the names on its own networks."
    return Way((), False, because)


def _by_address(source: str, target: str) -> Way:
    if target == "none":
        return Way((), False, "A container on none has no address that one could ask.")
    if source == target:
        return _same_network(source)
    if target == "host":
        return _to_machine(source)
    if target == "macvlan":
        return _to_macvlan(source)
    if source == "macvlan":
        because = "The address is on a network inside the machine, and the neighbours' router knows no way there."
        return Way((_eth0("macvlan-b"), UPLINK), False, because)
    if target == "overlay":
        because = (
            "The overlay is in a namespace of its own; the machine has no route there, and sends it to its router."
        )
        return Way((*_leaving(source), UPLINK), False, because)
    if source == "host":
        return Way(_arriving(target), True, "The machine itself is on every bridge: it has the bridge's first address.")
    because = (
        "A rule in the table `raw` drops what is for the container's address and comes from elsewhere than its bridge."
    )
    return Way(_leaving(source)[:2], False, because)


def _by_port(source: str, target: str) -> Way:
    if source == "macvlan":
        return _to_machine(source)
    if target not in PUBLISHING:
        because = f"On {target} nothing is published, so the machine has no rule for that port: connection refused."
        return Way(_leaving(source) or (LOOPBACK,), False, because)
    because = (
        "The machine's firewall puts the container's address and port in the place of its own (DNAT), and forwards."
    )
    if source == "host":
        return Way(_arriving(target), True, because)
    return Way(_without_repetition([*_leaving(source), *_arriving(target)]), True, because)


def _same_network(kind: str) -> Way:
    a, b = f"{kind}-a", f"{kind}-b"
    if kind == "host":
        return Way((LOOPBACK,), True, "Both are in the machine's own namespace: the packet only passes its loopback.")
    if kind == "macvlan":
        because = (
            "Both sit on one interface of the machine, which takes what is for the other as if it had just come in."
        )
        return Way((_eth0(b), UPLINK, _eth0(a)), True, because)
    where = " in the overlay's own namespace" if kind == "overlay" else ""
    return Way((_eth0(b), "veth", "veth", _eth0(a)), True, f"Both are plugged into one bridge{where}: a switch.")


def _to_machine(source: str) -> Way:
    if source == "macvlan":
        because = (
            "macvlan lets its children talk to everybody but the machine they are on. Nobody answers the container's "
            "question who has this address (ARP), so no packet is sent."
        )
        return Way((), False, because)
    return Way(
        _leaving(source), True, "The machine's address is its own: the packet is at its end once it is in there."
    )


def _to_macvlan(source: str) -> Way:
    because = "The machine cannot talk to the macvlan children of its own interface: nobody answers its question (ARP)."
    if source == "host":
        return Way((), False, because)
    return Way(_leaving(source), False, because + " And it is the machine that would have to forward this.")


def _leaving(source: str) -> tuple[str, ...]:
    """From a container into the machine's namespace."""
    if source == "host":
        return ()
    interface = "eth1" if source == "overlay" else "eth0"
    return (f"{source}-b {interface}", "veth", BRIDGES[source])


def _arriving(target: str) -> tuple[str, ...]:
    """From the machine's namespace into a container."""
    interface = "eth1" if target == "overlay" else "eth0"
    return (BRIDGES[target], "veth", f"{target}-a {interface}")


def _eth0(container: str) -> str:
    return f"{container} eth0"


def seen(passages: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """The interfaces that the first packet was seen at, in order."""
    return _without_repetition([_station(each) for each in passages if each["what"] == "SYN"])


def _station(passage: Mapping[str, str]) -> str:
    link = passage["link"]
    if link.startswith(("veth", "<veth")):
        return "veth"
    return link if link in BRIDGES.values() else f"{passage['space']} {link}"


def _without_repetition(stations: Sequence[str]) -> tuple[str, ...]:
    """In and out of one bridge are two passages and one station; two veths after one another are two."""
    return tuple(
        each for place, each in enumerate(stations) if each == "veth" or place == 0 or each != stations[place - 1]
    )
