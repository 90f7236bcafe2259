"""What a machine promises, whatever its kind: a private computer of ours that runs commands and daemons."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from labsupport.process.commands import Runner
from labsupport.systems.machines.launching import System


class Service(Protocol):
    """A daemon that runs inside a machine; `pid` as this computer counts, `exit_code` None while it runs."""

    name: str
    pid: int
    log: Path

    @property
    def exit_code(self) -> int | None: ...

    def is_running(self) -> bool: ...

    def signal(self, number: int) -> None: ...

    def stop(self, within_seconds: float = 10) -> int:
        """Ask it to end (SIGTERM), kill it at the deadline, and return its exit code."""
        ...


class Host(Protocol):
    """What runs commands and daemons for a lab: any machine does, and so does this computer.

    Attributes:
        folder: the lab's run folder.
        runner: runs commands there.
    """

    folder: Path
    runner: Runner

    def start(self, name: str, argv: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Service:
        """Start a daemon; both its streams are appended to folder/log/NAME.log."""
        ...

    def service(self, name: str) -> Service:
        """Return a daemon started earlier, maybe by another process."""
        ...


class Machine(Host, Protocol):
    """A private computer.

    Attributes:
        name: of the lab that it belongs to, or of the inner machine.
        kind: namespaces, container or vm.
        folder: its run folder, at the same path inside and outside.
        address: what this computer dials to reach a port of the machine.
        host_address: this computer as the machine sees it.
        switch_address: the machine as those inside it see it, from the first of them on.
        pid: its PID 1, as this computer counts.
        runner: runs commands inside.
        interpreter: a Python that is there inside, for programs of this package; empty where there is none.
    """

    name: str
    kind: str
    folder: Path
    address: str
    host_address: str
    switch_address: str
    pid: int
    runner: Runner
    interpreter: str

    def start(self, name: str, argv: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Service:
        """Start a daemon as a child of PID 1; both its streams are appended to folder/log/NAME.log."""
        ...

    def nested(self, name: str, system: System | None = None) -> "Machine":
        """Start an inner machine, on the switch of this one. Its end is its own; this one's end is its end.

        With a `system`, that system's own init is its PID 1, and its files are those of the system.
        """
        ...

    def inner(self, name: str) -> "Machine":
        """Return an inner machine that runs already, maybe started by another process."""
        ...

    def give_to_caller(self, path: Path) -> None:
        """Let the person the lab works for, and nobody else, use a socket in its folder that something inside made."""
        ...

    def outlive_owner(self) -> None:
        """Go on when the process ends that owns it. What was started by halves until then ends with its owner."""
        ...

    def close(self) -> None:
        """End the machine, all it runs, and what it left."""
        ...
