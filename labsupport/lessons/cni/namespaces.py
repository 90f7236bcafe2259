"""What a command changed: the lines of a listing that came and went."""

from collections.abc import Mapping, Sequence

from labsupport.display.tables import Cell, Column, Table, table
from labsupport.experiments.steps import Step

CAME, WENT = "came", "went"


def lines_changed(before: Step, after: Step) -> list[tuple[str, str]]:
    """Return what `after` lists and `before` did not, and the reverse, as (came or went, line)."""
    then, now = _lines(before), _lines(after)
    return [(CAME, line) for line in now if line not in then] + [(WENT, line) for line in then if line not in now]


def changes_table(title: str, listings: Mapping[str, Sequence[tuple[str, str]]]) -> Table:
    """Each listing, by name, and what changed in it."""
    rows: list[list[Cell]] = [
        [name, how, line] for name, changes in listings.items() for how, line in (changes or [("nothing changed", "")])
    ]
    return table(title, ["where", "change", Column("line", "code")], rows)


def _lines(step: Step) -> list[str]:
    return [" ".join(line.split()) for line in step.lines]
