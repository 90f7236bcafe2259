"""Daemons of a systemd machine: each is a unit of its systemd, so that systemctl, journalctl and systemd-cgls show it.

How one ended is in a file, written by the unit itself: systemd forgets a unit that ended well.
"""

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from labsupport.errors import MachineError
from labsupport.process.commands import CommandResult, Invocation, Runner
from labsupport.systems.machines.launching import System
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.services import AskedService, pid_outside

# What systemd says of a program that it could not execute, and what `read_exit` says of one that never began.
NEVER_RAN = (203, 255)
# A unit file that was read before is read anew only when systemd is told to.
_START = """
set -e
rm -f "$2"
known=$(systemctl is-active "$3") || true
if [ -e "$1" ]; then reload=yes; fi
cat > "$1"
if [ "$reload" ]; then systemctl daemon-reload; fi
if [ "$known" = failed ]; then systemctl reset-failed "$3"; fi
systemctl start "$3"
systemctl show --property MainPID --value "$3"
"""


class UnitService(AskedService):
    """A daemon that is a unit; `pid` as this computer counts, 0 when it had ended by the time it was looked for."""

    def __init__(self, runner: Runner, name: str, pid: int, folder: Path) -> None:
        self._runner = runner
        self._exit = exit_file(folder, name)
        self.name = name
        self.pid = pid
        self.log = log_file(folder, name)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; 128 + N after signal N."""
        try:
            return read_exit(self._exit.read_text())
        except FileNotFoundError:
            return None

    def signal(self, number: int) -> None:
        if self.is_running():
            self._runner.run(["systemctl", "kill", "--kill-whom=main", f"--signal={int(number)}", unit_of(self.name)])


def start_unit(
    runner: Runner, init: int, folder: Path, name: str, argv: Sequence[str], environment: Mapping[str, str]
) -> UnitService:
    """Have systemd (`init`, as this computer counts) start a daemon as a unit of that name.

    Raises:
        MachineError: it cannot be executed.
    """
    unit, exited = unit_of(name), exit_file(folder, name)
    words = ["sh", "-c", _START, "sh", f"/run/systemd/system/{unit}", str(exited), unit]
    text = unit_file(argv, environment, log_file(folder, name), exited)
    result = runner.run(words, invocation=Invocation(stdin=text))
    if not result.succeeded:
        # To systemd a program has failed to start as well if it failed within the moment in which systemd looks.
        if exited.exists() and read_exit(exited.read_text()) not in NEVER_RAN:
            return UnitService(runner, name, 0, folder)
        raise MachineError(f"inside {folder.name}: {' '.join(argv)}", _why(runner, unit, result), "read its log")
    return UnitService(runner, name, pid_outside(init, int(result.stdout.split()[-1])), folder)


def find_unit(runner: Runner, init: int, folder: Path, name: str) -> UnitService:
    """Return the daemon that systemd (`init`, as this computer counts) was asked to start under this name.

    Raises:
        MachineError: there was none.
    """
    if not exit_file(folder, name).exists() and not log_file(folder, name).exists():
        raise MachineError(f"find {name} inside {folder.name}", "nothing was started under this name", "start it first")
    shown = runner.run(["systemctl", "show", "--property=MainPID", "--value", unit_of(name)]).or_raise()
    return UnitService(runner, name, pid_outside(init, int(shown.stdout)), folder)


def unit_file(argv: Sequence[str], environment: Mapping[str, str], log: Path, exited: Path) -> str:
    """Write the unit of a daemon: as Docker's own unit, it keeps the cgroups below it, and its children, to itself."""
    told = """'echo "$EXIT_CODE $EXIT_STATUS" > "$0.new"; mv "$0.new" "$0"'"""
    return "\n".join(
        [
            "[Unit]",
            "StartLimitIntervalSec=0",
            "[Service]",
            "Type=exec",
            f"ExecStartPre=/bin/rm -f {quoted(str(exited))}",
            f"ExecStart={' '.join(quoted(word) for word in argv)}",
            f"ExecStopPost=/bin/sh -c {told.replace('$', '$$')} {quoted(str(exited))}",
            *(f"Environment={quoted(f'{name}={value}', dollars=False)}" for name, value in environment.items()),
            f"StandardOutput=append:{log}",
            "StandardError=inherit",
            "Delegate=yes",
            "KillMode=process",
            "TasksMax=infinity",
            "LimitNOFILE=infinity",
            "",
        ]
    )


def quoted(word: str, *, dollars: bool = True) -> str:
    """Write one word so that systemd reads it as it is; `dollars` where it would put in variables."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("%", "%%")
    return f'"{word.replace("$", "$$") if dollars else word}"'


def read_exit(text: str) -> int:
    """Return the exit code that a unit left: "exited 5" or "killed TERM"; 128 + N after signal N, 255 if none began."""
    how, _, what = text.strip().partition(" ")
    if not what:
        return 255
    return int(what) if how == "exited" else 128 + signal.Signals[f"SIG{what}"]


def unit_of(name: str) -> str:
    return f"{name}.service"


def log_file(folder: Path, name: str) -> Path:
    return folder / "log" / f"{name}.log"


def exit_file(folder: Path, name: str) -> Path:
    return folder / "log" / f"{name}.exit"


def _why(runner: Runner, unit: str, result: CommandResult) -> str:
    said = runner.run(["journalctl", "--unit", unit, "--output=cat", "--no-pager", "--lines=3"]).stdout.strip()
    return said or result.stderr.strip()


class MachineOfUnits:
    """What machines have in common whose PID 1 is a systemd: daemons are its units, and there is none inside.

    Attributes:
        outer: the machine that it is on, or of.
    """

    name: str
    folder: Path
    pid: int
    runner: Runner
    outer: Machine

    def start(self, name: str, argv: Sequence[str], *, environment: Mapping[str, str] | None = None) -> UnitService:
        """Start a daemon as the unit NAME.service; its log is folder/log/NAME.log.

        Raises:
            MachineError: it cannot be executed.
        """
        return start_unit(self.runner, self.pid, self.folder, name, argv, environment or {})

    def service(self, name: str) -> UnitService:
        """Return a daemon started earlier, maybe by another process.

        Raises:
            MachineError: none was started under this name.
        """
        return find_unit(self.runner, self.pid, self.folder, name)

    def nested(self, name: str, system: System | None = None) -> Machine:
        """Refuse: what starts inner machines is not among its files.

        Raises:
            MachineError: always.
        """
        happened = "a machine with a systemd of its own has no inner machines"
        raise MachineError(f"start {name} inside {self.name}", happened, "start it beside this one")

    def inner(self, name: str) -> Machine:
        """Refuse, as `nested` does."""
        return self.nested(name)

    def give_to_caller(self, path: Path) -> None:
        """Let the person the lab works for, and nobody else, use a socket in its folder that something inside made."""
        self.outer.give_to_caller(path)
