"""Several rounds of the same subjects, every other one in reverse order; what was measured is kept, come what may."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from labsupport.benchmark.equipment import Equipment, Seen
from labsupport.benchmark.subjects import Subject
from labsupport.errors import LabError
from labsupport.process.progress import Progress

Measured = Callable[[int, str, Seen], None]


@dataclass(frozen=True)
class Failure:
    """A subject that could not be measured in one round."""

    subject: str
    round: int
    error: str


@dataclass
class Log:
    """What rounds gave: subject → round, counted from 1 → what was seen; and how they went.

    Attributes:
        loads: this computer's load before each round: processes that ran or wanted to, over the last minute.
        stopped: whether somebody stopped them before the last.
    """

    seen: dict[str, dict[int, Seen]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    stopped: bool = False


def rounds_of(subjects: Sequence[Subject], rounds: int | None) -> Mapping[str, int]:
    """Return how many rounds each subject takes part in: `rounds`, or its own number where that is None."""
    return {each.name: rounds or each.rounds for each in subjects}


def order_of(subjects: Sequence[Subject], number: int, rounds: int | None = None) -> list[Subject]:
    """Return who is measured in round `number`, counted from 1: in order in odd rounds, in reverse in even ones."""
    wanted = rounds_of(subjects, rounds)
    here = [each for each in subjects if wanted[each.name] >= number]
    return here if number % 2 else here[::-1]


def run_rounds(equipment: Equipment, subjects: Sequence[Subject], rounds: int | None, measured: Measured) -> Log:
    """Measure every subject in every round.

    A subject that fails is noted, and the others go on. Ctrl-C ends what runs at that moment, and what was measured
    until then is returned.

    Args:
        rounds: how many; None for each subject's own number.
        measured: told each result as it comes.
    """
    log = Log()
    last = max(rounds_of(subjects, rounds).values(), default=0)
    total = sum(rounds_of(subjects, rounds).values())
    done = 0
    try:
        for number in range(1, last + 1):
            log.loads.append(os.getloadavg()[0])
            for subject in order_of(subjects, number, rounds):
                equipment.listener(Progress(f"round {number} of {last}: {subject.starts}", done / total))
                done += 1
                try:
                    seen = subject.measure(equipment)
                except LabError as error:
                    log.failures.append(Failure(subject.name, number, str(error)))
                    continue
                log.seen.setdefault(subject.name, {})[number] = seen
                measured(number, subject.name, seen)
    except KeyboardInterrupt:
        log.stopped = True
    return log
