"""Captures frames with tcpdump in a network namespace of a machine, from the moment it listens until it is read.

Owns the process and its file, both of the machine and gone with it. What the frames mean is decoded in frames.py.
"""

import contextlib
import itertools
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labsupport.errors import MachineError, WaitExpired
from labsupport.process.waiting import wait_until
from labsupport.systems.machines.machine import Machine, Service
from labsupport.systems.network.frames import frames_in

LISTENING = "listening on"
LISTENS_WITHIN_SECONDS = 60.0
# What tcpdump says when it gets the signal USR1.
COUNTED = re.compile(r"(\d+) packets? captured, (\d+) packets? received by filter")
TELLS_WITHIN_SECONDS = 10.0

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
        """Stop listening, with everything written that has passed. A second call does nothing."""
        if self._service.is_running():
            wait_until_written(self._service)
            self._service.stop()

    def _listens_or_ended(self) -> bool:
        return LISTENING in self._said() or not self._service.is_running()

    def _said(self) -> str:
        return said_by(self._service).strip()


def said_by(tcpdump: Service) -> str:
    return tcpdump.log.read_text(errors="replace") if tcpdump.log.exists() else ""


def wait_until_written(tcpdump: Service) -> None:
    """Return when it has written all that has passed: ended while frames wait for it, it would drop them.

    It has as many then as its filter let through. Where that counts a frame twice, as on loopback, it writes no more.
    """
    before, told = None, _counts(tcpdump)
    while told is not None and told != before and told[0] != told[1]:
        before, told = told, _counts(tcpdump)


def _counts(tcpdump: Service) -> tuple[str, str] | None:
    """Ask how many frames it has written, and how many its filter let through; None where it does not say."""
    known = len(COUNTED.findall(said_by(tcpdump)))

    def told() -> bool:
        return len(COUNTED.findall(said_by(tcpdump))) > known or not tcpdump.is_running()

    tcpdump.signal(signal.SIGUSR1)
    with contextlib.suppress(WaitExpired):
        wait_until(told, "tcpdump's counts", within_seconds=TELLS_WITHIN_SECONDS, every_seconds=0.01)
    found: list[tuple[str, str]] = COUNTED.findall(said_by(tcpdump))
    return found[-1] if len(found) > known else None
