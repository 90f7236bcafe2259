"""The virtual machine: a kernel, a systemd and a disk of its own, in which `./lab` runs; gone with its owner.

Its one start serves all of these tests: where its processor is emulated it takes a while.
"""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from labsupport.errors import MachineError
from labsupport.process.commands import Invocation, LocalRunner
from labsupport.process.ownership import Owner
from labsupport.process.waiting import wait_until
from labsupport.project import Project
from labsupport.systems.kernel_features import FEATURES
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.virtual.computer import (
    CONSOLE,
    EMULATOR,
    VirtualComputer,
    running_virtual_computers,
    start_virtual_computer,
)
from labsupport.systems.virtual.sessions import Sessions

pytestmark = [pytest.mark.needs("vm"), pytest.mark.timeout(1200)]

# What other machines here may lack, and experiments take.
WANTED = ("ipvlan", "ip_vs", "IPsec (ESP)", "device-mapper", "openvswitch", "netem", "BPF type information")
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
    assert (
        said(sessions, "cat", "/proc/sys/kernel/random/boot_id") != Path("/proc/sys/kernel/random/boot_id").read_text()
    )
    known = {feature.name: feature for feature in FEATURES}
    for name in WANTED:
        if known[name].module:
            said(sessions, "modprobe", known[name].module)


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


def test_what_is_killed_leaves_nothing(project: Project, computer: VirtualComputer) -> None:
    """The last of these tests: the emulator's machine is killed, as by the end of its owner."""
    emulator = Owner.of(computer.machine.service(EMULATOR).pid)
    os.kill(computer.machine.pid, signal.SIGKILL)
    wait_until(lambda: not emulator.is_alive(), "the emulator to be gone", within_seconds=30)
    computer.close()
    assert not computer.machine.folder.exists()
    assert running_virtual_computers(project) == []


def test_one_that_does_not_boot_says_what_its_console_said(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from labsupport.systems.virtual import computer as starting

    monkeypatch.setattr(starting.hardware, "boot", lambda system: ["-kernel", "/nowhere"])
    with pytest.raises(MachineError, match="could not open kernel file"):
        start_virtual_computer(project, Toolchain(), owner=Owner.this_process())
