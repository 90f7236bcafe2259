"""The objects every API server makes when it first starts: kept from one cluster, put into the etcd of the next.

Roles, their bindings, request priorities: half of a bare API server's start goes into making them, one by one. A later
one of the same build finds them there, compares them with what it wants, and corrects what differs. All else that a
cluster begins with, such as namespaces, addresses and certificates, is each cluster's own.
"""

import base64
import hashlib
import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from labsupport.process.waiting import patiently

ROOT = b"/registry/"
# Where they are, and what only those of the API server's own have in them.
OWN_MARKS = {
    b"clusterroles/": b"rbac-defaults",
    b"clusterrolebindings/": b"rbac-defaults",
    b"roles/": b"rbac-defaults",
    b"rolebindings/": b"rbac-defaults",
    b"flowschemas/": b"apf.kubernetes.io/autoupdate-spec",
    b"prioritylevelconfigurations/": b"apf.kubernetes.io/autoupdate-spec",
    b"priorityclasses/": b"Used for system critical pods",
}
PUTS_AT_ONCE = 100  # etcd takes 128 in one transaction, which is one revision
ANSWER_WITHIN_SECONDS = 2.0


class FirstObjects:
    """Those of one build of the API server, in a file of the cache."""

    def __init__(self, folder: Path, api_server: Path) -> None:
        build = f"{api_server.resolve()} {api_server.stat().st_size}"
        self.file = folder / f"objects-{hashlib.sha256(build.encode()).hexdigest()[:16]}.json"

    @property
    def are_kept(self) -> bool:
        return self.file.exists()

    def keep(self, etcd_socket: Path) -> None:
        """Read them from the etcd of a cluster that is up. Where this user has no way to it, none are kept."""
        with suppress(OSError):
            with _connected(etcd_socket) as etcd:
                found = own_objects(_read_all(etcd))
            self.file.parent.mkdir(parents=True, exist_ok=True)
            draft = self.file.with_suffix(f".{os.getpid()}")
            draft.write_text(json.dumps([[_coded(key), _coded(value)] for key, value in found.items()]))
            draft.replace(self.file)

    def put(self, etcd_socket: Path, *, watched: bool) -> bool:
        """Put them into an etcd that has none of them; say whether it answered. What is there already stays.

        Args:
            watched: an API server may list them meanwhile, and then watches from the revision it has seen: it would
                never be told of others of that revision. So each gets one of its own, which takes longer.
        """
        at_once = 1 if watched else PUTS_AT_ONCE
        try:
            pairs: list[list[str]] = json.loads(self.file.read_text())
        except ValueError:  # somebody damaged the file: the API server makes them, and they are kept anew
            self.file.unlink(missing_ok=True)
            return True
        try:
            with _connected(etcd_socket) as etcd:
                for first in range(0, len(pairs), at_once):
                    _ask(etcd, "/v3/kv/txn", transaction(pairs[first : first + at_once]))
        except OSError:
            return False
        return True


def own_objects(found: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return what of everything in an etcd is made by each API server itself, and the same in every cluster."""
    return {
        key: value
        for key, value in found.items()
        for place, mark in OWN_MARKS.items()
        if key.startswith(ROOT + place) and mark in value
    }


def transaction(pairs: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Make a transaction that puts keys and values (as etcd's JSON has them) where none of the keys exists."""
    return {
        "compare": [{"key": key, "target": "CREATE", "result": "EQUAL", "create_revision": "0"} for key, _ in pairs],
        "success": [{"request_put": {"key": key, "value": value}} for key, value in pairs],
    }


def _read_all(etcd: http.client.HTTPConnection) -> dict[bytes, bytes]:
    end = ROOT[:-1] + b"0"
    found = _ask(etcd, "/v3/kv/range", {"key": _coded(ROOT), "range_end": _coded(end)})
    return {base64.b64decode(each["key"]): base64.b64decode(each["value"]) for each in found["kvs"]}


@contextmanager
def _connected(etcd_socket: Path) -> Iterator[http.client.HTTPConnection]:
    """Give a connection with etcd by its socket.

    Raises:
        OSError: nobody listens there.
    """
    with closing(http.client.HTTPConnection("etcd", timeout=patiently(ANSWER_WITHIN_SECONDS))) as connection:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(connection.timeout)
        connection.sock.connect(str(etcd_socket))
        yield connection


def _ask(etcd: http.client.HTTPConnection, path: str, request: dict[str, Any]) -> dict[str, Any]:
    """Ask etcd.

    Raises:
        OSError: nobody answers there, or with a refusal.
    """
    try:
        etcd.request("POST", path, json.dumps(request))
        answer = etcd.getresponse()
        said = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    if answer.status != http.client.OK:
        raise OSError(f"etcd answered {path} with {answer.status}: {said[:200]!r}")
    found: dict[str, Any] = json.loads(said)
    return found


def _coded(content: bytes) -> str:
    return base64.b64encode(content).decode()
