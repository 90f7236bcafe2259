"""work/ belongs to the learner: handing out never overwrites an edit unless asked."""

import errno
import shutil
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


@pytest.mark.parametrize("name", ["06-one.ipynb", ".originals.json"])
def test_on_a_full_disk_all_stays_as_it_was(
    lesson: tuple[Project, list[NotebookFile]], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, notebooks = lesson
    hand_out(project, notebooks)
    before = {file.name: file.read_bytes() for file in project.work.iterdir() if file.is_file()}
    if name.endswith(".ipynb"):
        notebooks[0].path.write_text("second edition")

    def half(self: Path, written: object, *_: object) -> None:
        with self.open("wb") as file:
            file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", half)
    monkeypatch.setattr(shutil, "copyfile", lambda source, target: half(target, source))
    with pytest.raises(UsageError, match=r"(?s)No space left on device: .*make room on the disk"):
        hand_out(project, notebooks)
    assert {file.name: file.read_bytes() for file in project.work.iterdir() if file.is_file()} == before


@pytest.mark.parametrize("memory", ["", "[]", "{"])
def test_a_memory_that_is_damaged_keeps_what_was_edited(
    lesson: tuple[Project, list[NotebookFile]], memory: str
) -> None:
    project, notebooks = lesson
    hand_out(project, notebooks)
    (project.work / "06-one.ipynb").write_text("mine")
    (project.work / ".originals.json").write_text(memory)
    assert hand_out(project, notebooks).kept == ("06-one.ipynb",)
    assert (project.work / "06-one.ipynb").read_text() == "mine"
