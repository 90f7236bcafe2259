"""Reads what the kernel counts for containers with limits: processor time over time, and how memory ends came about."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labsupport.display.figures import Line, lines
from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

UNITS = {"ns": 1e-9, "us": 1e-6, "": 1.0}


@dataclass(frozen=True)
class Sample:
    """What the kernel had counted for a cgroup at one moment; times in seconds."""

    at: float
    periods: int
    throttled_periods: int
    throttled_seconds: float
    used_seconds: float


@dataclass(frozen=True)
class Usage:
    """The samples of some containers, by name, in the order they were asked for."""

    samples: Mapping[str, tuple[Sample, ...]]
    origin: Origin = LIVE

    def cores(self, name: str) -> float:
        """Processor time used per second, between the first sample and the last."""
        first, last = self._ends(name)
        return (last.used_seconds - first.used_seconds) / (last.at - first.at)

    def throttled_periods(self, name: str) -> int:
        first, last = self._ends(name)
        return last.throttled_periods - first.throttled_periods

    def throttled_seconds(self, name: str) -> float:
        first, last = self._ends(name)
        return last.throttled_seconds - first.throttled_seconds

    def figure(self) -> Shown:
        names = list(self.samples)
        drawn = lines(
            "Time that the kernel made each container wait",
            [Line(f"{name} cores", self._waited(name)) for name in names],
            alt=f"One rising curve for each of the quotas {', '.join(names)}: while a loop runs, the kernel's count of "
            "throttled time grows, and the smaller the quota, the faster.",
            x="seconds",
            y="seconds throttled, added up",
            twin=self._twin(),
        )
        return self.origin.above(drawn.shown())

    def table(self) -> Shown:
        return self.origin.above(self._twin().shown())

    def _twin(self) -> Table:
        numbers = ["watched (s)", "used (s)", "cores used", "periods throttled", "throttled (s)"]
        columns = [Column("container", "code"), *(Column(name, "number") for name in numbers)]
        rows: list[Sequence[Cell]] = []
        for name in self.samples:
            first, last = self._ends(name)
            rows.append([name, last.at - first.at, last.used_seconds - first.used_seconds, self.cores(name),
                         self.throttled_periods(name), self.throttled_seconds(name)])  # fmt: skip
        return table("What the kernel counted", columns, rows, note="from cpu.stat, ten times a second")

    def _waited(self, name: str) -> tuple[tuple[float, float], ...]:
        first, _ = self._ends(name)
        return tuple(
            (sample.at - first.at, sample.throttled_seconds - first.throttled_seconds) for sample in self.samples[name]
        )

    def _ends(self, name: str) -> tuple[Sample, Sample]:
        samples = self.samples[name]
        return samples[0], samples[-1]


def read_usage(step: Step) -> Usage:
    """Read what sample-cpu.sh printed.

    Raises:
        EvidenceError: a line is not its, or a container has fewer than two samples.
    """
    found: dict[str, list[Sample]] = {}
    for line in step.lines:
        words = line.split()
        if len(words) != 6:
            raise _unreadable(step, f"the line {line!r}")
        at, name, periods, throttled, waited, used = words
        found.setdefault(name, []).append(
            Sample(float(at), int(periods), int(throttled), _seconds(waited, step), _seconds(used, step))
        )
    if not found or any(len(samples) < 2 for samples in found.values()):
        raise _unreadable(step, f"{sum(map(len, found.values()))} samples; {step.stderr.strip()}")
    return Usage({name: tuple(samples) for name, samples in found.items()}, Origin.of(step))


def sampling(containers: Mapping[str, str], *, samples: int) -> str:
    """The command that runs sample-cpu.sh, from standard input, for containers by name and id."""
    named = " ".join(f"{name}={container}" for name, container in containers.items())
    mount = "--volume /sys/fs/cgroup:/cgroups:ro"
    return f"docker run --rm --interactive {mount} lab/toolbox sh -s {samples} {named}"


def shares_table(alone: Usage, both: Usage) -> Shown:
    """Cores used by each container of the one core they share."""
    rows: list[list[Cell]] = [["100 shares, alone", alone.cores("100")]]
    rows += [[f"{name} shares, beside the other", both.cores(name)] for name in both.samples]
    made = table("Use of one core", ["container", Column("cores used", "number")], rows)
    return both.origin.above(made.shown())


def sizes(step: Step) -> list[int]:
    """Total megabytes and processors, as `free -m; nproc` prints them."""
    total = re.search(r"^Mem:\s+(\d+)", step.stdout, re.MULTILINE)
    if total is None or not step.lines[-1].strip().isdigit():
        raise EvidenceError(step.command, f"it printed {step.stdout!r}", "run it with `free -m; nproc`")
    return [int(total[1]), int(step.lines[-1])]


def sees_others(step: Step) -> bool:
    """Whether `ps` showed more than itself."""
    return len(step.lines) > 2


def script(name: str) -> str:
    """The text of a shell script of this notebook, for `sh -s` wherever its file cannot be seen."""
    return (Path("assets/01-cgroup-drivers") / name).read_text(encoding="utf-8")


def _seconds(text: str, step: Step) -> float:
    found = re.fullmatch(r"(\d+)(ns|us|)", text)
    if found is None:
        raise _unreadable(step, f"the time {text!r}")
    return int(found[1]) * UNITS[found[2]]


def _unreadable(step: Step, what: str) -> EvidenceError:
    return EvidenceError(step.command, f"not what sample-cpu.sh prints: {what}", "run the cell that starts it again")


@dataclass(frozen=True)
class Ending:
    """How one container ended: by the engine, and by the kernel's own counter where the container could print it."""

    name: str
    exit_code: int
    oom_killed: bool
    kernel_kills: int | None


@dataclass(frozen=True)
class Endings:
    """Some containers that ended, by name."""

    by_name: Mapping[str, Ending]
    origin: Origin = LIVE

    def __getitem__(self, name: str) -> Ending:
        return self.by_name[name]

    def table(self) -> Shown:
        rows: list[list[Cell]] = [
            [end.name, end.exit_code, end.oom_killed, end.kernel_kills] for end in self.by_name.values()
        ]
        columns: list[str | Column] = ["container", Column("exit code", "number"), "engine says OOMKilled",
                   Column("kernel's oom_kill", "number")]  # fmt: skip
        return self.origin.above(table("Four ends", columns, rows, note="-: nobody was left to read it").shown())


def read_endings(inspected: Step, *said: Step) -> Endings:
    """Read `docker inspect --format '{{json .}}' …`, and what the containers printed of the kernel's counter."""
    counted = {_name_in(step): _kills_in(step) for step in said}
    found = {}
    for line in inspected.lines:
        record = json.loads(line)
        name = str(record["Name"]).lstrip("/")
        state = record["State"]
        found[name] = Ending(name, int(state["ExitCode"]), bool(state["OOMKilled"]), counted.get(name))
    return Endings(found, Origin.of(inspected))


def _name_in(step: Step) -> str:
    named = re.search(r"--name[ =](\S+)", step.command)
    return named[1] if named else ""


def _kills_in(step: Step) -> int | None:
    found = re.search(r"^oom_kill (\d+)$", step.stdout, re.MULTILINE)
    return int(found[1]) if found else None
