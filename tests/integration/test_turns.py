"""Notebooks on a lab that stays, as under `./lab start`: one works there at a time, and nothing of the last stays."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from labsupport import open_lab
from labsupport.backends import ATTACH_VARIABLE, Backends, Plan, start_backends
from labsupport.errors import UsageError
from labsupport.lab import EVIDENCE_VARIABLE
from labsupport.lessons.needs import Needs
from labsupport.process.commands import LocalRunner
from labsupport.process.ownership import RUN_ROOT_VARIABLE, Owner
from labsupport.project import Project

pytestmark = [pytest.mark.needs("engine"), pytest.mark.timeout(300)]

FIRST, SECOND = "04-network-drivers", "06-dockerfile-instructions"
RUN = "docker run --detach --name {} lab/toolbox sleep 100"
KILLED = f"""
import os, signal
from labsupport import open_lab
trial = open_lab("{FIRST}").trial("hello")
trial.run("{RUN.format("of-the-killed")}")
os.kill(os.getpid(), signal.SIGKILL)
"""
LEAVES = f"""
from labsupport import open_lab
open_lab("{FIRST}").trial("hello").run("{RUN.format("of-one-that-left")}")
"""


@pytest.fixture(scope="module")
def living() -> Iterator[Backends]:
    """A lab that stays, with an engine."""
    with tempfile.TemporaryDirectory(prefix="l-", dir="/var/lib") as root, pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUN_ROOT_VARIABLE, root)
        chosen = Plan("namespaces", no_cluster="none was asked for")
        started = start_backends(chosen, Needs(engine=True, images=("lab/toolbox",)), owner=Owner.this_process())
        try:
            started.keep_baseline()
            yield started
        finally:
            started.close()


@pytest.fixture(autouse=True)
def attached(living: Backends, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    assert living.home is not None
    monkeypatch.setenv(ATTACH_VARIABLE, living.home.name)
    monkeypatch.setenv(EVIDENCE_VARIABLE, str(tmp_path))
    yield
    living.back_to_baseline()


def containers(living: Backends) -> list[str]:
    assert living.engine is not None
    return sorted(each.name for each in living.engine.client.containers.list(all=True))


def test_who_opens_the_lab_takes_it_over_and_what_the_one_before_does_then_touches_nothing(
    living: Backends, capsys: pytest.CaptureFixture[str]
) -> None:
    first = open_lab(FIRST)
    trial = first.trial("hello")
    trial.run(RUN.format("mine"))
    second = open_lab(SECOND)
    assert f"{FIRST} is open too, and had this lab until now" in capsys.readouterr().out
    assert containers(living) == []
    second.trial("override", settles="df-08").run(RUN.format("theirs"))
    for tried in (
        lambda: trial.run("docker ps"),
        lambda: trial.observe("something", lambda: 1),
        lambda: first.trial("another"),
        first.reset,
    ):
        with pytest.raises(UsageError, match=f"{SECOND} opened it later"):
            tried()
    first.close()
    assert containers(living) == ["theirs"]
    # Back again: the cell with open_lab has it from the other.
    again = open_lab(FIRST)
    assert containers(living) == []
    again.trial("hello").run(RUN.format("mine"))
    second.close()
    assert containers(living) == ["mine"]
    again.close()
    assert containers(living) == []


def test_a_check_that_is_under_way_removes_nothing_of_who_takes_over(living: Backends) -> None:
    checked, opened = open_lab(SECOND).exercise("rewrite"), []

    def take_over(_: object) -> bool:
        opened.append(open_lab(FIRST))
        opened[0].trial("hello").run(RUN.format("theirs"))
        return False

    checked.started = take_over
    checked.check()
    assert containers(living) == ["theirs"]
    opened[0].close()


def test_what_a_killed_kernel_had_left_is_removed_by_who_comes_next(
    living: Backends, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    killed = LocalRunner().run([str(project.python), "-c", KILLED], within_seconds=120)
    assert killed.exit_code == 128 + signal.SIGKILL, killed.stderr
    assert containers(living) == ["of-the-killed"]
    lab = open_lab(FIRST)
    assert f"What {FIRST} had left, whose kernel has ended, is removed: 1 container" in capsys.readouterr().out
    assert containers(living) == []
    lab.close()


def test_what_is_made_by_hand_between_two_notebooks_stays(
    living: Backends, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    left = LocalRunner().run([str(project.python), "-c", LEAVES], within_seconds=120)
    assert left.succeeded, left.stderr
    assert containers(living) == []
    assert living.engine is not None
    living.engine.runner.run(RUN.format("by-hand").split()).or_raise()
    lab = open_lab(SECOND)
    lab.trial("override", settles="df-08").run(RUN.format("theirs"))
    lab.close()
    assert containers(living) == ["by-hand"]
    assert "open too" not in capsys.readouterr().out
