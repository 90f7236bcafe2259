"""The only door to other processes: nothing else imports subprocess, and no command goes through a shell."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from labsupport.errors import CommandFailed, WaitExpired

NO_SUCH_COMMAND = 127
CANNOT_START = (FileNotFoundError, PermissionError, NotADirectoryError)


@dataclass(frozen=True)
class CommandResult:
    """What a finished command left: exit code (128 + N after signal N), both streams as text, wall seconds."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def command(self) -> str:
        """The command as one could paste it into a shell."""
        return shlex.join(self.argv)

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0

    def or_raise(self, do: str = "read the message above; `./lab doctor` says what works here") -> "CommandResult":
        """Return self.

        Raises:
            CommandFailed: the exit code is not 0.
        """
        if self.succeeded:
            return self
        said = (self.stderr.strip() or self.stdout.strip() or "it printed nothing")[-2000:]
        raise CommandFailed(self.command, f"exit code {self.exit_code}: {said}", do)


@dataclass(frozen=True)
class Invocation:
    """How to run a command: beside its words, all that differs from a plain call.

    `place` names where, to runners that know more places than one; empty is where they are.
    """

    stdin: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    place: str = ""


class Runner(Protocol):
    """Runs commands to their end. Backends: this computer, inside a machine, recorded evidence, a test's script."""

    def run(
        self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = Invocation()
    ) -> CommandResult:
        """Run one command and return what it left, whatever its exit code.

        Raises:
            WaitExpired: it did not end in time; it was killed, with its process group.
        """
        ...


class LocalRunner:
    """Runs commands on this computer, as this user; `environment` is added to that of the caller."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.environment = dict(environment or {})

    def run(
        self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = Invocation()
    ) -> CommandResult:
        started = time.monotonic()
        try:
            process = self._open(argv, invocation, stderr=subprocess.PIPE)
        except CANNOT_START as error:
            return CommandResult(tuple(argv), NO_SUCH_COMMAND, "", str(error), time.monotonic() - started)
        with process:
            try:
                stdout, stderr = process.communicate(invocation.stdin, timeout=within_seconds)
            except subprocess.TimeoutExpired:
                _kill_group(process)
                stdout, stderr = process.communicate()
                raise WaitExpired(
                    shlex.join(argv),
                    f"still running after {within_seconds:g} s; killed, having said {(stderr or stdout)[-500:]!r}",
                    "find out what it waits for; `./lab doctor` says what works here",
                ) from None
            except BaseException:
                _kill_group(process)
                raise
        return CommandResult(
            tuple(argv), shell_exit_code(process.returncode), stdout, stderr, time.monotonic() - started
        )

    def stream(
        self,
        argv: Sequence[str],
        on_line: Callable[[str], None],
        *,
        invocation: Invocation = Invocation(),
    ) -> CommandResult:
        """Run a long command, both streams line by line to `on_line`; the result's stdout holds the last 200 lines."""
        started = time.monotonic()
        tail: list[str] = []
        try:
            process = self._open(argv, invocation, stderr=subprocess.STDOUT)
        except CANNOT_START as error:
            return CommandResult(tuple(argv), NO_SUCH_COMMAND, "", str(error), time.monotonic() - started)
        with process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    tail = [*tail[-199:], line]
                    on_line(line.rstrip("\n"))
            except BaseException:
                _kill_group(process)
                raise
        return CommandResult(
            tuple(argv), shell_exit_code(process.returncode), "".join(tail), "", time.monotonic() - started
        )

    def start(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        pass_fds: Sequence[int] = (),
        invocation: Invocation = Invocation(),
    ) -> "Background":
        """Start a command that goes on by itself, in its own session, both streams appended to `log`."""
        with log.open("ab") as stream:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env={**os.environ, **self.environment, **invocation.environment},
                cwd=invocation.folder,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )
        return Background(process, log)

    def _open(self, argv: Sequence[str], invocation: Invocation, *, stderr: int) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if invocation.stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
            env={**os.environ, **self.environment, **invocation.environment},
            cwd=invocation.folder,
            start_new_session=True,
        )


def run_in_front(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run a command with this process's own streams and return its exit code, as if it had been typed in its place."""
    try:
        process = subprocess.Popen(list(argv), env={**os.environ, **(environment or {})})
    except CANNOT_START as error:
        print(error, file=sys.stderr)
        return NO_SUCH_COMMAND
    # A terminal sends Ctrl-C to both; what is meant for the command alone is handed on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: process.send_signal(number))
    return shell_exit_code(process.wait())


def run_watched(argv: Sequence[str], watch: Callable[[bytes], None], *, typed: bool, apart: bool) -> int:
    """Run a command with this process's own streams, showing `watch` what it prints; return its exit code.

    Args:
        typed: it also reads what comes to this process's stdin.
        apart: no key typed into this terminal is a signal to it.
    """
    stdin = None if typed else subprocess.DEVNULL
    with subprocess.Popen(list(argv), stdin=stdin, stdout=subprocess.PIPE, start_new_session=apart) as process:
        assert process.stdout is not None
        try:
            while content := os.read(process.stdout.fileno(), 1 << 16):
                sys.stdout.buffer.write(content)
                sys.stdout.flush()
                watch(content)
        except BaseException:
            process.kill()
            raise
        return shell_exit_code(process.wait())


class Background:
    """A command that goes on by itself. `close` ends it and everything in its process group."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self.log = log
        self.pid = process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        code = self._process.poll()
        return None if code is None else shell_exit_code(code)

    def signal(self, number: int) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self, within_seconds: float) -> int:
        """Return its exit code.

        Raises:
            WaitExpired: it goes on after `within_seconds`.
        """
        try:
            return shell_exit_code(self._process.wait(within_seconds))
        except subprocess.TimeoutExpired:
            raise WaitExpired(
                shlex.join(map(str, self._process.args))
                if isinstance(self._process.args, list)
                else "a background command",
                f"it still runs after {within_seconds:g} s",
                f"look at {self.log}",
            ) from None

    def close(self) -> None:
        if self._process.poll() is None:
            _kill_group(self._process)
        self._process.wait()


class PrefixRunner:
    """Runs every command behind a prefix, such as `nsenter … --`, with more environment."""

    def __init__(self, inner: Runner, prefix: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.inner = inner
        self.prefix = tuple(prefix)
        self.environment = dict(environment or {})

    def run(
        self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = Invocation()
    ) -> CommandResult:
        merged = Invocation(invocation.stdin, {**self.environment, **invocation.environment}, invocation.folder)
        result = self.inner.run([*self.prefix, *argv], within_seconds=within_seconds, invocation=merged)
        return CommandResult(tuple(argv), result.exit_code, result.stdout, result.stderr, result.seconds)


def shell_exit_code(return_code: int) -> int:
    """Turn Python's negative signal number into the shell's 128 + N."""
    return return_code if return_code >= 0 else 128 - return_code


def _kill_group(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    # The session leader's group holds whatever the command started and did not move away.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()
