"""Draws the layers of a container: a row for each directory, a column for each name, the mount itself on top."""

from collections.abc import Iterator

from labsupport.display.markup import Shown
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.display.tiles import Tile, tiles
from labsupport.lessons.storage.stack import ADDS, HIDES, MERGED, REPLACES, Stack, short

LOOKS = {ADDS: "first", REPLACES: "second", HIDES: "away"}


def layers_figure(stack: Stack, chosen: str = "") -> Shown:
    """Draw what each layer does to each name; what the container does not see is dashed.

    Args:
        chosen: a layer to mark.
    """
    paths = _paths(stack)
    rows = [MERGED, *reversed(stack.names)]
    boxes = list(_boxes(stack, paths))
    drawn = tiles(
        f"What each layer of {stack.container} does below /data",
        rows,
        [short(path) for path in paths],
        boxes,
        alt=f"A grid of {len(stack.names)} layers, the container's own on top, and {len(paths)} names. Each box says "
        f"whether the layer adds, replaces or hides the name; {sum(box.dashed for box in boxes)} dashed boxes are not "
        "to be seen in the container. The topmost row is the mount, and says which layer each name comes from.",
        twin=_twin(stack, paths),
        marked=chosen,
        below="solid: seen in the container · dashed: not seen, a layer above hides or replaces it",
    )
    return stack.origin.above(drawn.shown())


def _boxes(stack: Stack, paths: list[str]) -> Iterator[Tile]:
    view = stack.view()
    for path in stack.sees:
        if path in paths:
            yield Tile(MERGED, short(path), f"from\n{view.get(path, '?')}")
    for name in stack.names:
        for effect in stack.effects(name):
            if effect.path in paths:
                seen = view.get(effect.path) == name
                yield Tile(name, short(effect.path), effect.does, LOOKS[effect.does], dashed=not seen)


def _paths(stack: Stack) -> list[str]:
    """The names that any layer says something about, folders that hold others left out."""
    every = {effect.path for name in stack.names for effect in stack.effects(name)}
    return sorted(path for path in every if not any(other.startswith(f"{path}/") for other in every))


def _twin(stack: Stack, paths: list[str]) -> Table:
    def cell(name: str, path: str) -> Cell:
        does = [effect.does for effect in stack.effects(name) if effect.path == path]
        if not does:
            return None
        return does[0] if stack.view().get(path) == name else f"{does[0]} (not seen)"

    merged: list[Cell] = [f"from {stack.view().get(path, '?')}" if path in stack.sees else None for path in paths]
    lines = [[MERGED, *merged], *([name, *(cell(name, path) for path in paths)] for name in reversed(stack.names))]
    columns: list[str | Column] = ["layer", *(Column(short(path)) for path in paths)]
    return table("What each layer does, topmost first", columns, lines, note="- says nothing")
