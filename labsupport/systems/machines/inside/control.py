"""PID 1's control socket: one request a connection, as a JSON line, answered by a JSON line.

    {"do": "start", "name": …, "argv": …, "environment": …, "folder": …, "log": …} → {"pid": …}
    {"do": "run", "argv": …, "environment": …, "folder": …}                        → {"exit_code": …} when it has ended
    {"do": "signal", "name": …, "number": …}                                       → {}
    {"do": "exit_code", "name": …}                                                 → {"exit_code": … or null, "pid": …}
    {"do": "stay"}                                                                 → {}: it outlives its owner
    {"do": "end_after", "name": …}                                                 → {}: it ends when that has ended
    {"do": "end"}                                                                  → the machine ends
Errors: {"error": …}. Three descriptors come with `run`: its streams. One may come with `start`, as its standard output.
A `run` ends with its connection: whoever asked for it and is gone needs it no more.
"""

import json
import os
import select
import signal
import socket
import sys
import traceback
from typing import Any

from labsupport.systems.machines.inside.services import Child, reap, spawn

LONGEST_REQUEST = 1 << 20


class Control:
    """Serves the socket and watches the descriptors whose end is the machine's end.

    `files` is the mount namespace, by its file in /proc, of what it starts; empty for its own.
    """

    def __init__(self, listener: socket.socket, ends_with: list[int], files: str = "") -> None:
        self._listener = listener
        self._files = files
        self._ends_with = ends_with
        self._poll = select.poll()
        self._children: list[Child] = []
        self._connections: dict[int, socket.socket] = {}
        self._waiting: dict[int, Child] = {}
        self._ends_after: Child | None = None
        self._wake, wake_writer = os.pipe()
        os.set_blocking(wake_writer, False)
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        for descriptor in (listener.fileno(), self._wake, *ends_with):
            self._poll.register(descriptor, select.POLLIN)

    def serve(self) -> None:
        """Serve until one of the watched ends, or a request says so. No error of what it starts gets out of here."""
        while True:
            try:
                if self._step():
                    return
            except Exception:
                traceback.print_exc()
                sys.stderr.flush()

    def _step(self) -> bool:
        for descriptor, _ in self._poll.poll():
            if descriptor in self._ends_with:
                return True
            if descriptor == self._wake:
                os.read(self._wake, 4096)
            elif descriptor == self._listener.fileno():
                connection, _ = self._listener.accept()
                self._connections[connection.fileno()] = connection
                self._poll.register(connection.fileno(), select.POLLIN)
            elif descriptor in self._connections and self._attend(self._connections[descriptor]):
                return True
        self._report_ended()
        return self._ends_after is not None and self._ends_after.exit_code is not None

    def _report_ended(self) -> None:
        ended = reap(self._children)
        for descriptor, child in list(self._waiting.items()):
            if child in ended:
                self._answer(self._connections[descriptor], {"exit_code": child.exit_code})

    def _attend(self, connection: socket.socket) -> bool:
        """Read and obey one request; return whether the machine should end."""
        descriptor = connection.fileno()
        if descriptor in self._waiting:
            # Nothing more is ever said on it: its reader has gone.
            self._kill(self._waiting[descriptor])
            self._forget(connection)
            return False
        received: list[int] = []
        try:
            connection.settimeout(5)
            data, received, _, _ = socket.recv_fds(connection, LONGEST_REQUEST, 3)
            while data and not data.endswith(b"\n"):
                more = connection.recv(LONGEST_REQUEST)
                data += more
                if not more:
                    break
            if not data:
                self._forget(connection)
                return False
            request = json.loads(data)
            if request["do"] == "end":
                return True
            answer = self._obey(request, received, connection)
        except Exception as error:
            answer = {"error": str(error) or type(error).__name__}
        finally:
            for each in received:
                os.close(each)
        if answer is not None:
            self._answer(connection, answer)
        return False

    def _obey(self, request: dict[str, Any], streams: list[int], connection: socket.socket) -> dict[str, Any] | None:
        match request["do"]:
            case "start":
                return {"pid": self._start(request, streams).pid}
            case "run":
                inputs = (streams[0], streams[1], streams[2])
                pid = spawn(request["argv"], request["environment"], request["folder"], inputs, self._files)
                child = Child("", pid)
                self._children.append(child)
                self._waiting[connection.fileno()] = child
                return None
            case "signal":
                child = self._find(request["name"])
                if child.exit_code is None:
                    os.kill(child.pid, request["number"])
                return {}
            case "exit_code":
                child = self._find(request["name"])
                return {"exit_code": child.exit_code, "pid": child.pid}
            case "stay":
                # The first is the launcher, without which there is no machine.
                for descriptor in self._ends_with[1:]:
                    self._poll.unregister(descriptor)
                self._ends_with = self._ends_with[:1]
                return {}
            case "end_after":
                self._ends_after = self._find(request["name"])
                return {}
            case unknown:
                return {"error": f"no such request: {unknown}"}

    def _start(self, request: dict[str, Any], streams: list[int]) -> Child:
        silence = os.open("/dev/null", os.O_RDONLY)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            pid = spawn(
                request["argv"],
                request["environment"],
                request["folder"],
                (silence, streams[0] if streams else log, log),
                self._files,
            )
        finally:
            os.close(silence)
            os.close(log)
        child = Child(request["name"], pid)
        self._children = [old for old in self._children if old.name != child.name or old.exit_code is None]
        self._children.append(child)
        return child

    def _find(self, name: str) -> Child:
        for child in reversed(self._children):
            if child.name == name:
                return child
        raise LookupError(f"nothing was started under the name {name}")

    def _kill(self, child: Child) -> None:
        if child.exit_code is None:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _answer(self, connection: socket.socket, answer: dict[str, Any]) -> None:
        try:
            connection.sendall(json.dumps(answer).encode() + b"\n")
        except OSError:
            pass  # who asked has gone
        self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        descriptor = connection.fileno()
        child = self._waiting.pop(descriptor, None)
        if child is not None and child.exit_code is not None:
            self._children.remove(child)
        self._connections.pop(descriptor, None)
        self._poll.unregister(descriptor)
        connection.close()
