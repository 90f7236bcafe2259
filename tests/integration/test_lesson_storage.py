"""Notebook 03 on real engines: its exercise, and that nothing of an engine on btrfs outlives a kill in the middle."""

import json
import os
import shutil
import signal
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from labsupport.experiments.exercises import Answer, Exercise, faults_of_exercise
from labsupport.lessons.storage import predict_usage
from labsupport.lessons.storage.exercise import ANSWER, VARIATIONS, Usage
from labsupport.process.ownership import Owner
from labsupport.process.waiting import wait_until
from labsupport.project import this_project
from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.private import start_daemon
from labsupport.systems.engines.settings import EngineFolders
from labsupport.systems.inventory import leftovers
from labsupport.systems.machines.loops import loops_into
from labsupport.systems.machines.namespaces import start_namespaces_machine
from labsupport.systems.machines.sweeping import sweep
from tests.engines import private_engine, toolchain, tools
from tests.lessons import solution

pytestmark = pytest.mark.needs("engine")

SLUG = "03-storage-drivers"
# What the kernel does not remove by itself; the next start or `clean` does.
SWEPT = {"cgroup", "run folder"}
WRONG = {
    "a second name counted": ("images_total: 1", "images_total: 2", "the number of new images"),
    "one byte costs one byte": ("containers_mb: 13", "containers_mb: 3", "the size of the containers in MB"),
    "all of it reclaimable": ("reclaimable_mb: 3", "reclaimable_mb: 13", "what is reclaimable of the containers"),
    "no volume": ("volumes_mb: 5", "volumes_mb: 0", "the size of the volumes in MB"),
}


@pytest.fixture
def engine() -> Iterator[Engine]:
    with private_engine("lab/toolbox") as started:
        yield started


@pytest.fixture
def exercise(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exercise[Usage]:
    shutil.copytree(this_project().assets / SLUG, tmp_path / "assets" / SLUG)
    monkeypatch.chdir(tmp_path)
    return predict_usage(engine.runner)


def test_it_takes_the_solution_and_refuses_wrong_answers_with_a_step_each(
    exercise: Exercise[Usage], engine: Engine
) -> None:
    answers = [
        Answer(name, lambda old=old, new=new: ANSWER.write_text(solution(SLUG).replace(old, new)), leads_to)  # type: ignore[misc]
        for name, (old, new, leads_to) in WRONG.items()
    ]
    answers.append(Answer("the solution", lambda: ANSWER.write_text(solution(SLUG)) and None, None))
    assert faults_of_exercise(exercise, answers) == []
    assert engine.client.containers.list(all=True) == []
    assert [tag for image in engine.client.images.list() for tag in image.tags] == ["lab/toolbox:latest"]


@pytest.mark.parametrize("seed", range(1, len(VARIATIONS)))
def test_the_numbers_of_another_seed_make_another_solution(
    exercise: Exercise[Usage], engine: Engine, seed: int
) -> None:
    """With seed 1 the container stops that holds the whole file."""
    ANSWER.write_text(solution(SLUG))
    other = predict_usage(engine.runner, seed)
    assert other.check().unmet == "the size of the containers in MB"
    ANSWER.write_text(json.dumps(VARIATIONS[seed].grows()))
    outcome = other.check()
    assert outcome.passed, outcome


@pytest.fixture
def root() -> Iterator[Path]:
    # Not below pytest's own folder: paths of sockets may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="labs-") as name:
        yield Path(name)


def test_an_engine_on_btrfs_that_is_killed_leaves_no_mount_and_no_loop_device(root: Path) -> None:
    toolchain().ensure("btrfs")
    child = os.fork()
    if child == 0:
        try:
            start_on_btrfs_and_be_killed(root)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    assert (root / "running").read_text() == "btrfs on 1 loop device"
    name = (root / "name").read_text()

    def left() -> list[str]:
        return [str(each) for each in leftovers(name, root=root) if each.kind not in SWEPT]

    wait_until(lambda: not left(), "the kernel to end it all", within_seconds=30, last_seen=lambda: f"left: {left()}")
    assert loops_into(root) == []
    assert str(root) not in Path("/proc/self/mounts").read_text()
    sweep(root)
    assert leftovers(name, root=root) == []


def start_on_btrfs_and_be_killed(root: Path) -> None:
    """Start an engine as the notebook does, and end as a kernel of Jupyter may, in the middle."""
    folders = [toolchain().bin_folder("btrfs"), tools().programs]
    outer = start_namespaces_machine(
        owner=Owner.this_process(), root=root, tools=folders, visible=[toolchain().cache, this_project().root]
    )
    (root / "name").write_text(outer.name)
    inner = outer.nested("btrfs")
    inner.runner.run(["sh", str(this_project().assets / SLUG / "disk.sh"), "btrfs"]).or_raise()
    settings = (this_project().assets / SLUG / "drivers" / "btrfs.json").read_text()
    engine = start_daemon(inner, tools(), EngineFolders(inner.folder / "engine"), settings)
    (root / "running").write_text(f"{engine.client.info()['Driver']} on {len(loops_into(root))} loop device")
    os.kill(os.getpid(), signal.SIGKILL)
