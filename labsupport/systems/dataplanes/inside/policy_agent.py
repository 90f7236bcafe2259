"""Keeps a node's firewall as the cluster's NetworkPolicies say: `python -I -S policy_agent.py NODE KUBECONFIG FILE`.

Watches pods, namespaces and policies, and after each change puts the whole table in place at once, by way of FILE.
Standard library only: it runs on nodes, where nothing else is.
"""

import base64
import http.client
import json
import os
import re
import ssl
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, __file__.rsplit("/", 5)[0])

from labsupport.systems.dataplanes.inside.policy_rules import not_understood, ruleset

WATCHED = ("/api/v1/pods", "/api/v1/namespaces", "/apis/networking.k8s.io/v1/networkpolicies")
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


class Agent:
    """What the API server has of each kind, and the moment of a change."""

    def __init__(self, node: str, server: Server, file: str) -> None:
        self._node = node
        self._server = server
        self._file = file
        self._things: dict[str, dict[str, dict[str, Any]]] = {}
        self._changed = threading.Event()

    def run(self) -> None:
        for path in WATCHED:
            threading.Thread(target=self._follow, args=(path,), daemon=True).start()
        settled = threading.Event()
        while True:
            self._changed.wait()
            settled.wait(SETTLES_WITHIN_SECONDS)  # changes come in bursts
            self._changed.clear()
            if len(self._things) == len(WATCHED):
                self._apply()

    def _apply(self) -> None:
        pods, namespaces, policies = (list(self._things[path].values()) for path in WATCHED)
        for name in not_understood(policies):
            _say(f"{name}: ports by name are not understood, and stay closed")
        Path(self._file).write_text(ruleset(self._node, pods, namespaces, policies))
        code = os.spawnvp(os.P_WAIT, "nft", ["nft", "--file", self._file])
        _say(f"{len(policies)} policies, {len(pods)} pods" if code == 0 else f"nft refused {self._file}: {code}")

    def _follow(self, path: str) -> None:
        again = threading.Event()
        while True:
            try:
                listed = json.load(self._server.ask(path))
                self._things[path] = {_key(each): each for each in listed["items"]}
                self._changed.set()
                since = listed["metadata"]["resourceVersion"]
                with self._server.ask(f"{path}?watch=1&resourceVersion={since}") as stream:
                    for line in stream:
                        self._take(path, json.loads(line))
            except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
                _say(f"{path}: {error}")
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
        self._changed.set()


def _key(thing: dict[str, Any]) -> str:
    return f"{thing['metadata'].get('namespace', '')}/{thing['metadata']['name']}"


def _data(text: str, name: str) -> bytes:
    found = re.search(rf"{name}-data: (\S+)", text)
    assert found, f"no {name} in the kubeconfig"
    return base64.b64decode(found[1])


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    Agent(sys.argv[1], Server(sys.argv[2]), sys.argv[3]).run()
