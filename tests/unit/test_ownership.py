"""Names, owners and locks: whose a thing is."""

import os
from pathlib import Path

import pytest

from labsupport.process.ownership import (
    LAB_NAME,
    Caller,
    Owner,
    caller,
    give_to_caller,
    label,
    locked,
    new_name,
    run_root,
    ticks_at_start,
)


def test_a_name_fits_an_interface_and_is_never_the_same() -> None:
    names = {new_name() for _ in range(100)}
    assert len(names) == 100
    assert all(LAB_NAME.fullmatch(name) and len(name) < 16 for name in names)


def test_a_label_carries_the_name() -> None:
    assert label("lab-123abc") == "labsupport.lab=lab-123abc"


def test_this_process_is_alive() -> None:
    assert Owner.this_process().is_alive()
    assert Owner.this_process() == Owner.of(os.getpid())


def test_a_later_process_with_the_same_pid_is_somebody_else() -> None:
    now = Owner.this_process()
    earlier = Owner(now.pid, now.started_at + "0")
    assert not earlier.is_alive()
    with pytest.raises(ProcessLookupError):
        earlier.open_pidfd()


def test_nobody_has_a_pid_that_is_not_in_use() -> None:
    with pytest.raises(ProcessLookupError):
        Owner.of(2**22 + 1)
    assert not Owner(2**22 + 1, "").is_alive()


@pytest.mark.parametrize(("state", "ticks"), [("S", "22"), ("R", "22"), ("Z", None), ("X", None)])
def test_when_a_process_started_is_read_whatever_its_name(state: str, ticks: str | None) -> None:
    """A command may be called `a) S 1 (b`: its name is in the middle of the line that tells."""
    stat = f"7 (a) S 1 (b) {state} " + " ".join(str(number) for number in range(4, 53))
    assert ticks_at_start(stat) == ticks


def test_the_run_root_can_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAB_RUN_ROOT", str(tmp_path))
    assert run_root() == tmp_path
    monkeypatch.delenv("LAB_RUN_ROOT")
    assert run_root() == Path("/var/lib/labs")


def test_the_lock_is_held_by_one(tmp_path: Path) -> None:
    import fcntl

    with locked(tmp_path), (tmp_path / ".lock").open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / ".lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root: only root gives files away")
def test_under_sudo_the_caller_is_who_typed_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch(mode=0o644)
    monkeypatch.setenv("SUDO_UID", "4711")
    monkeypatch.setenv("SUDO_GID", "4712")
    assert caller() == Caller(4711, 4712)
    give_to_caller(key)
    status = key.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (4711, 4712, 0o600)


def test_without_sudo_the_caller_is_this_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    assert caller() == Caller(os.getuid(), os.getgid())
