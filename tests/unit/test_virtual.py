"""Virtual machines, as far as nothing runs: what a kernel begins with, what is shared, what is refused."""

import stat
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest

from labsupport import virtual
from labsupport.backends import LabOptions, plan, takes_a_guest
from labsupport.errors import MachineError, RequirementMissing, WaitExpired
from labsupport.process.ownership import GUEST_VARIABLE
from labsupport.process.waiting import PATIENCE_VARIABLE, patiently, wait_until
from labsupport.project import Project
from labsupport.systems.capabilities import Capability
from labsupport.systems.clusters.control_plane import controller_manager_settings
from labsupport.systems.clusters.node import kubelet_settings
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.virtual import hardware, sessions
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


class FakeComputer:
    """A virtual machine of which nothing runs but what `ssh`, a program of the test's, does."""

    def __init__(self, folder: Path, *, alive: bool = True) -> None:
        self.name, self.stays, self.address, self.patience, self.closed = "lab-00000f", True, "192.0.2.9", 1.0, False
        self.project, self.key, self.known_hosts, self.alive = Project(folder), folder / "key", folder / "hosts", alive

    def is_alive(self) -> bool:
        return self.alive

    def close(self) -> None:
        self.closed = True


class FakeToolchain:
    def __init__(self, folder: Path, ssh: str) -> None:
        self.cache = folder
        (folder / "ssh").write_text(f"#!/bin/sh\n{ssh}\n")
        (folder / "ssh").chmod(0o755)

    def path(self, name: str) -> Path:
        return self.cache / name


@pytest.mark.parametrize(
    ("ssh", "alive", "happened", "do"),
    [
        ("exit 255", True, "nobody in it answers within 1 s", "./lab down"),
        (
            '[ -e "$0.asked" ] && exec sleep 1000; touch "$0.asked"; exit 255',
            True,
            "nobody in it answers",
            "./lab down",
        ),
        ("exit 255", False, "has ended meanwhile", "run the same command again"),
    ],
)
def test_a_machine_that_does_not_answer_is_told_apart_from_one_that_has_ended(
    ssh: str, alive: bool, happened: str, do: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "CONNECTS_WITHIN_SECONDS", 1)
    fake: Any = FakeComputer(tmp_path, alive=alive)
    there = sessions.Sessions(fake, cast(Toolchain, FakeToolchain(tmp_path, ssh)))
    with pytest.raises(MachineError, match=happened) as caught:
        there.run_in_front(["true"])
    assert do in caught.value.do


def test_a_command_that_ends_with_255_by_itself_is_no_lost_machine(tmp_path: Path) -> None:
    fake: Any = FakeComputer(tmp_path)
    ssh = 'for word; do :; done; case $word in "env true") exit 0 ;; esac; exit 255'
    assert sessions.Sessions(fake, cast(Toolchain, FakeToolchain(tmp_path, ssh))).run_in_front(["gone"]) == 255


@pytest.mark.parametrize("ends", [None, MachineError("./lab down", "nobody answers", ""), KeyboardInterrupt()])
def test_down_ends_a_machine_whether_or_not_anybody_in_it_answers(
    ends: BaseException | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computers = [FakeComputer(tmp_path), FakeComputer(tmp_path)]
    computers[1].stays = False

    class Session:
        def run_in_front(self, argv: Sequence[str]) -> int:
            if ends is not None:
                raise ends
            return 7

    monkeypatch.setattr(virtual, "running", lambda project: computers)
    monkeypatch.setattr(virtual, "_sessions", lambda computer: Session())
    told: list[str] = []
    with nullcontext() if not isinstance(ends, KeyboardInterrupt) else pytest.raises(KeyboardInterrupt):
        code = virtual.down(Project(tmp_path), ["down"], lambda progress: told.append(progress.text))
        assert code == (7 if ends is None else 0)
    assert [computer.closed for computer in computers] == [True, False]
    assert told == (["nobody answers: it is ended as it is"] if isinstance(ends, MachineError) else [])


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
