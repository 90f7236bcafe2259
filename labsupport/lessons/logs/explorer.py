"""The widget: a driver, what its collector does, and the mode: does the container start, wait, lose lines?"""

import re
from dataclasses import dataclass, field
from typing import Protocol

from labsupport.display.explorer import Explorer, Played, Position, Question
from labsupport.display.origin import Origin
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step
from labsupport.experiments.trial import Trial
from labsupport.lessons.logs.loss import HELD_UP_SECONDS, Arrived, arrived_of

DRIVERS = ("fluentd", "fluentd-async", "syslog-udp")
STATES = ("listens", "absent", "stalls", "dies")
MODES = ("blocking", "non-blocking")
WRITTEN = 4000
REFUSED = "it does not start"
OUTCOMES = {
    (False, False): "nothing is lost, nobody waits",
    (True, False): "the container is held up, nothing is lost",
    (False, True): "lines are lost, the container goes on",
    (True, True): "the container is held up, and lines are lost",
}


class Collectors(Protocol):
    """What brings collectors back that a position has stopped."""

    def start(self, *names: str) -> None: ...


@dataclass(frozen=True)
class Fate:
    """What became of a container and its lines; `refused` is the engine's word, and the rest is empty then."""

    refused: str = ""
    written: int = 0
    longest_pause: float = 0.0
    arrived: Arrived = field(default_factory=Arrived)
    shown: str = ""

    @property
    def outcome(self) -> str:
        if self.refused:
            return REFUSED
        return OUTCOMES[self.longest_pause > HELD_UP_SECONDS, self.arrived.count < self.written]

    def table(self) -> Table:
        if self.refused:
            return table("What was seen", ["", "seen"], [["the engine said", self.refused]])
        rows: list[list[Cell]] = [
            ["lines the container wrote", self.written],
            ["its longest pause, in seconds", round(self.longest_pause, 1)],
            ["lines at the collector", self.arrived.count],
            ["lines docker logs shows", self.shown],
        ]
        return table("What was seen", ["", Column("seen", "number")], rows)


def fate_explorer(trial: Trial, collectors: Collectors) -> Explorer:
    """Make the widget; its containers run in `trial`."""

    def play(position: Position) -> Played:
        collectors.start()
        step = trial.run(_command(position), on="machine", repeatable=True, within_seconds=240)
        collectors.start()
        fate = read_fate(step)
        return Played(fate.table(), fate.outcome, explanation(position, fate))

    return Explorer(
        "What becomes of the container and its lines?",
        {"driver": DRIVERS, "the collector": STATES, "mode": MODES},
        play,
        question=Question("What happens:", answers=(REFUSED, *OUTCOMES.values())),
        preview=_command,
        origin=Origin.of_trial(trial),
    )


def _command(position: Position) -> str:
    driver, state, mode = position["driver"], position["the collector"], position["mode"]
    return f"sh assets/02-log-drivers/fate.sh {driver} {state} {mode}"


def read_fate(step: Step) -> Fate:
    """Read what fate.sh prints.

    Raises:
        EvidenceError: it printed neither a refusal nor all that is asked for.
    """
    said = dict(re.findall(r"^([a-z ]+): ?(.*)$", step.stdout, re.MULTILINE))
    if "refused" in said:
        return Fate(refused=said["refused"])
    try:
        ranges = arrived_of(said["arrived"].split(), step.command)
        return Fate("", int(said["written"]), float(said["longest pause"]), ranges, said["docker logs"])
    except (KeyError, ValueError):
        last = (step.stderr or step.stdout).strip()[-300:]
        raise EvidenceError(step.command, f"it did not say what happened: {last!r}", "run it again") from None


def explanation(position: Position, fate: Fate) -> str:
    """Say why it came out so."""
    driver, state = position["driver"], position["the collector"]
    waits = position["mode"] == "blocking"
    if fate.refused:
        return (
            "This driver connects before the container starts, and without a connection the engine does not start "
            "it. The mode plays no part yet: it is about lines, and there are none."
        )
    if driver == "syslog-udp":
        return (
            "UDP has no connection and no answer: the driver sends, and never learns what arrives. Where nobody "
            "reads fast enough, the kernel drops datagrams, even without any trouble at the collector."
        )
    if state == "listens":
        return "The collector reads as fast as the container writes."
    if driver == "fluentd-async":
        return (
            "This driver keeps lines in memory of its own and sends them in the background, whatever the mode. What "
            "is still there when it gives up, or the container ends, is lost."
        )
    if state == "absent":
        return "The driver did not ask for its collector before the start."
    if state == "stalls":
        return (
            "The driver waits until the collector reads again; behind it the pipe fills, and the container's next "
            "write waits too."
            if waits
            else "The engine takes the lines into a buffer of 1 MB. When that is full, it drops them."
        )
    return (
        "The driver finds its connection broken and tries to connect again. What it had handed to the kernel is gone; "
        + ("meanwhile it takes no other line." if waits else "what does not fit into the buffer goes too.")
    )
