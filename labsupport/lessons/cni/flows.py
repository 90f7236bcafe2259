"""Reads what `ovs-ofctl dump-flows` prints: which flow took how many packets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from labsupport.display.tables import Column, Table, table
from labsupport.experiments.steps import Step

# cookie=0x0, duration=1.5s, table=40, n_packets=3, n_bytes=222, priority=50,ip,nw_dst=10.244.1.4 actions=drop
_COUNTED = re.compile(r"table=(\d+), n_packets=(\d+)")
_PRIORITY = re.compile(r"priority=(\d+),?")
USUAL_PRIORITY = 0x8000  # not printed
DROP = "drop"


@dataclass(frozen=True)
class Flow:
    """One flow: for which packets (`match` is empty for all), what is done, and how many it took so far."""

    table: int
    priority: int
    match: str
    action: str
    packets: int


def read_flows(dump: Step) -> list[Flow]:
    """Return the flows in the order in which a table is searched."""
    found = []
    for line in dump.lines:
        if seen := _COUNTED.search(line):
            what = line.split(", ")[-1].strip()
            match, _, action = what.partition(" actions=")
            priority = _PRIORITY.search(match)
            number = int(priority[1]) if priority else USUAL_PRIORITY
            found.append(Flow(int(seen[1]), number, _PRIORITY.sub("", match), action, int(seen[2])))
    return sorted(found, key=lambda flow: (flow.table, -flow.priority))


def packets_dropped(dump: Step) -> int:
    """How many packets the flows of a dump have dropped."""
    return sum(flow.packets for flow in read_flows(dump) if flow.action == DROP)


def flows_table(title: str, dumps: Mapping[str, Step]) -> Table:
    """Each flow and how many packets it had taken at each moment; a dash where it was not there."""
    moments = [{(each.priority, each.match, each.action): each for each in read_flows(dump)} for dump in dumps.values()]
    flows = dict.fromkeys(key for moment in reversed(moments) for key in moment)
    columns: list[str | Column] = [Column("priority", "number"), Column("packets that are", "code")]
    columns += [Column("what is done", "code"), *(Column(name, "number") for name in dumps)]
    rows = [
        [priority, match or "any", action, *(_packets(moment, (priority, match, action)) for moment in moments)]
        for priority, match, action in sorted(flows, key=lambda key: -key[0])
    ]
    return table(title, columns, rows, note="packets taken", header_columns=2)


def _packets(moment: Mapping[tuple[int, str, str], Flow], key: tuple[int, str, str]) -> int | str:
    return moment[key].packets if key in moment else "—"
