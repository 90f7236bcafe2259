"""Plain connections to a Docker engine, for what its client is too heavy for, or loses bytes with."""

import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from labsupport.errors import EngineError

PLAIN_PORT, TLS_PORT = 2375, 2376
STDERR = 2
FRAME_HEADER_BYTES = 8
_CHUNK_BYTES = 65536


def uses_tls() -> bool:
    """Whether an engine on TCP is to be talked to with TLS, by the variables that `docker` goes by."""
    return bool(os.environ.get("DOCKER_TLS_VERIFY"))


def tls_folder() -> Path:
    """Where `docker` has its certificates."""
    return Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")


def dial(host: str, *, within_seconds: float | None) -> socket.socket:
    """Connect to the engine at `host`, a unix:// or tcp:// address.

    Raises:
        OSError: nothing answers there.
    """
    parts = urlsplit(host)
    if parts.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(within_seconds)
        try:
            connection.connect(parts.path)
        except OSError:
            connection.close()
            raise
        return connection
    if parts.scheme != "tcp" or not parts.hostname:
        raise OSError(f"an engine at {host} takes a program of its own to reach")
    port = parts.port or (TLS_PORT if uses_tls() else PLAIN_PORT)
    connection = socket.create_connection((parts.hostname, port), timeout=within_seconds)
    if not uses_tls():
        return connection
    folder = tls_folder()
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context.wrap_socket(connection, server_hostname=parts.hostname)


def post_upgraded(host: str, path: str, body: dict[str, Any]) -> "Upgraded":
    """Post to the engine at `host` and keep the connection as a stream."""
    return Upgraded(dial(host, within_seconds=30), path, body)


def ask_about_itself(host: str) -> dict[str, Any]:
    """Return what an engine says of itself, and its `ApiVersion`, without the weight of the client; empty for none."""
    connection = http.client.HTTPConnection("engine", timeout=2)
    try:
        connection.sock = dial(host, within_seconds=2)
        connection.request("GET", "/info")
        answer = connection.getresponse()
        return {"ApiVersion": answer.getheader("Api-Version"), **json.loads(answer.read())}
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    finally:
        connection.close()


class Conversation:
    """Questions to the engine at `host`, one after the other over one connection, without the weight of the client."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return what the engine answers, as JSON; None where it says that there is no such thing, or refuses.

        Raises:
            EngineError: nothing answers.
        """
        content = None if body is None else json.dumps(body)
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("engine")
                self._connection.sock = dial(self._host, within_seconds=60)
            self._connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            said = answer.read()
            if answer.will_close:
                self._connection = None
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"{method} {path} at {self._host}", str(error), "start Docker again") from error
        return json.loads(said or b"{}") if answer.status < http.client.BAD_REQUEST else None


class Upgraded:
    """A request that became a two-way stream: an attached container, or a command in one."""

    def __init__(self, connection: socket.socket, path: str, body: dict[str, Any]) -> None:
        self._socket = connection
        self._unread = b""
        content = json.dumps(body).encode()
        head = [
            f"POST {path} HTTP/1.1",
            "Host: engine",
            "Upgrade: tcp",
            "Connection: Upgrade",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
        ]
        self._socket.sendall("\r\n".join([*head, "", ""]).encode() + content)
        answer = self._read_answer()
        self._socket.settimeout(None)
        status = answer.split(" ", 2)[1] if " " in answer else answer
        if status not in ("101", "200"):
            self.close()
            raise EngineError(f"POST {path}", answer.strip() or "no answer", "see the engine's own log")

    def _read_answer(self) -> str:
        while b"\r\n\r\n" not in self._unread:
            received = self._socket.recv(_CHUNK_BYTES)
            if not received:
                break
            self._unread += received
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        return head.decode(errors="replace")

    def send(self, content: bytes) -> None:
        self._socket.sendall(content)

    def end_input(self) -> None:
        """Say that no more comes from here; over TLS only closing says so."""
        if not isinstance(self._socket, ssl.SSLSocket):
            self._socket.shutdown(socket.SHUT_WR)

    def chunks(self) -> Iterator[bytes]:
        """Yield what comes until its end, as it comes."""
        while received := self._take():
            yield received

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Yield the stream's number (1 stdout, 2 stderr) and what came on it, for a command without a terminal."""
        while header := self._exactly(FRAME_HEADER_BYTES):
            yield header[0], self._exactly(int.from_bytes(header[4:], "big"))

    def _exactly(self, length: int) -> bytes:
        """Return that many bytes; none where the stream ends first."""
        content = b""
        while len(content) < length:
            received = self._take(length - len(content))
            if not received:
                return b""
            content += received
        return content

    def _take(self, most: int = _CHUNK_BYTES) -> bytes:
        if self._unread:
            taken, self._unread = self._unread[:most], self._unread[most:]
            return taken
        try:
            return self._socket.recv(most)
        except ConnectionError:
            return b""

    def close(self) -> None:
        self._socket.close()
