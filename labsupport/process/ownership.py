"""Whose a thing is: names, labels, owners, and the run folder that says who may remove it.

Everything a lab makes carries its name, in a label, an interface, a cgroup, a folder or a command line, so that an
inventory can be taken by owner and a sweep never touches a lab that somebody still uses. Starts and ends nothing.
"""

import fcntl
import os
import re
import secrets
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labsupport.errors import MachineError, RequirementMissing

LABEL_KEY = "labsupport.lab"
RUN_ROOT_VARIABLE = "LAB_RUN_ROOT"
# Set in a guest, where a lab is as on a computer of its own: its name; and of which kind it is.
GUEST_VARIABLE = "LAB_GUEST"
GUEST_KIND_VARIABLE = "LAB_GUEST_KIND"
VIRTUAL_KIND = "vm"
DEFAULT_RUN_ROOT = Path("/var/lib/labs")
LAB_NAME = re.compile(r"lab-[0-9a-f]{6}")


def new_name() -> str:
    """Return a lab's name, such as lab-3f9a2c: short enough for an interface, odd enough to be its own."""
    return f"lab-{secrets.token_hex(3)}"


def is_guest() -> bool:
    """Whether this is the inside of a guest: a container of an engine of the user's, or a virtual machine."""
    return GUEST_VARIABLE in os.environ


def is_virtual() -> bool:
    """Whether this is the inside of a virtual machine that a `./lab` outside has started."""
    return os.environ.get(GUEST_KIND_VARIABLE) == VIRTUAL_KIND


def label(name: str) -> str:
    """The label on everything that lab `name` makes where its run folder and namespaces do not reach."""
    return f"{LABEL_KEY}={name}"


def run_root() -> Path:
    """Where run folders live: /var/lib/labs, or what LAB_RUN_ROOT says."""
    return Path(os.environ.get(RUN_ROOT_VARIABLE) or DEFAULT_RUN_ROOT)


def own_run_root() -> Path:
    """Where this user may make run folders: as `run_root`, but for who is not root, below their home."""
    if RUN_ROOT_VARIABLE in os.environ or os.geteuid() == 0:
        return run_root()
    import platformdirs

    return platformdirs.user_state_path("labs")


def run_roots() -> tuple[Path, ...]:
    """Where a lab that this user may use can be: their own, and those that sudo made."""
    return tuple(dict.fromkeys((own_run_root(), run_root())))


@dataclass(frozen=True)
class Owner:
    """A process, told apart from a later one with the same pid by when it started.

    `started_at` is opaque: on Linux the boot's id and the clock ticks since then.
    """

    pid: int
    started_at: str

    @classmethod
    def this_process(cls) -> "Owner":
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> "Owner":
        """Return the process that has `pid` now.

        Raises:
            ProcessLookupError: no process has it.
        """
        started_at = _start_of(pid)
        if started_at is None:
            raise ProcessLookupError(f"no process has pid {pid}")
        return cls(pid, started_at)

    def is_alive(self) -> bool:
        """Whether it still runs. A zombie does not."""
        return _start_of(self.pid) == self.started_at

    def open_pidfd(self) -> int:
        """Return a file descriptor that becomes readable when the process ends, whoever has its pid by then.

        Raises:
            ProcessLookupError: it has ended already.
        """
        pidfd = os.pidfd_open(self.pid)
        if not self.is_alive():
            os.close(pidfd)
            raise ProcessLookupError(f"the process {self.pid} has ended")
        return pidfd


def wait_for_end(pidfd: int, within_seconds: float) -> bool:
    """Wait for the process behind `pidfd` to end; say whether it did."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(within_seconds * 1000))


def _start_of(pid: int) -> str | None:
    if not sys.platform.startswith("linux"):
        return _start_elsewhere(pid)
    try:
        ticks = ticks_at_start(Path(f"/proc/{pid}/stat").read_text(errors="replace"))
    except OSError:
        return None
    if ticks is None:
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{ticks}"


def ticks_at_start(stat: str) -> str | None:
    """Return when a process started, as /proc/PID/stat says; None for one that has ended, if only its parent knew."""
    # The command's name, in brackets, may hold anything: count fields from its end. State is the first after it.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _start_elsewhere(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None


@dataclass(frozen=True)
class Caller:
    """The person a lab works for: under sudo, who typed it."""

    uid: int
    gid: int


def caller() -> Caller:
    """Return who typed the command: SUDO_UID and SUDO_GID under sudo, else this user."""
    if os.getuid() == 0 and os.environ.get("SUDO_UID", "").isdigit():
        return Caller(int(os.environ["SUDO_UID"]), int(os.environ.get("SUDO_GID", "0")))
    return Caller(os.getuid(), os.getgid())


def give_to_caller(path: Path, mode: int = 0o600) -> None:
    """Let the caller alone use a socket, key or file that root made for them."""
    owner = caller()
    path.chmod(mode)
    if (owner.uid, owner.gid) != (os.getuid(), os.getgid()):
        os.chown(path, owner.uid, owner.gid, follow_symlinks=False)


@contextmanager
def locked(root: Path, lock: str = ".lock") -> Iterator[None]:
    """Hold a lock of a run root, making the root if need be; by default that of claims and sweeps, one at a time.

    The kernel lets go of it when its holder dies, however that happens.

    Raises:
        RequirementMissing: this user may not write there.
        MachineError: the disk is full.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root / lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        raise RequirementMissing(
            f"open the folder for labs, {root}", str(error), "run it with sudo: `sudo ./lab …`"
        ) from error
    except OSError as error:
        raise MachineError(
            f"open the folder for labs, {root}", str(error), f"free some space there, or set {RUN_ROOT_VARIABLE}"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
