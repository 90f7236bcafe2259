"""PID 1 of a guest container: `python3 -I -S -c THIS SETTINGS`. Prepares it for `./lab`, and ends with its owner.

The owner holds the other end of stdin and writes to it now and then. When that is closed, or silent for too long, PID 1
ends, and the kernel ends all else in the container; unless the owner said `stay`. On stdout: one line, `ready …` or
`refused: …`, later `stays`. Commands come by `docker exec`.

Standard library only; the container has no file of this package when it starts.
"""

import json
import os
import select
import signal
import stat
import sys
import time
from typing import Any

SILENT_SECONDS = 120
LAB_FOLDER = "/lab"  # where the volume is
CACHE_FOLDER = f"{LAB_FOLDER}/cache"
READY_FILE = "/run/guest"
HOME = "/home/learner"
ACCOUNT = "learner"
VERSION_2_ROOT = "/sys/fs/cgroup"
CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
_CAP_SYS_ADMIN = 21


def main(settings: dict[str, Any]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if because := _no_real_root():
            _say(f"refused: {because}")
            return 1
        _leave_the_root_of_version_2()
        _have_console()
        shared = os.path.exists(settings["mark"])
        user, group = _whose(settings, shared)
        if user:
            _make_account(user, group)
        if shared or not settings["mounted"]:
            _have_environment(settings["project"], settings["environment"], user, group)
        ready = f"ready {int(shared)} {user} {group} 0"
        _write(READY_FILE, ready)
        _say(ready)
    except OSError as error:
        _say(f"refused: {error}")
        return 1
    try:
        return _serve()
    finally:
        if shared and user:
            _end_all_else()
            _hand_over(settings["project"], user, group)


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def _no_real_root() -> str:
    with open("/proc/self/uid_map") as source:
        if source.read().split() != ["0", "0", "4294967295"]:
            return "its containers run without real root (in a user namespace)"
    with open("/proc/self/status") as source:
        capabilities = next(line.split()[1] for line in source if line.startswith("CapEff:"))
    if not int(capabilities, 16) >> _CAP_SYS_ADMIN & 1:
        return "it gave a privileged container no privileges (no CAP_SYS_ADMIN)"
    return ""


def _have_console() -> None:
    """Make the device that engines give to containers with a terminal only, and that a system's init writes to."""
    if not os.path.exists("/dev/console"):
        os.mknod("/dev/console", stat.S_IFCHR | 0o600, os.makedev(5, 1))


def _leave_the_root_of_version_2() -> None:
    """Only leaves may hold processes, and machines are to be beside this one: what comes by exec follows PID 1."""
    if not os.path.exists(f"{VERSION_2_ROOT}/cgroup.controllers"):
        return
    os.makedirs(f"{VERSION_2_ROOT}/guest", exist_ok=True)
    _write(f"{VERSION_2_ROOT}/guest/cgroup.procs", "0")
    with open(f"{VERSION_2_ROOT}/cgroup.controllers") as source:
        available = source.read().split()
    for controller in available:
        if controller in CONTROLLERS:
            _write(f"{VERSION_2_ROOT}/cgroup.subtree_control", f"+{controller}")


def _whose(settings: dict[str, Any], shared: bool) -> tuple[int, int]:
    """Return whose the clone is as this container sees it; root where files get their owner from the engine anyway."""
    if not shared:
        return settings["user"], settings["group"]
    clone = os.stat(settings["project"])
    try:
        os.chown(settings["mark"], clone.st_uid, clone.st_gid)
    except PermissionError:
        return 0, 0
    return clone.st_uid, clone.st_gid


def _make_account(user: int, group: int) -> None:
    # The first line with a number counts.
    for file, line in (
        ("/etc/passwd", f"{ACCOUNT}:x:{user}:{group}::{HOME}:/bin/bash\n"),
        ("/etc/group", f"{ACCOUNT}:x:{group}:\n"),
    ):
        with open(file) as source:
            others = source.read()
        _write(file, line + others)
    os.makedirs(HOME, exist_ok=True)
    os.chown(HOME, user, group)


def _have_environment(project: str, kept: str, user: int, group: int) -> None:
    """Put this system's own .venv, from the volume, where the clone has that of the user's computer."""
    os.makedirs(CACHE_FOLDER, exist_ok=True)
    os.makedirs(kept, exist_ok=True)
    os.chown(kept, user, group)
    there = os.path.realpath(f"{project}/.venv")
    if not os.path.isdir(there):
        os.makedirs(there)
        os.chown(there, user, group)
    if os.spawnlp(os.P_WAIT, "mount", "mount", "--bind", kept, there):
        raise OSError(f"mount --bind {kept} {there} failed")


def _serve() -> int:
    """Wait for the owner's end, reaping what ends here without a parent."""
    stays = False
    last_heard = time.monotonic()
    while True:
        heard = select.select([0] if not stays else [], [], [], 1)[0]
        if heard:
            said = os.read(0, 4096)
            if not said:
                return 0
            last_heard = time.monotonic()
            if b"stay" in said:
                stays = True
                with open(READY_FILE) as source:
                    ready = source.read()
                _write(READY_FILE, f"{ready[:-1]}1")
                _say("stays")
        elif not stays and time.monotonic() - last_heard > SILENT_SECONDS:
            return 1
        _reap()


def _end_all_else() -> None:
    """End every other process of this container, so that nobody writes into the clone any more."""
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def _hand_over(project: str, user: int, group: int) -> None:
    """Give what root made in the clone to whose the clone is; .venv is the volume's."""
    for folder, names, files in os.walk(project):
        names[:] = [name for name in names if name != ".venv"]
        for path in [f"{folder}/{name}" for name in (*names, *files)]:
            if os.lstat(path).st_uid == 0:
                os.chown(path, user, group, follow_symlinks=False)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _write(path: str, text: str) -> None:
    with open(path, "w") as target:
        target.write(text)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
