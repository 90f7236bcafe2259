"""Follows Open vSwitch's database over its socket: which pods hang on which port, as the plugin has noted it there.

RFC 7047. Standard library only: it runs on nodes, where nothing else is.
"""

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

from labsupport.systems.dataplanes.inside.ovs_flows import Attached

SOCKET = "/run/openvswitch/db.sock"
_CHUNK_BYTES = 1 << 16


class Ports:
    """The ports with a pod, kept up to date by `follow`."""

    def __init__(self) -> None:
        self._known: dict[str, Attached] = {}

    def attached(self) -> list[Attached]:
        return sorted(self._known.values(), key=lambda each: each.port)

    def follow(self, changed: Callable[[], None]) -> None:
        """Tell of every change, until the database ends."""
        asked = {"Interface": {"columns": ["name", "ofport", "external_ids"]}}
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(SOCKET)
            _send(connection, {"method": "monitor", "id": "ports", "params": ["Open_vSwitch", None, asked]})
            for message in _messages(connection):
                if message.get("method") == "echo":
                    _send(connection, {"id": message["id"], "result": message["params"], "error": None})
                    continue
                told = message["params"][1] if message.get("method") == "update" else message.get("result")
                self._take((told or {}).get("Interface") or {})
                changed()

    def _take(self, rows: dict[str, dict[str, Any]]) -> None:
        known = dict(self._known)
        for row, change in rows.items():
            port = attached_of(change["new"]) if "new" in change else None
            if port:
                known[row] = port
            else:
                known.pop(row, None)
        self._known = known


def attached_of(interface: dict[str, Any]) -> Attached | None:
    """Read a row of the table Interface; None where no pod hangs on it, or the switch does not have it yet."""
    noted = dict(interface["external_ids"][1])
    number = interface["ofport"]
    if "pod" not in noted or not isinstance(number, int) or number < 0:
        return None
    return Attached(interface["name"], noted["address"], noted["hardware"])


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(json.dumps(message).encode())


def _messages(connection: socket.socket) -> Iterator[dict[str, Any]]:
    """Yield what comes; messages follow each other with nothing between."""
    decoder, text = json.JSONDecoder(), ""
    while chunk := connection.recv(_CHUNK_BYTES):
        text += chunk.decode()
        while text:
            try:
                message, end = decoder.raw_decode(text)
            except ValueError:
                break
            yield message
            text = text[end:].lstrip()
