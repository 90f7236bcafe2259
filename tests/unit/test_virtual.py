"""Virtual machines, as far as nothing runs: what a kernel begins with, what is shared, what is refused."""

import stat
from pathlib import Path

import pytest

from labsupport.backends import LabOptions, plan, takes_a_guest
from labsupport.errors import RequirementMissing, WaitExpired
from labsupport.process.ownership import GUEST_VARIABLE
from labsupport.process.waiting import PATIENCE_VARIABLE, patiently, wait_until
from labsupport.project import Project
from labsupport.systems.capabilities import Capability
from labsupport.systems.clusters.control_plane import controller_manager_settings
from labsupport.systems.clusters.node import kubelet_settings
from labsupport.systems.virtual import hardware
from labsupport.systems.virtual.computer import MOST_MEGABYTES, memory_for, shared_folders
from labsupport.systems.virtual.first_files import archive, dependencies, in_order
from labsupport.systems.virtual.system import System
from tests.scripted import Reply, ScriptedRunner

LISTING = """\
kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/fs/mbcache.ko kernel/lib/crc16.ko
kernel/fs/jbd2/jbd2.ko:
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/net/dummy-net.ko.xz:
"""


def unpacked(content: bytes) -> dict[str, tuple[int, bytes]]:
    """Read an archive as the kernel does: mode and content by name."""
    found, at = {}, 0
    while content[at : at + 6] == b"070701":
        fields = [int(content[at + 6 + 8 * index : at + 14 + 8 * index], 16) for index in range(13)]
        name = content[at + 110 : at + 110 + fields[11] - 1].decode()
        start = at + 110 + fields[11] + -(110 + fields[11]) % 4
        found[name] = (fields[1], content[start : start + fields[6]])
        at = start + fields[6] + -fields[6] % 4
    return found


def test_an_archive_has_folders_programs_and_a_console() -> None:
    found = unpacked(archive(["dev"], {"init": b"#!/bin/sh\n", "empty": b"", "odd": b"12345"}))
    assert list(found)[-1] == "TRAILER!!!"
    assert stat.S_ISDIR(found["dev"][0])
    assert stat.S_ISCHR(found["dev/console"][0])
    assert found["init"] == (stat.S_IFREG | 0o755, b"#!/bin/sh\n")
    assert (found["empty"][1], found["odd"][1]) == (b"", b"12345")


def test_modules_come_after_what_they_take_each_once(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text(LISTING)
    known = dependencies(tmp_path / "modules.dep")
    order = [Path(path).stem for path in in_order(["virtio_pci", "ext4", "built_in", "jbd2"], known)]
    assert order == ["virtio", "virtio_pci", "crc16", "mbcache", "jbd2", "ext4"]
    assert "dummy_net" in known


def test_memory_is_half_of_what_there_is_within_limits() -> None:
    assert memory_for(8000) == 4000
    assert memory_for(100_000) == MOST_MEGABYTES
    with pytest.raises(RequirementMissing, match="2000 MB of memory are available"):
        memory_for(2000)


def test_the_clone_is_written_to_and_the_cache_is_not() -> None:
    found = shared_folders(Project(Path("/clone")), Path("/cache"), Path("/opt/python"))
    assert {str(each.path): each.how for each in found.values()} == {
        "/clone": "written",
        "/clone/.venv": "read",
        "/opt/python": "read",
        "/cache": "over",
    }
    assert "python" not in shared_folders(Project(Path("/clone")), Path("/cache"), Path("/usr"))


@pytest.mark.parametrize(
    ("answer", "name", "because"),
    [
        (Reply(f"…\n{hardware.SAID_BY_A_GUEST}\n"), "kvm", ""),
        (Reply(exit_code=1, stderr="qemu-system-x86_64: error: no MSR\nkvm.c: Assertion"), "tcg", "starts: no MSR"),
        (Reply(), "tcg", "no guest starts: exit code 0"),
        (Reply(expires=True), "tcg", "a guest said nothing for 20 s"),
    ],
)
def test_kvm_is_what_a_guest_says_that_runs_with_it(answer: Reply, name: str, because: str) -> None:
    system = System(Path("kernel"), Path("first"), Path("disk"), "6.1")
    found = hardware._probe(["qemu"], system, ScriptedRunner({"qemu": answer}))
    assert found.name == name
    assert because in found.because


def test_a_virtual_machine_is_a_guest_that_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(GUEST_VARIABLE, raising=False)
    assert takes_a_guest(LabOptions(machine="vm"))
    assert not takes_a_guest(LabOptions(machine="vm", engine="replay"))
    with pytest.raises(RequirementMissing, match="lab start --machine vm"):
        plan(LabOptions(machine="vm"))
    monkeypatch.setenv(GUEST_VARIABLE, "lab-000000")
    assert not takes_a_guest(LabOptions(machine="vm"))
    assert plan(LabOptions(machine="vm"), Capability("it", True, "")).machine == "namespaces"


def test_where_a_processor_is_emulated_nodes_have_longer_to_say_that_they_live(monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> tuple[object, ...]:
        kubelet, controllers = kubelet_settings(), controller_manager_settings()
        names = ("nodeLeaseDurationSeconds", "nodeStatusUpdateFrequency")
        return (*(kubelet[name] for name in names), controllers["node-monitor-grace-period"])

    monkeypatch.delenv(PATIENCE_VARIABLE, raising=False)
    assert told() == (4, "1s", "6s")
    monkeypatch.setenv(PATIENCE_VARIABLE, "8.0")
    assert told() == (32, "8s", "48s")


def test_where_a_processor_is_emulated_waits_are_longer_and_end_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, "3")
    assert patiently(60) == 180
    with pytest.raises(WaitExpired, match=r"at most 0\.03 s"):
        wait_until(lambda: False, "nothing", within_seconds=0.01)
