"""`kill -9` of the owner, of PID 1 or of the launcher, in every phase and at random moments, leaves nothing.

Kernel objects are gone at once, cgroups and run folder after the next sweep; the lab beside it does not notice.
The seed is printed; set LAB_SEED to repeat a run.
"""

import os
import random
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from labsupport.process.ownership import LAB_NAME, Owner
from labsupport.process.progress import Progress
from labsupport.process.waiting import wait_until
from labsupport.systems.inventory import Inventory, leftovers, settings_now, take_inventory
from labsupport.systems.machines.namespaces import NamespacesMachine, start_namespaces_machine
from labsupport.systems.machines.run_folders import GONE_PREFIX
from labsupport.systems.machines.sweeping import sweep
from tests.children import FAILED_TO_START, in_a_child

pytestmark = pytest.mark.needs("machine")

PHASES = ("claimed", "launched", "cgroups", "pid", "inside", "files", "network", "ready")
VICTIMS = ("owner", "launcher", "init")
# What the kernel does not remove by itself, and says so in the design.
SWEPT = {"cgroup", "run folder"}
RANDOM_ROUNDS = 8
CLOSING_ROUNDS = 4
# By the time these are read, all may be ready: the kill then comes after the start.
ANNOUNCED_LATE = ("pid", "inside", "files", "network", "ready")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("labs")


@pytest.fixture(scope="module")
def neighbour(root: Path) -> Iterator[NamespacesMachine]:
    """A lab in the same run root that goes on all the while."""
    machine = start_namespaces_machine(owner=Owner.this_process(), root=root)
    machine.start("daemon", ["sleep", "1000"])
    yield machine
    assert machine.runner.run(["echo", "unharmed"]).stdout == "unharmed\n"
    machine.close()
    assert leftovers(machine.name, root=root) == []
    assert [path.name for path in root.iterdir()] == [".lock"]


def children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def kill(victim: str, owner: int) -> bool:
    """Kill one of the three, as far as it exists yet."""
    pids = {"owner": [owner], "launcher": children_of(owner)}
    pids["init"] = [grandchild for child in pids["launcher"] for grandchild in children_of(child)]
    for pid in pids[victim]:
        with suppress(ProcessLookupError):  # one that ran for a moment only, such as `ip`
            os.kill(pid, signal.SIGKILL)
    return bool(pids[victim])


def hold_a_lab(root: Path) -> NamespacesMachine:
    """Start a lab with a daemon, a mount, a bridge and an inner machine."""
    machine = start_namespaces_machine(owner=Owner.this_process(), root=root)
    machine.start("daemon", ["sleep", "1000"])
    machine.runner.run(["sh", "-c", "mkdir /tmp/on && mount -t tmpfs none /tmp/on && ip link add br0 type bridge"])
    machine.nested("inner").start("daemon", ["sleep", "1000"])
    return machine


def names_in(root: Path, but: NamespacesMachine) -> set[str]:
    names = {path.name.removeprefix(GONE_PREFIX) for path in root.iterdir()}
    return {name for name in names if LAB_NAME.fullmatch(name)} - {but.name}


def expect_clean(names: set[str], root: Path, before: dict[str, Inventory]) -> None:
    """Assert that kernel objects of killed labs are gone at once, and the rest after a sweep."""

    def still_there() -> list[str]:
        things = [thing for name in names for thing in leftovers(name, before.get(name), root=root)]
        return [str(thing) for thing in things if thing.kind not in SWEPT]

    wait_until(
        lambda: not still_there(), "kernel objects to go", within_seconds=30, last_seen=lambda: "\n".join(still_there())
    )
    sweep(root)
    assert [str(thing) for name in names for thing in leftovers(name, before.get(name), root=root)] == []


# Who exists in which phase. What PID 1 announces is read a moment later: it may be further, even ready, by then.
ONCE_EACH = [
    *((phase, "owner") for phase in PHASES),
    *((phase, "launcher") for phase in PHASES[1:]),
    *((phase, "init") for phase in PHASES[3:]),
]


@pytest.mark.parametrize(("phase", "victim"), ONCE_EACH)
def test_killed_in_a_phase(phase: str, victim: str, root: Path, neighbour: NamespacesMachine) -> None:
    settings = settings_now()

    def work(tell: int) -> None:
        def on_phase(progress: Progress) -> None:
            if progress.text == phase:
                os.write(tell, b"killed" if kill(victim, os.getpid()) else b"nobody")

        start_namespaces_machine(owner=Owner.this_process(), root=root, listener=on_phase)

    with in_a_child(work) as child:
        told = child.said.read()
        code = child.wait()
    names = names_in(root, neighbour)
    if victim == "owner":
        assert code == -signal.SIGKILL
        assert names, "it had claimed a run folder"
    else:
        assert told == b"killed"
        assert code == FAILED_TO_START or (code == 0 and phase in ANNOUNCED_LATE)
        assert not names or code != FAILED_TO_START, "whoever started it is alive, and has cleaned up"
    expect_clean(names, root, {})
    assert settings_now() == settings


def test_killed_at_random_moments(chance: random.Random, root: Path, neighbour: NamespacesMachine) -> None:
    for _ in range(RANDOM_ROUNDS):
        victim, after_seconds = chance.choice(VICTIMS), chance.uniform(0, 0.3)
        print(f"kill {victim} after {after_seconds:.3f} s")

        def work(tell: int) -> None:
            hold_a_lab(root)
            signal.pause()

        with in_a_child(work) as child:
            select.select([], [], [], after_seconds)
            names = names_in(root, neighbour)
            before = {name: take_inventory(name, root=root) for name in names}
            kill(victim, child.pid)
        expect_clean(names | names_in(root, neighbour), root, before)


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_while_it_runs(victim: str, root: Path, neighbour: NamespacesMachine) -> None:
    def work(tell: int) -> None:
        hold_a_lab(root)
        os.write(tell, b"running")
        signal.pause()

    with in_a_child(work) as child:
        assert child.said.read(100) == b"running"
        (name,) = names_in(root, neighbour)
        before = take_inventory(name, root=root)
        assert len(before.of_kind("process")) == 6
        kill(victim, child.pid)
        # The owner, where it lives on, is none the wiser: the kernel has ended all there was.
        wait_until(
            lambda: {thing.kind for thing in leftovers(name, before, root=root)} <= SWEPT, "its end", within_seconds=30
        )
        assert sweep(root) == [name], "its PID 1 is dead, so nobody uses it"
    expect_clean({name}, root, {name: before})


def test_killed_while_it_closes(chance: random.Random, root: Path, neighbour: NamespacesMachine) -> None:
    for _ in range(CLOSING_ROUNDS):

        def work(tell: int) -> None:
            machine = hold_a_lab(root)
            os.write(tell, b"closing")
            machine.close()

        with in_a_child(work) as child:
            assert child.said.read(100) == b"closing"
            names = names_in(root, neighbour)
            select.select([], [], [], chance.uniform(0, 0.1))
        expect_clean(names | names_in(root, neighbour), root, {})


def test_a_lab_that_is_up_outlives_who_started_it_and_dies_of_a_kill(root: Path, neighbour: NamespacesMachine) -> None:
    def work(tell: int) -> None:
        machine = start_namespaces_machine(owner=None, root=root)
        os.write(tell, f"{machine.name} {machine.pid}".encode())

    with in_a_child(work) as child:
        name, init = child.said.read(100).decode().split()
        assert child.wait() == 0
    assert sweep(root) == []
    assert Path(f"/proc/{init}").exists()
    os.kill(int(init), signal.SIGKILL)
    expect_clean({name}, root, {})
    assert not (root / name).exists()


def test_every_phase_is_announced(root: Path, neighbour: NamespacesMachine) -> None:
    heard: list[str] = []

    def listen(progress: Progress) -> None:
        heard.append(progress.text)

    start_namespaces_machine(owner=Owner.this_process(), root=root, listener=listen).close()
    assert sorted(heard) == sorted(PHASES)
