"""The archive that a kernel unpacks before it has a disk: one program, and the modules that the disk takes."""

import gzip
import io
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

# What every disk of a virtual machine takes; a kernel that has one built in does without the module.
WANTED_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
FOLDERS = ("bin", "dev", "proc", "root")
# The kernel's own log is written there before anything is mounted.
_CONSOLE = (5, 1)


def first_files(root: Path, release: str, program: bytes) -> bytes:
    """Return the archive for the kernel `release` of the system in `root`, with `program` as its /init."""
    modules = list(in_order(WANTED_MODULES, dependencies(root / "lib/modules" / release / "modules.dep")))
    files = {"init": program, "bin/busybox": (root / "usr/bin/busybox").read_bytes()}
    names = []
    for path in modules:
        name = Path(path).name
        names.append(f"/{name}")
        files[name] = (root / "lib/modules" / release / path).read_bytes()
    files["modules"] = "".join(f"{name}\n" for name in names).encode()
    return gzip.compress(archive(FOLDERS, files), compresslevel=1)


def dependencies(listing: Path) -> dict[str, tuple[str, list[str]]]:
    """Read modules.dep: by each module's name its file and the files it takes, nearest first."""
    found = {}
    for line in listing.read_text().splitlines():
        path, _, needs = line.partition(":")
        found[Path(path).name.partition(".ko")[0].replace("-", "_")] = (path, needs.split())
    return found


def in_order(wanted: Iterable[str], known: Mapping[str, tuple[str, list[str]]]) -> Iterator[str]:
    """Yield the files of the wanted modules, each once and after all that it takes."""
    seen: set[str] = set()
    for name in wanted:
        path, needs = known.get(name, ("", []))
        for each in [*reversed(needs), path]:
            if each and each not in seen:
                seen.add(each)
                yield each


def archive(folders: Iterable[str], files: Mapping[str, bytes]) -> bytes:
    """Return a cpio archive ("newc") of folders, executable files and a console, all root's."""
    made = io.BytesIO()
    for name in folders:
        _add(made, name, stat.S_IFDIR | 0o755)
    _add(made, "dev/console", stat.S_IFCHR | 0o600, device=_CONSOLE)
    for name, content in files.items():
        _add(made, name, stat.S_IFREG | 0o755, content)
    _add(made, "TRAILER!!!", 0)
    return made.getvalue()


def _add(made: io.BytesIO, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
    # Inode, mode, user, group, links, time, size, device it is on (2), device it is (2), length of its name, checksum.
    fields = (made.tell() + 1, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0)
    made.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0")
    _pad(made)
    made.write(content)
    _pad(made)


def _pad(made: io.BytesIO) -> None:
    made.write(b"\0" * (-made.tell() % 4))
