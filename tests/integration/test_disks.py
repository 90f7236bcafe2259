"""Disks of a machine: real block devices that go with their machine, however it ends."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from labsupport.errors import CommandFailed
from labsupport.process.ownership import Owner
from labsupport.process.waiting import wait_until
from labsupport.systems.inventory import leftovers
from labsupport.systems.machines.disks import FOLDER, Disk, attach_disk
from labsupport.systems.machines.loops import loops_into
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.namespaces import start_namespaces_machine
from labsupport.systems.machines.sweeping import sweep
from tests.leaks import leak_checked_machine

pytestmark = pytest.mark.needs("root")

PLACE = "/var/lib/disk"
# What the kernel does not remove by itself; the next start or `clean` does.
SWEPT = {"cgroup", "run folder"}


def said(machine: Machine, words: str) -> str:
    return machine.runner.run(["sh", "-ec", words]).or_raise().stdout.strip()


def write_and_search(disk: Disk) -> int:
    """Write a line to a file of the disk, and count the blocks of the raw device that have it."""
    said(disk.machine, f"echo a-secret-of-ours >{PLACE}/file; sync --file-system {PLACE}/file")
    return int(said(disk.machine, f"grep --text --count a-secret-of-ours {disk.device}"))


def test_what_is_written_to_its_files_is_on_the_device_and_detaching_leaves_nothing() -> None:
    with leak_checked_machine() as machine:
        node = machine.nested("node-1")
        disk = attach_disk(node, "lab-disk", PLACE, megabytes=16)
        assert write_and_search(disk) == 1
        assert len(loops_into(machine.folder)) == 1
        disk.detach()
        wait_until(lambda: loops_into(machine.folder) == [], "the device to be let go of", within_seconds=30)
        assert said(node, f"ls {FOLDER}; ls /dev | grep lab-disk || true") == ""


def test_attaching_again_gives_an_empty_disk_in_the_place_of_the_one_somebody_left() -> None:
    with leak_checked_machine() as machine:
        assert write_and_search(attach_disk(machine, "lab-disk", PLACE, megabytes=16)) == 1
        again = attach_disk(machine, "lab-disk", PLACE, megabytes=16)
        assert said(machine, f"ls {PLACE}") == "lost+found"
        wait_until(lambda: len(loops_into(machine.folder)) == 1, "the one to be let go of", within_seconds=30)
        again.detach()


def test_a_disk_too_small_for_a_file_system_leaves_nothing() -> None:
    with leak_checked_machine() as machine:
        with pytest.raises(CommandFailed):
            attach_disk(machine, "lab-disk", PLACE, megabytes=0)
        assert said(machine, f"ls {FOLDER}") == ""


@pytest.mark.parametrize("moment", ["attached", "written", "deleted", "unmounted"])
def test_killed_in_the_middle_of_forensics(moment: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("labs")
    _, status = os.waitpid(_in_a_child(_look_and_be_killed(moment), root), 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    name = (root / "name").read_text()

    def left() -> list[str]:
        return [str(each) for each in leftovers(name, root=root) if each.kind not in SWEPT]

    wait_until(lambda: not left(), "the kernel to end it all", within_seconds=30, last_seen=lambda: f"left: {left()}")
    assert loops_into(root) == []
    sweep(root)
    assert leftovers(name, root=root) == []


def _look_and_be_killed(moment: str) -> Callable[[Path], None]:
    def look(root: Path) -> None:
        machine = start_namespaces_machine(owner=Owner.this_process(), root=root)
        (root / "name").write_text(machine.name)
        disk = attach_disk(machine.nested("node-1"), "lab-disk", PLACE, megabytes=16)
        steps = {
            "attached": lambda: None,
            "written": lambda: write_and_search(disk),
            "deleted": lambda: said(disk.machine, f"rm {PLACE}/file; sync"),
            "unmounted": lambda: said(disk.machine, f"umount {PLACE}"),
        }
        for name, step in steps.items():
            step()
            if name == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    return look


def _in_a_child(action: Callable[[Path], None], root: Path) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            action(root)
        finally:
            os._exit(1)
    return pid
