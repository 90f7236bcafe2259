"""`kill -9` of `./lab run`, or of a notebook's kernel, at a random cell: the lab goes at once, the rest with a sweep.

However often somebody types Ctrl-C, `./lab run` itself takes all of it along.

The seed is printed; set LAB_SEED to repeat a run. Labs of this test have a run root of their own.
"""

import os
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from labsupport.errors import MachineError
from labsupport.process.commands import Background, LocalRunner
from labsupport.process.ownership import LAB_NAME
from labsupport.process.waiting import wait_until
from labsupport.project import Project
from labsupport.systems.inventory import leftovers
from labsupport.systems.machines.run_folders import records
from labsupport.systems.machines.sweeping import sweep
from tests.runs import told_cell

pytestmark = [pytest.mark.needs("engine"), pytest.mark.timeout(900)]

SLUG = "06-dockerfile-instructions"
# What the kernel does not remove by itself, and says so in the design.
SWEPT = {"cgroup", "run folder"}
LAST_CELL = 12


@pytest.fixture
def clone(tmp_path: Path, project: Project) -> Project:
    """A copy of this clone, so that its build/ is ours."""
    for part in ("labsupport", "notebooks", "toolchain"):
        shutil.copytree(project.root / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("lab", "requirements.lock"):
        shutil.copy2(project.root / part, tmp_path / part)
    (tmp_path / ".venv").symlink_to(project.python.parent.parent)
    return Project(tmp_path)


@pytest.fixture
def root() -> Iterator[Path]:
    # Not below pytest's own folder: paths of sockets may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="labs-") as name:
        yield Path(name)


@pytest.fixture
def running(clone: Project, root: Path) -> Iterator[Background]:
    command = LocalRunner({"LAB_RUN_ROOT": str(root), "PYTHONUNBUFFERED": "1"}).start(
        [str(clone.root / "lab"), "run", SLUG], log=clone.root / "log"
    )
    yield command
    command.close()


def lab_and_kernel(root: Path) -> tuple[str, psutil.Process] | None:
    """Return the lab's name and the process it belongs to, once its record is written."""
    try:
        owned = [one for one in records(root).values() if one is not None and one.owner is not None]
    except (MachineError, OSError):
        return None
    return (owned[0].name, psutil.Process(owned[0].owner.pid)) if owned and owned[0].owner else None


@pytest.mark.parametrize("victim", ["command", "kernel"])
def test_nothing_of_a_killed_run_is_left(
    victim: str, clone: Project, root: Path, running: Background, chance: random.Random
) -> None:
    name, kernel = at_a_cell(clone, root, running, chance.randint(1, LAST_CELL))

    os.kill(running.pid if victim == "command" else kernel.pid, signal.SIGKILL)

    # A kernel looks once a second whether its parent is there; the lab goes with the kernel, not after it.
    wait_until(lambda: has_ended(kernel), "the kernel", within_seconds=60)
    wait_until(
        lambda: {one.kind for one in leftovers(name, root=root)} <= SWEPT, "the lab to be gone", within_seconds=30
    )
    if victim == "kernel":
        assert running.wait(120) == 1
        said = (clone.root / "log").read_text()
        assert f"FAILED  {SLUG}" in said
        assert "0 of 1 notebooks passed" in said
        assert "Traceback" not in said
        assert leftovers(name, root=root) == []
    sweep(root)
    assert leftovers(name, root=root) == []


@pytest.mark.parametrize("pause", [0.3, 0.003])
def test_nothing_of_a_run_is_left_after_ctrl_c_again_and_again(
    pause: float, clone: Project, root: Path, running: Background, chance: random.Random
) -> None:
    name, kernel = at_a_cell(clone, root, running, chance.randint(1, 3))
    running.signal(signal.SIGINT)

    def has_ended_or_is_told_again() -> bool:
        return has_ended(kernel) or bool(running.signal(signal.SIGINT))

    wait_until(has_ended_or_is_told_again, "the kernel to end", within_seconds=60, every_seconds=pause)
    assert running.wait(120) == 130
    assert "Stopped." in (clone.root / "log").read_text()
    assert leftovers(name, root=root) == []


def at_a_cell(clone: Project, root: Path, running: Background, cell: int) -> tuple[str, psutil.Process]:
    """Wait until the run is at this cell; return its lab's name and the kernel."""

    def while_it_runs() -> str:
        return (clone.root / "log").read_text()[-2000:]

    def lab_is_there() -> tuple[str, psutil.Process] | None:
        assert running.exit_code is None, while_it_runs()
        return lab_and_kernel(root)

    def reached() -> bool:
        assert running.exit_code is None, while_it_runs()
        return told_cell(clone.root / "log") >= cell

    name, kernel = wait_until(lab_is_there, "the notebook's lab", within_seconds=300, last_seen=while_it_runs)
    assert LAB_NAME.fullmatch(name)
    wait_until(reached, f"cell {cell}", within_seconds=300, last_seen=while_it_runs)
    return name, kernel


def has_ended(kernel: psutil.Process) -> bool:
    try:
        return not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # reaped just now
        return True
