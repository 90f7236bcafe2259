"""Reads which objects etcd itself holds, without the API server in between. Changes nothing there."""

import json
from pathlib import Path
from typing import Any

from labsupport.errors import ClusterError
from labsupport.process.commands import Runner

ROOT = "/registry/"
# What the cluster keeps there for itself, and traces that come and go.
LEFT_OUT = (
    "events", "leases", "endpointslices", "configmaps", "serviceaccounts", "masterleases", "services/endpoints",
    "services/specs/default/kubernetes",
)  # fmt: skip
# Runs beside etcd, where its socket is. It speaks etcd's own API, in its JSON form.
PROGRAM = """
import base64, http.client, json, socket, sys
connection = http.client.HTTPConnection("etcd")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect(sys.argv[1])
first, last = (base64.b64encode(key.encode()).decode() for key in sys.argv[2:])
connection.request("POST", "/v3/kv/range", json.dumps({"key": first, "range_end": last, "keys_only": True}))
found = json.load(connection.getresponse())
keys = {base64.b64decode(each["key"]).decode(): int(each["mod_revision"]) for each in found.get("kvs", [])}
print(json.dumps({"revision": int(found["header"]["revision"]), "keys": keys}))
"""


def stored_objects(runner: Runner, socket: Path, namespace: str) -> dict[str, Any]:
    """Return {"revision": etcd's, "objects": {"statefulsets/web": revision of its last write, …}} of one namespace.

    Args:
        runner: of the machine on which etcd listens at `socket`.
    """
    words = ["python3", "-I", "-S", "-c", PROGRAM, str(socket), ROOT, "/registry0"]
    result = runner.run(words, within_seconds=10)
    if not result.succeeded:
        raise ClusterError(
            f"ask etcd at {socket} for {ROOT}", result.stderr.strip()[-500:], "is etcd running? `./lab status`"
        )
    found = json.loads(result.stdout)
    place = f"/{namespace}/"
    objects = {
        key.removeprefix(ROOT).replace(place, "/").replace("services/specs/", "services/"): revision
        for key, revision in found["keys"].items()
        if place in key and not key.removeprefix(ROOT).startswith(LEFT_OUT)
    }
    return {"revision": found["revision"], "objects": {name: objects[name] for name in sorted(objects)}}
