"""Which numbered lines of a container arrived, how long it was held up, and what was lost: a stall, and a death."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from labsupport.display.figures import Line, lines
from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

HELD_UP_SECONDS = 0.7
LINES_OF_EACH = 300


@dataclass(frozen=True)
class Arrived:
    """The numbers of the lines that a collector has, as ranges."""

    ranges: tuple[tuple[int, int], ...] = ()

    @property
    def count(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def missing(self, written: int) -> str:
        """The ranges that are not there, of 1 to `written`; empty when all are."""
        gaps, after = [], 0
        for first, last in (*self.ranges, (written + 1, written + 1)):
            if first > after + 1:
                gaps.append(f"{after + 1}-{first - 1}" if first - after > 2 else str(after + 1))
            after = last
        return ", ".join(gaps)


@dataclass(frozen=True)
class Writer:
    """One container: what it wrote by when, what its collector has, and how many lines `docker logs` shows."""

    progress: tuple[tuple[float, int], ...]
    arrived: Arrived
    shown: int

    @property
    def written(self) -> int:
        return self.progress[-1][1]

    @property
    def lost(self) -> int:
        return self.written - self.arrived.count

    @property
    def longest_pause(self) -> float:
        times = [when for when, _ in self.progress]
        return max(later - earlier for earlier, later in pairwise(times))


@dataclass(frozen=True)
class Stall:
    """Two containers and one collector that stalls from `since` to `until`; seconds count from the first line."""

    since: float
    until: float
    writers: Mapping[str, Writer] = field(hash=False)
    origin: Origin = LIVE

    def __getitem__(self, mode: str) -> Writer:
        return self.writers[mode]

    def written_in(self, mode: str) -> int:
        """How many lines a container wrote while the collector stalled."""
        noted = self.writers[mode].progress
        before, by_then = (
            max((count for at, count in noted if at <= end), default=0) for end in (self.since, self.until)
        )
        return by_then - before

    def figure(self) -> Shown:
        title = "Lines written by two containers while their collector stalls"
        rows: list[list[Cell]] = [
            [mode, each.written, self.written_in(mode), each.longest_pause, each.arrived.count, each.lost,
             each.arrived.missing(each.written) or "none", each.shown]
            for mode, each in self.writers.items()
        ]  # fmt: skip
        numbers = ["lines written", "of these in the stall", "longest pause (s)", "lines at the collector", "lost"]
        columns: list[str | Column] = ["mode", *(Column(name, "number") for name in numbers), "which",
                   Column("lines docker logs shows", "number")]  # fmt: skip
        paused = " and ".join(f"{each.longest_pause:.1f} s with {mode}" for mode, each in self.writers.items())
        drawn = lines(
            title,
            [Line(mode, each.progress) for mode, each in self.writers.items()],
            alt="Two curves of lines written over seconds; a flat piece is a container that stands still. The longest "
            f"such pause is {paused}.",
            x="seconds",
            y="lines written",
            twin=table(title, columns, rows),
            spans=[(self.since, self.until, "collector stalls")],
        )
        return self.origin.above(drawn.shown())


@dataclass(frozen=True)
class Death:
    """What became of one container's lines whose collector died and came back."""

    driver: str
    arrived: Arrived
    shown: int


@dataclass(frozen=True)
class Deaths:
    """Every container of the experiment."""

    by_driver: Mapping[str, Death] = field(hash=False)
    origin: Origin = LIVE

    @property
    def with_losses(self) -> list[str]:
        """The drivers of which the collector lacks a line at the end."""
        return sorted(name for name, death in self.by_driver.items() if death.arrived.missing(LINES_OF_EACH))

    def table(self) -> Shown:
        numbers = [Column(name, "number") for name in ("arrived", "lost")]
        shown = Column("docker logs shows", "number")
        columns: list[str | Column] = [Column("driver", "code"), *numbers, "which lines", shown]
        rows: list[list[Cell]] = [
            [name, death.arrived.count, LINES_OF_EACH - death.arrived.count,
             death.arrived.missing(LINES_OF_EACH) or "none", death.shown]
            for name, death in self.by_driver.items()
        ]  # fmt: skip
        made = table(f"{LINES_OF_EACH} lines, and a collector that dies and comes back", columns, rows)
        return self.origin.above(made.shown())


def read_stall(when: Step, **modes: Sequence[Step]) -> Stall:
    """Put together what was seen of each mode.

    Args:
        when: of stall.sh.
        modes: by name, with `_` for `-`: the container's progress, what arrived, and how many lines are shown.

    Raises:
        EvidenceError: a number is missing.
    """
    stamps = dict(line.split() for line in when.lines if line.startswith(("stalled ", "resumed ")))
    progress = {mode.replace("_", "-"): _progress(steps[0]) for mode, steps in modes.items()}
    if set(stamps) != {"stalled", "resumed"}:
        raise EvidenceError(when.command, f"it does not say when: {when.stdout!r}", "run the cell again")
    start = min(found[0][0] for found in progress.values())
    writers = {}
    for mode, (_, arrived, shown) in modes.items():
        name = mode.replace("_", "-")
        moved = tuple((at - start, count) for at, count in progress[name])
        writers[name] = Writer(moved, arrived_of(arrived.output.split(), arrived.command), int(shown.output))
    return Stall(float(stamps["stalled"]) - start, float(stamps["resumed"]) - start, writers, Origin.of(when))


def read_deaths(died: Step) -> Deaths:
    """Read what died.sh prints.

    Raises:
        EvidenceError: they printed something else.
    """
    deaths = {}
    for line in died.lines:
        driver, ranges, shown = line.split(" | ")
        deaths[driver] = Death(driver, arrived_of(ranges.split(), died.command), int(shown))
    return Deaths(deaths, Origin.of(died))


def arrived_of(words: Sequence[str], command: str) -> Arrived:
    """Read ranges such as `1-800 802-900`.

    Raises:
        EvidenceError: a word is none.
    """
    ranges = []
    for word in words:
        first, dash, last = word.partition("-")
        if not (dash and first.isdecimal() and last.isdecimal()):
            raise EvidenceError(command, f"not a range of lines: {word!r}", "run the cell again")
        ranges.append((int(first), int(last)))
    return Arrived(tuple(ranges))


def _progress(step: Step) -> tuple[tuple[float, int], ...]:
    try:
        found = tuple((float(at), int(count)) for at, count in (line.split() for line in step.lines))
    except ValueError:
        found = ()
    if len(found) < 2:
        raise EvidenceError(step.command, f"no progress in {step.stdout[:200]!r}", "run the cells again")
    return found
