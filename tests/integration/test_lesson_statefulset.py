"""The exercise of notebook 08 on a real cluster: takes the solution, and leads each wrong answer one step further."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labsupport.experiments.exercises import Answer, Exercise, faults_of_exercise
from labsupport.lessons.statefulset import stuck
from labsupport.lessons.statefulset.exercise import ANSWER, FAULTS, FOLDER, MENDED, Attempt
from labsupport.systems.clusters.embedded import EmbeddedCluster
from tests.clusters import embedded_cluster, kubectl
from tests.lessons import copy_assets, solution

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.timeout(900)]

SLUG = "08-statefulset"
# Much longer than a good set takes to become ready, on a computer with much else to do too.
WITHIN_SECONDS = 30.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedCluster]:
    with embedded_cluster() as started:
        yield started


@pytest.fixture
def seed() -> int:
    """Zero, where a test gives none."""
    return 0


@pytest.fixture
def exercise(cluster: EmbeddedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> Exercise[Attempt]:
    copy_assets(SLUG, tmp_path)
    monkeypatch.chdir(tmp_path)
    return stuck(cluster.runner, seed, within_seconds=WITHIN_SECONDS)


def test_it_takes_the_solution_and_refuses_wrong_answers_with_a_step_each(
    exercise: Exercise[Attempt], cluster: EmbeddedCluster
) -> None:
    def write(text: str) -> Callable[[], None]:
        return lambda: ANSWER.write_text(text) and None  # type: ignore[func-returns-value]

    def stuck_as(number: int) -> str:
        return (FOLDER / f"stuck-{number}.yaml").read_text()

    good = solution(SLUG)
    answers = [
        Answer("a field that is none", write(good.replace("replicas:", "replica:")), "the API server takes it"),
        Answer("a class that is none", write(stuck_as(1)), "the claims are bound"),
        Answer("a node that is none", write(stuck_as(2)), "the pods have a node"),
        Answer("an image that is none", write(stuck_as(3)), "the image is there"),
        Answer("a folder that is none", write(stuck_as(4)), "the containers stay up"),
        Answer("another wrong port", write(good.replace("port: 5432", "port: 81")), "the pods are ready"),
        Answer("one pod only", write(good.replace("replicas: 2", "replicas: 1")), "nothing was taken away"),
        Answer("the solution", write(good), None),
    ]
    kubectl(cluster, f"apply -f {FOLDER}/stuck-0.yaml")
    assert faults_of_exercise(exercise, answers) == []
    assert left_in(cluster) == []


def left_in(cluster: EmbeddedCluster) -> list[object]:
    found = json.loads(kubectl(cluster, "get statefulsets,pods,pvc,services --selector app=db --output json"))
    return list(found["items"])


@pytest.mark.parametrize("seed", range(1, len(FAULTS)))
def test_what_mends_every_other_fault_is_right(
    exercise: Exercise[Attempt], cluster: EmbeddedCluster, seed: int
) -> None:
    ANSWER.write_text(MENDED[seed][1].made_in((FOLDER / FAULTS[seed]).read_text()))
    outcome = exercise.check()
    assert outcome.passed, outcome
    assert left_in(cluster) == []
