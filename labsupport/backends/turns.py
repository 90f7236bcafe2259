"""Whose turn it is in a lab that stays: one notebook works in it at a time, and the next that opens it takes it over.

Two at a time would remove each other's objects, and see them in their evidence. What the notebook before had made goes
at that moment: it may be open still, or its kernel may have been killed.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labsupport.backends.running import TURN_FILE, Backends, Existing
from labsupport.errors import UsageError
from labsupport.process.ownership import Owner


@dataclass(frozen=True)
class Turn:
    """A notebook's turn in a lab that stays: from its opening there until it closes, or another opens it."""

    file: Path
    id: str
    notebook: str

    @property
    def is_over(self) -> bool:
        # Of a lab that has ended, the lab's own parts say so.
        return self.file.exists() and _read(self.file).get("id") != self.id

    def require(self, tried: str) -> None:
        """Refuse what a notebook tries after its turn.

        Raises:
            UsageError: it is another's turn.
        """
        if self.is_over:
            whose = _read(self.file).get("notebook", "no notebook")
            do = f"to go on here, run the cell with open_lab again: then the turn of {whose} is over"
            raise UsageError(tried, f"this lab is for one notebook at a time, and {whose} opened it later", do)

    def note(self, before: Existing) -> None:
        """Note what was there when it began: whoever comes next removes what came since."""
        owner = asdict(Owner.this_process())
        record = {"id": self.id, "notebook": self.notebook, "owner": owner, "before": before.as_json()}
        self.file.write_text(json.dumps(record))

    def end(self) -> None:
        """End it, where it is not over: nothing is left to remove."""
        if self.file.exists() and not self.is_over:
            self.file.write_text("")


def take_turn(backends: Backends, notebook: str) -> tuple[Turn | None, list[str]]:
    """Begin a notebook's turn: the one before is over, and what it had made is removed.

    Returns:
        The turn, None where the lab belongs to this process alone; and what there is to tell, a line each.
    """
    file = backends.home.folder / TURN_FILE if backends.home and backends.attached else None
    if file is None or not file.exists():
        return None, []
    last = _read(file)
    turn = Turn(file, secrets.token_hex(4), notebook)
    if not last:
        return turn, []
    before = Existing.from_json(last["before"])
    turn.note(before)  # from here on the notebook before refuses to go on
    return turn, _told(last, backends.back_to(before))


def _told(last: Mapping[str, Any], removed: list[str]) -> list[str]:
    whose, gone = last["notebook"], "; ".join(removed)
    if not Owner(**last["owner"]).is_alive():
        return [f"What {whose} had left, whose kernel has ended, is removed: {gone}."] if removed else []
    told = f"{whose} is open too, and had this lab until now: to go on there, run its cell with open_lab again."
    return [told, *([f"What it had made is removed: {gone}."] if removed else [])]


def _read(file: Path) -> dict[str, Any]:
    """Read a turn; empty before the first and between two, and where whoever wrote it was killed."""
    try:
        return dict(json.loads(file.read_text()))
    except ValueError:
        return {}
