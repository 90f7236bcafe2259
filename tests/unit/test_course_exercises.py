"""Every exercise of the course: a hint for all that can be wrong, and a variation for every seed of its notebook."""

import json
import re
from typing import Any

import pytest
import yaml

from labsupport.experiments.exercises import Exercise
from labsupport.lessons import cgroups, cni, dockerfile, logs, network, reclaim, statefulset, storage
from labsupport.lessons.catalog import LESSONS, answers_of, exercises_of
from labsupport.project import this_project
from tests.lessons import solution
from tests.scripted import ScriptedRunner

# What the seed chooses from, by the number of the notebook.
VARIATIONS = {
    "01": cgroups.exercise.VARIATIONS,
    "02": logs.exercise.FAULTS,
    "03": storage.exercise.VARIATIONS,
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


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.slug)
def test_instructors_have_an_answer_to_every_seed(lesson: Any) -> None:
    answers = answers_of(lesson)
    assert len(answers) == len(VARIATIONS.get(lesson.slug[:2], ()))
    assert all(each.asked for each in answers)
    assert len({bool(each.answer) for each in answers}) <= 1, "either each has one, or the notebook's serves them all"


def assets(slug: str, name: str) -> str:
    return (this_project().assets / slug / "exercise" / name).read_text(encoding="utf-8")


def test_answers_told_as_a_change_change_the_file_of_their_seed() -> None:
    for fault in logs.exercise.FAULTS:
        assert fault.mended.made_in(assets("02-log-drivers", fault.script)).count(fault.mended.new) == 1
    for name, (_, mended) in zip(statefulset.exercise.FAULTS, statefulset.exercise.MENDED, strict=True):
        assert mended.old not in mended.made_in(assets("08-statefulset", name))


def test_the_notebooks_solutions_are_the_answers_to_seed_0() -> None:
    """Where an answer is not made of the solution."""
    wanted = cgroups.exercise.answer_to(cgroups.exercise.VARIATIONS[0])
    assert json.loads(solution("01-cgroup-drivers")) == wanted
    shop = logs.exercise.FAULTS[0]
    assert solution("02-log-drivers") == shop.mended.made_in(assets("02-log-drivers", shop.script))
    assert yaml.safe_load(solution("03-storage-drivers")) == storage.exercise.VARIATIONS[0].grows()
    commands = solution("04-network-drivers").splitlines()
    assert [line.removeprefix("!") for line in commands] == list(network.exercise.REPAIRS[0][1])
    case = cni.exercise.CASES[0]
    assert yaml.safe_load(solution("05-cni-plugins")) == {"dataplane": case.dataplane, "fault": case.fault}
    stuck = assets("08-statefulset", statefulset.exercise.FAULTS[0])
    assert solution("08-statefulset") == statefulset.exercise.MENDED[0][1].made_in(stuck)


def test_the_numbers_of_the_five_steps_are_those_of_the_script() -> None:
    script = assets("03-storage-drivers", "five-steps.sh")
    for number, steps in enumerate(storage.exercise.VARIATIONS):
        assert f"\n{number}) new={steps.new} cache={steps.cache} stopped={steps.stopped} ;;\n" in script
