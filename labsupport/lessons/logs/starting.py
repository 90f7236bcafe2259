"""Whether containers started, and what the engine said where they did not."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

STARTED = "started"
# What the engine puts before what the driver says.
WRAPPED = (
    "docker: ",
    "Error response from daemon: ",
    "failed to create task for container: ",
    "failed to initialize logging driver: ",
)


@dataclass(frozen=True)
class Answers:
    """What came of each of several `docker run`: "started", or the refusal."""

    title: str
    said: Mapping[str, str] = field(hash=False)
    origin: Origin = LIVE

    def __getitem__(self, name: str) -> str:
        return self.said[name]

    @property
    def started(self) -> list[str]:
        return sorted(name for name, said in self.said.items() if said == STARTED)

    @property
    def refused(self) -> list[str]:
        return sorted(name for name, said in self.said.items() if said != STARTED)

    def table(self) -> Shown:
        rows: list[list[Cell]] = [
            [name, said == STARTED, "" if said == STARTED else said] for name, said in sorted(self.said.items())
        ]
        made = table(self.title, ["driver", "started?", Column("what the engine said", "prose")], rows)
        return self.origin.above(made.shown())


def read_answers(step: Step, title: str) -> Answers:
    """Read lines such as `fluentd | Error response from daemon: …` or `fluentd | started`.

    Raises:
        EvidenceError: a line is neither.
    """
    said = {}
    for line in step.lines:
        name, found, answer = line.partition(" | ")
        if not found or not answer.strip():
            raise EvidenceError(
                step.command, f"not “name | answer”: {line!r}", "run the cell again; `docker info` says who is there"
            )
        said[name] = _without_wrapping(answer.strip())
    return Answers(title, said, Origin.of(step))


def _without_wrapping(said: str) -> str:
    for words in WRAPPED:
        said = said.removeprefix(words)
    return "; ".join(part for part in said.split(";") if part)
