"""An exercise looks at the world, leads one step further, stays polite, and takes its objects away."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from labsupport.errors import CommandFailed, NotRecorded, UsageError
from labsupport.experiments.exercises import (
    Answer,
    Exercise,
    Outcome,
    Requirement,
    Standing,
    fault_by_seed,
    faults_of_exercise,
)


@dataclass
class Shelf:
    """The world of these tests: an image of some size, or none."""

    size: int | None = None
    secret: bool = False
    log: list[str] = field(default_factory=list)
    broken: Exception | None = None

    def look(self) -> "Shelf":
        self.log.append("look")
        if self.broken:
            raise self.broken
        return self


def small_image(shelf: Shelf, **changes: object) -> Exercise[Shelf]:
    settings: dict[str, object] = {
        "name": "shrink",
        "task": "Make the image small.",
        "look": shelf.look,
        "started": lambda world: world.size is not None,
        "requirements": (
            Requirement("small", lambda world: world.size < 10, lambda world: f"It has {world.size} MB; allow 10."),
            Requirement(
                "no secret", lambda world: not world.secret, lambda _: "A layer holds the secret: use a mount."
            ),
        ),
        "hints": ("Look at the base.", "Use the toolbox."),
        "after_each_check": lambda: shelf.log.append("tidied"),
        "remove": lambda: shelf.log.append("removed"),
        "on_attempt": lambda outcome: shelf.log.append(f"passed {outcome.passed}"),
    }
    return Exercise(**{**settings, **changes})  # type: ignore[arg-type]


REQUIREMENTS_WITH_HINTS = (
    Requirement("small", lambda world: world.size < 10, lambda _: "It is large.", "Take out the cache."),
    Requirement("no secret", lambda world: not world.secret, lambda _: "It leaks.", "Mount it."),
)


def test_the_unsolved_cell_is_met_politely_and_counts_no_attempt() -> None:
    shelf = Shelf()
    outcome = small_image(shelf).check()
    assert outcome.standing is Standing.NOT_STARTED
    assert outcome.message == "Nothing to check yet. Make the image small. Then run this cell again."
    assert shelf.log == ["look", "tidied"]


def test_the_message_depends_on_what_is_wrong() -> None:
    too_big = small_image(Shelf(size=70, secret=True)).check()
    leaky = small_image(Shelf(size=7, secret=True)).check()
    assert (too_big.unmet, too_big.message, too_big.met) == ("small", "It has 70 MB; allow 10.", 0)
    assert (leaky.unmet, leaky.message, leaky.met) == ("no secret", "A layer holds the secret: use a mount.", 1)
    assert repr(leaky).startswith("shrink: not yet (1 of 2 met)\n")


def test_passing_is_told_and_removes_the_objects() -> None:
    shelf = Shelf(size=7)
    outcome = small_image(shelf).check()
    assert outcome.passed and outcome.met == outcome.of == 2
    assert shelf.log == ["look", "tidied", "passed True", "removed"]


def test_not_passing_keeps_the_objects_to_work_on() -> None:
    shelf = Shelf(size=70)
    small_image(shelf).check()
    assert shelf.log == ["look", "tidied", "passed False"]


def test_closing_removes_the_objects() -> None:
    shelf = Shelf()
    small_image(shelf).close()
    assert shelf.log == ["removed"]


def test_an_error_while_looking_is_told_and_not_thrown() -> None:
    shelf = Shelf(broken=CommandFailed("docker build .", "exit code 1: no such file", "make the file"))
    outcome = small_image(shelf).check()
    assert outcome.standing is Standing.COULD_NOT_LOOK
    assert "docker build ." in outcome.message and "make the file" in outcome.message
    assert shelf.log == ["look", "tidied"]


def test_without_a_live_engine_it_says_so() -> None:
    shelf = Shelf(broken=NotRecorded("docker build .", "nothing recorded", "this needs a live engine"))
    outcome = small_image(shelf).check()
    assert outcome.standing is Standing.UNAVAILABLE
    assert "needs a live engine" in outcome.message


def test_a_mistake_of_ours_is_thrown_and_still_tidied() -> None:
    shelf = Shelf(broken=KeyError("Config"))
    with pytest.raises(KeyError):
        small_image(shelf).check()
    assert shelf.log == ["look", "tidied"]


def test_hints_come_one_at_a_time() -> None:
    exercise = small_image(Shelf())
    given = [exercise.hint() for _ in range(3)]
    assert given == ["Hint 1 of 2: Look at the base.", "Hint 2 of 2: Use the toolbox.", "Hint 2 of 2: Use the toolbox."]
    assert "no hint" in small_image(Shelf(), hints=()).hint()


def test_after_a_check_the_hint_about_what_is_wrong_comes_first() -> None:
    shelf = Shelf(size=70, secret=True)
    exercise = small_image(shelf, requirements=REQUIREMENTS_WITH_HINTS)
    assert exercise.hint() == "Hint 1 of 2: Look at the base."
    exercise.check()
    assert exercise.hint() == "Hint 1 of 3 (small): Take out the cache."
    assert exercise.hint() == "Hint 2 of 3: Look at the base."
    shelf.size = 7
    exercise.check()
    assert exercise.hint() == "Hint 1 of 3 (no secret): Mount it."
    shelf.size = 70
    exercise.check()
    assert exercise.hint() == "Hint 3 of 3: Use the toolbox."


@pytest.mark.parametrize("names", [(), ("small", "small")])
def test_requirements_have_names_of_their_own(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        small_image(Shelf(), requirements=[Requirement(name, lambda _: True, lambda _: "") for name in names])


def test_seeds_reach_every_fault_and_repeat() -> None:
    faults = ["a", "b", "c", "d", "e"]
    for start in (0, 7, -3):
        assert sorted(fault_by_seed(faults, seed) for seed in range(start, start + 5)) == faults
    assert fault_by_seed(faults, 12) == fault_by_seed(faults, 12)
    with pytest.raises(UsageError):
        fault_by_seed([], 1)


def answers(shelf: Shelf, *leads_to: str | None) -> list[Answer]:
    def give(size: int, secret: bool) -> Callable[[], None]:
        return lambda: shelf.__init__(size, secret, shelf.log)  # type: ignore[misc]

    worlds = {"small": give(70, False), "no secret": give(7, True), None: give(7, False)}
    return [Answer(f"answer {number}", worlds[name], name) for number, name in enumerate(leads_to)]


def test_an_exercise_proved_by_its_answers() -> None:
    shelf = Shelf()
    assert faults_of_exercise(small_image(shelf), answers(shelf, "small", "no secret", "small", None)) == []


def test_a_bad_exercise_is_found_out() -> None:
    def faults(*leads_to: str | None, **changes: object) -> str:
        shelf = Shelf()
        return "\n".join(faults_of_exercise(small_image(shelf, **changes), answers(shelf, *leads_to)))

    full = ("small", "no secret", "small", None)
    assert "at least 3 and 1 are needed" in faults("small", None)
    assert "at least 3 and 1 are needed" in faults("small", "small", "small")
    assert "the unsolved cell: not yet" in faults(*full, started=lambda _: True, requirements=_lax())
    assert "led to passed, not small" in faults(*full, requirements=_lax())
    assert "the same message for" in faults(*full, requirements=_mumbling())


def _lax() -> tuple[Requirement[Shelf], ...]:
    return (Requirement("there", lambda world: world.size is not None, lambda _: "Make it."),)


def _mumbling() -> tuple[Requirement[Shelf], ...]:
    return (
        Requirement("small", lambda world: (world.size or 0) < 10, lambda _: "Wrong."),
        Requirement("no secret", lambda world: not world.secret, lambda _: "Wrong."),
    )


def test_an_outcome_reads_well() -> None:
    assert repr(Outcome("shrink", Standing.PASSED, "Well done.", 2, 2)) == "shrink: passed (2 of 2 met)\nWell done."
