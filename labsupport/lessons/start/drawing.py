"""The lab as boxes within boxes: this computer, the machines in it, and the processes and containers on each."""

from collections.abc import Mapping
from typing import Any

from labsupport.display.boxes import Box, boxes
from labsupport.display.figures import Figure
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.experiments.steps import Observation

TITLE = "What runs where"


def drawing(seen: Observation) -> Figure:
    """Draw what `whereabouts` saw."""
    computer, machines = seen["computer"], seen["machines"]
    memory = f"{computer['processors']} processors, {computer['memory_megabytes'] / 1024:.0f} GiB of memory"
    outer, *inner = [_box(machine) for machine in machines]
    within = Box(outer.name, outer.note, outer.items, (*outer.boxes, *inner))
    alt = (
        f"Boxes within boxes. This computer holds the lab's machine, with {len(machines[0]['processes'])} processes "
        f"and {len(inner)} machines inside: {', '.join(machine['name'] for machine in machines[1:]) or 'none'}."
    )
    return boxes(
        TITLE, Box("Your computer", f"{computer['kernel']}, {memory}", (), (within,)), alt=alt, twin=_twin(seen)
    )


def memory_table(seen: Observation) -> Table:
    """How much memory each machine of the lab takes."""
    rows: list[list[Cell]] = [
        [machine["name"], machine["what"], len(_members(machine)), sum(size for _, _, size in _members(machine))]
        for machine in seen["machines"]
    ]
    columns: list[str | Column] = ["machine", "what it is", Column("processes", "number"), Column("MB", "number")]
    return table("What the lab takes", columns, rows, note="memory that two processes share is counted for both")


def _box(machine: Mapping[str, Any]) -> Box:
    held = tuple(
        Box(each["name"], f"{each['megabytes']} MB", tuple(each["processes"]), ()) for each in machine["containers"]
    )
    running = tuple(f"{each['name']} {each['megabytes']} MB" for each in machine["processes"])
    return Box(machine["name"], f"{machine['what']}, at {machine['address']}", running, held)


def _members(machine: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Return process, container and megabytes of all that runs on a machine; a container's is one sum."""
    own = [(each["name"], "", each["megabytes"]) for each in machine["processes"]]
    held = [(", ".join(each["processes"]), each["name"], each["megabytes"]) for each in machine["containers"]]
    return [*own, *held]


def _twin(seen: Observation) -> Table:
    rows = [[machine["name"], *member] for machine in seen["machines"] for member in _members(machine)]
    return table(TITLE, ["machine", "process", "container or pod", Column("MB", "number")], rows)
