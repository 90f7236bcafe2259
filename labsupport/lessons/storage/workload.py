"""One workload on many drivers: seconds and bytes of each round, as ratios to one driver of the same round.

A ratio compares two runs of one round, made right after each other, so what else the computer does hits both alike.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from labsupport.display.figures import Limit, Measure, dots
from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Observation, Step

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Spread:
    """Several ratios of one driver: their median and their range."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return round(median(self.values), 2)

    @property
    def range(self) -> str:
        return f"{min(self.values):.2f} to {max(self.values):.2f}"


@dataclass
class Rounds:
    """What each driver needed in each round: `seconds` of the command, and how full its disk was after it.

    Args:
        against: the driver that the others are compared with; in `instead`, those that are compared with another.
    """

    against: str
    instead: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    disks: dict[str, list[int]] = field(default_factory=dict)
    origin: Origin = LIVE

    def add(self, driver: str, ran: Step, disk: Step) -> None:
        """Take in one run of the workload, and `df` of that driver's disk right after it.

        Raises:
            EvidenceError: the workload failed there.
        """
        self.add_time(driver, ran)
        self.start(driver, disk)

    def add_time(self, driver: str, ran: Step) -> None:
        """Take in one run whose disk is not looked at."""
        if not ran.succeeded:
            raise EvidenceError(
                ran.command, f"it failed on {driver}: {ran.stderr[-300:]}", "run the cells of this experiment again"
            )
        self.origin = Origin.of(ran)
        self.seconds.setdefault(driver, []).append(ran.seconds)

    def start(self, driver: str, disk: Step) -> None:
        """Note how full the driver's disk is before the first round."""
        self.disks.setdefault(driver, []).append(kilobytes_used(disk))

    def __iter__(self) -> Iterator[str]:
        return iter(self.seconds)

    def kilobytes(self, driver: str) -> list[int]:
        """What each round added to the driver's disk."""
        used = self.disks[driver]
        return [after - before for before, after in pairwise(used)]

    def kilobytes_a_round(self, driver: str) -> float:
        """The median of what a round adds; 0 for a driver that did not run here."""
        return median(self.kilobytes(driver)) if driver in self.disks else 0.0

    def time(self, driver: str) -> Spread:
        """Seconds of this driver by those of the one it is compared with, round by round."""
        return _ratios(self.seconds[driver], self.seconds[self._reference(driver)])

    def quickest(self, driver: str) -> float:
        """The least seconds of this driver by the least of the one it is compared with: those that nothing delayed."""
        return round(min(self.seconds[driver]) / max(min(self.seconds[self._reference(driver)]), 1e-9), 2)

    def disk(self, driver: str) -> Spread:
        """Bytes of this driver by those of the one it is compared with, round by round."""
        return _ratios(self.kilobytes(driver), self.kilobytes(self._reference(driver)))

    def time_figure(self) -> Shown:
        return self._figure("Time of the same work", self.time, "times as long")

    def disk_figure(self) -> Shown:
        return self._figure("Disk that the same work takes", self.disk, "times as many bytes")

    def table(self) -> Shown:
        """Medians of what was measured, and the ratios with their ranges."""
        columns: list[str | Column] = [
            Column("driver", "code"), Column("rounds", "number"), Column("seconds", "number"),
            Column("time ratio", "number"), "its range", Column("MB added", "number"), Column("disk ratio", "number"),
            "its range",
        ]  # fmt: skip
        rows: list[list[Cell]] = [
            [driver, len(self.seconds[driver]), median(self.seconds[driver]), self.time(driver).median,
             self.time(driver).range, median(self.kilobytes(driver)) * 1024 / MEGABYTE, self.disk(driver).median,
             self.disk(driver).range]
            for driver in self
        ]  # fmt: skip
        made = table("The same workload on every driver", columns, rows, note=f"medians; ratios to {self.against}")
        return self.origin.above(made.shown())

    def _reference(self, driver: str) -> str:
        return self.instead.get(driver, self.against)

    def _figure(self, title: str, ratio: Callable[[str], Spread], axis: str) -> Shown:
        measures = [
            Measure(f"{driver} : {self._reference(driver)}", ratio(driver).values)
            for driver in self
            if driver != self._reference(driver)
        ]
        count = len(self.seconds[self.against])
        drawn = dots(
            f"{title}, against overlay2 of the same release",
            measures,
            alt=f"Dots, {count} for each of {len(measures)} drivers, one a round, with the median as a bar across: "
            f"{axis} as overlay2 in the same round. A line at 1 is where both need the same.",
            axis=f"{axis} as overlay2 in the same round",
            unit="times",
            limit=Limit(1.0, "the same"),
        )
        return self.origin.above(drawn.shown())


@dataclass(frozen=True)
class Taken:
    """By how many KB each of several deeds, one after the other, made the disk of each engine fuller."""

    deeds: Sequence[str]
    kilobytes: Mapping[str, Sequence[int]]
    origin: Origin = LIVE

    def by(self, deed: str, engine: str) -> int:
        """What one deed took; 0 for an engine that did not run here."""
        return self.kilobytes[engine][list(self.deeds).index(deed)] if engine in self.kilobytes else 0

    def ratio(self, engine: str, other: str) -> float:
        """What all deeds took together under one engine, by that under another; 0 where one of them did not run."""
        if engine not in self.kilobytes or other not in self.kilobytes:
            return 0.0
        return round(sum(self.kilobytes[engine]) / max(sum(self.kilobytes[other]), 1), 2)

    def table(self) -> Shown:
        columns: list[str | Column] = [Column("engine", "code"), *(Column(deed, "number") for deed in self.deeds)]
        rows: list[list[Cell]] = [[engine, *numbers] for engine, numbers in self.kilobytes.items()]
        return self.origin.above(table("What each takes of the disk, in KB", columns, rows).shown())


def read_taken(disks: Mapping[str, Sequence[Step]], *deeds: str) -> Taken:
    """Read `df --output=used` of each engine's disk, before the first deed and after each."""
    found = {
        engine: [kilobytes_used(after) - kilobytes_used(before) for before, after in pairwise(steps)]
        for engine, steps in disks.items()
    }
    return Taken(deeds, found, Origin.of(next(iter(disks.values()))[0]))


def started(*engines: Observation, first: Sequence[str] = ()) -> list[str]:
    """The names of those engines of `lab.start_engines` that run; those of `first` come first."""
    names = [name for each in engines for name, one in each.value.items() if one["started"]]
    return sorted(names, key=lambda name: first.index(name) if name in first else len(first))


def starts_table(*engines: Observation) -> Shown:
    """Which engines run, and what those that don't said last."""
    rows: list[list[Cell]] = [
        [name, "yes" if one["started"] else f"no: {one['says'].strip().splitlines()[-1]}"]
        for each in engines
        for name, one in each.value.items()
    ]
    made = table("The engines, each with a disk of its own", [Column("engine", "code"), "started?"], rows)
    return Origin.of(engines[0]).above(made.shown())


def compare_times(rounds: Mapping[str, Rounds]) -> Shown:
    """Table the times of several sets of rounds: each driver's median and least, and the ratio of the least."""
    columns: list[str | Column] = [
        "", Column("driver", "code"), Column("rounds", "number"), Column("seconds, median", "number"),
        Column("least", "number"), Column("ratio of the least", "number"),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [name, driver, len(of_set.seconds[driver]), median(of_set.seconds[driver]), min(of_set.seconds[driver]),
         of_set.quickest(driver)]
        for name, of_set in rounds.items()
        for driver in of_set
    ]  # fmt: skip
    first = next(iter(rounds.values()))
    made = table("Time of docker create", columns, rows, note=f"ratios to {first.against}", header_columns=2)
    return first.origin.above(made.shown())


def kilobytes_used(disk: Step) -> int:
    """Read how much is used, from the last line of `df --output=used`.

    Raises:
        EvidenceError: that is no number.
    """
    return _number(disk, -1)


def growth_of(before: Mapping[str, Step], after: Mapping[str, Step]) -> dict[str, int]:
    """By how much the number that each driver's command printed has grown."""
    return {driver: _number(after[driver], -1) - _number(step, -1) for driver, step in before.items()}


def _number(step: Step, line: int) -> int:
    try:
        return int(step.lines[line].split()[-1])
    except (IndexError, ValueError):
        raise EvidenceError(
            step.command, f"it ends with no number: {(step.stdout + step.stderr)[-200:]!r}", "run the cell again"
        ) from None


def _ratios(values: Sequence[float], others: Sequence[float]) -> Spread:
    return Spread(tuple(value / max(other, 1e-9) for value, other in zip(values, others, strict=True)))
