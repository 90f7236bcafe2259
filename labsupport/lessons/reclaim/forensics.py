"""What a search of files and of a raw disk found, volume by volume, and what follows for who can read it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labsupport.display.tables import Cell, Column, Table, table
from labsupport.experiments.steps import Step

_COUNTED = re.compile(r"^\s*(?P<count>\d+) <secret-of-(?P<volume>[a-z]+)>$", re.MULTILINE)


def read_counts(step: Step) -> dict[str, int]:
    """Read what `grep --only-matching … | sort | uniq -c` printed: how often each volume's secret was found."""
    return {found["volume"]: int(found["count"]) for found in _COUNTED.finditer(step.stdout)}


@dataclass(frozen=True)
class Looked:
    """One look for the secrets: in the files, and on the raw disk."""

    when: str
    files: Mapping[str, int]
    disk: Mapping[str, int]


def looks_table(looks: Sequence[Looked], volumes: Sequence[str]) -> Table:
    """How often each secret was found, a row for each volume and two columns for each look."""
    columns: list[str | Column] = ["volume"]
    for look in looks:
        columns += [Column(f"{look.when}: in files", "number"), Column(f"{look.when}: on the disk", "number")]
    rows: list[list[Cell]] = [
        [name, *(count for look in looks for count in (look.files.get(name, 0), look.disk.get(name, 0)))]
        for name in volumes
    ]
    return table("How often the secret is found", columns, rows)


@dataclass(frozen=True)
class Aftermath:
    """One volume after its claim: what is left of it, and who acted. All of it seen."""

    policy: str
    phase: str
    file_there: bool
    bytes_there: bool
    actors: Sequence[str]

    @property
    def readers(self) -> str:
        """Who can read the data, by what is left of it."""
        if self.file_there:
            return "whoever may mount the folder in a pod; whoever has the disk"
        return "whoever has the disk: root of the node, its next owner" if self.bytes_there else "nobody found a way"


def aftermath_table(rows: Sequence[Aftermath]) -> Table:
    """After the claim is gone: object? data? who acts? who can read?"""
    columns: list[str | Column] = [
        "policy", "the volume", "a file with the data", "bytes on the disk", Column("who acted", "prose"),
        Column("who can read it", "prose"),
    ]  # fmt: skip
    cells: list[list[Cell]] = [
        [each.policy, each.phase, each.file_there, each.bytes_there, ", ".join(each.actors) or "nobody", each.readers]
        for each in rows
    ]
    return table("After the claim is gone", columns, cells)
