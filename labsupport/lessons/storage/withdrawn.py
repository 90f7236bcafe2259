"""Drivers that an engine was asked for and what it said: the old engine and today's, side by side."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, table
from labsupport.experiments.steps import Observation, Step

STARTED = "(started)"
_MESSAGE = re.compile(r'\bmsg="(?P<message>(?:[^"\\]|\\.)*)"')
_ERROR = re.compile(r'\berror="(?P<error>(?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Answers:
    """What each engine said when it was asked for a driver, and what its log has on it."""

    said: Mapping[str, str]
    logged: Mapping[str, str]
    origin: Origin = LIVE

    def __getitem__(self, engine: str) -> str:
        """The last words of a daemon that did not start, without the path of its folder; or `(started)`."""
        return self.said[engine]

    def knows(self, engine: str) -> bool:
        """Whether the daemon's log has a word on that driver of its own: it knows it, even if it can't use it."""
        return "storage-driver is deprecated" in self.logged.get(engine, "")

    def table(self, pairs: Mapping[str, tuple[str, str]]) -> Shown:
        """Show driver → (today's engine, the old one), by the names the two were started under."""
        rows: list[list[Cell]] = [
            [driver, self.said[today], self.said[old], self.logged.get(old) or None]
            for driver, (today, old) in pairs.items()
        ]
        columns: list[str | Column] = [
            Column("driver", "code"), Column("Docker 29", "prose"), Column("Docker 20.10", "prose"),
            Column("and its log", "prose"),
        ]  # fmt: skip
        return self.origin.above(table("What each engine says", columns, rows).shown())


def read_answers(*started: Observation, logs: Mapping[str, Step] | None = None) -> Answers:
    """Put together what engines said.

    Args:
        started: of `lab.start_engines`.
        logs: engine → the lines of its daemon's log that speak of storage drivers.
    """
    said = {name: _last_words(one["says"]) for each in started for name, one in each.value.items()}
    logged = {name: "; ".join(_words(line) for line in step.lines) for name, step in (logs or {}).items()}
    return Answers(said, logged, Origin.of(started[0]))


def _last_words(says: str) -> str:
    return says.strip().splitlines()[-1].removeprefix("failed to start daemon: ") if says.strip() else STARTED


def _words(line: str) -> str:
    found = [match[1].replace('\\"', '"') for match in (_MESSAGE.search(line), _ERROR.search(line)) if match]
    return ": ".join(found) or line
