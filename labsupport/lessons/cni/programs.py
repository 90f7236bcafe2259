"""What programs in the kernel have counted and been told: their maps, as bpftool and cilium-dbg print them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from labsupport.display.tables import Cell, Column, Table, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

FORWARDED, DENIED = "forwarded", "Policy denied"
# cilium-dbg's words for what only it knows by number.
REASONS = {"Success": FORWARDED, "Interface": "seen at the node's wire"}
BACKEND = re.compile(r"(?P<address>[\d.]+):(?P<port>\d+)/\w+ \(\d+\) \((?P<slot>\d+)\)")


def interface_to(route: Step) -> str:
    """Return the interface that `ip route get` named.

    Raises:
        EvidenceError: it named none.
    """
    words = route.output.split()
    if "dev" not in words[:-1]:
        raise EvidenceError(route.command, f"no interface in {route.output!r}", "is the pod running?")
    return words[words.index("dev") + 1]


def numbers(dump: Step) -> list[int]:
    """Return the values of a map of numbers, by place, from `bpftool --json map dump`."""
    places = {int(each["formatted"]["key"]): int(each["formatted"]["value"]) for each in dump.json()}
    return [places[place] for place in sorted(places)]


def packets(metrics: Step) -> dict[str, int]:
    """Read `cilium-dbg bpf metrics list --output json`: what became of packets → how many, in all directions."""
    found: Counter[str] = Counter()
    for each in metrics.json():
        found[REASONS.get(each["reason"], each["reason"])] += int(each["packets"])
    return dict(found)


def more(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Return what was counted between two readings."""
    return {what: number - before.get(what, 0) for what, number in after.items() if number != before.get(what, 0)}


def backends(services: Step, address: str) -> list[str]:
    """Read `cilium-dbg bpf lb list --output json`: the addresses that the map has for a Service's, sorted."""
    found = []
    for service, entries in services.json().items():
        if service.startswith(f"{address}:"):
            found += [match["address"] for match in map(BACKEND.match, entries) if match and match["slot"] != "0"]
    return sorted(found)


def named(addresses: Sequence[str], pods: Step) -> dict[str, str]:
    """Return which pods of `kubectl get pods --output json` have these addresses: name → address."""
    names = {pod["status"].get("podIP"): pod["metadata"]["name"] for pod in pods.json()["items"]}
    return dict(sorted((names.get(address, f"nobody at {address}"), address) for address in addresses))


def shares(answers: Step) -> dict[str, int]:
    """Count who answered, a line each."""
    return dict(sorted(Counter(answers.lines).items()))


def shares_table(title: str, answered: Mapping[str, int], addresses: Mapping[str, str]) -> Table:
    """Who answered how often, by name, with the address of each."""
    names = sorted({*answered, *addresses})
    rows: list[list[Cell]] = [[name, addresses.get(name, "none"), answered.get(name, 0)] for name in names]
    return table(title, ["pod", Column("its address in the map", "code"), Column("answers", "number")], rows)


def counts_table(title: str, columns: Mapping[str, Mapping[str, int]]) -> Table:
    """What became of packets, a row each; a column for each time they were counted."""
    kinds = sorted({kind for counted in columns.values() for kind in counted})
    rows: list[list[Cell]] = [[kind, *(counted.get(kind, 0) for counted in columns.values())] for kind in kinds]
    return table(title, ["packets", *(Column(name, "number") for name in columns)], rows)
