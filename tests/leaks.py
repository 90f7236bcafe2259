"""Whether a test left something of a lab behind: looked for by owner, so that labs of others do not count."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from labsupport.errors import MachineError, WaitExpired
from labsupport.process.ownership import Owner, run_root
from labsupport.process.waiting import wait_until
from labsupport.systems.inventory import leftovers, names_in_use, take_inventory
from labsupport.systems.machines.namespaces import NamespacesMachine, start_namespaces_machine
from labsupport.systems.machines.run_folders import LabRecord
from labsupport.systems.machines.sweeping import sweep

# What the kernel does not remove by itself; the next start or `clean` does.
SWEPT = {"cgroup", "run folder"}


def find_leaks(names: set[str], within_seconds: float = 30) -> list[str]:
    """Return what is left of dead labs among `names`, giving those that are just ending time to be gone.

    Some are not the asking test's: one that runs beside it kills labs, and looks at them before it removes them.
    """

    def left() -> list[str]:
        return [f"{name}: {thing}" for name in sorted(names) if not is_alive(name) for thing in leftovers(name)]

    try:
        wait_until(lambda: not left(), "ended labs to be gone", within_seconds=within_seconds, every_seconds=0.2)
    except WaitExpired:
        return left()
    return []


def assert_ended_by_the_kernel(name: str, root: Path) -> None:
    """Nothing of a killed lab runs on, whoever looks; what is only files goes with the next sweep."""

    def left() -> list[str]:
        return [str(each) for each in leftovers(name, root=root) if each.kind not in SWEPT]

    wait_until(
        lambda: not left(),
        "the kernel to end it all",
        within_seconds=60,
        last_seen=lambda: f"left: {left()}",
    )
    sweep(root)
    assert leftovers(name, root=root) == []
    assert not (root / name).exists()


def is_alive(name: str) -> bool:
    """Whether somebody uses the lab, wherever its run folder is: other tests have run roots of their own."""
    for folder in {run_root() / name, *_folders_of_launchers(name)}:
        with suppress(MachineError):
            if LabRecord.read(folder).is_alive():
                return True
    return False


def _folders_of_launchers(name: str) -> Iterator[Path]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if len(words) > 4 and words[3].endswith("/machines/init.py"):
                    yield from (folder for folder in (Path(words[4]),) if folder.name == name)


def new_names(before: set[str]) -> set[str]:
    """Return the labs that exist now and did not then."""
    return names_in_use() - before


@contextmanager
def leak_checked_machine(**options: Any) -> Iterator[NamespacesMachine]:
    """A machine of this process for the length of a block; afterwards nothing of it may be left.

    `options` are those of `start_namespaces_machine`.
    """
    machine = start_namespaces_machine(**{"owner": Owner.this_process(), **options})
    try:
        yield machine
        before = take_inventory(machine.name)
    finally:
        machine.close()
    if left := leftovers(machine.name, before):
        pytest.fail("left behind:\n" + "\n".join(map(str, left)), pytrace=False)
