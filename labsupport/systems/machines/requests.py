"""Asks the PID 1 of a namespaces machine, over its control socket: run this, start that, signal it."""

import contextlib
import json
import os
import select
import shlex
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labsupport.errors import MachineError, WaitExpired
from labsupport.process.commands import NO_SUCH_COMMAND, CommandResult, Invocation

SOCKET_NAME = "control.sock"


class ControlSocket:
    """The machine whose run folder is `folder`, as it can be asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def connect(self) -> socket.socket:
        """Return a new connection.

        Raises:
            MachineError: nobody listens: the machine has ended.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # By way of a descriptor: the path of a socket may have 107 bytes only.
            folder = os.open(self.folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                connection.connect(f"/proc/self/fd/{folder}/{SOCKET_NAME}")
            finally:
                os.close(folder)
        except OSError as error:
            connection.close()
            raise MachineError(
                f"reach the machine at {self.folder / SOCKET_NAME}",
                f"{error}: it has ended, or never came up",
                f"look at {self.folder / 'log'}; start it again",
            ) from error
        return connection

    def ask(self, request: Mapping[str, Any], within_seconds: float = 60) -> dict[str, Any]:
        """Send one request and return its answer.

        Raises:
            MachineError: the machine refused, or has ended.
        """
        with self.connect() as connection:
            connection.settimeout(within_seconds)
            connection.sendall(json.dumps(request).encode() + b"\n")
            return self.read_answer(connection, request)

    def start(
        self, name: str, argv: Sequence[str], environment: Mapping[str, str], log: Path, stdout: int | None = None
    ) -> int:
        """Start a daemon as a child of PID 1 and return its pid in there; `stdout` is a descriptor, else the log."""
        request = {
            "do": "start",
            "name": name,
            "argv": list(argv),
            "environment": dict(environment),
            "folder": "/",
            "log": str(log),
        }
        with self.connect() as connection:
            connection.settimeout(60)
            message = json.dumps(request).encode() + b"\n"
            socket.send_fds(connection, [message], [] if stdout is None else [stdout])
            return int(self.read_answer(connection, request)["pid"])

    def is_answered(self) -> bool:
        """Whether the machine runs."""
        try:
            self.connect().close()
        except MachineError:
            return False
        return True

    def init_pid(self) -> int:
        """Return PID 1's pid as this computer counts: the kernel tells who made the socket.

        Raises:
            MachineError: it has ended.
        """
        with self.connect() as connection:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[0])

    def read_answer(self, connection: socket.socket, request: Mapping[str, Any]) -> dict[str, Any]:
        said = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            while not said.endswith(b"\n"):
                more = connection.recv(1 << 16)
                if not more:
                    break
                said += more
        answer = json.loads(said) if said.endswith(b"\n") else {"error": "it ended before it answered"}
        if "error" in answer:
            what = shlex.join(request["argv"]) if "argv" in request else request["do"]
            raise MachineError(f"inside {self.folder.name}: {what}", answer["error"], f"look at {self.folder / 'log'}")
        return dict(answer)


class MachineRunner:
    """Runs commands as children of the machine's PID 1: in its namespaces and its cgroups, and gone with it."""

    def __init__(self, control: ControlSocket, environment: Mapping[str, str]) -> None:
        self.control = control
        self.environment = dict(environment)

    def run(
        self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = Invocation()
    ) -> CommandResult:
        started = time.monotonic()
        request = {
            "do": "run",
            "argv": list(argv),
            "environment": {**self.environment, **invocation.environment},
            "folder": str(invocation.folder or "/"),
        }
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(self.control.connect())
            exchange = _Exchange(stack, invocation.stdin)
            socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], exchange.theirs)
            exchange.let_go_of_theirs()
            if not exchange.pump(connection, started + within_seconds):
                said = (exchange.text(2) or exchange.text(1))[-500:]
                raise WaitExpired(
                    shlex.join(argv),
                    f"still running after {within_seconds:g} s; it was killed. It had said: {said!r}",
                    "find out what it waits for; `./lab doctor` says what works here",
                )
            try:
                exit_code = int(self.control.read_answer(connection, request)["exit_code"])
            except MachineError as error:
                if "cannot run" not in error.happened:
                    raise
                return CommandResult(tuple(argv), NO_SUCH_COMMAND, "", error.happened, time.monotonic() - started)
        return CommandResult(tuple(argv), exit_code, exchange.text(1), exchange.text(2), time.monotonic() - started)


class _Exchange:
    """The three streams of one command, pumped until it has ended."""

    def __init__(self, stack: contextlib.ExitStack, stdin: str | None) -> None:
        self._left = memoryview((stdin or "").encode())
        self._gathered: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        read_in, self._write_in = os.pipe()
        self._read_out, write_out = os.pipe()
        self._read_err, write_err = os.pipe()
        self.theirs = [read_in, write_out, write_err]
        self._open = {read_in, write_out, write_err, self._write_in, self._read_out, self._read_err}
        stack.callback(self._close_all)
        os.set_blocking(self._write_in, False)
        os.set_blocking(self._read_out, False)
        os.set_blocking(self._read_err, False)

    def let_go_of_theirs(self) -> None:
        for descriptor in self.theirs:
            self._close(descriptor)

    def pump(self, connection: socket.socket, deadline: float) -> bool:
        """Move bytes until the answer is there and both outputs are read; False when the deadline passes first.

        Once it has ended, what it left running in the background may hold its outputs open: those are not waited for.
        """
        if not self._left:
            self._close(self._write_in)
        while True:
            poll = select.poll()
            poll.register(connection, select.POLLIN)
            for descriptor in self._open:
                poll.register(descriptor, select.POLLOUT if descriptor == self._write_in else select.POLLIN)
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            ready = [descriptor for descriptor, _ in poll.poll(left * 1000)]
            for descriptor in ready:
                if descriptor == self._write_in:
                    self._write()
                elif descriptor != connection.fileno():
                    self._read(descriptor)
            if connection.fileno() in ready:
                self._drain(self._read_out)
                self._drain(self._read_err)
                return True

    def text(self, stream: int) -> str:
        return self._gathered[stream].decode(errors="replace")

    def _drain(self, descriptor: int) -> None:
        while descriptor in self._open and self._read(descriptor):
            pass

    def _read(self, descriptor: int) -> bool:
        try:
            data = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return False
        self._gathered[1 if descriptor == self._read_out else 2] += data
        if not data:
            self._close(descriptor)
        return bool(data)

    def _write(self) -> None:
        try:
            self._left = self._left[os.write(self._write_in, self._left) :]
        except BrokenPipeError:
            self._left = memoryview(b"")
        if not self._left:
            self._close(self._write_in)

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.remove(descriptor)
            os.close(descriptor)

    def _close_all(self) -> None:
        for descriptor in list(self._open):
            self._close(descriptor)
