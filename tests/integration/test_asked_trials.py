"""Trials that are asked for run live, the others are replayed beside them, and nothing is started for those alone."""

import json
from pathlib import Path

import pytest

from labsupport.lab import EVIDENCE_VARIABLE, TRIALS_VARIABLE
from labsupport.process.commands import Invocation, LocalRunner
from labsupport.project import Project

pytestmark = [pytest.mark.needs("engine"), pytest.mark.timeout(300)]

NOTEBOOK = """
import json, shutil, subprocess
from labsupport import open_lab
lab = open_lab("01-cgroup-drivers")
typed = lambda: subprocess.run(["docker", "version"], capture_output=True).returncode
seen = {"card": str(lab.card()), "typed first": typed()}
trial = lab.trial("inside", settles="cg-13")
seen["replayed"] = [trial.is_live, trial.recorded.reason, typed()]
trial = lab.trial("hierarchies", settles="cg-06")
ran = trial.run("grep cgroup /proc/mounts", on="machine")
seen["live"] = [trial.is_live, ran.recorded is None, typed()]
seen["machines"] = [each.name for each in lab.machine.folder.glob("machines/*")]
seen["cluster"] = lab._backends.cluster is None
lab.reset()
seen["typed last"] = typed()
check = lab.exercise("daemon-json").check()
seen["exercise"] = str(check)
lab.close()
print("SEEN " + json.dumps(seen))
"""


def test_only_those_are_live_and_only_what_they_take_runs(project: Project, tmp_path: Path) -> None:
    answer = tmp_path / "assets/01-cgroup-drivers/my-daemon.json"
    answer.parent.mkdir(parents=True)
    answer.write_text('{"log-level": "warn"}')
    evidence = tmp_path / "evidence"
    environment = {TRIALS_VARIABLE: "hierarchies", EVIDENCE_VARIABLE: str(evidence), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = LocalRunner().run(
        [str(project.python), "-c", NOTEBOOK],
        within_seconds=240,
        invocation=Invocation(environment=environment, folder=tmp_path),
    )
    seen = json.loads(ran.or_raise().stdout.rpartition("SEEN ")[2])
    assert "all others" in seen["card"] and "--trials hierarchies was asked for" in seen["card"]
    assert seen["replayed"][:2] == [False, "--trials hierarchies was asked for"]
    assert seen["live"] == [True, True, 0]
    # What is typed reaches the engine in a live trial, and nothing else.
    assert 0 not in (seen["typed first"], seen["replayed"][2], seen["typed last"])
    assert (seen["machines"], seen["cluster"]) == ([], True)
    assert "--trials hierarchies" in seen["exercise"]
    assert [path.name for path in evidence.rglob("*.json")] == ["hierarchies.json"]
