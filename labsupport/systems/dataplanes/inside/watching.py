"""Keeps what the API server has of a few kinds, for programs of a node: lists them, then watches.

Standard library only: it runs on nodes, where nothing else is.
"""

import base64
import http.client
import json
import re
import ssl
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

AGAIN_AFTER_SECONDS = 0.5
SETTLES_WITHIN_SECONDS = 0.02


class Server:
    """The API server, as a kubeconfig tells where it is and who asks."""

    def __init__(self, kubeconfig: str) -> None:
        text = Path(kubeconfig).read_text()
        place = re.search(r"server: https://([^:\s]+):(\d+)", text)
        assert place, f"no server in {kubeconfig}"
        self._place = (place[1], int(place[2]))
        self._context = ssl.create_default_context(cadata=_data(text, "certificate-authority").decode())
        with tempfile.NamedTemporaryFile(dir="/run") as pair:
            pair.write(_data(text, "client-certificate") + _data(text, "client-key"))
            pair.flush()
            self._context.load_cert_chain(pair.name)

    def ask(self, path: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection(*self._place, context=self._context)
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise OSError(f"GET {path}: status {answer.status}")
        return answer


class Watch:
    """What the API server has at each of `paths`, and when it changes; others too may say so, by setting `changed`."""

    def __init__(self, server: Server, paths: Sequence[str]) -> None:
        self.changed = threading.Event()
        self._server = server
        self._paths = paths
        self._things: dict[str, dict[str, dict[str, Any]]] = {}

    def changes(self) -> Iterator[list[list[dict[str, Any]]]]:
        """After each change, yield all that is there, a list for each path; first when all are known."""
        for path in self._paths:
            threading.Thread(target=self._follow, args=(path,), daemon=True).start()
        settled = threading.Event()
        while True:
            self.changed.wait()
            settled.wait(SETTLES_WITHIN_SECONDS)  # changes come in bursts
            self.changed.clear()
            if len(self._things) == len(self._paths):
                yield [list(self._things[path].values()) for path in self._paths]

    def _follow(self, path: str) -> None:
        again = threading.Event()
        while True:
            try:
                listed = json.load(self._server.ask(path))
                self._things[path] = {_key(each): each for each in listed["items"]}
                self.changed.set()
                since = listed["metadata"]["resourceVersion"]
                with self._server.ask(f"{path}?watch=1&resourceVersion={since}") as stream:
                    for line in stream:
                        self._take(path, json.loads(line))
            except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
                say(f"{path}: {error}")
            again.wait(AGAIN_AFTER_SECONDS)

    def _take(self, path: str, event: dict[str, Any]) -> None:
        things = dict(self._things[path])
        if event["type"] == "ERROR":
            raise ValueError(event["object"].get("message"))
        if event["type"] == "DELETED":
            things.pop(_key(event["object"]), None)
        elif event["type"] in ("ADDED", "MODIFIED"):
            things[_key(event["object"])] = event["object"]
        self._things[path] = things
        self.changed.set()


def say(line: str) -> None:
    """Write a line of the program's log."""
    print(line, file=sys.stderr, flush=True)


def _key(thing: dict[str, Any]) -> str:
    return f"{thing['metadata'].get('namespace', '')}/{thing['metadata']['name']}"


def _data(text: str, name: str) -> bytes:
    found = re.search(rf"{name}-data: (\S+)", text)
    assert found, f"no {name} in the kubeconfig"
    return base64.b64decode(found[1])
