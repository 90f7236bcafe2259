"""Programs of a visit that run on this computer itself, for want of a machine; they end with the lab."""

import json
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from labsupport.errors import MachineError
from labsupport.process.commands import Background, LocalRunner, Runner
from labsupport.process.ownership import Owner

RECORD = "daemons.jsonl"


class Daemon:
    """One of them, started by this process."""

    def __init__(self, name: str, process: Background) -> None:
        self.name = name
        self.pid = process.pid
        self.log = process.log
        self._process = process

    @property
    def exit_code(self) -> int | None:
        return self._process.exit_code

    def is_running(self) -> bool:
        return self._process.exit_code is None

    def signal(self, number: int) -> None:
        self._process.signal(number)

    def stop(self, within_seconds: float = 10) -> int:
        """Ask it to end, and return its exit code; what it had started ends too."""
        self.signal(signal.SIGTERM)
        try:
            return self._process.wait(within_seconds)
        finally:
            self._process.close()


class ThisComputer:
    """Runs commands and programs here, with tools of the lab on their PATH, for a lab with this run folder."""

    def __init__(self, folder: Path, tools: Sequence[Path]) -> None:
        self.folder = folder
        path = os.pathsep.join([*map(str, tools), os.environ.get("PATH", os.defpath)])
        self._local = LocalRunner({"PATH": path})
        self.runner: Runner = self._local
        self._started: dict[str, Daemon] = {}

    def start(self, name: str, argv: Sequence[str]) -> Daemon:
        """Start a program that goes on by itself, and note it for whoever ends the lab."""
        process = self._local.start(argv, log=self.folder / "log" / f"{name}.log")
        with suppress(ProcessLookupError), (self.folder / RECORD).open("a") as record:
            record.write(json.dumps(asdict(Owner.of(process.pid))) + "\n")
        self._started[name] = Daemon(name, process)
        return self._started[name]

    def service(self, name: str) -> Daemon:
        """Return a program that this process has started.

        Raises:
            MachineError: it has not.
        """
        if name not in self._started:
            raise MachineError(f"find {name}", "it was not started", "start it")
        return self._started[name]


def end_daemons(folder: Path) -> None:
    """End those of the lab with this run folder that still run, each with what it had started."""
    record = folder / RECORD
    for line in record.read_text().splitlines() if record.exists() else ():
        daemon = Owner(**json.loads(line))
        if daemon.is_alive():
            os.killpg(daemon.pid, signal.SIGKILL)
