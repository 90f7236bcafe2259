"""The systemd machine: a real systemd with a journal, an engine on its driver, and an end that leaves nothing."""

import json
import os
import random
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from labsupport.errors import MachineError
from labsupport.process.ownership import Owner
from labsupport.process.waiting import wait_until
from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.systemd import attach_systemd_engine, start_systemd_engine
from labsupport.systems.images import Images
from labsupport.systems.inventory import leftovers, settings_now, take_inventory
from labsupport.systems.machines.namespaces import NamespacesMachine, start_namespaces_machine
from labsupport.systems.machines.sweeping import sweep
from labsupport.systems.machines.systemd import SystemdMachine, attach_systemd_machine, start_systemd_machine
from tests.children import in_a_child
from tests.engines import toolchain, tools
from tests.leaks import leak_checked_machine

pytestmark = pytest.mark.needs("machine", "engine")

# What the kernel does not remove by itself, and says so in the design.
SWEPT = {"cgroup", "run folder"}
ROUNDS = 4


@pytest.fixture(scope="module")
def outer() -> Iterator[NamespacesMachine]:
    with leak_checked_machine(visible=[toolchain().cache]) as machine:
        yield machine


@pytest.fixture(scope="module")
def booted(outer: NamespacesMachine) -> Iterator[SystemdMachine]:
    machine = start_systemd_machine(outer, toolchain(), tools=[tools().programs])
    yield machine
    machine.close()


@pytest.fixture(scope="module")
def engine(booted: SystemdMachine) -> Iterator[Engine]:
    started = start_systemd_engine(booted, tools())
    Images(started, toolchain()).ensure("lab/toolbox")
    yield started
    started.close()


def said(machine: SystemdMachine | NamespacesMachine, *argv: str) -> str:
    return machine.runner.run(argv).or_raise().stdout.strip()


def docker(engine: Engine, *words: str) -> str:
    return engine.runner.run(["docker", *words]).or_raise().stdout.strip()


def test_its_first_process_is_systemd_and_no_unit_has_failed(booted: SystemdMachine) -> None:
    assert said(booted, "readlink", "/proc/1/exe").endswith("/lib/systemd/systemd")
    assert said(booted, "systemctl", "is-system-running") == "running"


def test_what_is_logged_is_in_its_journal_and_not_in_this_computers(booted: SystemdMachine) -> None:
    said(booted, "sh", "-c", "echo from inside | systemd-cat --identifier=word")
    wait_until(lambda: "from inside" in said(booted, "journalctl", "--identifier=word"), "the entry", within_seconds=30)
    assert said(booted, "journalctl", "--dmesg", "--lines=1") == "-- No entries --"
    assert not Path("/run/log/journal", said(booted, "cat", "/etc/machine-id")).exists()


def test_its_files_are_its_own(booted: SystemdMachine) -> None:
    said(booted, "sh", "-c", "echo mine > /usr/bin/written && echo mine > /etc/written")
    assert not Path("/usr/bin/written").exists()
    assert "Read-only" in booted.runner.run(["touch", str(toolchain().cache / "written")]).stderr


def test_a_container_is_a_scope_of_systemd_in_every_hierarchy(booted: SystemdMachine, engine: Engine) -> None:
    assert engine.provenance()["cgroup_driver"] == "systemd"
    container = docker(engine, "run", "--detach", "--memory=64m", "lab/toolbox", "sleep", "1000")
    pid = docker(engine, "inspect", "--format={{.State.Pid}}", container)
    paths = {line.split(":", 2)[2] for line in said(booted, "cat", f"/proc/{pid}/cgroup").splitlines()}
    assert paths == {f"/system.slice/docker-{container}.scope"}
    limit = said(booted, "systemctl", "show", "--property=MemoryMax,MemoryLimit", f"docker-{container}.scope")
    assert str(64 << 20) in limit
    docker(engine, "rm", "--force", container)


def test_the_journald_driver_reaches_a_real_journal_and_is_read_back(booted: SystemdMachine, engine: Engine) -> None:
    run = ("run", "--name=teller", "--log-driver=journald", "--log-opt=cache-disabled=true", "lab/toolbox")
    docker(engine, *run, "echo", "told")

    def entry() -> str:
        found = said(booted, "journalctl", "CONTAINER_NAME=teller", "--output=json")
        return found if found.startswith("{") else ""

    # The container may have ended before the journal has taken its line.
    assert json.loads(wait_until(entry, "the entry", within_seconds=30))["MESSAGE"] == "told"
    assert docker(engine, "logs", "teller") == "told"
    docker(engine, "rm", "teller")


def test_another_process_finds_machine_daemon_and_engine(outer: NamespacesMachine, engine: Engine) -> None:
    found = attach_systemd_machine(outer)
    daemon = found.service("dockerd")
    assert engine.daemon is not None
    assert (daemon.pid, daemon.is_running()) == (engine.daemon.pid, True)
    assert attach_systemd_engine(found, tools()).version == engine.version
    with pytest.raises(MachineError, match="nothing was started"):
        found.service("no-such-daemon")


def test_it_has_no_inner_machines(booted: SystemdMachine) -> None:
    with pytest.raises(MachineError, match="beside this one"):
        booted.nested("inner")


def test_a_daemon_that_systemd_restarts_is_running(booted: SystemdMachine) -> None:
    service = booted.start("again", ["sleep", "1000"])
    said(booted, "systemctl", "restart", "again")
    assert booted.service("again").is_running()
    assert service.stop() == 128 + signal.SIGTERM


@pytest.mark.parametrize("victim", ["first process", "launcher"])
def test_its_end_is_its_own(outer: NamespacesMachine, victim: str) -> None:
    machine = start_systemd_machine(outer, toolchain(), name="second")
    sleeper = machine.start("sleeper", ["sleep", "1000"])
    os.kill(machine.pid if victim == "first process" else outer.service("machine-second").pid, signal.SIGKILL)
    # Its first process is the last to go: until then it may still take a request, and end before it answers.
    for pid in (sleeper.pid, machine.pid):
        wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), "its processes to end", within_seconds=30)  # type: ignore[misc]
    with pytest.raises(MachineError, match="has ended"):
        machine.runner.run(["true"])
    assert said(outer, "echo", "alive") == "alive"
    again = start_systemd_machine(outer, toolchain(), name="second")
    assert said(again, "systemctl", "is-system-running") == "running"
    again.close()
    assert not again.folder.exists()


def _hold(root: Path) -> SystemdMachine:
    outer = start_namespaces_machine(owner=Owner.this_process(), root=root, visible=[toolchain().cache])
    return start_systemd_machine(outer, toolchain())


def _expect_clean(root: Path) -> None:
    names = {path.name.removeprefix(".gone-") for path in root.iterdir()} - {".lock"}
    for name in names:
        wait_until(
            lambda name=name: {thing.kind for thing in leftovers(name, root=root)} <= SWEPT,  # type: ignore[misc]
            f"all of {name} to end",
            within_seconds=30,
        )
    sweep(root)
    assert [str(thing) for name in names for thing in leftovers(name, root=root)] == []


def test_its_owner_is_killed_while_it_boots(tmp_path: Path) -> None:
    settings, hierarchies = settings_now(), _mounts_of_cgroups()
    chance = random.Random(int(os.environ.get("LAB_SEED", "7")))
    for _ in range(ROUNDS):
        after_seconds = chance.uniform(0.05, 0.8)
        print(f"kill after {after_seconds:.3f} s")

        def work(tell: int) -> None:
            _hold(tmp_path)
            signal.pause()

        with in_a_child(work) as child:
            select.select([], [], [], after_seconds)
            os.kill(child.pid, signal.SIGKILL)
        _expect_clean(tmp_path)
    assert (settings_now(), _mounts_of_cgroups()) == (settings, hierarchies)


def test_its_owner_is_killed_while_it_runs(tmp_path: Path) -> None:
    def work(tell: int) -> None:
        machine = _hold(tmp_path)
        machine.start("sleeper", ["sleep", "1000"])
        os.write(tell, b"running")
        signal.pause()

    with in_a_child(work) as child:
        assert child.said.read(100) == b"running"
        (name,) = (path.name for path in tmp_path.glob("lab-*"))
        before = take_inventory(name, root=tmp_path)
        assert len(before.of_kind("process")) > 6
        os.kill(child.pid, signal.SIGKILL)
    _expect_clean(tmp_path)


def _mounts_of_cgroups() -> list[str]:
    return [line for line in Path("/proc/mounts").read_text().splitlines() if "/sys/fs/cgroup" in line]
