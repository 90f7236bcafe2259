"""Notebook 01 on a real engine: its exercise takes the solution and leads wrong answers on, its widget meets limits."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from labsupport.backends import Backends, LabOptions, plan, start_backends
from labsupport.experiments.exercises import Answer, Exercise, faults_of_exercise
from labsupport.lessons.cgroups import explorer
from labsupport.lessons.cgroups.exercise import ANSWER, VARIATIONS, Seen, answer_to, write_daemon_json
from labsupport.lessons.needs import Needs
from labsupport.process.ownership import Owner
from labsupport.project import this_project
from labsupport.systems.inventory import leftovers, take_inventory
from tests.lessons import solution

pytestmark = pytest.mark.needs("engine")

SLUG = "01-cgroup-drivers"
GOOD = answer_to(VARIATIONS[0])
WRONG = {
    "a key that there is not": (GOOD | {"log-drive": "local"}, "the engine starts"),
    "valid, and refused": (GOOD | {"exec-opts": ["native.cgroupdriver=unified"]}, "the engine starts"),
    "data where it was": ({key: GOOD[key] for key in GOOD if key != "data-root"}, "data elsewhere"),
    "no bound": ({key: GOOD[key] for key in GOOD if key != "log-opts"}, "logs of the local driver, bounded"),
    "ends its containers": (GOOD | {"live-restore": False}, "containers outlive the daemon"),
    "another port": (GOOD | {"insecure-registries": ["10.200.0.1:5001"]}, "the registry in plain HTTP"),
    "talkative": (GOOD | {"log-level": "info"}, "a quiet daemon"),
}


@pytest.fixture(scope="module")
def backends() -> Iterator[Backends]:
    needs = Needs(engine=True, images=("lab/toolbox",))
    started = start_backends(plan(LabOptions()), needs, owner=Owner.this_process())
    assert started.machine is not None
    before = take_inventory(started.machine.name)
    try:
        yield started
    finally:
        started.close()
    assert [str(thing) for thing in leftovers(started.machine.name, before)] == []


@pytest.fixture
def seed() -> int:
    """Zero, where a test gives none."""
    return 0


@pytest.fixture
def exercise(backends: Backends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> Exercise[Seen]:
    (tmp_path / ANSWER).parent.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    made = write_daemon_json(backends.runner, seed)
    made.after_each_check = lambda: backends.places.tidy() and None
    return made


def test_it_takes_the_solution_and_refuses_wrong_answers_with_a_step_each(exercise: Exercise[Seen]) -> None:
    answers = [
        Answer(name, lambda content=content: ANSWER.write_text(json.dumps(content)), leads_to)  # type: ignore[misc]
        for name, (content, leads_to) in WRONG.items()
    ]
    answers.append(Answer("the solution", lambda: ANSWER.write_text(solution(SLUG)) and None, None))
    assert faults_of_exercise(exercise, answers) == []


@pytest.mark.parametrize("seed", range(1, len(VARIATIONS)))
def test_the_answer_that_instructors_have_to_another_seed_is_right(exercise: Exercise[Seen], seed: int) -> None:
    ANSWER.write_text(json.dumps(GOOD))
    assert exercise.check().unmet == "data elsewhere"
    ANSWER.write_text(json.dumps(answer_to(VARIATIONS[seed])))
    outcome = exercise.check()
    assert outcome.passed, outcome


@pytest.mark.parametrize(
    ("limits", "ends"),
    [({}, explorer.ENDED), ({"memory": "48m"}, explorer.KILLED), ({"pids": "8"}, explorer.NO_FORK)],
    ids=["none", "memory", "pids"],
)
def test_the_workload_ends_as_its_limit_says(
    backends: Backends, monkeypatch: pytest.MonkeyPatch, limits: dict[str, str], ends: str
) -> None:
    monkeypatch.chdir(this_project().notebooks)
    assert backends.engine is not None
    position = dict.fromkeys(("memory", "cpus", "pids"), explorer.NONE) | limits
    drawn: list[int] = []

    def draw(samples: explorer.Samples) -> None:
        drawn.append(len(samples))
        Event().wait(0.5)  # slowly, as on a computer that is busy

    record: dict[str, Any] = explorer.watch(backends.engine.client, position, draw)
    assert explorer.outcome(record) == ends
    # One that ends early may have ended before it is looked at twice.
    assert limits or len(record["samples"]) >= 2
    # More and more, and several come while one is drawn.
    assert drawn == sorted(drawn)
    assert limits or max(later - earlier for earlier, later in pairwise(drawn)) >= 2
    assert backends.engine.client.containers.list(all=True) == []
