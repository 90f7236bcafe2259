"""What a widget needs of its notebook: the cells its own cell rests on, and no others. A replay of it takes seconds."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

ON_EVIDENCE = 'engine, cluster, seed = "replay", "replay", 0'


def write_slice(notebook: Path, marker: str, target: Path) -> None:
    """Write the notebook's title, and the cells that the one with `marker` rests on, to be run on recorded evidence."""
    content = nbformat.read(notebook, as_version=4)
    place = next(place for place, cell in enumerate(content.cells) if marker in cell.source)
    kept = {0, *_needed(content.cells, place)}
    on_evidence(content)
    content.cells = [cell for number, cell in enumerate(content.cells) if number in kept]
    nbformat.write(content, target)


def on_evidence(content: Any) -> Any:
    """Have a notebook run on recorded evidence."""
    for cell in content.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell["source"] = ON_EVIDENCE
    return content


def _needed(cells: list[Any], place: int) -> Iterator[int]:
    """Walk upwards from a cell: whatever gives a name its value, or changes it, is needed."""
    wanted: set[str] = set()
    for number in range(place, -1, -1):
        tree = _parsed(cells[number])
        if tree is None:
            continue
        given, changed, read = _names(tree)
        if number == place or wanted & (given | changed):
            yield number
            wanted = (wanted - given) | read


def _parsed(cell: Any) -> ast.Module | None:
    if cell.cell_type != "code" or cell.source.startswith("%%"):
        return None
    return ast.parse(TransformerManager().transform_cell(cell.source))


def _names(tree: ast.Module) -> tuple[set[str], set[str], set[str]]:
    """Return the names that a cell gives a value, those that it changes, and those that it takes from cells above."""
    given: set[str] = set()
    changed: set[str] = set()
    taken: set[str] = set()
    for line in tree.body:
        names = [node for node in ast.walk(line) if isinstance(node, ast.Name)]
        # paths["x"] = …; paths |= …
        changed |= {
            name.id
            for node in ast.walk(line)
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
            for name in ast.walk(node.value)
            if isinstance(name, ast.Name)
        }
        changed |= {
            node.target.id
            for node in ast.walk(line)
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
        }
        stored = {name.id for name in names if isinstance(name.ctx, ast.Store)} - changed
        stored |= {
            (alias.asname or alias.name).partition(".")[0]
            for node in ast.walk(line)
            if isinstance(node, ast.ImportFrom | ast.Import)
            for alias in node.names
        }
        taken |= {name.id for name in names if name.id not in given | stored}
        given |= stored
    return given, changed, taken
