"""Starts a namespaces machine and is its PID 1: `python -I -S init.py FOLDER STATUS_FD OWNER_FD`.

First it is the launcher: it joins the machine's cgroups and makes the namespaces, then forks. The child is PID 1; the
launcher waits for it. PID 1 builds the machine's files, serves the control socket, and ends with its owner (whose pidfd
is OWNER_FD; -1 for a machine that is ended by `down`) or with the launcher. When it ends, the kernel ends all else.
FOLDER/machine.json says what to build. STATUS_FD gets one line per phase, at last `ready` or `failed: …`.

Standard library only: see inside/.
"""

import json
import os
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

sys.path.insert(0, __file__.rsplit("/", 4)[0])

from labsupport.systems.machines.inside import cgroups, kernel, system
from labsupport.systems.machines.inside.control import Control
from labsupport.systems.machines.inside.mounts import MachineFiles

NETWORK_SETTINGS = {
    "ip_forward": "1",  # a packet with no way on is answered; else whoever sent it waits
    "tcp_orphan_retries": "1",  # connections whose both ends were killed would keep it, and its wire, for minutes
}
NAMESPACES = kernel.CLONE_NEWPID | kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS


def main(folder: str, status: int, owner: int) -> int:
    with open(f"{folder}/machine.json") as source:
        settings = json.load(source)
    try:
        _say(status, "launched")
        hierarchies = cgroups.hierarchies()
        cgroups.join(settings["name"], hierarchies, outermost=settings["depth"] == 0)
        kernel.unshare(kernel.CLONE_NEWCGROUP)
        cgroups.settle(settings["name"], hierarchies, shares=not settings["system"])
        _say(status, "cgroups")
        kernel.unshare(NAMESPACES & ~(kernel.CLONE_NEWNET if settings["keeps_network"] else 0))
        launcher = os.pidfd_open(os.getpid())
        child = os.fork()
        if child == 0:
            _be_first(folder, settings, hierarchies, status, [launcher, *([owner] if owner >= 0 else [])])
        _say(status, f"pid {child}")
    except Exception as error:
        traceback.print_exc()
        _say(status, f"failed: {error}")
        return 1
    _let_go(status)
    if owner >= 0:
        os.close(owner)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _be_first(
    folder: str, settings: dict[str, Any], hierarchies: list[cgroups.Hierarchy], status: int, ends_with: list[int]
) -> NoReturn:
    """Be PID 1. Never returns: whatever goes wrong here ends the machine, and says so first."""
    try:
        kernel.die_with_parent(signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        kernel.set_host_name(settings["name"])
        _say(status, "inside")
        MachineFiles(folder, settings, hierarchies).build()
        for entry, value in NETWORK_SETTINGS.items():
            with open(f"/proc/sys/net/ipv4/{entry}", "w") as setting:
                setting.write(value)
        _say(status, "files")
        os.chdir("/")
        listener = _listen(folder, settings["user"])
        if settings["system"]:
            system.become(folder, settings, hierarchies, lambda: _serve_beside(listener, ends_with, status), status)
        control = Control(listener, ends_with)
        _say(status, "ready")
        _let_go(status)
        control.serve()
    except BaseException as error:
        traceback.print_exc()
        _say(status, f"failed: {error}")
    finally:
        sys.stderr.flush()
        os._exit(0)


def _serve_beside(listener: socket.socket, ends_with: list[int], status: int) -> None:
    """Serve a machine whose PID 1 is another system's init: what is started goes to that system."""
    _let_go(status)
    Control(listener, ends_with, system.FILES_OF_INIT).serve()


def _listen(folder: str, user: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # By way of the current folder: the path of a socket may have 107 bytes only.
    os.chdir(folder)
    listener.bind("control.sock")
    os.chmod("control.sock", 0o600)
    os.chown("control.sock", user, -1)
    os.chdir("/")
    listener.listen(64)
    return listener


def _let_go(descriptor: int) -> None:
    """Close it; a standard stream becomes the log instead, as no other file may take its number."""
    if descriptor > 2:
        os.close(descriptor)
    else:
        os.dup2(2, descriptor)


def _say(status: int, line: str) -> None:
    try:
        os.write(status, line.replace("\n", " ").encode() + b"\n")
    except OSError:
        pass  # its reader has gone; the pidfds tell the rest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
