"""What is on record of faults: found again by whoever comes after, whatever else is in the journal."""

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labsupport.errors import UsageError
from labsupport.process.ownership import Owner
from labsupport.systems.faults import faults_left, is_abandoned, make_fault, open_faults, undo_fault

US = Owner.this_process()
DEAD = Owner(US.pid, "another start")


def entry(number: int, did: str, target: str = "etcd", owner: Owner = US) -> str:
    action = "cut off" if target.startswith("node") else "stop"
    return json.dumps(
        {"at": number, "did": did, "id": str(number), "action": action, "target": target, "owner": vars(owner)}
    )


def cluster(tmp_path: Path, *lines: str) -> Any:
    """The part of a cluster that the journal is read from."""
    journal = tmp_path / "faults.jsonl"
    journal.write_text("".join(f"{line}\n" for line in lines))
    component = SimpleNamespace(name="etcd")
    return SimpleNamespace(fault_journal=journal, component=lambda name: component, node=lambda name: component)


def test_what_was_undone_is_open_no_more(tmp_path: Path) -> None:
    found = open_faults(cluster(tmp_path, entry(1, "made"), entry(2, "made", "node-2"), entry(1, "undone")))
    assert [str(each) for each in found] == ["node-2 cut off"]


def test_what_a_component_does_once_it_is_back_comes_after_its_return(tmp_path: Path) -> None:
    began: list[float] = []
    world = cluster(tmp_path, entry(1, "made"))
    world.component("etcd").start = lambda: began.append(time.time())
    undo_fault(world, open_faults(world)[0])
    assert open_faults(world) == []
    assert json.loads(world.fault_journal.read_text().splitlines()[-1])["at"] <= began[0]


def test_a_line_cut_short_says_nothing(tmp_path: Path) -> None:
    found = open_faults(cluster(tmp_path, entry(1, "made")[:20], entry(2, "made"), "", "null"))
    assert [str(each) for each in found] == ["etcd stopped"]


def test_an_empty_journal_has_none(tmp_path: Path) -> None:
    assert open_faults(cluster(tmp_path)) == []


def test_what_somebody_alive_made_is_theirs(tmp_path: Path) -> None:
    theirs = Owner.of(1)
    world = cluster(tmp_path, entry(1, "made", owner=theirs), entry(2, "made", "a", DEAD), entry(3, "made", "b"))
    assert [is_abandoned(each) for each in open_faults(world)] == [False, True, True]
    assert [str(each) for each in faults_left(world)] == ["fault: a stopped", "fault: b stopped"]


def test_one_fault_at_a_time_for_each_part(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="etcd stopped already"):
        make_fault(cluster(tmp_path, entry(1, "made")), "kill", "etcd")


def test_only_known_faults_are_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one of: stop, kill, freeze, cut off"):
        make_fault(cluster(tmp_path), "burn", "etcd")
