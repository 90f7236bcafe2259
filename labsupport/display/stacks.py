"""Stacked bars: how the members of each group fall into a few classes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from labsupport.display.figures import Figure, draw
from labsupport.display.style import HATCHES, PAPER, SERIES
from labsupport.display.tables import Column, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def stacks(title: str, counts: Mapping[str, Mapping[str, int]], *, alt: str, axis: str, names: str) -> Figure:
    """Draw one horizontal bar a group, a stretch for each class; colour and hatch tell the classes apart.

    Args:
        counts: group → class → number; every group has the same classes.
        names: what the groups are, over their names in the table.
    """
    groups = list(counts)
    classes = list(next(iter(counts.values())))

    def paint(axes: "Axes") -> None:
        start = [0] * len(groups)
        for index, name in enumerate(classes):
            values = [counts[group][name] for group in groups]
            axes.barh(
                groups,
                values,
                left=start,
                height=0.62,
                label=name,
                color=SERIES[index % len(SERIES)].light,
                hatch=HATCHES[index % len(HATCHES)],
                edgecolor=PAPER.light,
                linewidth=0,
            )
            start = [sum(both) for both in zip(start, values, strict=True)]
        axes.invert_yaxis()
        axes.set_xlabel(axis)
        axes.legend(loc="upper center", bbox_to_anchor=(0.3, -0.14), ncols=3, handlelength=1.4)

    columns = [Column(names), *(Column(name, "number") for name in classes)]
    twin = table(title, columns, [[group, *counts[group].values()] for group in groups])
    return draw(title, paint, alt=alt, twin=twin, rows=len(groups) + 2)
