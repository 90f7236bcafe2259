"""The machine that the contract suite is run on, whichever LAB_MACHINE says, and what each kind cannot promise."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labsupport.process.ownership import Owner, run_root
from labsupport.systems.capabilities import docker_engine
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.own_engine import OwnEngine
from labsupport.systems.toolchain import Toolchain
from tests.leaks import leak_checked_machine

KIND = os.environ.get("LAB_MACHINE", "namespaces")


def why_no_machine() -> str:
    """Why this user cannot have a machine of that kind; empty where they can."""
    if sys.platform != "linux":
        return "machines exist on Linux only"
    if KIND == "container":
        engine = docker_engine()
        return "" if engine.available else engine.because
    return "" if os.geteuid() == 0 else "this user is not root"


@contextmanager
def machine_under_test(**options: Any) -> Iterator[Machine]:
    """A machine of this process for the length of a block; afterwards nothing of it may be left.

    `options` are those of `start_namespaces_machine`; the other kind takes none.
    """
    if KIND == "namespaces":
        with leak_checked_machine(**{"visible": [Toolchain().cache], **options}) as machine:
            yield machine
        return
    from labsupport.systems.machines.container import start_container_machine

    toolchain, engine = Toolchain(), OwnEngine()
    before = objects_of(engine)
    started = start_container_machine(
        owner=Owner.this_process(),
        store=toolchain.store,
        tools=[toolchain.bin_folder("machine")],
        visible=[toolchain.cache],
        root=run_root(),
    )
    try:
        yield started
    finally:
        started.close()
    left = objects_of(engine) - before
    assert not left, left
    assert not [path for path in run_root().iterdir() if path.name.endswith(started.name)]


def objects_of(engine: OwnEngine) -> set[str]:
    """Name every container, volume and network of the user's own engine. Its one image of ours stays, to be quick."""
    client = engine.client
    found = [*client.containers.list(all=True, ignore_removed=True), *client.volumes.list(), *client.networks.list()]
    return {f"{type(each).__name__} {each.id}" for each in found}


def pid_inside(inner: Machine) -> str:
    """The first process of an inner machine, as the machine it is in counts."""
    inside = Path(f"/proc/{inner.pid}/status").read_text()
    pids = next(line.split()[1:] for line in inside.splitlines() if line.startswith("NSpid:"))
    return pids[-2]


def kill_first_process(machine: Machine, inner: Machine) -> None:
    """End an inner machine from outside, as something gone wrong would."""
    if os.geteuid() == 0:
        os.kill(inner.pid, 9)
        return
    machine.runner.run(["kill", "-9", pid_inside(inner)]).or_raise()
