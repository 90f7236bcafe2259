"""Every notebook runs on recorded evidence, for an ordinary user, and settles what is stored in it."""

import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from labsupport.notebooks import NotebookFile, all_notebooks
from labsupport.process.commands import CommandResult, Invocation, LocalRunner
from labsupport.project import Project, this_project

NOTEBOOKS = all_notebooks(this_project())
# Kernels start and draw on one core each; more at once would only wait for each other.
AT_ONCE = 2
Replays = dict[str, "Future[CommandResult]"]


@pytest.fixture(scope="module")
def replays(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replays]:
    """Begin with all of them; each test waits for its own."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {one.slug: pool.submit(_replay, project, one, tmp_path_factory.mktemp(one.slug)) for one in NOTEBOOKS}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda one: one.slug)
def test_nbval_agrees_on_recorded_evidence(notebook: NotebookFile, replays: Replays) -> None:
    result = replays[notebook.slug].result()
    assert result.succeeded, result.stdout[-4000:]
    assert " passed" in result.stdout


def _replay(project: Project, notebook: NotebookFile, folder: Path) -> CommandResult:
    copy = folder / notebook.path.name
    shutil.copyfile(notebook.path, copy)
    if (project.assets / notebook.slug).is_dir():
        shutil.copytree(project.assets / notebook.slug, folder / "assets" / notebook.slug)
    argv = [
        str(project.python),
        "-P",
        "-m",
        "pytest",
        "--nbval-lax",
        "--nbval-current-env",
        "-p",
        "no:cacheprovider",
        "-q",
    ]
    replaying = {"LAB_ENGINE": "replay", "LAB_CLUSTER": "replay", "JUPYTER_PATH": kernels_of(project)}
    return LocalRunner(replaying).run([*argv, str(copy)], within_seconds=240, invocation=Invocation(folder=folder))


def kernels_of(project: Project) -> str:
    return str(project.python.parent.parent / "share" / "jupyter")
