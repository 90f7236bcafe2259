"""What a learner hands in: how far they are, under the name they typed. Reads a folder of such files for a class.

Nothing else of a person is in it. Whatever is in a file, reading it says what is wrong with it and goes on.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from labsupport.errors import UsageError
from labsupport.experiments.evidence import write_atomically
from labsupport.experiments.progress import Progress

ENDING = ".progress.json"
LONGEST_NAME = 80
MOST_BYTES = 1_000_000


class HandedIn(BaseModel):
    """One learner's progress. `versions` are those of the labs and of Python."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["labsupport progress"] = "labsupport progress"
    learner: str = Field(min_length=1, max_length=LONGEST_NAME)
    written: AwareDatetime
    versions: dict[str, str] = {}
    progress: Progress

    @field_validator("learner")
    @classmethod
    def _is_one_line(cls, name: str) -> str:
        if not name.strip() or not name.isprintable():
            raise ValueError("a name is one line of letters")
        return name.strip()


@dataclass(frozen=True)
class Collection:
    """What a folder held: of each learner the newest, by name; and why each other file was skipped, by its name."""

    learners: tuple[HandedIn, ...]
    skipped: dict[str, str]


def hand_in(learner: str, progress: Progress, versions: dict[str, str], folder: Path) -> Path:
    """Write what a learner hands in, replacing what they wrote before; return the file.

    Raises:
        UsageError: the name is empty, too long, or no line of text.
    """
    try:
        made = HandedIn(
            learner=learner, written=datetime.now(UTC).replace(microsecond=0), versions=versions, progress=progress
        )
    except ValidationError as error:
        raise UsageError(
            f"hand in the progress of {learner!r}",
            str(error.errors()[0]["msg"]),
            f"type a name of at most {LONGEST_NAME} letters, the one your class knows you by",
        ) from None
    file = folder / f"{_for_a_file(made.learner)}{ENDING}"
    write_atomically(file, made.model_dump_json(indent=1) + "\n")
    return file


def collect(folder: Path) -> Collection:
    """Read every file of a folder.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"read {folder}", "there is no such folder", "name the folder with what learners handed in")
    newest: dict[str, tuple[str, HandedIn]] = {}
    skipped: dict[str, str] = {}
    for file in sorted(folder.iterdir()):
        if file.name.startswith("."):
            continue
        found = _read(file)
        if isinstance(found, str):
            skipped[file.name] = found
            continue
        before = newest.get(found.learner)
        if before and before[1].written >= found.written:
            skipped[file.name] = f"{before[0]} is newer, and of {found.learner} too"
            continue
        if before:
            skipped[before[0]] = f"{file.name} is newer, and of {found.learner} too"
        newest[found.learner] = (file.name, found)
    return Collection(tuple(found for _, (_, found) in sorted(newest.items())), skipped)


def _read(file: Path) -> HandedIn | str:
    """Read one file, or say why it is none."""
    try:
        if not file.is_file():
            return "it is no file"
        if file.stat().st_size > MOST_BYTES:
            return f"it has {file.stat().st_size // 1_000_000} MB, and what is handed in has a few kB"
        return HandedIn.model_validate_json(file.read_bytes())
    except OSError as problem:
        return f"it could not be read: {problem.strerror}"
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return f"it is not what `lab.progress(…)` writes: {where}{': ' if where else ''}{first['msg']}"


def _for_a_file(name: str) -> str:
    return re.sub(r"[^\w]+", "-", name).strip("-").lower() or "learner"
