"""The benchmark on a real engine: two rounds of the quickest subject, its page and JSON, and a stop half-way."""

import json
import os
import signal
from pathlib import Path

import pytest

from labsupport.benchmark.result import Result
from labsupport.process.commands import LocalRunner
from labsupport.process.waiting import wait_until
from labsupport.project import Project
from labsupport.systems.inventory import names_in_use
from tests.leaks import find_leaks, new_names

pytestmark = [pytest.mark.needs("engine"), pytest.mark.timeout(600)]

VALUES = {"engine-ready", "engine-container", "engine-close", "engine-peak"}
STOPPED = 130


def test_two_rounds_of_an_engine(project: Project) -> None:
    ran = LocalRunner().run(
        [str(project.root / "lab"), "bench", "engine", "--rounds", "2", "--json"], within_seconds=500
    )
    assert ran.exit_code == 0, ran.stderr
    found = Result.model_validate_json(ran.stdout)
    assert found.failures == () and not found.stopped
    values = {one.name: one.values for one in found.measures}
    assert values.keys() == VALUES
    assert {len(each) for each in values.values()} == {2}
    for ready, container in zip(values["engine-ready"], values["engine-container"], strict=True):
        assert 0.05 < ready < container
    assert all(10 < peak < 3000 for peak in values["engine-peak"])
    assert "round 2  engine" in ran.stderr
    assert json.loads((project.benchmark / "result.json").read_text()) == json.loads(ran.stdout)
    assert "engine-container" in (project.benchmark / "index.html").read_text()


@pytest.mark.needs("kind")
def test_kind_beside_the_cluster_it_is_compared_with(project: Project) -> None:
    words = [str(project.root / "lab"), "bench", "kind-to-statefulset", "--rounds", "1", "--json"]
    ran = LocalRunner().run(words, within_seconds=500)
    assert ran.exit_code == 0, ran.stderr
    found = {one.name: one for one in Result.model_validate_json(ran.stdout).measures}
    value = {name: one.values[0] for name, one in found.items()}
    assert value["kind-delete"] > 0.05
    # One is part of the other; of two that are not, either may take longer on a busy computer.
    assert 0.05 < value["kind-create"] < value["kind-statefulset"]
    assert value["kind-to-statefulset"] == value["kind-statefulset"] / value["statefulset"]
    phases = [part.values[0] for part in found["kind-create"].parts]
    assert 0.05 < sum(phases) <= value["kind-create"]


def test_ctrl_c_keeps_the_rounds_that_ended_and_leaves_nothing(project: Project, tmp_path: Path) -> None:
    before, log = names_in_use(), tmp_path / "log"
    words = [str(project.root / "lab"), "bench", "engine", "--rounds", "50"]
    running = LocalRunner({"PYTHONUNBUFFERED": "1"}).start(words, log=log)
    try:
        wait_until(
            lambda: "round 2  engine" in log.read_text(), "two rounds", within_seconds=300, last_seen=log.read_text
        )
        os.kill(running.pid, signal.SIGINT)
        assert running.wait(120) == STOPPED, log.read_text()
    finally:
        running.close()
    assert "stopped with Ctrl-C" in log.read_text() and "Traceback" not in log.read_text()
    found = Result.model_validate_json((project.benchmark / "result.json").read_text())
    assert found.stopped and len(found.measures[0].values) >= 2
    assert find_leaks(new_names(before)) == []
