"""Reads what a daemon leaves behind: what its containers noted while it was away, what a registry saw it ask for."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labsupport.display.figures import Line, draw, lines
from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.style import HATCHES, PAPER, SERIES
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step


@dataclass(frozen=True)
class Absence:
    """When containers noted the time, and from when to when their daemon was away, in seconds since the first note."""

    notes: Mapping[str, tuple[float, ...]]
    away_from: float
    away_until: float
    origin: Origin = LIVE

    def while_away(self, name: str) -> int:
        """How many times a container noted the time in the second half of the absence: what was buffered is full."""
        middle = (self.away_from + self.away_until) / 2
        return sum(middle < at < self.away_until for at in self.notes[name])

    def afterwards(self, name: str) -> int:
        return sum(at > self.away_until for at in self.notes[name])

    def longest_pause(self, name: str) -> float:
        """The longest time without a note, in seconds."""
        notes = self.notes[name]
        return max(later - earlier for earlier, later in itertools.pairwise(notes))

    def figure(self) -> Shown:
        drawn = lines(
            "Progress of two containers while their daemon is away",
            [Line(name, tuple((at, float(count)) for count, at in enumerate(notes, 1)))
             for name, notes in self.notes.items()],
            alt="Two rising curves. While the daemon is away the quiet container goes on; the loud one soon stands "
            "still, and goes on when the daemon is back.",
            x="seconds",
            y="times noted",
            twin=self._twin(),
            spans=[(self.away_from, self.away_until, "no daemon")],
        )  # fmt: skip
        return self.origin.above(drawn.shown())

    def _twin(self) -> Table:
        numbers = ["notes before", "in the first half of the absence", "in the second half", "afterwards", "pause (s)"]
        columns: list[str | Column] = ["container", *(Column(name, "number") for name in numbers)]
        middle = (self.away_from + self.away_until) / 2
        rows: list[Sequence[Cell]] = [
            [name, sum(at <= self.away_from for at in notes), sum(self.away_from < at <= middle for at in notes),
             self.while_away(name), self.afterwards(name), self.longest_pause(name)]
            for name, notes in self.notes.items()
        ]  # fmt: skip
        return table("How often each noted the time", columns, rows)


def read_absence(gone: Step, back: Step, notes: Mapping[str, Step]) -> Absence:
    """Put together what three kinds of commands printed.

    Args:
        gone: of end-daemon.sh.
        back: field 22 of /proc/PID/stat of the new daemon: its start, in hundredths of a second since the machine's.
        notes: the file of each container.

    Raises:
        EvidenceError: a container noted nothing, or the daemon's end is not told.
    """
    ended = re.search(r"gone at ([\d.]+)", gone.stdout)
    times = {name: tuple(float(line) for line in step.lines) for name, step in notes.items()}
    if ended is None or any(len(noted) < 2 for noted in times.values()):
        raise EvidenceError(
            gone.command,
            f"the end of the daemon: {gone.output!r}; notes: { {name: len(noted) for name, noted in times.items()} }",
            "run the cells of this experiment again, from the one that opens its trial",
        )
    start = min(noted[0] for noted in times.values())
    moved = {name: tuple(round(at - start, 2) for at in noted) for name, noted in times.items()}
    return Absence(moved, float(ended[1]) - start, float(back.output) / 100 - start, Origin.of(gone))


def numbers_lost(logs: Step) -> list[int]:
    """Numbers missing between the first and the last that a container printed, one to a line."""
    seen = {int(line) for line in logs.lines if line.isdigit()}
    return [number for number in range(min(seen), max(seen)) if number not in seen] if seen else []


@dataclass(frozen=True)
class Download:
    """One layer asked for: from when to when, in seconds since the registry's link started."""

    start: float
    end: float


@dataclass(frozen=True)
class Downloads:
    """The layers of one pull, in the order they were asked for."""

    layers: tuple[Download, ...]
    origin: Origin = LIVE

    @property
    def most_at_once(self) -> int:
        return max((sum(one.start <= each.start < one.end for one in self.layers) for each in self.layers), default=0)


def read_downloads(log: Step, image: Step) -> list[Downloads]:
    """Split what slow-link printed into pulls (each begins with asking for the tag), and count their layers.

    Args:
        log: of `docker logs link`.
        image: the image's id, which is the digest of its configuration: that blob is no layer.
    """
    configuration = image.output
    pulls: list[list[Download]] = []
    for line in log.lines:
        asked = json.loads(line)
        path = str(asked["path"])
        if asked["method"] == "HEAD" and "/manifests/" in path:
            pulls.append([])
        if asked["method"] == "GET" and "/blobs/" in path and not path.endswith(configuration) and pulls:
            pulls[-1].append(Download(float(asked["start"]), float(asked["end"])))
    return [Downloads(tuple(sorted(pull, key=lambda each: each.start)), Origin.of(log)) for pull in pulls]


def downloads_figure(pulls: Mapping[str, Downloads]) -> Shown:
    """One bar a layer, from asking for it to having it, for each pull in turn."""
    rows: list[tuple[str, int, Download]] = []
    for name, pull in pulls.items():
        rows += [(name, number, layer) for number, layer in enumerate(pull.layers, 1)]
    zero = {name: pull.layers[0].start for name, pull in pulls.items()}

    def paint(axes: Any) -> None:
        for index, name in enumerate(pulls):
            mine = [(row, layer) for row, (whose, _, layer) in enumerate(rows) if whose == name]
            axes.barh(
                [row for row, _ in mine],
                [layer.end - layer.start for _, layer in mine],
                left=[layer.start - zero[name] for _, layer in mine],
                height=0.7,
                color=SERIES[index].light,
                hatch=HATCHES[index],
                edgecolor=PAPER.light,
                linewidth=0,
                label=name,
            )
        axes.set_yticks(range(len(rows)), [f"layer {number}" for _, number, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel("seconds since the first layer was asked for")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(pulls))

    columns: list[str | Column] = [
        "pull",
        "layer",
        Column("asked for at (s)", "number"),
        Column("there at (s)", "number"),
    ]
    cells: list[Sequence[Cell]] = [
        [name, f"layer {number}", layer.start - zero[name], layer.end - zero[name]] for name, number, layer in rows
    ]
    told = "; ".join(f"{name}: at most {pull.most_at_once} at once" for name, pull in pulls.items())
    drawn = draw(
        "When the layers were asked for",
        paint,
        alt=f"Horizontal bars over time, one for each layer of {len(pulls)} pulls. {told}.",
        twin=table("When the layers were asked for", columns, cells, note=told, header_columns=2),
        rows=len(rows) * 0.8,
    )
    return next(iter(pulls.values())).origin.above(drawn.shown())


def levels(step: Step) -> dict[str, int]:
    """Read `… | sort | uniq -c` of a daemon's log: how many lines of each level."""
    counted = (line.split() for line in step.lines)
    return {level.removeprefix("level="): int(count) for count, level in counted}
