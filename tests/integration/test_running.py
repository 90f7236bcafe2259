"""Notebooks are executed to the end of the list, whatever one of them does, and never outlive the command."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from labsupport.errors import UsageError
from labsupport.notebooks import find_notebooks, generate_all
from labsupport.process.commands import Invocation, LocalRunner
from labsupport.process.waiting import wait_until
from labsupport.project import Project
from labsupport.running import NotebookProgress, RunPlan, run_notebooks

HEADER = '# %% [markdown]\n# # {title}\n\n# %% tags=["parameters"]\nengine = "auto"\n\n# %%\n'
CELLS = {
    "01-works": "import os\nprint(engine, os.environ['LAB_MACHINE'], sorted(os.listdir('assets/01-works')))",
    "02-raises": "from labsupport.errors import UsageError\nraise UsageError('tried', 'happened', 'do')",
    "03-dies": "import os\nos._exit(7)",
    "04-works-too": "1 / 1",
}


@pytest.fixture
def course(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.sources.mkdir(parents=True)
    (project.assets / "01-works").mkdir(parents=True)
    (project.assets / "01-works" / "Dockerfile").write_text("FROM scratch\n")
    for slug, code in CELLS.items():
        (project.sources / f"{slug}.py").write_text(HEADER.format(title=slug.title()) + code + "\n")
    generate_all(project)
    return project


def test_it_goes_on_after_failures_and_says_what_happened(course: Project) -> None:
    seen: list[NotebookProgress] = []
    plan = RunPlan(find_notebooks(course, []), {"engine": "replay"}, {"LAB_MACHINE": "none"}, jobs=2)
    results = run_notebooks(course, plan, seen.append)
    assert [one.outcome for one in results] == ["passed", "failed", "failed", "passed"]
    assert results[0].title == "01-Works"
    assert results[1].error == "Tried: tried\nWhat happened: happened\nWhat to do: do"
    assert "died" in results[2].error.lower()
    assert [one.cells_done for one in results] == [2, 1, 1, 2]
    assert "replay none ['Dockerfile']" in results[0].path.read_text()
    assert all("os._exit(7)" in one.path.read_text() for one in results if one.slug == "03-dies")
    assert {one.cells for one in seen} == {2}
    assert [one.cell for one in seen if one.slug == "01-works"][-1] == 2


def test_two_runs_in_one_clone_do_not_trample_each_other(course: Project) -> None:
    plan = RunPlan(find_notebooks(course, ["04"]))

    def meanwhile(_: NotebookProgress) -> None:
        with pytest.raises(UsageError, match=f"process {os.getpid()}"):
            run_notebooks(course, plan, lambda _: None)

    assert [one.outcome for one in run_notebooks(course, plan, meanwhile)] == ["passed"]


def test_nothing_of_the_user_is_read_or_written(
    course: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    run_notebooks(course, RunPlan(find_notebooks(course, ["04"])), lambda _: None)
    assert not list(home.rglob("*"))


# A cell that only notes Ctrl-C, and goes on.
STUBBORN = "import signal\nsignal.signal(signal.SIGINT, lambda *_: open('heard', 'w').close())\n"
WAITS = "import threading\nopen('waits', 'w').close()\nthreading.Event().wait(300)\n"


@pytest.mark.parametrize("before", ["", STUBBORN], ids=["once", "twice"])
def test_ctrl_c_ends_the_kernels_too(course: Project, project: Project, before: str) -> None:
    (course.sources / "05-waits.py").write_text(HEADER.format(title="Waits") + before + WAITS)
    generate_all(course)
    program = (
        "import sys; from pathlib import Path; from labsupport.project import Project;"
        "from labsupport.notebooks import find_notebooks; from labsupport.running import RunPlan, run_notebooks;"
        "course = Project(Path(sys.argv[1]));"
        "run_notebooks(course, RunPlan(find_notebooks(course, ['05'])), lambda step: print(step, flush=True))"
    )
    log = course.root / "log"
    running = LocalRunner().start(
        [str(project.python), "-c", program, str(course.root)], log=log, invocation=Invocation(folder=project.root)
    )
    folder = course.build / "run"
    wait_until((folder / "waits").exists, "the waiting cell", within_seconds=120, last_seen=log.read_text)
    kernels = psutil.Process(running.pid).children(recursive=True)
    assert kernels
    os.kill(running.pid, signal.SIGINT)
    if before:
        wait_until((folder / "heard").exists, "the kernel to hear of it", within_seconds=60)
        os.kill(running.pid, signal.SIGINT)
    running.wait(120)
    assert "KeyboardInterrupt" in log.read_text()
    wait_until(lambda: not any(one.is_running() for one in kernels), "the kernels to be gone", within_seconds=60)
