"""The doctor's findings as a table: each yes, and each no with its reason and what would change it."""

from collections.abc import Sequence
from typing import Protocol

from labsupport.display.markup import Shown, prose, stack
from labsupport.display.origin import LIVE
from labsupport.display.style import Mark
from labsupport.display.tables import Cell, Column, table

YES, NO = Mark("✓", "yes", "good"), Mark("✗", "no", "plain")


class Finding(Protocol):
    """One thing that works here, or does not."""

    @property
    def name(self) -> str: ...
    @property
    def available(self) -> bool: ...
    @property
    def because(self) -> str: ...
    @property
    def change_it(self) -> str: ...


def doctor_table(findings: Sequence[Finding]) -> Shown:
    """A row a finding; what does not work comes last, with what to do. It is of now, in a replayed notebook too."""
    ordered = sorted(findings, key=lambda finding: not finding.available)
    rows: list[list[Cell]] = [
        [finding.name, YES if finding.available else NO, prose(finding.because), finding.change_it or None]
        for finding in ordered
    ]
    columns: list[str | Column] = ["what", "here", Column("because", "prose"), Column("to change it", "prose")]
    return stack(LIVE.line(), table("What works on this computer", columns, rows).shown())
