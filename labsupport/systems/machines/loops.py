"""Loop devices: the kernel objects that namespaces do not hold, so that what a machine attached may outlive it."""

import contextlib
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path

_LOOP_GET_STATUS64 = 0x4C05
_LOOP_CLR_FD = 0x4C01
# struct loop_info64 begins with the backing file's device, inode and rdevice.
_STATUS_BYTES = 232


@dataclass(frozen=True)
class LoopDevice:
    """An attached loop device and the file behind it, by path as the kernel remembers it and by identity."""

    path: Path
    backing: str
    device: int
    inode: int


def attached_loops() -> list[LoopDevice]:
    """Return the loop devices of this computer that have a file behind them."""
    found = []
    for state in sorted(Path("/sys/block").glob("loop*/loop/backing_file")):
        path = Path("/dev") / state.parent.parent.name
        with contextlib.suppress(OSError):  # detached meanwhile, or no node for it here
            backing = state.read_text().strip()
            device, inode = _status(path)
            found.append(LoopDevice(path, backing, device, inode))
    return found


def loops_into(folder: Path) -> list[LoopDevice]:
    """Return the loop devices whose file lies in `folder`, by whatever path it was attached."""
    attached = attached_loops()
    if not attached or not folder.is_dir():
        return []
    candidates = {(loop.device, loop.inode): loop for loop in attached}
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                status = os.lstat(f"{parent}/{name}")
                if loop := candidates.pop((status.st_dev, status.st_ino), None):
                    found.append(loop)
        if not candidates:
            break
    return found


def detach(loop: LoopDevice) -> None:
    """Let go of the file behind it: at once, or when the last user of the device closes it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(loop.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _status(loop.path) == (loop.device, loop.inode):
                fcntl.ioctl(descriptor, _LOOP_CLR_FD)
        finally:
            os.close(descriptor)


def _status(path: Path) -> tuple[int, int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = fcntl.ioctl(descriptor, _LOOP_GET_STATUS64, bytes(_STATUS_BYTES))
    finally:
        os.close(descriptor)
    device, inode = struct.unpack_from("=QQ", status)
    return device, inode
