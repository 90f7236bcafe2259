"""What an engine shows after each change of its daemon.json, and what lies in its folders all the same."""

from collections.abc import Mapping
from dataclasses import dataclass

from labsupport.display.markup import Shown
from labsupport.display.origin import Origin
from labsupport.display.tables import Cell, Column, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step


@dataclass(frozen=True)
class Sight:
    """What one start of the engine shows, and the bytes in the folders of either driver."""

    driver: str
    images: tuple[str, ...]
    containers: tuple[str, ...]
    overlay2_kilobytes: int
    snapshot_kilobytes: int


@dataclass(frozen=True)
class Switches:
    """What each start showed, by the daemon.json it was started with."""

    after: Mapping[str, Sight]
    origin: Origin

    def __getitem__(self, start: str) -> Sight:
        return self.after[start]

    def table(self) -> Shown:
        columns: list[str | Column] = [
            Column("daemon.json", "code"), Column("driver", "code"), "images shown", "containers shown",
            Column("MB in overlay2", "number"), Column("MB in snapshots", "number"),
        ]  # fmt: skip
        rows: list[list[Cell]] = [
            [start, one.driver, ", ".join(one.images) or "none", ", ".join(one.containers) or "none",
             one.overlay2_kilobytes / 1000, one.snapshot_kilobytes / 1000]
            for start, one in self.after.items()
        ]  # fmt: skip
        return self.origin.above(table("One data-root, started four times", columns, rows).shown())


def read_switches(steps: Mapping[str, Step]) -> Switches:
    """Read what `what_is_there.sh` printed after each start."""
    return Switches({start: _sight(step) for start, step in steps.items()}, Origin.of(next(iter(steps.values()))))


def _sight(step: Step) -> Sight:
    found: dict[str, list[str]] = {}
    for line in step.lines:
        key, colon, rest = line.partition(":")
        if colon:
            found[key] = rest.split()
        elif found:
            found[list(found)[-1]] += line.split()
    try:
        return Sight(
            found["driver"][0],
            tuple(sorted(found["images"])),
            tuple(sorted(found["containers"])),
            int((found["in overlay2, KB"] or ["0"])[0]),
            int((found["in snapshots, KB"] or ["0"])[0]),
        )
    except (KeyError, IndexError, ValueError) as error:
        raise EvidenceError(
            step.command, f"it did not say what is there: {error!r}; {step.stderr[-200:]}", "run the cell again"
        ) from None
