"""Draws strips: what passed one after the other, each piece as long as it is. Knows nothing of what the pieces are."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from labsupport.display.figures import Figure, draw
from labsupport.display.style import PAPER, SERIES
from labsupport.display.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def strips(title: str, rows: Mapping[str, Sequence[float]], *, alt: str, axis: str, twin: Table) -> Figure:
    """Draw one horizontal strip a row, its pieces end to end with a gap between them."""

    def paint(axes: "Axes") -> None:
        for row, lengths in enumerate(rows.values()):
            starts = [sum(lengths[:place]) for place in range(len(lengths))]
            axes.barh(
                [row] * len(lengths), lengths, left=starts, height=0.5, color=SERIES[0].light,
                edgecolor=PAPER.light, linewidth=1.6,
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(axis)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(axis="x", linewidth=0.8)
        axes.set_axisbelow(True)

    return draw(title, paint, alt=alt, twin=twin, rows=1.5 * len(rows))
