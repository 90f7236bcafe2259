"""The log collectors of one machine: starts, stalls and ends them by name, and waits for what they get.

They listen on the machine's own loopback address, write below /var/log there, have their process ids in
/run/receivers, and end with the machine.
"""

import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labsupport.errors import MachineError, UsageError
from labsupport.process.commands import Invocation
from labsupport.process.waiting import wait_until
from labsupport.systems.machines.machine import Machine, Service
from labsupport.systems.receivers import cloudwatch, syslog

ADDRESS = "127.0.0.1"
FOLDER = Path("/var/log/receivers")
PID_FILES = Path("/run/receivers")
TOKEN = "11111111-2222-3333-4444-555555555555"
STARTED_WITHIN_SECONDS = 90.0
ARRIVED_WITHIN_SECONDS = 60.0
OURS = "labsupport.systems.receivers"


@dataclass(frozen=True)
class Sink:
    """One collector: where it listens, the file it writes, and how it is started."""

    name: str
    port: int
    file: Path
    start: Callable[["Sink", Machine], list[str]]


def _of_ours(*more: str) -> Callable[[Sink, Machine], list[str]]:
    def argv(sink: Sink, machine: Machine) -> list[str]:
        del machine
        return [sys.executable, "-m", f"{OURS}.{sink.name}", ADDRESS, str(sink.port), str(sink.file), *more]

    return argv


def _syslog(sink: Sink, machine: Machine) -> list[str]:
    text = syslog.configuration(ADDRESS, sink.port, sink.file)
    _run(machine, "cat > /etc/rsyslog-lab.conf", text)
    return syslog.argv("rsyslogd", Path("/etc/rsyslog-lab.conf"))


def _cloudwatch(sink: Sink, machine: Machine) -> list[str]:
    _run(machine, "mkdir -p ~/.aws && cat > ~/.aws/credentials", cloudwatch.CREDENTIALS)
    return cloudwatch.argv(ADDRESS, sink.port)


SINKS = {
    sink.name: sink
    for sink in (
        Sink("syslog", 514, Path("/var/log/syslog"), _syslog),
        Sink("fluentd", 24224, FOLDER / "fluentd.jsonl", _of_ours()),
        Sink("gelf", 12201, FOLDER / "gelf.jsonl", _of_ours()),
        Sink("splunk", 8088, FOLDER / "splunk.jsonl", _of_ours(TOKEN)),
        Sink("cloudwatch", 5000, FOLDER / "cloudwatch.jsonl", _cloudwatch),
    )
}


class Receivers:
    """The collectors of one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(SINKS)

    def start(self, *names: str) -> None:
        """Have these collectors run and listen (all at the same time); one that was stalled goes on.

        Raises:
            MachineError: one of them ended instead of listening; the message has its own words.
            WaitExpired: one of them does not listen.
        """
        sinks, started = [_sink(name) for name in names], set[str]()
        for sink in sinks:
            if service := self._running(sink):
                service.signal(signal.SIGCONT)
            else:
                self._start(sink, started)
        wait_until(
            lambda: self._all_listen(sinks, started),
            f"{', '.join(names)} to listen",
            within_seconds=STARTED_WITHIN_SECONDS,
            every_seconds=0.05,
        )

    def forget(self) -> None:
        """Have every collector hold nothing, as if it had just started for the first time."""
        files = " ".join(f": > {sink.file};" for sink in SINKS.values())
        _run(self._machine, f"{files} {cloudwatch.forget(ADDRESS, SINKS['cloudwatch'].port)}")

    def wait_for(self, name: str, text: str, lines: int = 1) -> None:
        """Return when a collector has written `lines` lines with this text.

        Raises:
            WaitExpired: it has not, in time.
        """
        file = _sink(name).file
        wait_until(
            lambda: self._count(text, file) >= lines,
            f"{lines} lines with {text!r} in {file}",
            within_seconds=ARRIVED_WITHIN_SECONDS,
            every_seconds=0.05,
            do=f"look at {file} on the machine",
        )

    def _running(self, sink: Sink) -> Service | None:
        """The collector's process, if it runs; another process may have started it."""
        try:
            service = self._machine.service(_service_name(sink))
        except MachineError:
            return None
        return service if service.is_running() else None

    def _start(self, sink: Sink, started: set[str]) -> None:
        started.add(sink.name)
        self._machine.start(_service_name(sink), _with_pid_file(sink, sink.start(sink, self._machine)))

    def _all_listen(self, sinks: Sequence[Sink], started: set[str]) -> bool:
        for sink in sinks:
            service = self._machine.service(_service_name(sink))
            if service.exit_code is not None and sink.name not in started:
                self._start(sink, started)  # it had been killed a moment before, and was still there
            elif service.exit_code is not None:
                said = service.log.read_text(errors="replace").strip()[-400:] if service.log.exists() else ""
                raise MachineError(
                    f"start the receiver {sink.name}",
                    f"it ended with exit code {service.exit_code}: {said or 'it said nothing'}",
                    f"look at {service.log}",
                )
        listening = _run(self._machine, "ss -Hlnt")
        return all(f"{ADDRESS}:{sink.port} " in listening for sink in sinks)

    def _count(self, text: str, file: Path) -> int:
        counted = f"grep --count --fixed-strings -e {shlex.quote(text)} {file} || true"
        return int(_run(self._machine, counted).strip() or 0)


def _sink(name: str) -> Sink:
    if name not in SINKS:
        raise UsageError(f"use the receiver {name!r}", "there is none of that name", f"one of: {', '.join(SINKS)}")
    return SINKS[name]


def _service_name(sink: Sink) -> str:
    return f"receiver-{sink.name}"


def _with_pid_file(sink: Sink, argv: Sequence[str]) -> list[str]:
    """What anybody on the machine finds the process by: `kill -STOP $(cat /run/receivers/fluentd.pid)`."""
    line = f"mkdir -p {PID_FILES} && echo $$ > {PID_FILES}/{sink.name}.pid && exec {shlex.join(argv)}"
    return ["sh", "-c", line]


def _run(machine: Machine, line: str, stdin: str | None = None) -> str:
    return machine.runner.run(["sh", "-c", line], invocation=Invocation(stdin)).or_raise().stdout
