"""The exercise of notebook 07 on a real cluster: takes the solution however the claim was lost, and leads others on."""

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labsupport.experiments.exercises import Answer, Exercise, faults_of_exercise
from labsupport.lessons.reclaim import rescue
from labsupport.lessons.reclaim.exercise import LOSSES, OBJECTS, Rescue
from labsupport.systems.clusters.embedded import EmbeddedCluster
from tests.clusters import embedded_cluster, kubectl
from tests.lessons import copy_assets, solution

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.timeout(900)]

SLUG = "07-pv-reclaim"
EXERCISE = f"assets/{SLUG}/exercise"
RETAIN = """kubectl patch pv ledger --patch '{"spec": {"persistentVolumeReclaimPolicy": "Retain"}}'"""
RECYCLE = RETAIN.replace("Retain", "Recycle")
FREE = """kubectl patch pv ledger --type json --patch '[{"op": "remove", "path": "/spec/claimRef"}]'"""
CLAIM = f"kubectl apply -f {EXERCISE}/claim.yaml"
BOUND = "kubectl wait --for=jsonpath={.status.phase}=Bound pvc/ledger --timeout=100s"
ANOTHER = f"sh -c 'sed \"/volumeName/d; s/by-hand/standard/\" {EXERCISE}/claim.yaml | kubectl apply -f -'"


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedCluster]:
    with embedded_cluster() as started:
        yield started


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy_assets(SLUG, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lose(cluster: EmbeddedCluster, exercise: Exercise[Rescue], seed: int) -> None:
    cluster.runner.run(["kubectl", "delete", *OBJECTS.split(), "--ignore-not-found"]).or_raise()
    cluster.runner.run(["sh", f"{EXERCISE}/lose.sh", str(seed)], within_seconds=120).or_raise()


def giving(cluster: EmbeddedCluster, exercise: Exercise[Rescue], seed: int, *commands: str) -> Callable[[], None]:
    def give() -> None:
        lose(cluster, exercise, seed)
        for command in commands:
            cluster.runner.run(shlex.split(command), within_seconds=120).or_raise()

    return give


def solving() -> list[str]:
    return [line.removeprefix("!") for line in solution(SLUG).splitlines()]


def test_it_takes_the_solution_and_refuses_wrong_answers_with_a_step_each(
    cluster: EmbeddedCluster, place: Path
) -> None:
    exercise = rescue(cluster.runner, seed=2)

    def after(*commands: str) -> Callable[[], None]:
        return giving(cluster, exercise, 2, *commands)

    end = ["kubectl delete pod cashier", "kubectl wait --for=delete pvc/ledger --timeout=100s"]
    spoil = f"sh -c 'sed \"s/42 crates of oranges/nothing/\" {EXERCISE}/cashier.yaml | kubectl apply -f -'"
    answers = [
        Answer(
            "only the pod ended",
            after(*end, "kubectl wait --for=delete pv/ledger --timeout=100s"),
            "the volume is there",
        ),
        Answer("another policy, which keeps nothing either", after(RECYCLE), "nothing can be lost"),
        Answer("kept, and no more", after(RETAIN), "the old claim is gone"),
        Answer("claimed again too early", after(RETAIN, *end, CLAIM), "the volume is free for the claim"),
        Answer("not claimed", after(RETAIN, *end, FREE), "the claim is bound"),
        Answer("another volume", after(RETAIN, *end, FREE, ANOTHER, BOUND), "to that volume"),
        Answer(
            "written over",
            after(
                RETAIN, *end, FREE, CLAIM, BOUND, spoil, "kubectl wait --for=condition=Ready pod/cashier --timeout=100s"
            ),
            "the data is as it was",
        ),
        Answer("the solution", after(*solving()), None),
    ]
    lose(cluster, exercise, 2)
    assert faults_of_exercise(exercise, answers) == []
    left = json.loads(kubectl(cluster, "get pods,pvc,pv --output json"))
    assert left["items"] == []


@pytest.mark.parametrize("seed", range(len(LOSSES) - 1))
def test_the_solution_serves_every_other_loss(cluster: EmbeddedCluster, place: Path, seed: int) -> None:
    exercise = rescue(cluster.runner, seed=seed)
    lose(cluster, exercise, seed)
    assert exercise.check().standing == "not started"
    giving(cluster, exercise, seed, *solving())()
    assert exercise.check().passed
