"""The virtual machine: a kernel, a systemd and a disk of its own, in which `./lab` runs; gone with its owner.

Its one start serves all of these tests: where its processor is emulated it takes a while.
"""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labsupport import virtual
from labsupport.errors import MachineError
from labsupport.process.commands import Invocation, LocalRunner
from labsupport.process.ownership import VIRTUAL_KIND, Owner, run_root
from labsupport.process.waiting import wait_until
from labsupport.project import Project
from labsupport.systems.inventory import leftovers, names_in_use, take_inventory
from labsupport.systems.kernel_features import FEATURES
from labsupport.systems.machines.namespaces import NamespacesMachine, attach, start_namespaces_machine
from labsupport.systems.machines.run_folders import records
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.virtual import computer as starting
from labsupport.systems.virtual import hardware
from labsupport.systems.virtual.computer import (
    CONSOLE,
    EMULATOR,
    VirtualComputer,
    running_virtual_computers,
    start_virtual_computer,
)
from labsupport.systems.virtual.hardware import Acceleration
from labsupport.systems.virtual.sessions import Sessions
from tests.leaks import assert_ended_by_the_kernel, find_leaks, new_names

pytestmark = [pytest.mark.needs("vm"), pytest.mark.timeout(1200)]

# What other machines here may lack, and experiments take.
WANTED = ("ipvlan", "ip_vs", "IPsec (ESP)", "device-mapper", "openvswitch", "netem")
# What the kernel tells of its types, to BPF programs.
TYPES = "/sys/kernel/btf/vmlinux"
# What of other suites runs in there: each machine, engine and cluster that starts takes a minute or two.
MACHINES, ENGINES = (f"tests/contract/test_{name}.py::test_" for name in ("machine", "engines"))
# One node, on which a pod runs and a Service leads to it.
MODES = "tests/integration/test_kube_proxy.py::test_a_service_is_rules_of_the_mode_and_answers"
IN_THERE = (
    f"{MACHINES}memory_is_limited_where_its_cgroup_says[outer]",
    f"{ENGINES}a_container_runs_and_its_exit_code_and_streams_come_back[private]",
    f"{ENGINES}names_resolve_between_containers_of_a_network[private]",
    f"{MODES}[iptables]",
    f"{MODES}[ipvs]",
)
BTF_MAGIC = "9f eb"
# Of this computer's disk, for what a virtual machine writes: less than it is told that it has.
LITTLE_MEGABYTES = 256
START = ("run", "00", "--machine", "vm")
BOOT_ID = "/proc/sys/kernel/random/boot_id"


@pytest.fixture(scope="module")
def computer(project: Project) -> Iterator[VirtualComputer]:
    started = start_virtual_computer(project, Toolchain(), owner=Owner.this_process())
    yield started
    started.close()


@pytest.fixture(scope="module")
def sessions(computer: VirtualComputer) -> Sessions:
    return Sessions(computer, Toolchain())


def said(sessions: Sessions, *argv: str) -> str:
    return sessions.run(argv, within_seconds=120).or_raise().stdout.strip()


def test_systemd_is_its_first_process_and_only_cgroup_v2_is_there(sessions: Sessions) -> None:
    assert said(sessions, "cat", "/proc/1/comm") == "systemd"
    assert said(sessions, "stat", "--file-system", "--format=%T", "/sys/fs/cgroup") == "cgroup2fs"
    assert {"cpu", "io", "memory", "pids"} <= set(said(sessions, "cat", "/sys/fs/cgroup/cgroup.controllers").split())
    assert said(sessions, "systemctl", "--failed", "--no-legend") == ""
    # A runtime that finds a folder there cannot make what it keeps for pods: where labs run, the disk is read-only.
    assert said(sessions, "readlink", "/var/run", "/var/lock") == "/run\n/run/lock"


def test_its_kernel_is_its_own_and_loads_what_this_ones_may_lack(sessions: Sessions) -> None:
    assert said(sessions, "cat", BOOT_ID) != Path(BOOT_ID).read_text().strip()
    modules = {feature.name: feature.module for feature in FEATURES}
    for name in WANTED:
        said(sessions, "modprobe", modules[name])
    assert said(sessions, "od", "-An", "-tx1", "-N2", TYPES) == BTF_MAGIC


def test_commands_leave_code_and_streams(sessions: Sessions) -> None:
    words = ["sh", "-c", 'cat; echo "$A"; echo wrong >&2; pwd; exit 7']
    result = sessions.run(words, invocation=Invocation("typed\n", {"A": "it's 5"}, Path("/tmp")))
    assert (result.exit_code, result.stdout, result.stderr) == (7, "typed\nit's 5\n/tmp\n", "wrong\n")


def test_the_clone_is_written_to_and_the_cache_is_not(project: Project, sessions: Sessions) -> None:
    there = project.build / "written-in-a-virtual-machine"
    there.parent.mkdir(exist_ok=True)
    try:
        said(sessions, "sh", "-c", f"echo here >{there}")
        assert there.read_text() == "here\n"
    finally:
        there.unlink(missing_ok=True)
    mark = Toolchain().cache / "written-in-a-virtual-machine"
    said(sessions, "touch", str(mark))
    assert said(sessions, "ls", str(mark)) == str(mark)
    assert not mark.exists()


def test_engine_and_cluster_keep_their_promises_on_cgroup_v2(project: Project, sessions: Sessions) -> None:
    command = ["sh", str(project.root / "lab"), "test", "--timeout", "1000", *IN_THERE]
    known = sessions.settings | {"LAB_REQUIRE": "engine,cluster"}
    result = sessions.run(command, within_seconds=1100, invocation=Invocation(environment=known, folder=project.root))
    assert result.succeeded, result.stdout[-3000:] + result.stderr[-1000:]
    assert re.search(rf"{len(IN_THERE)} passed", result.stdout), result.stdout[-1000:]


def test_who_has_no_key_does_not_come_in(computer: VirtualComputer, sessions: Sessions) -> None:
    assert computer.key.stat().st_mode & 0o777 == 0o600
    other = [word if word != str(computer.key) else "/nowhere" for word in sessions._ssh]
    refused = LocalRunner().run([*other, f"root@{computer.address}", "true"])
    assert refused.exit_code != 0
    assert "ermission denied" in refused.stderr


def test_it_is_found_by_its_clone(project: Project, computer: VirtualComputer, tmp_path: Path) -> None:
    assert computer.name in [each.name for each in running_virtual_computers(project)]
    assert running_virtual_computers(Project(tmp_path)) == []
    assert "lab: ready" in (computer.machine.folder / CONSOLE).read_text()


def test_it_ends_with_its_emulator(project: Project, computer: VirtualComputer) -> None:
    """The last of the tests of that machine: its emulator is killed."""
    before = take_inventory(computer.name)
    os.kill(computer.machine.service(EMULATOR).pid, signal.SIGKILL)
    wait_until(lambda: not computer.is_alive(), "its machine to end too", within_seconds=30)
    assert running_virtual_computers(project) == []
    assert_ended_by_the_kernel(computer.name, run_root())
    assert [str(each) for each in leftovers(computer.name, before)] == []


def test_a_full_disk_is_told_and_what_hangs_is_ended(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is also one that KVM refuses: it is started once more, emulated."""

    def start_with_little_disk(**options: Any) -> NamespacesMachine:
        machine = start_namespaces_machine(**options)
        machine.runner.run(["mount", "-t", "tmpfs", "-o", f"size={LITTLE_MEGABYTES}m", "none", "/var/tmp"]).or_raise()
        return machine

    def processor(acceleration: Acceleration) -> list[str]:
        return emulated if acceleration.name == "tcg" else ["-accel", "kvm", "-cpu", "of-nobody"]

    emulated = hardware.processor(Acceleration("tcg"))
    monkeypatch.setattr(starting, "start_namespaces_machine", start_with_little_disk)
    monkeypatch.setattr(hardware, "find_acceleration", lambda *_: Acceleration("kvm"))
    monkeypatch.setattr(hardware, "processor", processor)
    told: list[str] = []
    owner = Owner.this_process()
    started = start_virtual_computer(
        project, Toolchain(), owner=owner, listener=lambda progress: told.append(progress.text)
    )
    try:
        assert "once more, with software emulation" in told[-1]
        assert started.patience == hardware.PATIENCE["tcg"]
        fill = ["dd", "if=/dev/zero", "of=/var/big", "bs=1M", f"count={2 * LITTLE_MEGABYTES}", "conv=fsync"]
        with pytest.raises(MachineError, match="could not write to its disk"):
            Sessions(started, Toolchain()).run_in_front(fill)

        started.outlive_owner()
        before = take_inventory(started.name)
        os.kill(started.machine.service(EMULATOR).pid, signal.SIGSTOP)
        monkeypatch.setattr("labsupport.systems.virtual.sessions.CONNECTS_WITHIN_SECONDS", 5)
        (up,) = [each for each in running_virtual_computers(project) if each.name == started.name]
        assert up.stays
        monkeypatch.setattr(virtual, "running", lambda project: [up])
        assert virtual.down(project, ["true"], lambda progress: told.append(progress.text)) == 0
        assert f"{started.name} runs, and nobody in it answers within 5 s: it is ended as it is" in told[-1]
        assert [str(each) for each in leftovers(started.name, before)] == []
    finally:
        started.close()


@pytest.mark.parametrize("victim", ["command", "emulator"])
def test_a_start_that_is_killed_leaves_nothing(victim: str, project: Project, tmp_path: Path) -> None:
    command = LocalRunner().start(["sh", str(project.root / "lab"), *START], log=tmp_path / "log")

    def emulator() -> tuple[str, int] | None:
        assert command.exit_code is None, (tmp_path / "log").read_text()
        for folder, record in records(run_root()).items():
            mine = record is not None and record.kind == VIRTUAL_KIND and record.starter.pid == command.pid
            if mine and (folder / CONSOLE).exists():
                return folder.name, attach(folder.name).service(EMULATOR).pid
        return None

    try:
        name, pid = wait_until(emulator, "an emulator that boots", within_seconds=300)
        os.kill(command.pid if victim == "command" else pid, signal.SIGKILL)
        code = command.wait(60)
        assert code == (128 + signal.SIGKILL if victim == "command" else 1)
        if victim == "emulator":
            assert f"its emulator ended with {128 + signal.SIGKILL}" in (tmp_path / "log").read_text()
            assert leftovers(name) == []
        assert_ended_by_the_kernel(name, run_root())
    finally:
        command.close()


@pytest.mark.parametrize(
    ("changed", "value", "happened"),
    [
        ("hardware.boot", lambda system: ["-kernel", "/nowhere"], "could not open kernel file"),
        ("READY_WITHIN_SECONDS", {"kvm": 0.1, "tcg": 0.1}, "it was not ready within 0.1 s"),
    ],
)
def test_one_that_does_not_boot_says_why_and_leaves_nothing(
    changed: str, value: object, happened: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{starting.__name__}.{changed}", value)
    before = names_in_use()
    with pytest.raises(MachineError, match=happened):
        start_virtual_computer(project, Toolchain(), owner=Owner.this_process())
    assert find_leaks(new_names(before)) == []
