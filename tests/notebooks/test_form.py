"""The form every notebook has: what a reader, a screen reader, papermill and nbval rely on."""

import ast
import itertools
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from labsupport.notebooks import COMPARED, all_notebooks, generate
from labsupport.project import this_project

NOTEBOOKS = [one.path for one in all_notebooks(this_project())]
LINES_PER_CELL = 12
PARAMETERS = {"engine": "auto", "cluster": "auto", "seed": 0}
FORBIDDEN_NODES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Try, ast.Lambda)
FORBIDDEN_CALLS = {"sleep", "input", "HTML", "exec", "eval"}


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def markdown_cells(path: Path) -> list[Any]:
    return [cell for cell in read(path).cells if cell.cell_type == "markdown"]


def python_of(cell: Any) -> ast.Module | None:
    """Parse a cell as IPython would; a %%writefile cell is a file, not code."""
    if cell.source.startswith("%%"):
        return None
    return ast.parse(TransformerManager().transform_cell(cell.source))


def judges(line: ast.stmt) -> bool:
    calls = [node.func for node in ast.walk(line) if isinstance(node, ast.Call)]
    return any(isinstance(call, ast.Attribute) and call.attr in ("expect", "check") for call in calls)


def named(cell: Any) -> str:
    return f"{cell.id}: {cell.source.splitlines()[0]}"


pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_it_is_made_from_its_source(path: Path) -> None:
    source = path.parent / "source" / f"{path.stem}.py"
    text = path.read_text(encoding="utf-8")
    assert generate(source.read_text(encoding="utf-8"), text) == text, "run ./lab generate"


def test_no_solution_reaches_the_learners(path: Path) -> None:
    assert not [named(cell) for cell in code_cells(path) if "SOLUTION" in cell.source]


def test_one_title_and_headings_in_order(path: Path) -> None:
    fence = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
    text = "\n\n".join(fence.sub("", cell.source) for cell in markdown_cells(path))
    levels = [len(marks) for marks in re.findall(r"^(#{1,6}) ", text, re.MULTILINE)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert not [pair for pair in itertools.pairwise(levels) if pair[1] > pair[0] + 1]


def test_cells_hold_one_idea(path: Path) -> None:
    long = [
        named(cell)
        for cell in code_cells(path)
        if not cell.source.startswith("%%")
        and len([line for line in cell.source.splitlines() if line.strip()]) > LINES_PER_CELL
    ]
    assert not long


def test_cells_have_no_machinery(path: Path) -> None:
    offenders = []
    for cell in code_cells(path):
        for node in ast.walk(python_of(cell) or ast.Module([], [])):
            called = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            if isinstance(node, FORBIDDEN_NODES) or called in FORBIDDEN_CALLS:
                offenders.append(named(cell))
    assert not offenders


def test_what_is_judged_is_seen(path: Path) -> None:
    """A cell shows its last expression only: a verdict or a check anywhere else would leave nothing to see."""
    hidden = []
    for cell in code_cells(path):
        tree = python_of(cell)
        judging = [place for place, line in enumerate(tree.body) if judges(line)] if tree else []
        hidden += [named(cell)] if tree and judging not in ([], [len(tree.body) - 1]) else []
    assert not hidden


def test_every_prediction_has_a_place_before_what_is_run(path: Path) -> None:
    """A cell to write it in, right below what is asked."""
    missing = [
        named(cell)
        for cell, below in itertools.pairwise(read(path).cells)
        if "**Predict.**" in cell.source and not re.search(r'^trial\.predict\(""\)$', below.source, re.MULTILINE)
    ]
    assert not missing


def test_pictures_are_described_and_nothing_is_raw_html(path: Path) -> None:
    for cell in markdown_cells(path):
        assert not re.findall(r"!\[\s*\]\(", cell.source), named(cell)
        assert not re.findall(r"<(?:div|span|img|script|style|table|br)\b", cell.source), named(cell)


def test_papermill_finds_the_parameters(path: Path) -> None:
    tagged = [cell for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert {
        node.targets[0].id: ast.literal_eval(node.value)  # type: ignore[attr-defined]
        for node in ast.parse(tagged[0].source).body
        if isinstance(node, ast.Assign)
    } == PARAMETERS


def test_only_the_last_cell_has_a_stored_output(path: Path) -> None:
    *others, last = code_cells(path)
    assert COMPARED in last.metadata.tags
    assert last.outputs, "record it: ./lab record"
    assert last.execution_count == len(others) + 1
    assert not [named(cell) for cell in others if cell.outputs or cell.execution_count is not None]
    assert read(path).cells[-1].id == last.id


def test_what_is_stored_is_plain_text_without_a_number_that_varies(path: Path) -> None:
    for output in code_cells(path)[-1].outputs:
        text = output.get("text") or output["data"]["text/plain"]
        assert set(output.get("data", {})) <= {"text/plain"}
        assert not re.search(r"0x[0-9a-f]{6}|lab-[0-9a-f]{6}|\d+\.\d+ s\b|\b169\.254\.", text), text


def test_ids_are_unique_and_metadata_is_lean(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert not [cell.id for cell in notebook.cells if set(cell.metadata) - {"tags", "slideshow"}]


def test_it_can_be_shown_as_slides(path: Path) -> None:
    """Every section begins one, what is below it fits under it, and the parameters are none."""
    kinds = {cell.id: cell.metadata.get("slideshow", {}).get("slide_type", "-") for cell in read(path).cells}
    first, *_ = kinds.values()
    assert first == "slide"
    sections = [cell for cell in markdown_cells(path) if re.search(r"^## ", cell.source, re.MULTILINE)]
    assert not [named(cell) for cell in sections if not cell.source.startswith("## ")]
    assert {kinds[cell.id] for cell in sections} == {"slide"}
    tagged = [cell.id for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", [])]
    assert [kinds[identity] for identity in tagged] == ["skip"]
    assert "subslide" in kinds.values() or path.stem.startswith("09")


def test_it_opens_its_own_lab_and_closes_it(path: Path) -> None:
    code = "\n".join(cell.source for cell in code_cells(path))
    assert f'open_lab("{path.stem}", engine=engine, cluster=cluster, seed=seed)' in code
    assert "lab.close()" in code
    assert code.rstrip().endswith("lab.settled()")
