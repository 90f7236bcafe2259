"""Every exercise of the course: a hint for all that can be wrong, and a fault for every seed where it has faults."""

from typing import Any

import pytest

from labsupport.experiments.exercises import Exercise
from labsupport.lessons.catalog import LESSONS, exercises_of
from tests.scripted import ScriptedRunner

NAMES = [(lesson, name) for lesson in LESSONS for name in exercises_of(lesson)]
each_exercise = pytest.mark.parametrize(("lesson", "name"), NAMES, ids=[f"{one.slug}/{name}" for one, name in NAMES])


def made(lesson: Any, name: str, seed: int = 0) -> Exercise[Any]:
    exercise: Exercise[Any] = exercises_of(lesson)[name](ScriptedRunner({}), seed)  # type: ignore[arg-type]
    return exercise


def test_every_notebook_that_teaches_one_topic_has_an_exercise() -> None:
    assert [lesson.slug[:2] for lesson, _ in NAMES] == ["01", "02", "03", "04", "05", "06", "07", "08"]


@each_exercise
def test_whatever_is_wrong_has_a_hint_of_its_own(lesson: Any, name: str) -> None:
    exercise = made(lesson, name)
    hints = [each.hint for each in exercise.requirements] + list(exercise.hints)
    assert all(hint.endswith((".", "`", "?", '"')) for hint in hints), hints
    assert len(set(hints)) == len(hints)
    assert exercise.hints


@each_exercise
def test_it_is_named_as_it_is_asked_for(lesson: Any, name: str) -> None:
    assert made(lesson, name).name == name
    assert made(lesson, name).praise.endswith((".", "?", "`"))
