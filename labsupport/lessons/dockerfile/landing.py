"""What COPY and ADD left in an image: reads `stat` lines, one for each file, and tables them."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from labsupport.display.tables import Cell, Column, Table, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

FIELDS = 6
# The context's files are all of this day; anything else was made anew.
THE_DAY = datetime.date(2001, 2, 3)
BOTH = ("file", "folder", "link", "tar", "targz", "zip")


@dataclass(frozen=True)
class Landed:
    """One file, folder or link that a stage has in /out."""

    stage: str
    name: str
    kind: str
    mode: str
    owner: str
    date: datetime.date

    @property
    def as_seen(self) -> tuple[str, str, str, str, datetime.date]:
        return (self.name, self.kind, self.mode, self.owner, self.date)


@dataclass(frozen=True)
class Landing:
    """All that landed, stage by stage."""

    entries: tuple[Landed, ...]

    def of(self, stage: str) -> list[Landed]:
        return [entry for entry in self.entries if entry.stage == stage]

    def names(self, stage: str) -> list[str]:
        """What a stage has, folders left aside."""
        return [entry.name for entry in self.of(stage) if entry.kind != "directory"]

    def differing(self) -> list[str]:
        """The kinds of source with which COPY and ADD leave something else."""
        return [
            source
            for source in BOTH
            if [each.as_seen for each in self.of(f"copy-{source}")]
            != [each.as_seen for each in self.of(f"add-{source}")]
        ]

    def table(self) -> Table:
        """A row for each file, COPY and ADD of one source beside each other."""
        beside = sorted(self.entries, key=lambda each: (*reversed(each.stage.split("-", 1)), each.name))
        rows: list[list[Cell]] = [
            [each.stage, each.name, each.kind, each.mode, each.owner, "the source's" if each.date == THE_DAY else "new"]
            for each in beside
        ]
        columns: list[str | Column] = [
            "stage", Column("in /out", "code"), "kind", Column("mode", "code"), Column("owner", "code"), "date",
        ]  # fmt: skip
        return table("What landed", columns, rows, header_columns=2)


def read_landing(step: Step) -> Landing:
    """Read lines of stage/name|kind|mode|owner|seconds|bytes.

    Raises:
        EvidenceError: there are none.
    """
    entries = [_entry(line.split("|")) for line in step.lines if line.count("|") == FIELDS - 1]
    if not entries:
        raise EvidenceError(
            step.command, f"no file is listed: {step.output[-200:]!r}", "build the stage `report` again"
        )
    return Landing(tuple(entries))


def _entry(fields: Sequence[str]) -> Landed:
    path, kind, mode, owner, seconds, _ = fields
    stage, _, name = path.partition("/")
    date = datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).date()
    return Landed(stage, name, kind, mode, owner, date)
