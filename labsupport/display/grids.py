"""Draws a grid of yes and no: in each cell a letter for each way that works, a dot for each that does not."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from labsupport.display.figures import Figure, draw
from labsupport.display.style import GOOD, LINE, MUTED
from labsupport.display.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

APART = 0.26


def letters_figure(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    works: Mapping[tuple[int, int], Sequence[bool]],
    *,
    letters: str,
    below: str,
    corner: tuple[str, str],
    alt: str,
    twin: Table,
) -> Figure:
    """Draw one.

    Args:
        works: (row, column) → for each of `letters` whether it is written.
        below: what the letters stand for.
        corner: what the rows are, and what the columns are.
    """

    def paint(axes: "Axes") -> None:
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xticks(range(len(columns)), ["\n".join(name.rsplit(" ", 1)) for name in columns], fontsize=8)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel(below, fontsize=8)
        _write_corner(axes, corner)
        for row in range(len(rows)):
            axes.axhline(row + 0.5, color=LINE.light, linewidth=0.8)
        for (row, column), marks in works.items():
            for place, (letter, does) in enumerate(zip(letters, marks, strict=True)):
                x = column + (place - (len(letters) - 1) / 2) * APART
                _write(axes, x, row, letter if does else "·", bold=does)

    return draw(title, paint, alt=alt, twin=twin, rows=len(rows) + 1.8)


def _write_corner(axes: "Axes", corner: tuple[str, str]) -> None:
    down, across = corner
    axes.annotate(
        f"{across} →\n{down} ↓", (0, 1), xycoords="axes fraction", xytext=(-6, 3), textcoords="offset points",
        ha="right", va="bottom", fontsize=8, color=MUTED.light, linespacing=1.6,
    )  # fmt: skip


def _write(axes: "Axes", x: float, y: float, text: str, *, bold: bool) -> None:
    weight, hue = ("bold", GOOD) if bold else ("normal", MUTED)
    axes.text(x, y, text, ha="center", va="center", weight=weight, color=hue.light)
