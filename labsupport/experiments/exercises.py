"""Exercises: a task whose check looks at the state of the world and leads one step further. Owns the mechanism only.

What an exercise is about (what to look at, what can be wrong) is in labsupport.lessons; this file knows none of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from labsupport.errors import LabError, NotRecorded, UsageError

World = TypeVar("World")
Choice = TypeVar("Choice")

FEWEST_WRONG_ANSWERS = 3


class Standing(StrEnum):
    """How an exercise stands after a check."""

    NOT_STARTED = "not started"
    NOT_YET = "not yet"
    PASSED = "passed"
    UNAVAILABLE = "unavailable"
    COULD_NOT_LOOK = "could not look"


@dataclass(frozen=True)
class Requirement(Generic[World]):
    """One thing the world must be. `next_step` is asked when it is not, and says what was seen and what to do next.

    `hint` is for who asks for more than that: nearly the answer, of this requirement alone.
    """

    name: str
    holds: Callable[[World], bool]
    next_step: Callable[[World], str]
    hint: str = ""


@dataclass(frozen=True, repr=False)
class Outcome:
    """What a check found: how many requirements in a row are met, the first that is not, and what to do about it."""

    exercise: str
    standing: Standing
    message: str
    met: int = 0
    of: int = 0
    unmet: str | None = None

    @property
    def passed(self) -> bool:
        return self.standing is Standing.PASSED

    def __repr__(self) -> str:
        counted = f" ({self.met} of {self.of} met)" if self.standing in (Standing.NOT_YET, Standing.PASSED) else ""
        return f"{self.exercise}: {self.standing}{counted}\n{self.message}"


class Hint(str):
    """A text for the learner; of a type of its own, as it is nothing that was seen."""


@dataclass
class Exercise(Generic[World]):
    """A task, and how to look whether it is done.

    Args:
        name: lower-case words joined by hyphens.
        task: what to do, one or two sentences.
        look: reads the state of the world now. A LabError it raises is told to the learner, not thrown at them.
        started: whether the learner has done anything at all; while not, the check is friendly and counts no attempt.
        requirements: in the order a learner meets them; the first unmet one speaks.
        hints: given one at a time by `hint()`, after the one of the requirement that the last check found unmet.
        praise: said when all is met.
        after_each_check: removes what `look` itself made, after every check, whatever came of it.
        remove: removes the exercise's own objects; called when it passes, and by `close()`.
        on_attempt: told of every check of something attempted, with what it found.
    """

    name: str
    task: str
    look: Callable[[], World]
    started: Callable[[World], bool]
    requirements: Sequence[Requirement[World]]
    hints: Sequence[str] = ()
    praise: str = "All requirements are met."
    after_each_check: Callable[[], None] = lambda: None
    remove: Callable[[], None] = lambda: None
    on_attempt: Callable[[Outcome], None] = lambda outcome: None
    _unmet: str | None = field(default=None, init=False)
    _hints_given: dict[str | None, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        names = [requirement.name for requirement in self.requirements]
        if not names or len(set(names)) < len(names):
            raise UsageError(
                f"make the exercise {self.name!r}",
                f"its requirements are {names or 'none'}",
                "give at least one, each with a name of its own",
            )

    def check(self) -> Outcome:
        """Look at the world and say what is missing next, if anything."""
        try:
            outcome = self._look()
        finally:
            self.after_each_check()
        self._unmet = outcome.unmet
        if outcome.standing in (Standing.NOT_YET, Standing.PASSED):
            self.on_attempt(outcome)
        if outcome.passed:
            self.remove()
        return outcome

    def hint(self) -> Hint:
        """The next hint about what the last check found unmet, then about the whole; the last one again at the end."""
        hints = self._hints_now()
        if not hints:
            return Hint("There is no hint for this one: check() says what to do next.")
        number = min(self._hints_given.get(self._unmet, 0) + 1, len(hints))
        self._hints_given[self._unmet] = number
        about = f" ({self._unmet})" if self._unmet and number <= len(hints) - len(self.hints) else ""
        return Hint(f"Hint {number} of {len(hints)}{about}: {hints[number - 1]}")

    def close(self) -> None:
        """End the exercise; its objects go."""
        self.remove()

    def _hints_now(self) -> list[str]:
        about = [each.hint for each in self.requirements if each.name == self._unmet and each.hint]
        return [*about, *self.hints]

    def _look(self) -> Outcome:
        try:
            world = self.look()
        except NotRecorded as error:
            return Outcome(self.name, Standing.UNAVAILABLE, f"{error.do[:1].upper()}{error.do[1:]}.")
        except LabError as error:
            return Outcome(self.name, Standing.COULD_NOT_LOOK, f"This could not be checked.\n{error}")
        return judge(self, world)

    def __repr__(self) -> str:
        return f"Exercise {self.name}: {self.task}\ncheck() looks how far you are; hint() helps with what it found."


def judge(exercise: Exercise[World], world: World) -> Outcome:
    """Hold a state of the world against the requirements of an exercise. Changes nothing."""
    total = len(exercise.requirements)
    if not exercise.started(world):
        message = f"Nothing to check yet. {exercise.task} Then run this cell again."
        return Outcome(exercise.name, Standing.NOT_STARTED, message, 0, total)
    for met, requirement in enumerate(exercise.requirements):
        if not requirement.holds(world):
            message = requirement.next_step(world)
            return Outcome(exercise.name, Standing.NOT_YET, message, met, total, requirement.name)
    return Outcome(exercise.name, Standing.PASSED, exercise.praise, total, total)


def fault_by_seed(faults: Sequence[Choice], seed: int) -> Choice:
    """Choose a fault: the same for the same seed everywhere, and each of N faults by one of any N seeds in a row."""
    if not faults:
        raise UsageError(f"choose a fault by seed {seed}", "there are no faults", "give at least one")
    return faults[seed % len(faults)]


@dataclass(frozen=True)
class Answer:
    """An answer to an exercise for its tests: `give` puts it into the world; `leads_to` names the requirement it fails.

    A solution leads to None.
    """

    name: str
    give: Callable[[], None]
    leads_to: str | None


def faults_of_exercise(exercise: Exercise[World], answers: Sequence[Answer]) -> list[str]:
    """Prove an exercise by its answers; every way in which it is not as it should be, none when it is fine.

    Begins with the unsolved cell, then gives each answer in turn, wrong ones first, so `give` must replace
    the answer before it. The messages of wrong answers with different faults must differ.
    """
    wrong = [answer for answer in answers if answer.leads_to is not None]
    solutions = [answer for answer in answers if answer.leads_to is None]
    faults = []
    if len(wrong) < FEWEST_WRONG_ANSWERS or not solutions:
        faults.append(f"{len(wrong)} wrong answers and {len(solutions)} solutions; at least 3 and 1 are needed")
    unsolved = exercise.check()
    if unsolved.standing is not Standing.NOT_STARTED:
        faults.append(f"the unsolved cell: {unsolved.standing}, not {Standing.NOT_STARTED}: {unsolved.message}")
    messages: dict[str, str] = {}
    for answer in [*wrong, *solutions]:
        answer.give()
        outcome = exercise.check()
        if outcome.unmet != answer.leads_to or outcome.passed != (answer.leads_to is None):
            found = outcome.unmet or outcome.standing
            faults.append(f"{answer.name}: led to {found}, not {answer.leads_to or 'passed'}: {outcome.message}")
        earlier = messages.setdefault(outcome.message, outcome.unmet or "")
        if earlier != (outcome.unmet or ""):
            faults.append(f"{answer.name}: the same message for {earlier} and {outcome.unmet}: {outcome.message}")
    return faults
