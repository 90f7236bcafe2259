"""The exercise of notebook 04 on a real engine: every fault is there, can be repaired, and wrong repairs lead on."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labsupport.experiments.exercises import Answer, Exercise, Standing, faults_of_exercise
from labsupport.lessons.network import repair
from labsupport.lessons.network.exercise import FAULTS, REPAIRS, Found
from labsupport.project import this_project
from labsupport.systems.engines.engine import Engine
from tests.engines import private_engine

pytestmark = pytest.mark.needs("engine")

SLUG = "04-network-drivers"
SOLUTIONS = ["; ".join(commands) for _, commands in REPAIRS]
# What one might try first, and the requirement that this leads to.
WRONG_FOR_THE_FIRST = {
    "docker network connect front db": "nobody else reaches db",
    "docker network connect bridge web; docker network connect bridge db": "web knows the name db",
    "docker rm --force guest; docker network connect back web": "all three run",
}
WRONG_FOR_THE_OTHERS = {
    1: ("docker network disconnect back database", "they share a network"),
    2: ("docker network connect back web", "web knows the name db"),
    3: ("docker network disconnect front web", "db answers web"),
    4: ("docker network disconnect none db", "they share a network"),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with private_engine("lab/toolbox") as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(this_project().assets / SLUG, tmp_path / "assets" / SLUG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def broken_then(engine: Engine, seed: int, commands: str) -> Callable[[], None]:
    def give() -> None:
        engine.runner.run(["sh", f"assets/{SLUG}/exercise/break.sh", str(seed)]).or_raise()
        engine.runner.run(["sh", "-c", commands])

    return give


def is_as_before(engine: Engine) -> bool:
    networks = {network.name for network in engine.client.networks.list()}
    return engine.client.containers.list(all=True) == [] and networks == {"bridge", "host", "none"}


def test_it_takes_the_solution_and_refuses_wrong_answers_with_a_step_each(engine: Engine, folder: Path) -> None:
    exercise: Exercise[Found] = repair(engine.runner)
    broken_then(engine, 0, "true")()
    answers = [Answer(words, broken_then(engine, 0, words), unmet) for words, unmet in WRONG_FOR_THE_FIRST.items()]
    answers.append(Answer("the solution", broken_then(engine, 0, SOLUTIONS[0]), None))
    assert faults_of_exercise(exercise, answers) == []
    assert is_as_before(engine)


@pytest.mark.parametrize("seed", WRONG_FOR_THE_OTHERS)
def test_every_other_fault_is_there_and_can_be_repaired(seed: int, engine: Engine, folder: Path) -> None:
    exercise: Exercise[Found] = repair(engine.runner, seed)
    wrong, unmet = WRONG_FOR_THE_OTHERS[seed]
    broken_then(engine, seed, "true")()
    assert exercise.check().standing is Standing.NOT_STARTED
    engine.runner.run(["sh", "-c", wrong]).or_raise()
    assert exercise.check().unmet == unmet
    broken_then(engine, seed, SOLUTIONS[seed])()
    assert exercise.check().passed
    assert is_as_before(engine)


def test_every_fault_is_tried() -> None:
    assert {0, *WRONG_FOR_THE_OTHERS} == set(range(len(FAULTS))) == set(range(len(SOLUTIONS)))
