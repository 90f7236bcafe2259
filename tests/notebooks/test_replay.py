"""Every notebook runs on recorded evidence, for an ordinary user, and settles what is stored in it."""

import shutil
from pathlib import Path

import pytest

from labsupport.notebooks import NotebookFile, all_notebooks
from labsupport.process.commands import Invocation, LocalRunner
from labsupport.project import Project, this_project

NOTEBOOKS = all_notebooks(this_project())


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda one: one.slug)
def test_nbval_agrees_on_recorded_evidence(notebook: NotebookFile, tmp_path: Path, project: Project) -> None:
    copy = tmp_path / notebook.path.name
    shutil.copyfile(notebook.path, copy)
    if (project.assets / notebook.slug).is_dir():
        shutil.copytree(project.assets / notebook.slug, tmp_path / "assets" / notebook.slug)
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
    result = LocalRunner(replaying).run([*argv, str(copy)], within_seconds=240, invocation=Invocation(folder=tmp_path))
    assert result.succeeded, result.stdout[-4000:]
    assert " passed" in result.stdout


def kernels_of(project: Project) -> str:
    return str(project.python.parent.parent / "share" / "jupyter")
