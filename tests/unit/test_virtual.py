"""Virtual machines, as far as nothing runs: what a kernel begins with, what is shared, what is refused."""

import json
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from labsupport import cli, guest, keeping, testing, virtual
from labsupport.backends import LabOptions, attach_backends, plan, takes_a_guest
from labsupport.errors import MachineError, RequirementMissing, UsageError, WaitExpired
from labsupport.lessons.needs import Needs
from labsupport.process.commands import CommandResult
from labsupport.process.ownership import GUEST_VARIABLE, RUN_ROOT_VARIABLE, VIRTUAL_KIND, Owner
from labsupport.process.waiting import PATIENCE_VARIABLE, patiently, wait_until
from labsupport.project import Project, this_project
from labsupport.systems.capabilities import Capability
from labsupport.systems.clusters.control_plane import controller_manager_settings
from labsupport.systems.clusters.node import kubelet_settings
from labsupport.systems.machines.launching import Settings
from labsupport.systems.machines.run_folders import LabRecord
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.toolchain.catalogue import Platform
from labsupport.systems.toolchain.store import Store
from labsupport.systems.virtual import computer, hardware, sessions, system
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
        self.lost_writes, self.is_ours = False, True
        self.project, self.key, self.known_hosts, self.alive = Project(folder), folder / "key", folder / "hosts", alive

    def is_alive(self) -> bool:
        return self.alive

    def close(self) -> None:
        self.closed = True

    def has_lost_writes(self) -> bool:
        return self.lost_writes

    def free_megabytes(self) -> int:
        return 3


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


def test_a_machine_whose_disk_could_not_be_written_to_says_so(tmp_path: Path) -> None:
    fake: Any = FakeComputer(tmp_path)
    fake.lost_writes = True
    with pytest.raises(MachineError, match="could not write to its disk: 3 MB were free on this computer's disk"):
        sessions.Sessions(fake, cast(Toolchain, FakeToolchain(tmp_path, "exit 0"))).run_in_front(["true"])


def test_none_starts_where_the_disk_has_no_room_for_what_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def usage(free: int) -> None:
        def of(path: Path) -> SimpleNamespace:
            asked.append(path)
            return SimpleNamespace(free=free * 1_000_000)

        monkeypatch.setattr(computer.shutil, "disk_usage", of)

    monkeypatch.setattr(computer, "_available_megabytes", lambda: 8000)
    usage(computer.LEAST_FREE_MEGABYTES)
    computer.require_disk(tmp_path / "labs" / "of-mine")
    assert asked == [tmp_path], "the root is made by the first lab"
    usage(computer.LEAST_FREE_MEGABYTES - 1)
    with pytest.raises(RequirementMissing, match=f"{computer.LEAST_FREE_MEGABYTES - 1} MB are free"):
        computer.start_virtual_computer(Project(tmp_path), cast(Toolchain, None), owner=None)


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


HERE = this_project()
ELSEWHERE = HERE.root.parent


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(RUN_ROOT_VARIABLE, str(tmp_path))
    monkeypatch.setattr(keeping, "run_roots", lambda: (tmp_path,))
    return tmp_path


def record_of_a_lab(root: Path, number: int, kind: str, clone: Path | None = None, *, stays: bool = True) -> str:
    """Put a lab on record that runs; of a virtual machine also its clone, once it is known, and that it is ready."""
    me, name = Owner.this_process(), f"lab-00000{number}"
    record = LabRecord(name, kind, me, None if stays else me, me, me, "", f"2026-01-0{number}", 0)
    (root / name / "log").mkdir(parents=True)
    (root / name / "vm").mkdir()
    record.write(root / name)
    Settings(name, "192.0.2.9", "", name, "", (), (), ()).write(root / name)
    (root / name / computer.CONSOLE).write_text(f"{computer.READY}\n" if clone else "")
    if clone:
        (root / name / computer.PROJECT_FILE).write_text(str(clone))
    return name


@pytest.mark.parametrize(
    ("clone", "because", "do"),
    [
        (ELSEWHERE, f"is a virtual machine of the clone {ELSEWHERE}", "from there"),
        (None, "still starting", "wait"),
        (HERE.root, "has its own ./lab", "./lab shell"),
    ],
)
def test_what_is_in_a_virtual_machine_is_not_attached_to_from_outside(
    clone: Path | None, because: str, do: str, labs: Path
) -> None:
    name = record_of_a_lab(labs, 1, VIRTUAL_KIND, clone)
    for asked in (None, name):
        with pytest.raises(UsageError, match=because) as caught:
            keeping.environment_of(asked)
        assert do in caught.value.do
    with pytest.raises(UsageError, match="virtual machine"):
        attach_backends(name)
    assert keeping.reset() == []
    assert not keeping.is_any_here()
    record_of_a_lab(labs, 2, "namespaces")
    assert keeping.is_any_here()


def test_up_and_down_leave_virtual_machines_of_other_clones_alone(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(keeping, "attach_to_end", lambda name: name)
    monkeypatch.setattr(keeping, "end_and_look", ended.append)
    theirs = record_of_a_lab(labs, 1, VIRTUAL_KIND, ELSEWHERE)
    assert (keeping.which_is_up(HERE), keeping.down()) == ("", [])
    assert [(one.name, one.owner) for one in keeping.status()] == [(theirs, f"./lab down in {ELSEWHERE}")]
    with monkeypatch.context() as unseen:  # as a folder of root's is to others
        unseen.setattr(Path, "stat", lambda self, **_: (_ for _ in ()).throw(PermissionError()))
        assert not keeping._is_gone(ELSEWHERE)
    of_nobody = record_of_a_lab(labs, 2, VIRTUAL_KIND, labs / "removed")
    ours = record_of_a_lab(labs, 3, VIRTUAL_KIND, HERE.root)
    record_of_a_lab(labs, 4, VIRTUAL_KIND, HERE.root, stays=False)
    assert keeping.which_is_up(HERE) == of_nobody
    keeping.down()
    assert ended == [of_nobody, ours]


def run_nothing(*, stays: bool = False, options: LabOptions | None = None) -> None:
    virtual.run(
        HERE,
        [],
        Needs(),
        lambda progress: None,
        options=options,
        port=0,
        stays=stays,
        ready=lambda: None,
        watch=lambda said: None,
    )


def test_none_is_up_beside_a_lab_on_this_computer(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = record_of_a_lab(labs, 1, "namespaces")
    monkeypatch.setattr(keeping, "prepare", lambda options, needs, listener: pytest.fail("it begins"))
    with pytest.raises(UsageError, match=f"{name} is up already"):
        run_nothing(stays=True)


def test_what_options_ask_for_is_got_before_one_starts(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Enough(Exception):
        """Nothing is to start."""

    def prepare(options: LabOptions, needs: Needs, listener: object) -> None:
        raise Enough(options)

    monkeypatch.setattr(computer, "require_place", lambda: None)
    monkeypatch.setattr(keeping, "prepare", prepare)
    monkeypatch.setenv("LAB_ENGINE", "private")
    with pytest.raises(Enough) as caught:
        run_nothing(options=LabOptions(cluster="kind", machine="vm"))
    assert caught.value.args == (LabOptions("private", "kind", "namespaces"),)
    handed: list[guest.Task] = []
    monkeypatch.setattr(cli.guest, "run", lambda project, task, *_, **__: handed.append(task))
    with pytest.raises(typer.Exit):
        cli._run_in_guest(LabOptions(cluster="kind", machine="vm"), guest.Task())
    assert [(task.virtual, task.options) for task in handed] == [(True, LabOptions(cluster="kind", machine="vm"))]


@pytest.mark.parametrize(
    ("stays", "ours", "here", "goes_to"),
    [
        *((True, True, True, 1), (True, True, False, 1), (True, False, False, 1), (True, False, True, None)),
        *((False, True, False, 2), (False, True, True, None)),
    ],
)
def test_a_command_goes_to_a_virtual_machine_that_is_up_else_only_where_no_lab_runs_here(
    stays: bool, ours: bool, here: bool, goes_to: int | None, labs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = FakeComputer(labs), FakeComputer(labs)
    first.stays, last.stays, first.is_ours = stays, False, ours
    if here:
        record_of_a_lab(labs, 1, "namespaces", stays=False)
    went: list[FakeComputer] = []

    class Session:
        def run_in_front(self, argv: Sequence[str], *, as_user: bool) -> int:
            return 9

    monkeypatch.setattr(virtual, "running", lambda project: [first, last])
    monkeypatch.setattr(virtual, "_sessions", lambda computer: (went.append(computer), Session())[1])
    assert virtual.run_in_running(HERE, ["shell"], as_user=True) == (9 if goes_to else None)
    assert went == ([(first, last)[goes_to - 1]] if goes_to else [])


def test_only_who_started_a_virtual_machine_comes_in(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record_of_a_lab(labs, 1, VIRTUAL_KIND, HERE.root)
    monkeypatch.setattr(computer.os, "access", lambda path, mode: False)
    told: list[str] = []
    for command in (
        lambda: virtual.run_in_running(HERE, ["shell"], as_user=True),
        lambda: virtual.down(HERE, ["down"], lambda progress: None),
    ):
        with pytest.raises(RequirementMissing, match="root started") as caught:
            command()
        assert "sudo" in caught.value.do
    assert virtual.status(HERE, lambda progress: told.append(progress.text)) == []
    assert "What runs in lab-000001 is not listed" in told[0]


def test_status_lists_what_runs_in_a_virtual_machine_too(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeComputer(labs)
    inside = keeping.LabStatus("lab-abcdef", "namespaces", "private", "embedded", "192.0.2.1", "now", "./lab down")
    said = json.dumps([vars(inside)])
    ssh = FakeToolchain(labs, f"echo '{said}'")
    monkeypatch.setattr(virtual, "running", lambda project: [fake])
    monkeypatch.setattr(virtual, "_sessions", lambda _: sessions.Sessions(cast(Any, fake), cast(Toolchain, ssh)))
    (found,) = virtual.status(HERE, lambda progress: None)
    assert (found.name, found.inside) == ("lab-abcdef", "lab-00000f")


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
    booted = System(Path("kernel"), Path("first"), Path("disk"), "6.1")
    found = hardware._probe(["qemu"], booted, ScriptedRunner({"qemu": answer}))
    assert found.name == name
    assert because in found.because


@pytest.mark.parametrize(
    ("arch", "here", "emulated", "with_kvm"), [("amd64", 3, 3, 3), ("amd64", 12, 12, 12), ("arm64", 12, 8, 12)]
)
def test_a_guest_has_the_processors_that_this_process_may_use(
    arch: str, here: int, emulated: int, with_kvm: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware.os, "sched_getaffinity", lambda pid: set(range(here)))
    monkeypatch.setattr(hardware.Platform, "here", lambda: Platform("linux", arch))
    assert hardware.processors(hardware.Acceleration("tcg")) == emulated
    assert hardware.processors(hardware.Acceleration("kvm")) == with_kvm


@pytest.mark.parametrize(("argument", "prepared"), [("--vm", True), ("tests/unit", False)])
def test_what_is_tested_in_a_virtual_machine_is_got_before(
    argument: str, prepared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []
    monkeypatch.setattr(testing, "prepare", lambda options, needs, listener: done.append((options, needs)))
    monkeypatch.setattr(testing, "_checks", lambda project, arguments: done.append(arguments) or [])
    testing.run_checks(HERE, [argument], show=lambda line: None, listener=lambda progress: None)
    first = [(LabOptions(machine="namespaces"), testing.TESTED_IN_A_VIRTUAL_MACHINE)] if prepared else []
    assert done == [*first, [argument]]


def test_what_is_freed_is_what_is_written_in_a_file_not_its_size(tmp_path: Path) -> None:
    (tmp_path / "full").write_bytes(b"x" * 1_000_000)
    before = keeping._megabytes(tmp_path)
    assert before >= 1
    with (tmp_path / "disk").open("wb") as disk:
        disk.truncate(1 << 34)
    assert keeping._megabytes(tmp_path) - before < 1


@pytest.mark.parametrize(
    ("release", "package"),
    [
        ("ID=debian\nVERSION_CODENAME=bookworm\n", "linux-image-arm64"),
        ("ID=ubuntu\nID_LIKE=debian\n", "linux-image-generic"),
        ('NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n', "linux-image-generic"),
        ("ID=linuxmint\nID_LIKE=debian\n", "linux-image-arm64"),
        ("", "linux-image-arm64"),
    ],
)
def test_the_kernel_is_that_of_the_system_or_of_what_it_is_made_from(release: str, package: str) -> None:
    assert system.kernel_package(release, "arm64") == package


UBUNTU = """\
linux-image-generic
  Depends: linux-image-6.8.0-88-generic
 |Depends: linux-modules-extra-6.8.0-88-generic
  Depends: linux-firmware
  Depends: intel-microcode
  Recommends: thermald
"""


def test_ubuntus_kernel_comes_without_firmware(monkeypatch: pytest.MonkeyPatch) -> None:
    said = CommandResult((), 0, UBUNTU, "", 0.0)
    monkeypatch.setattr(system, "must", lambda argv: said if argv[:2] == ["apt-cache", "depends"] else pytest.fail())
    monkeypatch.setattr(system, "_kernel_package", lambda: "linux-image-generic")
    kernels = [name for name in system._packages_to_unpack() if name.startswith("linux-")]
    assert kernels == ["linux-image-6.8.0-88-generic", "linux-modules-extra-6.8.0-88-generic"]
    assert "linux-image-generic" in system.packages(), "what is made goes by its name"
    others = [name for name in system.packages() if name != "linux-image-generic"]
    assert set(others) <= set(system._packages_to_unpack())


def test_a_python_of_usr_that_is_not_the_systems_own_is_refused_before_anything_is_got(
    labs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = labs / "python3"
    computer.require_python(Path("/usr"), (3, 12), own)
    own.symlink_to("python3.11")
    (labs / "python3.11").touch()
    computer.require_python(Path("/usr"), (3, 11), own)
    computer.require_python(Path("/opt"), (3, 12), own)
    with pytest.raises(RequirementMissing, match=r"runs with python3\.12 of /usr.*own, python3\.11"):
        computer.require_python(Path("/usr"), (3, 12), own)

    def refuse() -> None:
        raise RequirementMissing("it", "cannot be", "")

    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys, "platform", "darwin")
        with pytest.raises(RequirementMissing, match="takes Linux"):
            computer.require_place()
    monkeypatch.setattr(computer, "require_place", refuse)
    monkeypatch.setattr(keeping, "prepare", lambda options, needs, listener: pytest.fail("it is got"))
    with pytest.raises(RequirementMissing, match="cannot be"):
        run_nothing()


class Kvm:
    """A computer with /dev/kvm, where a probe is answered so; counts how often it is asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hardware, "KVM", folder)
        self.store, self.system = Store(folder), System(Path("kernel"), Path("first"), Path("key/disk"), "6.1")
        self.verdict = hardware._verdict(self.system, self.store)
        self.told: list[str] = []

    def ask(self, answer: Reply) -> tuple[str, int]:
        runner = ScriptedRunner({"qemu": answer})
        found = hardware.find_acceleration(
            ["qemu"], self.system, runner, self.store, lambda progress: self.told.append(progress.text)
        )
        return found.name, len(runner.asked)


RUNS, REFUSES, IS_SILENT = Reply(hardware.SAID_BY_A_GUEST), Reply(exit_code=1, stderr="busy"), Reply(expires=True)


def test_that_guests_run_with_kvm_is_found_out_once_and_that_they_do_not_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Kvm(tmp_path, monkeypatch)
    assert here.ask(REFUSES) == ("tcg", 1)
    assert here.ask(IS_SILENT) == ("tcg", 1)
    assert "at most 20 s" in here.told[-1]
    assert here.ask(RUNS) == ("tcg", 0), "what takes 20 s is kept for a while"
    longer_ago = here.verdict.stat().st_mtime - hardware.SILENCE_HOLDS_SECONDS
    os.utime(here.verdict, (longer_ago, longer_ago))
    assert here.ask(RUNS) == ("kvm", 1)
    os.utime(here.verdict, (0, 0))
    assert here.ask(REFUSES) == ("kvm", 0)
    assert len(here.told) == 3
    hardware.forget_acceleration(here.system, here.store)
    assert here.ask(RUNS) == ("kvm", 1)
    here.verdict.write_text('{"na')
    assert here.ask(REFUSES) == ("tcg", 1)


def test_a_cache_that_cannot_be_written_to_keeps_no_machine_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / hardware.VERDICTS).write_text("no folder")
    assert Kvm(tmp_path, monkeypatch).ask(RUNS) == ("kvm", 1)


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
