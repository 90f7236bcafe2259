"""What a lab has taken so far: processor time and memory by its cgroups of either version, disk by its files."""

import os
from contextlib import suppress
from pathlib import Path

from labsupport.systems.machines.sweeping import cgroups_of

MEGABYTE = 1e6
BLOCK_BYTES = 512


def processor_seconds(name: str) -> float | None:
    """Return the processor time of all that has run in a lab, on all cores together; None where no cgroup counts it."""
    if nanoseconds := _entry(name, "cpuacct.usage"):
        return int(nanoseconds) / 1e9
    fields = dict(line.split() for line in _entry(name, "cpu.stat").splitlines())
    return int(fields["usage_usec"]) / 1e6 if "usage_usec" in fields else None


def peak_megabytes(name: str) -> float | None:
    """Return the most memory a lab has held at once, page cache included; None before Linux 5.19 on version 2."""
    held = _entry(name, "memory.max_usage_in_bytes") or _entry(name, "memory.peak")
    return int(held) / MEGABYTE if held else None


def rest_megabytes(name: str) -> float:
    """Return the memory of a lab's processes now; pages that n processes share count 1/n to each."""
    return sum(_proportional_kilobytes(pid) for pid in _members(name)) * 1024 / MEGABYTE


def disk_megabytes(folder: Path) -> float:
    """Return what all files in a folder take on its disk, each once however many names it has; links not followed."""
    sizes: dict[tuple[int, int], int] = {}
    for where, _, names in os.walk(folder):
        for path in (Path(where), *(Path(where, name) for name in names)):
            try:
                about = path.lstat()
            except FileNotFoundError:  # a running lab's files come and go
                continue
            sizes[about.st_dev, about.st_ino] = about.st_blocks * BLOCK_BYTES
    return sum(sizes.values()) / MEGABYTE


def _entry(name: str, file: str) -> str:
    """Return what one file of the lab's cgroup says, in whichever hierarchy has it; empty where none has."""
    for group in cgroups_of(name):
        if (group / file).exists():
            return (group / file).read_text().strip()
    return ""


def _members(name: str) -> set[int]:
    found: set[int] = set()
    for group in cgroups_of(name):
        for folder, _, _ in os.walk(group):
            with suppress(OSError):  # a container's group goes with it
                found.update(map(int, (Path(folder) / "cgroup.procs").read_text().split()))
    return found


def _proportional_kilobytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
