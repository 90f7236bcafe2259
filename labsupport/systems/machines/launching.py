"""Runs init.py and follows what it announces, phase by phase, until the machine is ready or has failed."""

import json
import os
import select
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from labsupport.errors import MachineError
from labsupport.process.commands import Background, LocalRunner
from labsupport.process.ownership import Owner
from labsupport.process.progress import Listener, Progress

START_WITHIN_SECONDS = 60.0  # on a computer with much else to do; alone it takes a tenth of a second
SYSTEM_START_WITHIN_SECONDS = 60.0
SETTINGS_NAME = "machine.json"
INIT_LOG = Path("log") / "init.log"
_INIT = Path(__file__).with_name("init.py")


@dataclass(frozen=True)
class Settings:
    """What init.py is to build, and what others must know of it; in the run folder as machine.json.

    Attributes:
        name: also its host name, and the name of its cgroup below that of whoever launches it.
        address: what is dialled to reach it; `host_address` is who dials, as the machine sees it.
        cgroup: its path in every hierarchy of this computer.
        writable: folders that are the same inside and outside; among them the run folder.
        visible: files and folders to show read-only although they are below a private folder.
        tools: folders before the system's on its PATH.
        depth: 0, or how many machines it is inside of.
        user: whose its control socket is.
        keeps_network: whether it lives in the network namespace that it was started in.
        interpreter: what runs init.py inside; empty for the one that runs this.
        system: the file system whose own init becomes its PID 1; empty for a machine with this computer's files.
        shown: what such a system sees of this computer, read-only, at the same path.
    """

    name: str
    address: str
    host_address: str
    cgroup: str
    resolver: str
    writable: tuple[str, ...]
    visible: tuple[str, ...]
    tools: tuple[str, ...]
    depth: int = 0
    user: int = 0
    keeps_network: bool = False
    interpreter: str = ""
    system: str = ""
    shown: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        (folder / SETTINGS_NAME).write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Settings":
        fields: dict[str, Any] = json.loads((folder / SETTINGS_NAME).read_text())
        for key in ("writable", "visible", "tools", "shown"):
            fields[key] = tuple(fields.get(key, ()))
        return cls(**fields)


@dataclass(frozen=True)
class System:
    """A file system with an init of its own, for a machine that is not to have this computer's files.

    Attributes:
        shown: what it sees of this computer all the same, read-only, at the same path.
        tools: folders of those that come before its own on PATH.
    """

    tree: Path
    shown: tuple[Path, ...] = ()
    tools: tuple[Path, ...] = ()


def offline_resolver(address: str) -> str:
    """The resolv.conf of a machine without a way out: nothing listens there, and that is answered at once.

    `address` is one whose kernel says so: for one that no route leads to, every lookup would wait for its time-out.
    The options are for resolvers that do not listen to that answer.
    """
    return (
        "# This machine has no way out, so no name server either.\n"
        f"nameserver {address}\noptions timeout:1 attempts:1\n"
    )


def package_folder() -> Path:
    """The folder of the package that init.py is part of."""
    return _INIT.parents[2]


def needed_inside() -> tuple[Path, ...]:
    """What an inner machine is launched with: init.py with its package, and the interpreter, wherever they lie."""
    return (package_folder(), Path(sys.base_prefix))


def init_argv(folder: Path, status: int, owner: int = -1, interpreter: str = "") -> list[str]:
    """The command that becomes launcher and PID 1."""
    return [*bare_interpreter(interpreter), str(_INIT), str(folder), str(status), str(owner)]


def bare_interpreter(interpreter: str = "") -> list[str]:
    """The words that run a file without this environment's packages; by this interpreter where none is named."""
    this_one = str(getattr(sys, "_base_executable", None) or sys.executable)
    return [interpreter or this_one, "-I", "-S"]


def launch(folder: Path, owner: Owner | None, listener: Listener) -> "tuple[Background, Announcements]":
    """Start launcher and PID 1 as children of this process; they end with `owner`."""
    reader, writer = os.pipe()
    passed = [writer]
    try:
        if owner is not None:
            passed.append(_pidfd_of(owner))
        argv = init_argv(folder, writer, passed[1] if owner is not None else -1)
        launcher = LocalRunner().start(argv, log=folder / INIT_LOG, pass_fds=passed)
    except BaseException:
        os.close(reader)
        raise
    finally:
        for descriptor in passed:
            os.close(descriptor)
    return launcher, Announcements(reader, folder / INIT_LOG, listener)


def _pidfd_of(owner: Owner) -> int:
    try:
        return owner.open_pidfd()
    except ProcessLookupError as error:
        raise MachineError(
            f"start a machine that ends with process {owner.pid}", str(error), "name a process that runs as its owner"
        ) from error


class Announcements:
    """The lines that launcher and PID 1 write while they start. Each is passed to the listener as it comes."""

    def __init__(
        self, reader: int, log: Path, listener: Listener, within_seconds: float = START_WITHIN_SECONDS
    ) -> None:
        self._reader = reader
        self._log = log
        self._listener = listener
        self._unread = b""
        self._seen: list[str] = []
        self._failure: MachineError | None = None
        self._within_seconds = within_seconds
        self._deadline = time.monotonic() + within_seconds

    def wait_for_pid(self) -> int:
        """Return PID 1's pid as the launcher counts."""
        return int(self._wait_for("pid ").split()[1])

    def wait_for_ready(self) -> None:
        self._wait_for("ready")

    def raise_failure(self) -> None:
        """Raise what the machine says of its failure: it is the cause of whatever else has failed by now.

        Raises:
            MachineError: always, as a machine that has ended has failed; unless it is alive and well.
        """
        if self._failure is not None:
            raise self._failure
        self._deadline = time.monotonic() + 5
        self._wait_for("ready")

    def close(self) -> None:
        os.close(self._reader)

    def _wait_for(self, beginning: str) -> str:
        while True:
            for line in self._seen:
                if line.startswith(beginning):
                    return line
            self._read_more()

    def _read_more(self) -> None:
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        if not poll.poll(max(0.0, self._deadline - time.monotonic()) * 1000):
            self._fail(f"it was not ready within {self._within_seconds:g} s; it got as far as {self._seen[-1:]}")
        more = os.read(self._reader, 4096)
        if not more:
            self._fail("it ended while it started")
        *lines, self._unread = (self._unread + more).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace")
            if text.startswith("failed: "):
                self._fail(text.removeprefix("failed: "))
            self._seen.append(text)
            self._listener(Progress(text.split()[0]))

    def _fail(self, happened: str) -> NoReturn:
        tail = self._log.read_text(errors="replace").strip().splitlines()[-1:] if self._log.exists() else []
        self._failure = MachineError(
            "start a machine",
            "; ".join([happened, *(f"its log ends: {line}" for line in tail if line not in happened)]),
            "`./lab doctor` says what this kernel lacks; `--engine replay` needs no machine",
        )
        raise self._failure


def paths(folders: Sequence[Path]) -> tuple[str, ...]:
    return tuple(str(folder) for folder in folders)
