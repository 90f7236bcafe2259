"""Reads how each container of the stop experiment ended, from the engine's own events and the service's words."""

import json
import shlex
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from labsupport.display.figures import Limit, Measure, bars
from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

NAME = "stop-"
SERVICE_SAID = "service: "
# In the order they are told about: the forms, then what mends them and what only seems to.
ORDER = (
    "exec", "dash", "dash-last", "dash-first", "bash", "bash-last", "bash-first", "busybox", "busybox-last",
    "busybox-first", "deaf", "repair-exec", "repair-trap", "repair-trap-wait", "init-dash", "init-deaf", "stopsignal",
)  # fmt: skip
TOLD, KILLED, ENDED = "told", "not told: killed", "not told: ended"


@dataclass(frozen=True)
class Stop:
    """How one container ended.

    Args:
        cmd: what the engine started.
        signals: what the engine sent, in order.
        seconds: from the first signal to the end, by the engine's clock.
        service_pid: 0 where no service spoke.
        told: the signal the service says it got, or "".
    """

    name: str
    cmd: tuple[str, ...]
    signals: tuple[str, ...]
    seconds: float
    exit_code: int
    service_pid: int
    told: str

    @property
    def outcome(self) -> str:
        return TOLD if self.told else KILLED if "KILL" in self.signals else ENDED

    @property
    def command(self) -> str:
        """What was started, as one would type it; an init is named before it."""
        init = "(init) " if self.name.startswith("init-") else ""
        return init + as_typed(self.cmd)


@dataclass(frozen=True)
class Stops:
    """Every container of the experiment, by its name without "stop-"."""

    by_name: dict[str, Stop] = field(hash=False)
    grace_seconds: float
    origin: Origin = LIVE

    def __getitem__(self, name: str) -> Stop:
        return self.by_name[name]

    def __iter__(self) -> Iterator[Stop]:
        return iter(self.by_name.values())

    @property
    def told(self) -> list[str]:
        """Names of the containers whose service says it got a signal."""
        return [stop.name for stop in self if stop.outcome == TOLD]

    @property
    def killed(self) -> list[str]:
        """Names of the containers that the engine had to kill."""
        return [stop.name for stop in self if stop.outcome == KILLED]

    def table(self) -> Shown:
        columns: list[str | Column] = [
            Column("container", "code"), Column("started", "code"), Column("service is PID", "number"), "sent",
            "service was told", Column("exit code", "number"), Column("seconds", "number"),
        ]  # fmt: skip
        rows: list[list[Cell]] = [
            [stop.name, stop.command, stop.service_pid or None, ",\N{NO-BREAK SPACE}".join(stop.signals),
             stop.told or "nothing", stop.exit_code, stop.seconds]
            for stop in self
        ]  # fmt: skip
        made = table("How each container ended", columns, rows, note=f"docker stop --timeout {self.grace_seconds:g}")
        return self.origin.above(made.shown())

    def figure(self) -> Shown:
        killed = len(self.killed)
        drawn = bars(
            "From docker stop to the end: was the service told?",
            [Measure(stop.name, (stop.seconds,), stop.outcome) for stop in self],
            alt=f"Horizontal bars, one for each of {len(self.by_name)} containers. {killed} of them last as long as "
            "the grace and are killed; the others end almost at once, but not in all of those was the service told.",
            axis="seconds",
            limit=Limit(self.grace_seconds, "grace period"),
        )
        return self.origin.above(drawn.shown())


def as_typed(argv: Sequence[str]) -> str:
    """Join words as one would type them: like shlex.join, but double quotes around single ones."""
    return " ".join(f'"{word}"' if "'" in word and '"' not in word else shlex.quote(word) for word in argv)


def read_stops(started: Step, stopped: Step, events: Step, logs: Step) -> Stops:
    """Put together what four commands printed.

    Args:
        started: of start-all.sh: name and CMD of each container.
        stopped: of `docker stop --timeout SECONDS …`.
        events: of `docker events --format json`, kill and die.
        logs: of logs.sh: "NAME | line".

    Raises:
        EvidenceError: a container's end is not among the events.
    """
    commands = {name: tuple(json.loads(cmd)) for name, _, cmd in (line.partition(" ") for line in started.lines)}
    seen: dict[str, list[dict[str, object]]] = {}
    for line in events.lines:
        event = json.loads(line)
        seen.setdefault(event["Actor"]["Attributes"]["name"], []).append(event)
    said: dict[str, list[str]] = {}
    for line in logs.lines:
        name, _, words = line.partition(" | ")
        said.setdefault(name, []).append(words)
    stops = {name: _stop(name, cmd, seen.get(name, []), said.get(name, []), events) for name, cmd in commands.items()}
    known = [NAME + name for name in ORDER]
    ordered = sorted(stops, key=lambda name: known.index(name) if name in known else len(known))
    return Stops({stops[name].name: stops[name] for name in ordered}, _grace(stopped), Origin.of(events))


def _stop(name: str, cmd: tuple[str, ...], seen: list[dict[str, object]], said: list[str], events: Step) -> Stop:
    def attribute(event: dict[str, object], key: str) -> int:
        return int(event["Actor"]["Attributes"][key])  # type: ignore[index]

    signals = [event for event in seen if event["Action"] == "kill"]
    ends = [event for event in seen if event["Action"] == "die"]
    if not signals or not ends:
        raise EvidenceError(
            events.command,
            f"no signal to {name}, or no end of it, among {len(seen)} events",
            "run the cells of this experiment again, from the one that starts the containers",
        )
    words = [line.removeprefix(SERVICE_SAID) for line in said if line.startswith(SERVICE_SAID)]
    ready = [int(line.split("PID ")[1].split(";")[0]) for line in words if line.startswith("ready as PID")]
    told = [line.rpartition(" ")[2] for line in words if line.startswith("told to stop")]
    return Stop(
        name.removeprefix(NAME),
        cmd,
        tuple(signal.Signals(attribute(event, "signal")).name.removeprefix("SIG") for event in signals),
        (int(str(ends[-1]["timeNano"])) - int(str(signals[0]["timeNano"]))) / 1e9,
        attribute(ends[-1], "exitCode"),
        ready[0] if ready else 0,
        told[0] if told else "",
    )


def _grace(stopped: Step) -> float:
    words = shlex.split(stopped.command)
    inside = shlex.split(words[-1]) if words[0] == "sh" else words
    return float(inside[inside.index("--timeout") + 1])
