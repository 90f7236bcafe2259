"""A notebook's turn in a lab that stays, where its file is not as it should be."""

from pathlib import Path

import pytest

from labsupport.backends import Existing, Turn
from labsupport.errors import UsageError


def test_a_turn_of_a_lab_that_has_ended_refuses_nothing_and_ends(tmp_path: Path) -> None:
    turn = Turn(tmp_path / "gone" / "turn.json", "1", "06-x")
    turn.require("anything")
    turn.end()


def test_a_record_that_was_cut_short_is_no_turn(tmp_path: Path) -> None:
    turn = Turn(tmp_path / "turn.json", "1", "06-x")
    turn.note(Existing())
    turn.require("anything")
    turn.file.write_text(turn.file.read_text()[:20])
    with pytest.raises(UsageError, match="no notebook opened it later"):
        turn.require("anything")
