"""Daemons inside a namespaces machine: children of its PID 1, asked about and signalled over its control socket."""

import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from labsupport.errors import WaitExpired
from labsupport.process.waiting import wait_until
from labsupport.systems.machines.requests import ControlSocket


class AskedService(ABC):
    """A daemon whose end is seen by asking for its `exit_code`: every `every_seconds`, while it is waited for."""

    name: str
    pid: int
    log: Path
    every_seconds = 0.005

    @property
    @abstractmethod
    def exit_code(self) -> int | None:
        """None while it runs; 128 + N after signal N."""

    @abstractmethod
    def signal(self, number: int) -> None:
        """Send it a signal, if it runs."""

    def is_running(self) -> bool:
        return self.exit_code is None

    def stop(self, within_seconds: float = 10) -> int:
        """Ask it to end (SIGTERM), kill it at the deadline, and return its exit code."""
        self.signal(signal.SIGTERM)
        try:
            self._wait_for_end(within_seconds)
        except WaitExpired:
            self.signal(signal.SIGKILL)
            self._wait_for_end(60)
        code = self.exit_code
        assert code is not None
        return code

    def _wait_for_end(self, within_seconds: float) -> None:
        wait_until(
            lambda: not self.is_running(),
            f"{self.name} to end",
            within_seconds=within_seconds,
            every_seconds=self.every_seconds,
            do=f"look at {self.log}",
        )


class InsideService(AskedService):
    """A daemon started by PID 1; `inside_pid` as the machine counts."""

    def __init__(self, control: ControlSocket, name: str, inside_pid: int, pid: int, log: Path) -> None:
        self._control = control
        self.name = name
        self.inside_pid = inside_pid
        self.pid = pid
        self.log = log

    @property
    def exit_code(self) -> int | None:
        """None while it runs; 128 + N after signal N."""
        code = self._control.ask({"do": "exit_code", "name": self.name})["exit_code"]
        return None if code is None else int(code)

    def signal(self, number: int) -> None:
        self._control.ask({"do": "signal", "name": self.name, "number": int(number)})


def start_service(
    control: ControlSocket, init: int, name: str, argv: Sequence[str], environment: Mapping[str, str]
) -> InsideService:
    """Have PID 1 (`init`, as this computer counts) start a daemon.

    Raises:
        MachineError: it cannot be executed.
    """
    log = control.folder / "log" / f"{name}.log"
    inside_pid = control.start(name, argv, environment, log)
    return InsideService(control, name, inside_pid, pid_outside(init, inside_pid), log)


def find_service(control: ControlSocket, init: int, name: str) -> InsideService:
    """Return the daemon that PID 1 (`init`, as this computer counts) was asked to start under this name.

    Raises:
        MachineError: there was none.
    """
    inside_pid = int(control.ask({"do": "exit_code", "name": name})["pid"])
    log = control.folder / "log" / f"{name}.log"
    return InsideService(control, name, inside_pid, pid_outside(init, inside_pid), log)


def pid_outside(init: int, inside: int) -> int:
    """Return the pid here of a child of PID 1 `init` that has pid `inside` in there; 0 when it has ended already."""
    try:
        children = Path(f"/proc/{init}/task/{init}/children").read_text().split()
    except OSError:
        return 0
    for child in children:
        try:
            status = Path(f"/proc/{child}/status").read_text()
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith("NSpid:") and line.split()[-1] == str(inside):
                return int(child)
    return 0
