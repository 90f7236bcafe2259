"""The main process of a container machine: `python -I -S contained.py FOLDER`. It becomes the machine's launcher.

It takes its owner's pidfd over FOLDER/owner.sock, as nothing can be passed to a container when it starts; then init.py
does the rest, in namespaces of the machine's own but for the network, which is the container's. Whatever happens, it
ends with its owner, and empties the run folder first: what was written inside belongs to root, who is nowhere else.

Standard library only: see inside/.
"""

import os
import select
import shutil
import signal
import socket
import sys

RECORD = "lab.json"
OWNER_SOCKET = "owner.sock"
STATUS = "status"
OWNER_WITHIN_SECONDS = 30


def main(folder: str) -> int:
    from labsupport.systems.machines import init

    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    try:
        # Nobody else is in here yet: the descriptor of the owner must be there before anything can outlive them.
        owner = _wait_for_owner(folder)
        if owner is None:
            return 1
        _leave_the_root_of_version_2()
        status = os.open(f"{folder}/{STATUS}", os.O_WRONLY)
        return init.main(folder, status, owner)
    finally:
        _empty(folder)


def _wait_for_owner(folder: str) -> int | None:
    """Return the pidfd that comes over the socket, -1 when a message without one says that there is no owner."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.chdir(folder)
    listener.bind(OWNER_SOCKET)
    user = os.stat(".")
    os.chown(OWNER_SOCKET, user.st_uid, user.st_gid)
    os.chmod(OWNER_SOCKET, 0o600)
    os.chdir("/")
    listener.listen(1)
    try:
        listener.settimeout(OWNER_WITHIN_SECONDS)
        connection, _ = listener.accept()
        connection.settimeout(OWNER_WITHIN_SECONDS)
        said, received, _, _ = socket.recv_fds(connection, 64, 1)
        connection.close()
    except OSError:
        return None
    finally:
        listener.close()
    if not said:
        return None
    if received and select.select(received, [], [], 0)[0]:
        return None  # it has ended meanwhile
    return received[0] if received else -1


def _leave_the_root_of_version_2() -> None:
    """Only leaves may hold processes, and the container's own group is to have children."""
    from labsupport.systems.machines.inside import cgroups

    for hierarchy in cgroups.hierarchies():
        if hierarchy.version == 2:
            leaf = f"{hierarchy.path}/launcher"
            os.makedirs(leaf, exist_ok=True)
            with open(f"{leaf}/cgroup.procs", "w") as members:
                members.write("0")


def _empty(folder: str) -> None:
    for entry in os.scandir(folder):
        if entry.name == RECORD:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)


if __name__ == "__main__":
    sys.path.insert(0, __file__.rsplit("/", 4)[0])
    sys.exit(main(sys.argv[1]))
