"""The clone there and its results back, for an engine that cannot see this computer's files."""

import io
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from labsupport.systems.guests.container import Guest

# Of this computer only, or made anew there.
LEFT_BEHIND = {".venv", "build", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache"}
RESULTS = ("work", "build/report", "build/evidence", "build/run", "build/bench")
RECORDS = ("notebooks", "docs")
SAVE_SECONDS = 10


def copy_in(guest: Guest) -> None:
    """Put the clone, with the learner's work, at the same path in the container."""
    root = guest.project.root

    def wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        entry.uid, entry.gid, entry.uname, entry.gname = guest.user, guest.group, "", ""
        return None if PurePosixPath(entry.name).name in LEFT_BEHIND else entry

    with tempfile.TemporaryFile() as archive:
        with tarfile.open(fileobj=archive, mode="w") as files:
            files.add(root, arcname=str(root).lstrip("/"), filter=wanted)
        archive.seek(0)
        guest.engine.client.api.put_archive(guest.container, "/", archive)


def copy_out(guest: Guest, folders: tuple[str, ...] = RESULTS) -> None:
    """Bring files of these folders here where they are new or differ; nothing is removed here."""
    from docker.errors import NotFound

    for folder in folders:
        path = guest.project.root / folder
        try:
            chunks, _ = guest.engine.client.api.get_archive(guest.container, str(path))
        except NotFound:
            continue
        with tempfile.TemporaryFile() as archive:
            for chunk in chunks:
                archive.write(chunk)
            archive.seek(0)
            unpack(archive, path.parent)


def unpack(archive: IO[bytes], target: Path) -> list[Path]:
    """Write the plain files of an archive below `target` where they are new or differ; return which.

    What notebooks made there decides no place here: links, devices and names that lead elsewhere are left out.
    """
    written = []
    with tarfile.open(fileobj=archive) as files:
        for entry in files:
            name = PurePosixPath(entry.name)
            path = target / name
            if not entry.isfile() or name.is_absolute() or ".." in name.parts or _is_behind_a_link(path, target):
                continue
            content = files.extractfile(entry) or io.BytesIO()
            new = content.read()
            if path.is_file() and path.read_bytes() == new:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            half_written = path.with_name(f".{path.name}.new")
            half_written.write_bytes(new)
            half_written.chmod(0o755 if entry.mode & 0o100 else 0o644)
            half_written.replace(path)
            written.append(path)
    return written


def _is_behind_a_link(path: Path, target: Path) -> bool:
    return any(parent.is_symlink() for parent in path.parents if parent != target and target in parent.parents)


@contextmanager
def saving_work(guest: Guest) -> Iterator[None]:
    """Bring the learner's work here now and then while the block runs: it must outlive a killed command."""
    ended = threading.Event()

    def save() -> None:
        while not ended.wait(SAVE_SECONDS):
            copy_out(guest, ("work",))

    saver = threading.Thread(target=save, daemon=True)
    saver.start()
    try:
        yield
    finally:
        ended.set()
        saver.join()
        copy_out(guest)
