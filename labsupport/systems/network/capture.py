"""Captures frames with tcpdump in a network namespace of a machine, from the moment it listens until it is read.

Owns the process and its file, both of the machine and gone with it. What the frames mean is decoded in frames.py.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labsupport.errors import MachineError, WaitExpired
from labsupport.process.waiting import wait_until
from labsupport.systems.machines.machine import Machine
from labsupport.systems.network.frames import frames_in

LISTENING = "listening on"
LISTENS_WITHIN_SECONDS = 60.0

_numbers = itertools.count(1)


class Capture:
    """A capture under way.

    Args:
        tcpdump: the program.
        interface: to listen on, in the network namespace `namespace` (a file; empty for the machine's own).
        only: tcpdump's filter, as words.
        most: frames, after which it ends by itself.

    Raises:
        MachineError: tcpdump does not listen; the message has its own words.
    """

    def __init__(
        self,
        machine: Machine,
        tcpdump: Path,
        interface: str,
        only: Sequence[str] = (),
        *,
        namespace: str = "",
        most: int = 200,
    ) -> None:
        name = f"capture{next(_numbers)}"
        self._file = machine.folder / f"{name}.pcap"
        inside = ["nsenter", f"--net={namespace}", "--"] if namespace else []
        # As root: it would give up its rights, and then not be let into the machine's folder.
        words = ["--immediate-mode", "-U", "-n", "-Z", "root", "-c", str(most), "-w", str(self._file)]
        argv = [*inside, str(tcpdump), "-i", interface, *words, *only]
        self._service = machine.start(name, argv)
        try:
            wait_until(self._listens_or_ended, "tcpdump", within_seconds=LISTENS_WITHIN_SECONDS, every_seconds=0.01)
        except WaitExpired:
            self._service.stop()
        if LISTENING not in self._said():
            raise MachineError(" ".join(argv), self._said() or "it said nothing", "`./lab doctor` says what is missing")

    def read(self) -> list[dict[str, Any]]:
        """End the capture and return its frames, decoded."""
        self.end()
        return frames_in(self._file.read_bytes())

    def end(self) -> None:
        """Stop listening. A second call does nothing."""
        if self._service.is_running():
            self._service.stop()

    def _listens_or_ended(self) -> bool:
        return LISTENING in self._said() or not self._service.is_running()

    def _said(self) -> str:
        log = self._service.log
        return log.read_text(errors="replace").strip() if log.exists() else ""
