"""Programs of a visit that run on this computer itself, for want of a machine; they end with the lab."""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from labsupport.errors import MachineError, WaitExpired
from labsupport.process.commands import Background, Invocation, LocalRunner, Runner
from labsupport.process.ownership import Owner
from labsupport.process.waiting import wait_until

RECORD = "daemons.jsonl"
# Of a program that another process has started: only its parent is told.
UNKNOWN_EXIT_CODE = -1


class Daemon:
    """One of them, started by this process, which is told how it ends; or by another."""

    def __init__(self, name: str, log: Path, owner: Owner, process: Background | None = None) -> None:
        self.name = name
        self.log = log
        self.pid = owner.pid
        self._owner = owner
        self._process = process

    @property
    def exit_code(self) -> int | None:
        if self._process is not None:
            return self._process.exit_code
        return None if self._owner.is_alive() else UNKNOWN_EXIT_CODE

    def is_running(self) -> bool:
        return self.exit_code is None

    def signal(self, number: int) -> None:
        if self.is_running():
            os.kill(self.pid, number)

    def stop(self, within_seconds: float = 10) -> int:
        """Ask it to end, and return its exit code; at the deadline it is killed, with what it had started."""
        self.signal(signal.SIGTERM)
        with suppress(WaitExpired):
            wait_until(lambda: not self.is_running(), f"the end of {self.name}", within_seconds=within_seconds)
        _kill(self._owner)
        if self._process is not None:
            self._process.close()
        return UNKNOWN_EXIT_CODE if self.exit_code is None else self.exit_code


class ThisComputer:
    """Runs commands and programs here, with tools of the lab on their PATH, for a lab with this run folder."""

    def __init__(self, folder: Path, tools: Sequence[Path] = ()) -> None:
        self.folder = folder
        path = os.pathsep.join([*map(str, tools), os.environ.get("PATH", os.defpath)])
        self._local = LocalRunner({"PATH": path})
        self.runner: Runner = self._local
        self._started: dict[str, Daemon] = {}

    def start(self, name: str, argv: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Daemon:
        """Start a program that goes on by itself, and note it for whoever ends the lab.

        Raises:
            MachineError: it cannot be started, or has ended at once.
        """
        log = self.folder / "log" / f"{name}.log"
        invocation = Invocation(environment=environment or {})
        try:
            process = self._local.start(argv, log=log, invocation=invocation)
            owner = Owner.of(process.pid)
        except (OSError, ProcessLookupError) as error:
            raise MachineError(f"start {name}: {argv[0]}", str(error), f"read {log}") from error
        with (self.folder / RECORD).open("a") as record:
            record.write(json.dumps({"name": name, **asdict(owner)}) + "\n")
        self._started[name] = Daemon(name, log, owner, process)
        return self._started[name]

    def service(self, name: str) -> Daemon:
        """Return a program that was started for this lab, maybe by another process.

        Raises:
            MachineError: it was not.
        """
        if name in self._started:
            return self._started[name]
        found = [owner for known, owner in _recorded(self.folder) if known == name]
        if not found:
            raise MachineError(f"find {name}", "it was not started", "start it")
        return Daemon(name, self.folder / "log" / f"{name}.log", found[-1])


def end_daemons(folder: Path, name: str) -> None:
    """End those of the lab with this name and run folder that still run, each with what it had started."""
    daemons = [*(owner for _, owner in _recorded(folder)), *_unrecorded(name)]
    for owner in daemons:
        _kill(owner)
    # What they write to is about to be removed.
    wait_until(
        lambda: not any(owner.is_alive() for owner in daemons), f"the programs of {name} to end", within_seconds=5
    )


def _kill(owner: Owner) -> None:
    if owner.is_alive():
        with suppress(ProcessLookupError):
            os.killpg(owner.pid, signal.SIGKILL)


def _recorded(folder: Path) -> Iterator[tuple[str, Owner]]:
    record = folder / RECORD
    for line in record.read_text().splitlines() if record.exists() else ():
        fields = json.loads(line)
        yield fields.pop("name", ""), Owner(**fields)


def _unrecorded(name: str) -> Iterator[Owner]:
    """Yield programs of the lab whose starter was killed before it could put them on record: they lead a session.

    Not those in a container, which are its engine's, and not those of users whose processes we may not look at.
    """
    import psutil

    for process in psutil.process_iter(["pid", "cmdline"]):
        words = process.info["cmdline"] or []
        if not any(f"/{name}/cluster/" in word for word in words[1:]):
            continue
        with suppress(OSError):
            if os.getsid(process.pid) == process.pid and _is_in_no_container(process.pid):
                yield Owner.of(process.pid)


def _is_in_no_container(pid: int) -> bool:
    return sys.platform != "linux" or Path(f"/proc/{pid}/ns/pid").readlink() == Path("/proc/self/ns/pid").readlink()
