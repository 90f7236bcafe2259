"""A machine whose PID 1 is a system's own init: its files, what serves the machine beside it, and when it is up.

Before PID 1 becomes that init it leaves two processes behind: one serves the control socket, and one keeps init's
console and says `ready` when init does. Both keep the machine's ordinary files; what they start for others goes to
init's. The init ends with its launcher, and all else with the init.
"""

import os
import select
import signal
import socket
from collections.abc import Callable
from typing import Any, NoReturn

from labsupport.systems.machines.inside import kernel
from labsupport.systems.machines.inside.cgroups import Hierarchy

INIT = "/sbin/init"
FILES_OF_INIT = "/proc/1/ns/mnt"
READY_SOCKET = "\0labsupport-ready"
CONTAINER = "labsupport"
_ROOT = "/run/system"
# The machine's own, shown to the system as they are.
_SHARED = ("/proc", "/sys", "/dev")
_WRITTEN = ("/etc/hostname", "/etc/hosts", "/etc/machine-id", "/etc/resolv.conf")


def become(
    folder: str, settings: dict[str, Any], hierarchies: list[Hierarchy], serve: Callable[[], None], status: int
) -> NoReturn:
    """Leave both helpers behind, then be the init of the system whose files `settings` name."""
    ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ready.bind(READY_SOCKET)
    console, terminal = os.openpty()
    name = os.ttyname(terminal)
    _in_a_child(lambda: _watch(ready, console, status))
    _in_a_child(serve)
    _enter_files(folder, settings, name)
    _leave_the_launcher(hierarchies)
    os.dup2(2, status)
    os.closerange(3, 4096)
    environment = {"container": CONTAINER, "NOTIFY_SOCKET": f"@{READY_SOCKET[1:]}", "LANG": "C.UTF-8"}
    os.execve(INIT, [INIT], environment)


def _in_a_child(work: Callable[[], None]) -> None:
    if os.fork() == 0:
        try:
            work()
        finally:
            os._exit(1)


def _watch(ready: socket.socket, console: int, status: int) -> None:
    """Copy the console to the log, which is standard error, and pass on that the system is up."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    poll = select.poll()
    poll.register(console, select.POLLIN)
    poll.register(ready, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == console:
                os.write(2, os.read(console, 1 << 16))
            elif "READY=1" in ready.recv(1 << 16).decode(errors="replace").splitlines():
                os.write(status, b"ready\n")
                os.dup2(2, status)
                poll.unregister(ready)


def _enter_files(folder: str, settings: dict[str, Any], console: str) -> None:
    """Make the system's files the root of a mount namespace of its own: the tree, and what is written in a layer."""
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    layers = f"{folder}/private/system"
    for path in (_ROOT, f"{layers}/upper", f"{layers}/work"):
        os.makedirs(path)
    os.chmod(f"{layers}/upper", 0o755)
    options = f"lowerdir={settings['system']},upperdir={layers}/upper,workdir={layers}/work"
    kernel.mount("overlay", _ROOT, "overlay", 0, options)
    for path in _SHARED:
        kernel.mount(path, _ROOT + path, None, kernel.MS_BIND | kernel.MS_REC)
    kernel.mount(console, f"{_ROOT}/dev/console", None, kernel.MS_BIND)
    for path, mode in (("/run", "755"), ("/tmp", "1777")):
        kernel.mount("tmpfs", _ROOT + path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"mode={mode}")
    for path in settings["shown"]:
        _show(path, read_only=True)
    _show(folder, read_only=False)
    for path in _WRITTEN:
        with open(path) as source, open(_ROOT + path, "w") as target:
            target.write(source.read())
    kernel.change_root(_ROOT)
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_SHARED)


def _show(path: str, *, read_only: bool) -> None:
    """Show a file or folder of the machine to the system, at the same path."""
    there = _ROOT + path
    if os.path.isdir(path):
        os.makedirs(there, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(there), exist_ok=True)
        if not os.path.exists(there):
            with open(there, "w"):
                pass
    kernel.mount(path, there, None, kernel.MS_BIND | kernel.MS_REC)
    if read_only:
        kernel.set_read_only(there, True, recursive=True)


def _leave_the_launcher(hierarchies: list[Hierarchy]) -> None:
    """On version 2, go back to the machine's own group: the init makes that its root, and expects nobody else there."""
    for hierarchy in hierarchies:
        if hierarchy.version == 2:
            with open(f"{hierarchy.path}/cgroup.procs", "w") as members:
                members.write("0")
