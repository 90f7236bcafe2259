"""Before a class: what is live, what is still to be got, how many labs fit; and a lab that does not fit is refused."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from labsupport import outlook
from labsupport.backends import LabOptions
from labsupport.errors import RequirementMissing
from labsupport.lessons.catalog import LESSONS
from labsupport.outlook import look_ahead
from labsupport.process.ownership import RUN_ROOT_VARIABLE, Owner
from labsupport.systems.machines.run_folders import LabRecord
from labsupport.systems.room import TRIALS_MEGABYTES, Free, Room, Size, instances_in_use, require_room, rooms
from labsupport.systems.toolchain.catalogue import read_catalogue
from labsupport.systems.toolchain.costs import costs_of
from labsupport.teaching import show_outlook

ONE_NODE = Size(engine=True, nodes=1)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for run folders where no lab runs."""
    monkeypatch.setenv(RUN_ROOT_VARIABLE, str(tmp_path))
    return tmp_path


def run_lab(root: Path, name: str, *, seconds_ago: float) -> None:
    me = Owner.this_process()
    created = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat(timespec="seconds")
    (root / name).mkdir()
    LabRecord(name, "namespaces", me, me, me, me, "169.254.7.0/30", created, os.getuid()).write(root / name)


def test_a_larger_lab_takes_more() -> None:
    sizes = [Size(engine=True, nodes=0), Size(engine=False, nodes=1), ONE_NODE, Size(engine=True, nodes=3)]
    assert sorted(sizes, key=lambda size: size.megabytes) == sizes
    assert sorted(sizes, key=lambda size: size.instances) == sizes


def test_a_lab_that_fits_may_start(root: Path) -> None:
    for enough in (Free(ONE_NODE.megabytes, ONE_NODE.instances), Free(None, None)):
        require_room(ONE_NODE, enough)


@pytest.mark.parametrize(
    ("free", "said"),
    [
        (Free(ONE_NODE.megabytes - 1, None), r"MB of memory, and \d+ are free; 1 other lab run(.|\n)*lab down"),
        (Free(None, ONE_NODE.instances - 1), r"inotify instances(.|\n)*sudo sysctl fs.inotify.max_user_instances=\d+"),
    ],
)
def test_one_that_does_not_fit_is_refused_with_what_to_do(root: Path, free: Free, said: str) -> None:
    run_lab(root, "lab-000001", seconds_ago=3600)
    with pytest.raises(RequirementMissing, match=said):
        require_room(ONE_NODE, free)


def test_what_labs_that_start_will_take_counts_as_taken(root: Path) -> None:
    free = Free(3 * ONE_NODE.megabytes, None)
    run_lab(root, "lab-000001", seconds_ago=3600)
    run_lab(root, "lab-000002", seconds_ago=5)
    run_lab(root, "lab-000003", seconds_ago=5)
    require_room(ONE_NODE, free)
    run_lab(root, "lab-000004", seconds_ago=1)
    with pytest.raises(RequirementMissing, match=f"{3 * ONE_NODE.megabytes} of which labs take that start now"):
        require_room(ONE_NODE, free)


def test_each_measure_says_how_many_fit_and_what_makes_it_more(root: Path) -> None:
    free = Free(10 * (ONE_NODE.megabytes + TRIALS_MEGABYTES) + 5, 3 * ONE_NODE.instances)
    found = {each.name: each for each in rooms(ONE_NODE, free)}
    assert (found["memory"].fits, found["inotify instances"].fits) == (10, 3)
    assert 16_000 < (found["addresses"].fits or 0) < 16_384
    assert all(each.because and each.change_it for each in found.values())


def test_inotify_instances_are_counted(tmp_path: Path) -> None:
    for process, names in {"1": ["anon_inode:inotify", "socket:[1]"], "20": ["anon_inode:inotify"] * 2}.items():
        (tmp_path / process / "fd").mkdir(parents=True)
        for number, name in enumerate(names):
            (tmp_path / process / "fd" / str(number)).symlink_to(name)
    assert instances_in_use([tmp_path / "1", tmp_path / "20", tmp_path / "it has ended"]) == 3


def test_costs_are_told_once_for_what_is_built_together() -> None:
    catalogue = read_catalogue()
    found = costs_of(catalogue, ["kubelet", "kube-apiserver", "ip", "tc", "pause"])
    assert [each.what.split()[0] for each in found] == ["build", "build", "unpack"]
    assert found[0].minutes == catalogue.builds["kubernetes"].minutes
    assert found[2].what.startswith("unpack Debian's ethtool, iproute2")
    assert costs_of(catalogue, []) == []


def test_where_nothing_is_live_nothing_is_to_be_got(root: Path) -> None:
    found = look_ahead(LabOptions(engine="replay"))
    assert (found.missing, found.rooms, found.labs, found.minutes) == ((), (), None, 0)
    live = [each.notebook for each in found.notebooks if each.live]
    assert live == ["09-claims"]
    assert "--engine replay was asked for" in found.notebooks[1].because


def test_of_a_guest_it_says_that_it_does_not_look_into_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(outlook, "takes_a_guest", lambda options: True)
    show_outlook(as_json=False)
    said = capsys.readouterr().out
    assert "Labs run in a guest here" in said and "./lab run" in said
    assert "What is live here" not in said and "To get before class" not in said


@pytest.mark.needs("machine")
def test_where_a_machine_can_start_it_says_what_is_missing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CACHE", str(root / "cache"))
    found = look_ahead(LabOptions())
    assert [each.notebook for each in found.notebooks if each.live] == [each.slug for each in LESSONS]
    names = " ".join(each.what for each in found.missing)
    for part in ("build ", "systemd machine", "lab/debian"):
        assert part in names
    assert found.minutes > 5
    # A virtual machine is given what is got here.
    assert look_ahead(LabOptions(machine="vm")).missing == found.missing
    assert found.labs is not None
    fewest = replace(found, rooms=(Room("a", 3, "", ""), Room("b", None, "", ""), Room("c", 2, "", "")))
    assert fewest.labs == 2
