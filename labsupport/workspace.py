"""The learner's folder work/: copies of notebooks and assets. Never overwrites what the learner changed, unless asked.

work/.originals.json remembers each file as it was handed out (path → SHA-256): a file still equal to that is ours
to renew, any other is the learner's.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labsupport.errors import UsageError
from labsupport.notebooks import NotebookFile
from labsupport.project import Project

ORIGINALS = ".originals.json"


@dataclass(frozen=True)
class Handout:
    """What handing out did, as paths below work/: `kept` were edited and have a newer edition that was held back."""

    written: tuple[str, ...]
    kept: tuple[str, ...]


def hand_out(project: Project, notebooks: Sequence[NotebookFile], *, reset: bool = False) -> Handout:
    """Bring work/ up to date with the given notebooks and their assets; with `reset`, the learner's edits go.

    Raises:
        UsageError: work/ can't be written.
    """
    try:
        return _hand_out(project, notebooks, reset)
    except OSError as problem:
        raise UsageError(
            f"copy notebooks into {project.work}",
            f"{problem.strerror}: {problem.filename}",
            "make the folder writable for you (it may belong to another user), or make room on the disk",
        ) from problem


def _hand_out(project: Project, notebooks: Sequence[NotebookFile], reset: bool) -> Handout:
    project.work.mkdir(exist_ok=True)
    memory = project.work / ORIGINALS
    originals = _remembered(memory)
    written, kept = [], []
    for original, name in _files(project, notebooks):
        copy = project.work / name
        new = _digest(original)
        if copy.exists() and not reset:
            current = _digest(copy)
            if current == new:
                originals[name] = new
                continue
            if current != originals.get(name):
                # Only an edition that the learner has not seen yet is worth a word.
                kept += [name] if originals.get(name) != new else []
                continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        with _replaced_at_once(copy) as half_written:
            shutil.copyfile(original, half_written)
            shutil.copymode(original, half_written)
        originals[name] = new
        written.append(name)
    with _replaced_at_once(memory) as half_written:
        half_written.write_text(json.dumps(originals, indent=1, sort_keys=True) + "\n")
    return Handout(tuple(written), tuple(kept))


def _remembered(memory: Path) -> dict[str, str]:
    """What was handed out before. A memory that cannot be read is none: all that differs is the learner's then."""
    try:
        found = json.loads(memory.read_text()) if memory.exists() else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def _replaced_at_once(file: Path) -> Iterator[Path]:
    """What is written to the yielded path takes the file's place when it is whole; on a full disk the old one stays."""
    half_written = file.with_name(f".{file.name}.new")
    try:
        yield half_written
        half_written.rename(file)
    finally:
        half_written.unlink(missing_ok=True)


def _files(project: Project, notebooks: Sequence[NotebookFile]) -> Iterator[tuple[Path, str]]:
    for notebook in notebooks:
        yield notebook.path, notebook.path.name
        folder = project.assets / notebook.slug
        for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
            if path.is_file():
                yield path, str(path.relative_to(project.notebooks))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
