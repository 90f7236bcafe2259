"""Reads which objects etcd itself holds, without the API server in between. Changes nothing there."""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labsupport.errors import ClusterError
from labsupport.process.commands import Runner

ROOT, BEHIND_ROOT = "/registry/", "/registry0"
# What the cluster keeps there for itself, and traces that come and go.
LEFT_OUT = (
    "events", "leases", "endpointslices", "configmaps", "serviceaccounts", "masterleases", "services/endpoints",
    "services/specs/default/kubernetes",
)  # fmt: skip
# Each runs beside etcd, and speaks etcd's own API, in its JSON form.
BY_SOCKET = """
import http.client, socket, sys
connection = http.client.HTTPConnection("etcd")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(sys.argv[1])
connection.request("POST", "/v3/kv/range", sys.argv[2])
print(connection.getresponse().read().decode())
"""
BY_PORT = r"""
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'POST /v3/kv/range HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s' "${#2}" "$2" >&3
sed '1,/^\r$/d' <&3
"""


def all_keys_by_socket(runner: Runner, socket: Path) -> str:
    """Ask etcd for all keys of the API server, where it listens at `socket` of the runner's machine.

    Raises:
        ClusterError: it does not answer.
    """
    return _answer(runner, ["python3", "-I", "-S", "-c", BY_SOCKET, str(socket)])


def all_keys_by_port(runner: Runner, port: int) -> str:
    """Ask it as `all_keys_by_socket` does, where it listens at a port of 127.0.0.1."""
    return _answer(runner, ["bash", "-c", BY_PORT, "bash", str(port)])


def stored_objects(answer: str, namespace: str) -> dict[str, Any]:
    """Return {"revision": etcd's, "objects": {"statefulsets/web": revision of its last write, …}} of one namespace.

    Args:
        answer: what etcd said of all keys.
    """
    found = json.loads(answer)
    keys = {_decoded(each["key"]): int(each["mod_revision"]) for each in found.get("kvs", [])}
    place = f"/{namespace}/"
    objects = {
        key.removeprefix(ROOT).replace(place, "/").replace("services/specs/", "services/"): revision
        for key, revision in keys.items()
        if place in key and not key.removeprefix(ROOT).startswith(LEFT_OUT)
    }
    revision = int(found["header"]["revision"])
    return {"revision": revision, "objects": {name: objects[name] for name in sorted(objects)}}


def _answer(runner: Runner, words: Sequence[str]) -> str:
    first, last = (b64encode(key.encode()).decode() for key in (ROOT, BEHIND_ROOT))
    question = json.dumps({"key": first, "range_end": last, "keys_only": True})
    result = runner.run([*words, question], within_seconds=10)
    if not result.succeeded or not result.stdout.strip():
        raise ClusterError(f"ask etcd for {ROOT}", result.stderr.strip()[-500:], "is etcd running? `./lab status`")
    return result.stdout


def _decoded(key: str) -> str:
    return b64decode(key).decode()
