"""The systemd machine: an inner machine whose PID 1 is a real systemd, with a journal, its own files and its own units.

Owns what it is made of and how it is found again; system.py, inside, boots it. Everything of it ends with the outer
machine, whose inner machine it is.
"""

from collections.abc import Sequence
from pathlib import Path

from labsupport.process.progress import Listener, silent
from labsupport.systems.machines.launching import System
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.systemd_tree import ensure_tree
from labsupport.systems.machines.units import MachineOfUnits
from labsupport.systems.toolchain import Toolchain

KIND = "systemd"
NAME = "systemd"


class SystemdMachine(MachineOfUnits):
    """A running systemd machine. Made by `start_systemd_machine` and `attach_systemd_machine`."""

    kind = KIND
    interpreter = ""

    def __init__(self, inner: Machine) -> None:
        self.outer = inner
        self.name = inner.name
        self.folder = inner.folder
        self.address = inner.address
        self.host_address = inner.host_address
        self.switch_address = inner.switch_address
        self.pid = inner.pid
        self.runner = inner.runner

    def outlive_owner(self) -> None:
        """Nothing to do: it ends with the outer machine."""

    def close(self) -> None:
        """End systemd, all it runs, and what it left."""
        self.outer.close()


def start_systemd_machine(
    outer: Machine, toolchain: Toolchain, *, name: str = NAME, tools: Sequence[Path] = (), listener: Listener = silent
) -> SystemdMachine:
    """Start a systemd machine on the switch of `outer`, and return it when its systemd is up.

    Args:
        tools: folders put before the system's on its PATH; below the toolchain's cache.

    Raises:
        RequirementMissing: its files cannot be had.
        MachineError: it did not come up, with its last words.
    """
    tree = ensure_tree(toolchain.store, listener)
    return SystemdMachine(outer.nested(name, System(tree, (toolchain.cache,), tuple(tools))))


def attach_systemd_machine(outer: Machine, *, name: str = NAME) -> SystemdMachine:
    """Return the systemd machine that runs already, maybe started by another process.

    Raises:
        MachineError: it does not run.
    """
    return SystemdMachine(outer.inner(name))
