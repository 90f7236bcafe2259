"""Who may be in a room, and what refuses it before anything starts."""

from pathlib import Path

import pytest

from labsupport import hosting
from labsupport.errors import RequirementMissing, UsageError
from labsupport.hosting import Learner, learners_of, require_room
from labsupport.outlook import NotebookOutlook, Outlook
from labsupport.project import Project
from labsupport.systems.room import Room

TEN = [Learner(f"learner-{number}", 5000 + number, 5000, Path("/nowhere")) for number in range(10)]
MEMORY = Room("memory", 29, "23952 MB are free", "add memory")
UNKNOWN = Room("addresses", None, "nobody knows", "ask")
INSTANCES = Room("inotify instances", 4, "128 are free, and a lab takes 27", "sudo sysctl fs.inotify=1024")
RECORDED = NotebookOutlook("06-x", False, "no namespaces here", "use Linux")


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        (["nobody", "no-such-account"], "no-such-account has no account here"),
        (["root"], "root is root"),
        (["nobody", "nobody"], "nobody is there twice"),
    ],
)
def test_a_name_that_is_no_learners_is_refused(names: list[str], wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        learners_of(names)


def test_learners_are_looked_up_in_the_order_of_their_names() -> None:
    assert [each.name for each in learners_of(["nobody", "daemon"])] == ["nobody", "daemon"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, project: Project) -> Project:
    monkeypatch.setattr(hosting.os, "geteuid", lambda: 0)
    monkeypatch.setattr(hosting.shutil, "which", lambda name: f"/usr/bin/{name}")
    return project


def _ahead(monkeypatch: pytest.MonkeyPatch, *rooms: Room) -> None:
    monkeypatch.setattr(hosting.outlook, "look_ahead", lambda options: Outlook((RECORDED,), (), rooms))


def test_where_fewer_fit_it_says_by_what_and_how_to_have_more(asked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _ahead(monkeypatch, MEMORY, UNKNOWN, INSTANCES)
    with pytest.raises(RequirementMissing) as refused:
        require_room(asked, TEN)
    assert refused.value.happened == f"4 more labs fit here, by inotify instances: {INSTANCES.because}"
    assert refused.value.do == INSTANCES.change_it


def test_where_no_lab_is_live_it_says_why(asked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _ahead(monkeypatch)
    with pytest.raises(RequirementMissing, match="no namespaces here"):
        require_room(asked, TEN)


def test_who_is_not_root_is_told_the_command(asked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting.os, "geteuid", lambda: 1000)
    with pytest.raises(RequirementMissing, match=r"sudo \./lab room"):
        require_room(asked, TEN)
