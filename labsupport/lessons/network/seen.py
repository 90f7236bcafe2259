"""Readers of what tools print about networks: MAC addresses, the switch's table, firewall rules, captured frames."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labsupport.display.frames import frame_figure
from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Column, table
from labsupport.display.topology import topology_figure
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Observation, Step

# In evidence a fresh address is a placeholder, <mac-1>, the same wherever the address was.
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}|<mac-\d+>")


def macs_in(step: Step) -> list[str]:
    """The MAC addresses in what a command printed, each once, the broadcast address and that of loopback left out."""
    found = dict.fromkeys(_MAC.findall(step.stdout))
    return [mac for mac in found if mac not in ("ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00")]


def macs_at(step: Step, port: str) -> list[str]:
    """The MAC addresses that a switch has learned at one of its ports, from `bridge fdb show dynamic`."""
    return [mac for line in step.lines if f" dev {port} " in line for mac in _MAC.findall(line)]


def topology(seen: Observation, title: str, alt: str, *, switch: str = "", mac: bool = False) -> Shown:
    """Draw what `lab.topology` saw."""
    return Origin.of(seen).above(topology_figure(title, seen.value, alt=alt, switch=switch, mac=mac).shown())


def space(seen: Observation, name: str) -> Mapping[str, Any]:
    """One namespace of a topology: its links, routes and rules.

    Raises:
        EvidenceError: it is not there.
    """
    spaces = [each for record in seen.value for each in record["spaces"]]
    found: Mapping[str, Any] | None = next((each for each in spaces if each["name"] == name), None)
    if found is None:
        known = ", ".join(each["name"] for each in spaces)
        raise EvidenceError(f"look at {name} in the {seen.name}", f"it has {known}", "start that container first")
    return found


def addressed_links(seen: Observation, name: str) -> list[str]:
    """The names of a namespace's interfaces that have an address. (Some kernels put idle ones into each namespace.)"""
    return [link["name"] for link in space(seen, name)["links"] if link["addresses"]]


@dataclass(frozen=True)
class NewRules:
    """The firewall rules that something added."""

    rules: tuple[str, ...]
    origin: Origin = LIVE

    def shown(self) -> Shown:
        rows = [[*rule.split(" ", 1), meaning_of(rule)] for rule in self.rules]
        columns: list[str | Column] = ["table", Column("rule", "code"), Column("in words", "prose")]
        made = table("What was added to the firewall", columns, rows, note=f"{len(rows)} rules")
        return self.origin.above(made.shown())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return self.shown()._repr_mimebundle_()


def new_rules(before: Step, after: Step) -> NewRules:
    """Compare two outputs of `iptables-save`."""
    earlier = rules_in(before)
    return NewRules(tuple(rule for rule in rules_in(after) if rule not in earlier), Origin.of(after))


def rules_in(saved: Step) -> list[str]:
    """The rules of `iptables-save`, each with its table before it."""
    rules, table_name = [], ""
    for line in saved.lines:
        if line.startswith("*"):
            table_name = line[1:]
        elif line.startswith("-A"):
            rules.append(f"{table_name} {line}")
    return rules


def meaning_of(rule: str) -> str:
    """Say what a rule that publishing a port adds does; nothing where it is another."""
    if "-j DNAT" in rule:
        return "Whatever arrives for this port of the machine gets the container's address and port instead."
    if "--dport" in rule and "-j ACCEPT" in rule:
        return "What now has that address and port may be forwarded into the bridge."
    if rule.startswith("raw") and "-j DROP" in rule:
        return "Whoever addresses the container directly, from anywhere but its own bridge, is not heard."
    return ""


@dataclass(frozen=True)
class Frames:
    """Captured frames, decoded."""

    frames: Sequence[Mapping[str, Any]]
    origin: Origin = LIVE

    def __len__(self) -> int:
        return len(self.frames)

    def having(self, layer: str) -> "Frames":
        """Those with a header of that name."""
        return Frames([frame for frame in self.frames if layer in _names(frame)], self.origin)

    def saying(self, text: str) -> "Frames":
        """Those whose bytes have this text in the clear."""
        wanted = text.encode().hex(" ")
        return Frames([frame for frame in self.frames if wanted in frame["bytes"]], self.origin)

    def figure(self, title: str, alt: str) -> Shown:
        """Draw the first of them.

        Raises:
            EvidenceError: there is none.
        """
        if not self.frames:
            raise EvidenceError(
                f"draw “{title}”", "no such frame was captured", "run the cells of this experiment again"
            )
        return self.origin.above(frame_figure(title, self.frames[0], alt=alt).shown())


def read_frames(seen: Observation) -> Frames:
    """The frames of `lab.capture(…).read()`."""
    return Frames(seen.value, Origin.of(seen))


def _names(frame: Mapping[str, Any]) -> list[str]:
    return [layer["name"] for layer in frame["layers"]]
