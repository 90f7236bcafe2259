"""A small HTTPS client of one API server: what start-up and clean-up need, without the weight of the full client.

The full client (`Cluster.api`) takes half a second to import; a cluster starts in three.
"""

import contextlib
import http.client
import json
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from labsupport.errors import ClusterError
from labsupport.process.waiting import patiently

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
CONFLICT, NOT_FOUND = 409, 404
LONGEST_ANSWER_SECONDS = 10.0


class ApiDoor:
    """Talks JSON with the API server as the user whose certificate and key it is given."""

    def __init__(self, server: str, *, authority: Path, certificate: Path, key: Path) -> None:
        self.server = server
        self._place = urlsplit(server)
        self._context = ssl.create_default_context(cafile=str(authority))
        self._context.load_cert_chain(str(certificate), str(key))
        self._connection: http.client.HTTPSConnection | None = None

    def listens(self) -> bool:
        """Whether the server takes connections. It does long before it answers; they wait in line."""
        try:
            with socket.create_connection((self._place.hostname or "", self._place.port or 443), timeout=1):
                return True
        except OSError:
            return False

    def status(self, path: str, *, within_seconds: float = LONGEST_ANSWER_SECONDS) -> int:
        """Return the HTTP status of a GET, 0 where nobody answers."""
        try:
            return self._exchange("GET", path, None, JSON, within_seconds)[0]
        except OSError:
            return 0

    def text(self, path: str) -> str:
        """Return what the server says at `path`, whatever the status; empty where nobody answers."""
        try:
            return self._exchange("GET", path, None, "text/plain")[1].decode(errors="replace")
        except OSError:
            return ""

    def get(self, path: str) -> dict[str, Any]:
        return self._succeed("GET", path)

    def find(self, path: str) -> dict[str, Any] | None:
        """Return the object at `path`, None where there is none or nobody answers."""
        try:
            status, body = self._exchange("GET", path, None, JSON)
        except OSError:
            return None
        return _parsed(body) if status == http.client.OK else None

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._succeed("POST", path, body)

    def create_if_possible(self, path: str, body: dict[str, Any]) -> bool:
        """Create an object; True when it is there now, False when the server is not that far yet."""
        try:
            status, _ = self._exchange("POST", path, body, JSON)
        except OSError:
            return False
        return status in (http.client.CREATED, CONFLICT)

    def would_create(self, path: str, body: dict[str, Any]) -> bool:
        """Whether an object would be taken; nothing is made. Where nobody answers, it would not be refused."""
        try:
            status, _ = self._exchange("POST", f"{path}?dryRun=All", body, JSON)
        except OSError:
            return True
        return status != http.client.UNPROCESSABLE_ENTITY

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._succeed("PATCH", path, body, MERGE_PATCH)

    def delete(self, path: str, options: dict[str, Any] | None = None) -> None:
        """Delete what is at `path`; nothing there is fine."""
        self._succeed("DELETE", path, options, accepted=(NOT_FOUND,))

    def changes(self, path: str, since: str, *, quiet_seconds: float = 0.3) -> list[dict[str, Any]]:
        """Return what a watch from revision `since` tells at once, each {"type", "object"}; it ends with the silence.

        The server remembers the last hundred or so changes of a kind; from further back it tells nothing.
        """
        connection = http.client.HTTPSConnection(
            self._place.hostname or "", self._place.port, context=self._context, timeout=quiet_seconds
        )
        said = b""
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", f"{path}?watch=1&resourceVersion={since}", headers={"Accept": JSON})
            answer = connection.getresponse()
            while more := answer.read1(1 << 16):
                said += more
        return [_parsed(line) for line in said.split(b"\n")[:-1]]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _succeed(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        content_type: str = JSON,
        *,
        accepted: tuple[int, ...] = (),
    ) -> dict[str, Any]:
        try:
            status, raw = self._exchange(method, path, body, content_type)
        except OSError as error:
            raise ClusterError(
                f"{method} {self.server}{path}", f"{error}", "`./lab status` says whether the cluster still runs"
            ) from error
        if status >= http.client.BAD_REQUEST and status not in accepted:
            said = _parsed(raw).get("message") or raw.decode(errors="replace")[:500]
            raise ClusterError(f"{method} {self.server}{path}", f"status {status}: {said}", "correct what it names")
        return _parsed(raw)

    def _exchange(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        content_type: str,
        within_seconds: float = LONGEST_ANSWER_SECONDS,
    ) -> tuple[int, bytes]:
        while True:
            fresh = self._connection is None
            connection = self._connection or http.client.HTTPSConnection(
                self._place.hostname or "", self._place.port, context=self._context
            )
            connection.timeout = patiently(within_seconds)
            if connection.sock is not None:
                connection.sock.settimeout(connection.timeout)
            try:
                payload = None if body is None else json.dumps(body)
                connection.request(method, path, payload, {"Content-Type": content_type, "Accept": JSON})
                answer = connection.getresponse()
                raw = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._connection = None
                # A kept connection that the server closed meanwhile says nothing: only a fresh one does.
                if fresh or isinstance(error, TimeoutError):
                    raise OSError(f"{type(error).__name__}: {error}") from error
            else:
                self._connection = connection
                return answer.status, raw


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
