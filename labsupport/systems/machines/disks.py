"""Disks for a machine: a file as a loop device with a file system on it, to look at byte by byte.

The kernel lets go of the device when nothing has it mounted any more: the end of a machine, whatever ends it, is the
end of its disks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from labsupport.systems.machines.machine import Machine

FOLDER = "/var/lib/lab-disks"
DEVICES = "/dev"


@dataclass(frozen=True)
class Disk:
    """A disk of a machine, mounted at `place`; `device` is a name for the loop device, the same on every run.

    `commands` made it, in order: what one would type as root.
    """

    machine: Machine
    name: str
    place: str
    commands: tuple[str, ...]

    @property
    def device(self) -> str:
        return f"{DEVICES}/{self.name}"

    def detach(self) -> None:
        """Unmount it and remove its file, whatever still uses it: the kernel keeps both until the last user is gone."""
        _run(self.machine, detaching(self.name, self.place))


def attach_disk(machine: Machine, name: str, place: str, *, megabytes: int) -> Disk:
    """Make an empty disk and mount it; one of that name, which an earlier user left, goes first.

    Raises:
        CommandFailed: a command failed; nothing of the disk is left.
    """
    _run(machine, detaching(name, place))
    commands = attaching(name, place, megabytes)
    try:
        _run(machine, commands)
    except BaseException:
        _run(machine, detaching(name, place))
        raise
    return Disk(machine, name, place, tuple(commands))


def attaching(name: str, place: str, megabytes: int) -> list[str]:
    """The commands that make and mount a disk.

    Mounted without `discard`, the default: what a file system no longer uses is not told to the disk.
    """
    file = f"{FOLDER}/{name}.img"
    return [
        f"mkdir -p {FOLDER} {place}",
        f"truncate --size {megabytes}M {file}",
        f"mkfs.ext4 -q -m 0 {file}",
        f"mount -o loop {file} {place}",
        f"ln -s $(findmnt --noheadings --output SOURCE {place}) {DEVICES}/{name}",
    ]


def detaching(name: str, place: str) -> list[str]:
    """The commands that remove a disk, if it is there."""
    return [
        f"if mountpoint --quiet {place}; then umount --lazy {place}; fi",
        f"rm -f {FOLDER}/{name}.img {DEVICES}/{name}",
    ]


def _run(machine: Machine, commands: Sequence[str]) -> None:
    machine.runner.run(["sh", "-ec", "\n".join(commands)]).or_raise()
