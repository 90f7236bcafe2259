"""Reads the subvolumes of a btrfs file system: which is a snapshot of which."""

from dataclasses import dataclass

from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

NO_PARENT = "-"


@dataclass(frozen=True)
class Subvolume:
    """One subvolume; `parent` is the uuid of the one it is a snapshot of, or `-`."""

    path: str
    uuid: str
    parent: str


@dataclass(frozen=True)
class Subvolumes:
    """All of them, in the order they were made."""

    all: tuple[Subvolume, ...]
    origin: Origin = LIVE

    def chain_of_newest(self) -> list[Subvolume]:
        """The newest subvolume, then what it is a snapshot of, and so on to one that is none."""
        by_uuid = {one.uuid: one for one in self.all}
        chain = [self.all[-1]]
        while chain[-1].parent in by_uuid:
            chain.append(by_uuid[chain[-1].parent])
        return chain

    def table(self) -> Shown:
        chain = self.chain_of_newest()
        rows: list[list[Cell]] = [
            [one.path, below.path if below else "nothing: it is the lowest"]
            for one, below in zip(chain, [*chain[1:], None], strict=True)
        ]
        columns: list[str | Column] = [Column("subvolume", "code"), Column("is a snapshot of", "code")]
        return self.origin.above(table("A container under btrfs, topmost first", columns, rows).shown())


def read_subvolumes(step: Step) -> Subvolumes:
    """Read `btrfs subvolume list -q -u`.

    Raises:
        EvidenceError: it lists none.
    """
    found = [_subvolume(line.split()) for line in step.lines if " parent_uuid " in line]
    if not found:
        raise EvidenceError(step.command, f"it lists no subvolume: {step.stderr[-200:]!r}", "run the cell again")
    return Subvolumes(tuple(found), Origin.of(step))


def _subvolume(words: list[str]) -> Subvolume:
    def after(word: str) -> str:
        return words[words.index(word) + 1]

    return Subvolume(after("path"), after("uuid"), after("parent_uuid"))
