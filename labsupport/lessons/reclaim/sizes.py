"""What a greedy pod could write to each of its volumes: reads its log, and tables it."""

import re
from dataclasses import dataclass

from labsupport.display.tables import Cell, Column, Table, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

MIB = 1 << 20
_TOOK = re.compile(r"^(?P<volume>\S+) took (?P<bytes>\d+) bytes$", re.MULTILINE)


@dataclass(frozen=True)
class Taken:
    """How much a volume took, and what the pod was told when it took no more."""

    volume: str
    mebibytes: float
    said: str


def read_sizes(log: Step) -> dict[str, Taken]:
    """Read the log of the pod `greedy`.

    Raises:
        EvidenceError: it tells of no volume.
    """
    said = {line.partition(": ")[0]: line.partition(": ")[2] for line in log.lines if ": " in line}
    found = [(each["volume"], int(each["bytes"])) for each in _TOOK.finditer(log.stdout)]
    if not found:
        raise EvidenceError(
            log.command, f"it says nothing of what was written: {log.output[-300:]!r}", "`kubectl get pod greedy`"
        )
    return {name: Taken(name, size / MIB, said.get(name, "")) for name, size in found}


def sizes_table(taken: dict[str, Taken], claimed_mebibytes: float) -> Table:
    """A row for each volume."""
    rows: list[list[Cell]] = [
        [each.volume, claimed_mebibytes, each.mebibytes, each.mebibytes > claimed_mebibytes, each.said or None]
        for each in taken.values()
    ]
    columns: list[str | Column] = [
        "volume", Column("claimed, MiB", "number"), Column("written, MiB", "number"), "more than claimed?",
        Column("what the pod was told", "prose"),
    ]  # fmt: skip
    return table("Claimed and written", columns, rows)
