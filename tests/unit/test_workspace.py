"""work/ belongs to the learner: handing out never overwrites an edit unless asked."""

from pathlib import Path

import pytest

from labsupport.errors import UsageError
from labsupport.notebooks import NotebookFile
from labsupport.project import Project
from labsupport.workspace import hand_out


@pytest.fixture
def lesson(tmp_path: Path) -> tuple[Project, list[NotebookFile]]:
    project = Project(tmp_path)
    assets = project.assets / "06-one"
    assets.mkdir(parents=True)
    (assets / "Dockerfile").write_text("FROM scratch\n")
    notebook = project.notebooks / "06-one.ipynb"
    notebook.write_text("first edition")
    return project, [NotebookFile("06-one", notebook)]


def test_the_first_time_everything_is_copied(lesson: tuple[Project, list[NotebookFile]]) -> None:
    project, notebooks = lesson
    assert hand_out(project, notebooks).written == ("06-one.ipynb", "assets/06-one/Dockerfile")
    assert (project.work / "assets/06-one/Dockerfile").read_text() == "FROM scratch\n"
    assert hand_out(project, notebooks).written == ()


def test_an_untouched_copy_follows_a_new_edition(lesson: tuple[Project, list[NotebookFile]]) -> None:
    project, notebooks = lesson
    hand_out(project, notebooks)
    notebooks[0].path.write_text("second edition")
    assert hand_out(project, notebooks).written == ("06-one.ipynb",)
    assert (project.work / "06-one.ipynb").read_text() == "second edition"


def test_an_edited_copy_is_kept_and_said(lesson: tuple[Project, list[NotebookFile]]) -> None:
    project, notebooks = lesson
    hand_out(project, notebooks)
    (project.work / "06-one.ipynb").write_text("mine")
    assert hand_out(project, notebooks).kept == ()
    notebooks[0].path.write_text("second edition")
    assert hand_out(project, notebooks).kept == ("06-one.ipynb",)
    assert (project.work / "06-one.ipynb").read_text() == "mine"


def test_reset_brings_back_a_fresh_copy(lesson: tuple[Project, list[NotebookFile]]) -> None:
    project, notebooks = lesson
    hand_out(project, notebooks)
    (project.work / "06-one.ipynb").write_text("mine")
    assert "06-one.ipynb" in hand_out(project, notebooks, reset=True).written
    assert (project.work / "06-one.ipynb").read_text() == "first edition"


def test_a_folder_that_cannot_be_written_is_one_clear_message(lesson: tuple[Project, list[NotebookFile]]) -> None:
    project, notebooks = lesson
    project.work.write_text("a file where the folder should be")
    with pytest.raises(UsageError, match="make the folder writable"):
        hand_out(project, notebooks)
