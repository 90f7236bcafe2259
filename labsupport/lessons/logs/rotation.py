"""How many bytes a container's log takes while it grows: from samples of its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labsupport.display.figures import Limit, Line, lines
from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

MEGABYTE = 1_000_000
NAMES = {
    "rotate-never": "no limit",
    "rotate-50m-1": "max-size=50m, max-file=1",
    "rotate-10m-3": "max-size=10m, max-file=3",
}


@dataclass(frozen=True)
class Rotation:
    """For each container its samples: lines written so far, bytes of all its log files."""

    samples: Mapping[str, tuple[tuple[int, int], ...]] = field(hash=False)
    origin: Origin = LIVE

    def most_bytes(self, name: str) -> int:
        return max(size for _, size in self.samples[name])

    def figure(self) -> Shown:
        curves = [
            Line(NAMES.get(name, name), tuple((line / 1000, size / MEGABYTE) for line, size in found))
            for name, found in self.samples.items()
        ]
        rows: list[list[Cell]] = [
            [NAMES.get(name, name), found[-1][0], self.most_bytes(name), found[-1][1], len(found)]
            for name, found in self.samples.items()
        ]
        numbers = ("lines written", "most bytes seen", "bytes at the end", "samples")
        columns: list[str | Column] = ["options", *(Column(name, "number") for name in numbers)]
        title = "Bytes on disk while a container writes"
        drawn = lines(
            title,
            curves,
            alt="Three curves of bytes on disk over lines written. Without a limit it rises all the way; with one file "
            "of 50 MB it rises to that and drops to nothing, again and again; with three of 10 MB it stays below 30.",
            x="thousand lines written",
            y="megabytes on disk",
            twin=table(title, columns, rows),
            limit=Limit(50, "50 MB"),
        )
        return self.origin.above(drawn.shown())


def read_rotation(step: Step) -> Rotation:
    """Read the samples that rotate.sh prints: `name lines bytes`.

    Raises:
        EvidenceError: there are none, or a line is none.
    """
    samples: dict[str, list[tuple[int, int]]] = {}
    try:
        for line in step.lines:
            name, written, size = line.split()
            samples.setdefault(name, []).append((int(written), int(size)))
    except ValueError:
        samples.clear()
    if not samples:
        raise EvidenceError(step.command, f"no samples in {step.stdout[-200:]!r}", "run the cell again")
    return Rotation({name: tuple(dict.fromkeys(sorted(found))) for name, found in samples.items()}, Origin.of(step))
