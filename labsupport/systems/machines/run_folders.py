"""Run folders: claimed before anything else is made, so that whatever happens next has an owner on record."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labsupport.errors import MachineError
from labsupport.process.ownership import LAB_NAME, Owner, caller, locked, new_name

RECORD_NAME = "lab.json"
GONE_PREFIX = ".gone-"


@dataclass(frozen=True)
class LabRecord:
    """What lab.json says: whose the run folder is. `owner` is null for a lab that only `down` ends.

    `network` is empty where the machine takes none of this computer's; `engine` says where the user's engine is that it
    is a container of, or that a lab without a machine uses; else it is empty.
    """

    name: str
    kind: str
    starter: Owner
    owner: Owner | None
    init: Owner | None
    launcher: Owner | None
    network: str
    created: str
    user: int
    engine: str = ""

    def is_alive(self) -> bool:
        """Whether somebody still uses it. Until PID 1 is on record its starter answers for it."""
        if self.init is None:
            return self.starter.is_alive()
        return self.init.is_alive() and (self.owner is None or self.owner.is_alive())

    @classmethod
    def read(cls, folder: Path) -> "LabRecord":
        """Read a run folder's record.

        Raises:
            MachineError: there is none, or it is broken.
        """
        try:
            fields: dict[str, Any] = json.loads((folder / RECORD_NAME).read_text())
            for key in ("starter", "owner", "init", "launcher"):
                fields[key] = Owner(**fields[key]) if fields[key] else None
            return cls(**fields)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MachineError(
                f"read {folder / RECORD_NAME}",
                f"{type(error).__name__}: {error}",
                "`./lab clean` removes what is broken",
            ) from error

    def write(self, folder: Path) -> None:
        """Write it whole or not at all."""
        draft = folder / f".{RECORD_NAME}.{os.getpid()}"
        draft.write_text(json.dumps(asdict(self), indent=1) + "\n")
        draft.replace(folder / RECORD_NAME)


def claim(
    root: Path, kind: str, owner: Owner | None, choose_network: Callable[[str, set[str]], str], engine: str = ""
) -> tuple[Path, LabRecord]:
    """Make a run folder that says whose it is, and reserve its network.

    `choose_network` gets the lab's name and the networks of the other labs. Nobody else claims at the same moment.

    Raises:
        MachineError: the disk is full; nothing is left of the try.
    """
    with locked(root):
        taken = {record.network for record in records(root).values() if record is not None and record.network}
        name = new_name()
        folder = root / name
        try:
            record = LabRecord(
                name=name,
                kind=kind,
                starter=Owner.this_process(),
                owner=owner,
                init=None,
                launcher=None,
                network=choose_network(name, taken),
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                user=caller().uid,
                engine=engine,
            )
            folder.mkdir(mode=0o755)
            (folder / "log").mkdir()
            (folder / "private").mkdir(mode=0o700)
            record.write(folder)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise MachineError(
                f"make the run folder {folder}", str(error), f"free some space on the disk that holds {root}"
            ) from error
    return folder, record


def records(root: Path) -> dict[Path, LabRecord | None]:
    """Return each run folder below `root` with its record; None where that is missing or broken."""
    found: dict[Path, LabRecord | None] = {}
    if not root.is_dir():
        return found
    for folder in sorted(root.iterdir()):
        if LAB_NAME.fullmatch(folder.name):
            try:
                found[folder] = LabRecord.read(folder)
            except MachineError:
                found[folder] = None
    return found


def update(folder: Path, record: LabRecord, *, launcher: Owner, init: Owner) -> LabRecord:
    changed = replace(record, launcher=launcher, init=init)
    changed.write(folder)
    return changed


def forget_owner(folder: Path) -> None:
    """Put on record that the lab ends with nobody any more."""
    replace(LabRecord.read(folder), owner=None).write(folder)


def set_aside(folder: Path) -> Path:
    """Rename a run folder out of the way, so that it is nobody's while it is removed; return its new path.

    Raises:
        FileNotFoundError: somebody else has set it aside, or removed it.
    """
    return folder.rename(folder.with_name(f"{GONE_PREFIX}{folder.name}"))


def those_set_aside(root: Path) -> dict[str, Path]:
    """Return the run folders below `root` that were set aside and are still there, by their lab's name."""
    return {
        folder.name.removeprefix(GONE_PREFIX): folder
        for folder in root.glob(f"{GONE_PREFIX}*")
        if LAB_NAME.fullmatch(folder.name.removeprefix(GONE_PREFIX))
    }


def remove(folder: Path) -> None:
    """Remove a folder and all in it; somebody else may be removing it too."""
    shutil.rmtree(folder, ignore_errors=True)
