"""Draws a state diagram: a box for each state, an arrow for each way from one to another that was seen.

Takes plain states with their places and plain ways; knows no cluster. What nobody saw has no arrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from labsupport.display.figures import Figure, draw
from labsupport.display.style import INK, MUTED, PAPER, Hue
from labsupport.display.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, INCHES_A_COLUMN, INCHES_A_ROW_OF_STATES = 6.2, 1.72, 1.25
BOX_WIDTH, BOX_HEIGHT, ABOVE, BELOW = 0.88, 0.4, 0.95, 0.6
# What a figure has besides its rows, and how tall it makes a row.
INCHES_BESIDE, INCHES_A_ROW = 0.9, 0.36
SMALL, TINY = 8.5, 7
LONGEST_LINE_BELOW = 120
BEND, OFFSET = 0.3, 0.07
Place = tuple[float, float]
DASHES = (0, (3, 2.2))


@dataclass(frozen=True)
class State:
    """A state: where it stands (column and row, from the top left), its hue, and a line about it."""

    name: str
    column: float
    row: float
    hue: Hue
    note: str = ""

    @property
    def place(self) -> Place:
        return BOX_WIDTH / 2 + 0.05 + self.column * INCHES_A_COLUMN, ABOVE + self.row * INCHES_A_ROW_OF_STATES


@dataclass(frozen=True)
class Way:
    """A way from one state to another, and lines beside it.

    Args:
        ends_only: both ends were seen, and what lay between was not; drawn with dashes.
    """

    start: str
    end: str
    lines: tuple[str, ...]
    ends_only: bool = False


def states_figure(
    title: str, states: Sequence[State], ways: Sequence[Way], *, alt: str, explained: Sequence[str], twin: Table
) -> Figure:
    """Draw states and the ways between them.

    Args:
        alt: the point of the drawing; each way is named after it.
        explained: lines below the drawing: what its letters and lines mean.
    """
    # Longer ones would be cut off, and make the drawing above them narrower.
    explained = [part for line in explained for part in wrap(line, LONGEST_LINE_BELOW)]
    told = "; ".join(f"{way.start} → {way.end}" + (" (dashed)" if way.ends_only else "") for way in ways)
    height = max(state.place[1] for state in states) + BELOW
    return draw(
        title,
        lambda axes: _paint(axes, states, ways, explained, height),
        alt=f"{alt} Ways: {told}.",
        twin=twin,
        rows=(height + 0.16 * len(explained) - INCHES_BESIDE) / INCHES_A_ROW,
    )


def bend_of(way: Way, states: Sequence[State], ways: Sequence[Way]) -> float:
    """How much an arrow bows, to its left: around a state that stands between, and aside where another comes back."""
    places = {state.name: (state.column, state.row) for state in states}
    start, end = places[way.start], places[way.end]
    between = [name for name in places.keys() - {way.start, way.end} if _stands_between(places[name], start, end)]
    comes_back = any((other.start, other.end) == (way.end, way.start) for other in ways)
    return BEND if between else BEND / 2 if comes_back else 0.0


def _stands_between(place: Place, start: Place, end: Place) -> bool:
    around = hypot(place[0] - start[0], place[1] - start[1]) + hypot(place[0] - end[0], place[1] - end[1])
    return around - hypot(end[0] - start[0], end[1] - start[1]) < 0.01


def _paint(axes: "Axes", states: Sequence[State], ways: Sequence[Way], explained: Sequence[str], height: float) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    boxes = {state.name: _paint_state(axes, state) for state in states}
    places = {state.name: state.place for state in states}
    for way in ways:
        bend = bend_of(way, states, ways)
        _paint_way(axes, way, (boxes[way.start], boxes[way.end]), (places[way.start], places[way.end]), bend)
    axes.annotate(
        "\n".join(explained), (0.5, 0), xycoords="axes fraction", xytext=(0, -2), textcoords="offset points",
        ha="center", va="top", fontsize=TINY, color=INK.light, linespacing=1.4, annotation_clip=False,
    )  # fmt: skip


def _paint_state(axes: "Axes", state: State) -> Any:
    from matplotlib.patches import FancyBboxPatch

    x, y = state.place
    box = FancyBboxPatch(
        (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2), BOX_WIDTH, BOX_HEIGHT, boxstyle="round,pad=0,rounding_size=0.07",
        facecolor=PAPER.light, edgecolor=state.hue.light, linewidth=1.6, zorder=3,
    )  # fmt: skip
    axes.add_patch(box)
    middle: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 4}
    up, down = (0.075, 0.1) if state.note else (0.0, 0.0)
    axes.text(x, y - up, state.name, fontsize=SMALL, weight="bold", color=state.hue.light, **middle)
    axes.text(x, y + down, state.note, fontsize=TINY, color=MUTED.light, **middle)
    return box


def _paint_way(axes: "Axes", way: Way, boxes: tuple[Any, Any], places: tuple[Place, Place], bend: float) -> None:
    """Draw the arrow, and write its lines beside its middle, on its left as one goes along it."""
    from matplotlib.patches import FancyArrowPatch

    start, end = places
    across, down = end[0] - start[0], end[1] - start[1]
    length = hypot(across, down)
    left = (down / length, -across / length)
    if bend:  # from edge to edge, on the side to which it bows
        start, end = ((x + left[0] * BOX_WIDTH / 2, y + left[1] * BOX_HEIGHT / 2) for x, y in places)
    clipped: dict[str, Any] = {} if bend else {"patchA": boxes[0], "patchB": boxes[1]}
    axes.add_patch(
        FancyArrowPatch(
            start, end, **clipped, shrinkA=1, shrinkB=1, connectionstyle=f"arc3,rad={-bend}",
            arrowstyle="-|>", mutation_scale=9, linewidth=1.3, linestyle=DASHES if way.ends_only else "solid",
            color=MUTED.light, zorder=2,
        )
    )  # fmt: skip
    # The middle of a curve with one control point is half as far out as that point.
    out = length * bend / 2 + OFFSET
    axes.text(
        (start[0] + end[0]) / 2 + left[0] * out, (start[1] + end[1]) / 2 + left[1] * out, "\n".join(way.lines),
        fontsize=TINY, color=INK.light, zorder=5, linespacing=1.25,
        ha="center" if abs(left[0]) < 0.2 else "left" if left[0] > 0 else "right",
        va="center" if abs(left[1]) < 0.2 else "top" if left[1] > 0 else "bottom",
    )  # fmt: skip
