"""The notes' timing: words and predictions from the notebook, seconds from recorded evidence, minutes reckoned."""

from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from labsupport.lessons.timing import Part, parts_of, timing_of, timing_table


def notebook(folder: Path) -> Path:
    cells = [
        new_markdown_cell("# Title"),
        new_markdown_cell("## 1. One\n\n**Ask.** " + "word " * 296 + "\n\n**Predict.**\n\n```\nnot counted\n```"),
        new_code_cell('trial = lab.trial("one", settles="x-1")'),
        new_markdown_cell("## Try it"),
        new_code_cell('trial = lab.trial("by-hand")\nlab.explore(x(trial))'),
        new_code_cell('trial = lab.trial("never-recorded")'),
    ]
    path = folder / "06-x.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def evidence(trial: str, *seconds: float) -> SimpleNamespace:
    return SimpleNamespace(trial=trial, steps=tuple(SimpleNamespace(seconds=each) for each in seconds))


def test_a_part_has_its_words_predictions_cells_and_seconds(tmp_path: Path) -> None:
    recorded = [evidence("one", 20, 40), evidence("by-hand", 90)]
    opening, one, widget = parts_of(notebook(tmp_path), recorded)  # type: ignore[arg-type]
    assert (opening.title, opening.words, opening.seconds) == ("Opening", 2, None)
    assert (one.title, one.words, one.predictions, one.cells, one.seconds) == ("1. One", 301, 1, 1, 60)
    assert one.minutes == pytest.approx(301 / 150 + 2 + 1)
    assert (widget.cells, widget.seconds, widget.for_a_widget) == (2, 90, True)
    assert widget.minutes == pytest.approx(3 / 150)


def test_the_table_sums_up() -> None:
    said = timing_table([Part("A", words=150, predictions=1, cells=2, seconds=60), Part("B", words=300, cells=1)])
    assert "| A | 150 | 1 | 2 | 60 | 4 |" in said
    assert "| B | 300 |  | 1 |  | 2 |" in said
    assert "| **All** | 450 | 1 | 3 | | **6** |" in said


def test_without_evidence_there_are_no_seconds(tmp_path: Path) -> None:
    assert "| 1. One | 301 | 1 | 1 |  | 4 |" in timing_of(notebook(tmp_path), tmp_path / "none")
