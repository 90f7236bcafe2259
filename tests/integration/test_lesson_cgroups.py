"""Notebook 01 on a real engine: its exercise takes the solution and leads wrong answers on, its widget meets limits."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labsupport.backends import Backends, LabOptions, plan, start_backends
from labsupport.experiments.exercises import Answer, Exercise, faults_of_exercise
from labsupport.lessons.cgroups import explorer
from labsupport.lessons.cgroups.exercise import ANSWER, VARIATIONS, Seen, write_daemon_json
from labsupport.lessons.needs import Needs
from labsupport.process.ownership import Owner
from labsupport.project import this_project
from labsupport.systems.inventory import leftovers, take_inventory

pytestmark = pytest.mark.needs("engine")

SLUG = "01-cgroup-drivers"
GOOD = {
    "data-root": "/var/lib/elsewhere",
    "log-driver": "local",
    "log-opts": {"max-size": "400k", "max-file": "2"},
    "live-restore": True,
    "insecure-registries": [VARIATIONS[0].registry],
    "log-level": "warn",
}
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
def exercise(backends: Backends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exercise[Seen]:
    (tmp_path / ANSWER).parent.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    made = write_daemon_json(backends.runner)
    made.after_each_check = lambda: backends.places.tidy() and None
    return made


def solution() -> str:
    source = (this_project().sources / f"{SLUG}.py").read_text(encoding="utf-8")
    found = re.search(r"### BEGIN SOLUTION\n(.*?)^# ### END SOLUTION", source, re.DOTALL | re.MULTILINE)
    assert found, "the source of the notebook has no solution"
    return "".join(f"{line.removeprefix('# ')}\n" for line in found[1].splitlines())


def test_it_takes_the_solution_and_refuses_wrong_answers_with_a_step_each(exercise: Exercise[Seen]) -> None:
    answers = [
        Answer(name, lambda content=content: ANSWER.write_text(json.dumps(content)), leads_to)  # type: ignore[misc]
        for name, (content, leads_to) in WRONG.items()
    ]
    answers.append(Answer("the solution", lambda: ANSWER.write_text(solution()) and None, None))
    assert faults_of_exercise(exercise, answers) == []


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
    record: dict[str, Any] = explorer.watch(backends.engine.client, position)
    assert explorer.outcome(record) == ends
    # One that ends early may have ended before it is looked at twice.
    assert limits or len(record["samples"]) >= 2
    assert backends.engine.client.containers.list(all=True) == []
