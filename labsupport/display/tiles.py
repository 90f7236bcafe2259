"""Draws tiles: what each row does to each column. Knows nothing of what rows and columns are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labsupport.display.figures import Figure, draw
from labsupport.display.style import INK, LINE, MUTED, PANEL, PAPER, SERIES, Hue
from labsupport.display.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# How a box can look: its edge, and the hatch inside.
LOOKS: dict[str, tuple[Hue, str]] = {
    "plain": (INK, ""),
    "first": (SERIES[0], ""),
    "second": (SERIES[1], ""),
    "away": (MUTED, "////"),
}


@dataclass(frozen=True)
class Tile:
    """One box with its words, by the names of its row and column; `look` is one of LOOKS."""

    row: str
    column: str
    text: str
    look: str = "plain"
    dashed: bool = False


def tiles(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    boxes: Sequence[Tile],
    *,
    alt: str,
    twin: Table,
    marked: str,
    below: str = "",
) -> Figure:
    """Draw the boxes, the first row on top with a line below it.

    Args:
        marked: the row that gets a background; empty for none.
        below: a line that explains the looks.
    """

    def paint(axes: "Axes") -> None:
        if marked in rows:
            axes.axhspan(rows.index(marked) - 0.5, rows.index(marked) + 0.5, color=PANEL.light, zorder=0)
        for box in boxes:
            _paint_box(axes, columns.index(box.column), rows.index(box.row), box)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xticks(range(len(columns)), [name.replace("/", "/\n") for name in columns], fontsize=8.5)
        axes.set_xlabel(below, fontsize=8, labelpad=8)
        axes.set_ylim(len(rows) - 0.45, -0.6)
        axes.set_xlim(-0.55, len(columns) - 0.45)
        axes.axhline(0.5, color=LINE.light, linewidth=1.2)
        axes.tick_params(length=0)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)

    return draw(title, paint, alt=alt, twin=twin, rows=1.35 * len(rows))


def _paint_box(axes: "Axes", column: int, row: int, box: Tile) -> None:
    edge, hatch = LOOKS[box.look]
    axes.barh(
        row, 0.88, left=column - 0.44, height=0.72, facecolor=PAPER.light, edgecolor=edge.light, hatch=hatch,
        linewidth=1.6, linestyle=(0, (3, 2)) if box.dashed else "solid", zorder=2,
    )  # fmt: skip
    axes.annotate(
        box.text, (column, row), ha="center", va="center", fontsize=8, zorder=3,
        color=MUTED.light if box.dashed else INK.light,
        bbox={"facecolor": PAPER.light, "edgecolor": "none", "pad": 1.0} if hatch else None,
    )  # fmt: skip
