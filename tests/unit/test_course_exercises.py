"""Every exercise of the course: a hint for all that can be wrong, and a variation for every seed of its notebook."""

import re
from typing import Any

import pytest

from labsupport.experiments.exercises import Exercise
from labsupport.lessons import cgroups, cni, dockerfile, logs, network, reclaim, statefulset, storage
from labsupport.lessons.catalog import LESSONS, exercises_of
from labsupport.project import this_project
from tests.scripted import ScriptedRunner

# What the seed chooses from, by the number of the notebook.
VARIATIONS = {
    "01": cgroups.exercise.VARIATIONS,
    "02": logs.exercise.FAULTS,
    "03": storage.exercise.NUMBERS,
    "04": network.exercise.FAULTS,
    "05": cni.exercise.CASES,
    "06": dockerfile.exercise.BAD,
    "07": reclaim.exercise.LOSSES,
    "08": statefulset.exercise.FAULTS,
}
NAMES = [(lesson, name) for lesson in LESSONS for name in exercises_of(lesson)]
EVERY_SEED = [(*one, seed) for one in NAMES for seed in range(len(VARIATIONS[one[0].slug[:2]]))]
each_exercise = pytest.mark.parametrize(("lesson", "name"), NAMES, ids=[f"{one.slug}/{name}" for one, name in NAMES])
each_seed = pytest.mark.parametrize(
    ("lesson", "name", "seed"), EVERY_SEED, ids=[f"{one.slug}/{name}-{seed}" for one, name, seed in EVERY_SEED]
)


def made(lesson: Any, name: str, seed: int = 0) -> Exercise[Any]:
    exercise: Exercise[Any] = exercises_of(lesson)[name](ScriptedRunner({}), seed)  # type: ignore[arg-type]
    return exercise


def test_every_notebook_that_teaches_one_topic_has_an_exercise() -> None:
    assert [lesson.slug[:2] for lesson, _ in NAMES] == list(VARIATIONS)


@each_seed
def test_whatever_is_wrong_has_a_hint_of_its_own(lesson: Any, name: str, seed: int) -> None:
    exercise = made(lesson, name, seed)
    hints = [each.hint for each in exercise.requirements] + list(exercise.hints)
    assert all(hint.endswith((".", "`", "?", '"')) for hint in hints), hints
    assert len(set(hints)) == len(hints)
    assert exercise.hints


@each_exercise
def test_the_notebook_shows_what_the_check_goes_by(lesson: Any, name: str) -> None:
    source = (this_project().sources / f"{lesson.slug}.py").read_text(encoding="utf-8")
    count = len(VARIATIONS[lesson.slug[:2]])
    assert count > 1
    # In 01 the exercise itself says what is asked for; elsewhere a file does, or what a script makes.
    told = {"seed"} if f'lab.exercise("{name}")\n' in source else set(re.findall(r"seed % (\d+)", source))
    assert told in ({"seed"}, {str(count)})
    for before, after in re.findall(r"(assets/\S+)\{seed % \d+\}(\S*)", source):
        files = [this_project().notebooks / f"{before}{seed}{after}" for seed in range(count)]
        assert [path.name for path in files if not path.exists()] == []


@each_exercise
def test_it_is_named_as_it_is_asked_for(lesson: Any, name: str) -> None:
    assert made(lesson, name).name == name
    assert made(lesson, name).praise.endswith((".", "?", "`"))
