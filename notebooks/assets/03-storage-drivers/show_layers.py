"""Show the real directories behind a running container's root file system, lowest first, then what they make together.

    python3 show_layers.py CONTAINER

Run as root on the machine of the engine. Reads the container's mount from /proc, and walks every directory of it.
"""

import http.client
import json
import os
import socket
import stat
import sys
from pathlib import Path

SHOWN = "data"
OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


def process_of(container: str) -> str:
    """Ask the engine at DOCKER_HOST, of whatever release, for the container's process."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(os.environ["DOCKER_HOST"].removeprefix("unix://"))
    connection.request("GET", f"/containers/{container}/json")
    return str(json.load(connection.getresponse())["State"]["Pid"])


def root_mount(pid: str) -> tuple[str, list[str]]:
    """Return the type of the container's root file system and its options."""
    for line in Path(f"/proc/{pid}/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if place == "/":
            return kind, options.split(",")
    raise SystemExit(f"the process {pid} has no root mount")


def directories(options: list[str]) -> tuple[list[str], str, str]:
    """Return the lower directories, lowest first, the upper one, and the work directory."""
    pairs = [option.partition("=")[::2] for option in options if "=" in option]
    values = dict(pairs)
    # Kernels since 6.8 may name each lower directory by an option of its own.
    lower = [value for name, value in pairs if name == "lowerdir+"] or values["lowerdir"].split(":")
    paths = [os.path.realpath(path) for path in reversed(lower)]
    return paths, os.path.realpath(values["upperdir"]), os.path.realpath(values["workdir"])


def kind_of(path: Path, status: os.stat_result) -> str:
    """Say what an entry of a layer is: a whiteout is a character device 0, 0; an opaque folder hides all below it."""
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        return "whiteout"
    if stat.S_ISDIR(status.st_mode):
        marks = [name for name in OPAQUE if name in os.listxattr(path, follow_symlinks=False)]
        return "opaque folder" if marks else "folder"
    return "file"


def entries_of(directory: str) -> list[dict]:
    """Return what a directory has below /data, and how many bytes each takes on disk."""
    found = []
    for parent, folders, names in os.walk(Path(directory, SHOWN)):
        for name in [*folders, *names]:
            path = Path(parent, name)
            status = path.lstat()
            where = f"/{path.relative_to(directory)}"
            found.append({"path": where, "kind": kind_of(path, status), "bytes": status.st_blocks * 512})
    return sorted(found, key=lambda entry: entry["path"])


def describe(directory: str) -> dict:
    """Return a layer: its directory, all the bytes it takes, and its entries below /data."""
    taken = sum(Path(parent, name).lstat().st_blocks * 512 for parent, _, names in os.walk(directory) for name in names)
    # The engine puts a layer of its own below each container: the places where it mounts /etc/hosts and the like.
    engines_own = Path(directory, ".dockerenv").exists()
    return {"directory": directory, "bytes": taken, "engines_own": engines_own, "entries": entries_of(directory)}


def main(container: str) -> None:
    pid = process_of(container)
    kind, options = root_mount(pid)
    if kind != "overlay":
        raise SystemExit(f"the root of {container} is mounted as {kind}, not as layers")
    lower, upper, work = directories(options)
    found = {
        "container": container,
        "mount": kind,
        "work": work,
        "lower": [describe(directory) for directory in lower],
        "upper": describe(upper),
        "merged": entries_of(f"/proc/{pid}/root"),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
