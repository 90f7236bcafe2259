"""Stops a daemon as an administrator would: containers first, then its books, then its own containerd."""

import signal
from contextlib import suppress
from pathlib import Path

from labsupport.errors import WaitExpired
from labsupport.process.ownership import Owner
from labsupport.process.waiting import wait_until
from labsupport.systems.engines.settings import EngineFolders
from labsupport.systems.machines.machine import Service

WITHIN_SECONDS = 10.0


def stop_daemon(daemon: Service, folders: EngineFolders) -> None:
    """Ask dockerd to end (SIGTERM), and return when it has; killed at the deadline.

    Its containerd is the last that dockerd ends. It looks at once whether that has ended, and then each second (moby,
    containerd/server/supervisor, stopDaemon): as there is nothing left to do by then, it is not waited for.
    """
    containerd = _containerd_of(daemon)
    daemon.signal(signal.SIGTERM)
    with suppress(WaitExpired):
        wait_until(
            lambda: daemon.exit_code is not None or (containerd is not None and not containerd.is_alive()),
            f"{daemon.name} to end",
            within_seconds=WITHIN_SECONDS,
            every_seconds=0.005,
        )
    if daemon.is_running():
        daemon.stop(within_seconds=0)
        # Another process may have that number by the time a daemon starts here again.
        folders.pid_file.unlink(missing_ok=True)


def _containerd_of(daemon: Service) -> Owner | None:
    """The containerd that a daemon has started; None where it uses another's, or where its processes cannot be seen."""
    for children in Path(f"/proc/{daemon.pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                if Path(f"/proc/{child}/comm").read_text() == "containerd\n":
                    return Owner.of(int(child))
    return None
