"""The programs and maps (eBPF) that the kernel holds: all of this computer's, and those pinned in somebody's files.

They belong to no namespace and have no owner's name. What pins them does: files of a `bpf` file system, which a machine
mounts for itself. A program is also its maps' owner's, and a map its programs'. Looks only; asks the kernel directly,
as its own tool is not everywhere. Only root is told anything.
"""

import ctypes
import errno
import os
import platform
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PROGRAM, MAP = "program", "map"
Held = tuple[str, int]

_CALL = {"x86_64": 321, "aarch64": 280}
# linux/bpf.h: enum bpf_cmd, and how `union bpf_attr` and `struct bpf_prog_info` are laid out.
_OBJ_GET, _INFO = 7, 15
_NEXT = {PROGRAM: 11, MAP: 12}
_PROGRAM_BY_ID = 13
_INFO_BYTES, _NUMBER_OF_MAPS, _MAPS = 232, 52, 56
_MOST_MAPS = 256
_FOLDER = "sys/fs/bpf"


class _Pinned(ctypes.Structure):
    _fields_ = [("path", ctypes.c_uint64), ("descriptor", ctypes.c_uint32), ("flags", ctypes.c_uint32)]


class _Id(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint32), ("next", ctypes.c_uint32), ("flags", ctypes.c_uint32)]


class _Info(ctypes.Structure):
    _fields_ = [("descriptor", ctypes.c_uint32), ("length", ctypes.c_uint32), ("info", ctypes.c_uint64)]


def all_held() -> set[Held]:
    """Return every program and map of this computer by its number, which is given once; empty where we may not ask."""
    return {(kind, each) for kind in (PROGRAM, MAP) for each in _ids(kind)}


def held_by(processes: Iterable[int]) -> set[Held]:
    """Return what is pinned in the files that these processes see, and all that goes with it."""
    pinned: set[Held] = set()
    for folder in _file_systems(processes):
        pinned.update(_pinned_below(folder))
    return with_relatives(pinned, maps_of_programs()) if pinned else set()


def maps_of_programs() -> dict[int, frozenset[int]]:
    """Return each program of this computer and the maps it uses."""
    found = {}
    for program in _ids(PROGRAM):
        with _opened(_PROGRAM_BY_ID, _Id(program)) as descriptor:
            if descriptor is not None:
                found[program] = _maps_used(descriptor)
    return found


def with_relatives(pinned: set[Held], uses: Mapping[int, frozenset[int]]) -> set[Held]:
    """Return what is pinned, the programs that use these maps, and the maps of all these programs."""
    maps = {number for kind, number in pinned if kind == MAP}
    programs = {number for kind, number in pinned if kind == PROGRAM}
    programs |= {program for program, used in uses.items() if used & maps}
    maps.update(*(uses.get(program, ()) for program in programs))
    return {*((MAP, each) for each in maps), *((PROGRAM, each) for each in programs)}


def _file_systems(processes: Iterable[int]) -> Iterator[Path]:
    """Yield the `bpf` file systems they see at the usual place, each once; not this computer's own."""
    seen = {own.stat().st_dev for own in (Path("/", _FOLDER),) if own.exists()}
    for pid in processes:
        folder = Path(f"/proc/{pid}/root/{_FOLDER}")
        try:
            device = folder.stat().st_dev
            kind = next(line.split(" - ")[1].split()[0] for line in _mounts(pid) if line.split()[4] == f"/{_FOLDER}")
        except (OSError, StopIteration):
            continue
        if kind == "bpf" and device not in seen:
            seen.add(device)
            yield folder


def _mounts(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/mountinfo").read_text().splitlines()


def _pinned_below(folder: Path) -> Iterator[Held]:
    for where, _, names in os.walk(folder):
        for name in names:
            path = f"{where}/{name}".encode()
            # The kernel's own listings are files like any other: those are not ours to open.
            if not stat.S_ISREG(os.lstat(path).st_mode) or name.endswith(".debug"):
                continue
            address = ctypes.create_string_buffer(path)
            with _opened(_OBJ_GET, _Pinned(ctypes.addressof(address))) as descriptor:
                if descriptor is not None:
                    yield from _told_of(descriptor)


def _told_of(descriptor: int) -> Iterator[Held]:
    """Yield what a descriptor is, or, of a link, the program it has attached."""
    for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines():
        word, _, value = line.partition(":")
        if word in ("prog_id", "map_id"):
            yield (PROGRAM if word == "prog_id" else MAP, int(value))


def _maps_used(descriptor: int) -> frozenset[int]:
    maps = (ctypes.c_uint32 * _MOST_MAPS)()
    info = ctypes.create_string_buffer(_INFO_BYTES)
    ctypes.c_uint32.from_buffer(info, _NUMBER_OF_MAPS).value = _MOST_MAPS
    ctypes.c_uint64.from_buffer(info, _MAPS).value = ctypes.addressof(maps)
    if _ask(_INFO, _Info(descriptor, _INFO_BYTES, ctypes.addressof(info))) < 0:
        return frozenset()
    return frozenset(maps[: ctypes.c_uint32.from_buffer(info, _NUMBER_OF_MAPS).value])


def _ids(kind: str) -> Iterator[int]:
    at = _Id(0)
    while _ask(_NEXT[kind], at) == 0:
        yield at.next
        at = _Id(at.next)


@contextmanager
def _opened(command: int, request: ctypes.Structure) -> Iterator[int | None]:
    descriptor = _ask(command, request)
    try:
        yield descriptor if descriptor >= 0 else None
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _ask(command: int, request: ctypes.Structure) -> int:
    number = _CALL.get(platform.machine())
    if number is None:
        return -errno.ENOSYS
    library = ctypes.CDLL(None, use_errno=True)
    return int(library.syscall(number, command, ctypes.byref(request), ctypes.sizeof(request)))
