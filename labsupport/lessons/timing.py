"""How long the parts of a notebook take in class: from its words, its predictions, and what its commands took.

Measured are the seconds of commands, when the evidence was recorded. What people need is reckoned from the two rates
below, and said to be.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labsupport.experiments.evidence import Evidence, read_folder
from labsupport.process.ownership import VIRTUAL_KIND

WORDS_A_MINUTE = 150
MINUTES_A_PREDICTION = 2
_TRIAL = re.compile(r'lab\.trial\(\s*"([\w-]+)"')
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@dataclass
class Part:
    """A section of a notebook: what stands in it, and what its trials' commands took when they were recorded.

    `seconds` is None where nothing of it was recorded. `for_a_widget` are trials that hold every position of one:
    a learner runs a few of them.
    """

    title: str
    words: int = 0
    predictions: int = 0
    cells: int = 0
    seconds: float | None = None
    for_a_widget: bool = False

    @property
    def minutes(self) -> float:
        commands = 0.0 if self.for_a_widget else (self.seconds or 0.0)
        return self.words / WORDS_A_MINUTE + self.predictions * MINUTES_A_PREDICTION + commands / 60


def parts_of(notebook: Path, evidence: Iterable[Evidence]) -> list[Part]:
    """Return the sections of a notebook in order; what comes before the first is called "Opening"."""
    import nbformat

    took = {one.trial: sum(step.seconds for step in one.steps) for one in evidence if one.steps}
    parts = [Part("Opening")]
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "markdown":
            if heading := re.match(r"## (.+)", cell.source):
                parts.append(Part(heading[1]))
            told = _FENCE.sub("", cell.source)
            parts[-1].words += len(told.split())
            parts[-1].predictions += told.count("**Predict.**")
            continue
        parts[-1].cells += 1
        parts[-1].for_a_widget |= "lab.explore(" in cell.source
        for trial in _TRIAL.findall(cell.source):
            if trial in took:
                parts[-1].seconds = (parts[-1].seconds or 0.0) + took[trial]
    return parts


def timing_table(parts: Sequence[Part]) -> str:
    """The sections as a Markdown table, and what they come to."""
    cells = [
        (part.title, part.words, part.predictions or "", part.cells, _seconds(part), f"{part.minutes:.0f}")
        for part in parts
    ]
    rows = [f"| {' | '.join(map(str, row))} |" for row in cells]
    total = sum(part.minutes for part in parts)
    return "\n".join(
        [
            "| Section | words | predictions | cells | seconds of its commands | minutes |",
            "|---|---:|---:|---:|---:|---:|",
            *rows,
            f"| **All** | {sum(part.words for part in parts)} | {sum(part.predictions for part in parts)} | "
            f"{sum(part.cells for part in parts)} | | **{total:.0f}** |",
            "",
            f"Seconds are those of the recorded run. Minutes are reckoned: {WORDS_A_MINUTE} words a minute, "
            f"{MINUTES_A_PREDICTION} for a prediction and the talk about it, and the commands. Exercises come on top. "
            "Of a widget the seconds are those of all its positions, and count for no minutes.",
        ]
    )


def timing_of(notebook: Path, recorded: Path) -> str:
    """The table of a notebook, with the seconds of its evidence in the folder of what was recorded."""
    folder = recorded / notebook.stem
    # Seconds of a virtual machine are those of its processor, which may be emulated.
    evidence = [one for one in read_folder(folder) if one.backend != VIRTUAL_KIND] if folder.is_dir() else []
    return timing_table(parts_of(notebook, evidence))


def _seconds(part: Part) -> str:
    if part.seconds is None:
        return ""
    return f"{part.seconds:.0f}{' (widget)' if part.for_a_widget else ''}"
