"""Drawings: SVG in the theme's colours, with alt text and a table that says the same. Draws numbers; measures none."""

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labsupport.display.markup import Markup, Shown, element
from labsupport.display.style import BAD, HATCHES, HUES, INK, LINE, MARKERS, MUTED, PAPER, SERIES
from labsupport.display.tables import Cell, Column, Table, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SVG_DOTS_PER_INCH = 72
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "labsupport",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK.light,
    "axes.edgecolor": MUTED.light,
    "axes.labelcolor": INK.light,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": MUTED.light,
    "ytick.color": MUTED.light,
    "xtick.labelcolor": INK.light,
    "ytick.labelcolor": INK.light,
    "grid.color": LINE.light,
    "hatch.linewidth": 1.2,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Figure:
    """A drawing with its words.

    Args:
        title: shown above it.
        alt: what someone who does not see it needs to know: the kind of drawing and its point.
        svg: inline SVG in the colours of style.py.
        table: the same content as rows.
    """

    title: str
    alt: str
    svg: Markup
    table: Table

    def __post_init__(self) -> None:
        if len(self.alt.split()) < 4:
            raise ValueError(f"{self.title}: alt text must say what the figure shows, not {self.alt!r}")

    def shown(self) -> Shown:
        drawing = element("div", self.svg, class_="lab-drawing", role="region", tabindex="0", aria_label=self.title)
        twin = element("details", element("summary", "The same as a table"), self.table.html)
        html = element("figure", element("figcaption", self.title), drawing, twin, class_="lab-figure")
        return Shown(html, f"{self.title}\n{self.alt}\n\n{self.table.text}")

    def sketch(self) -> Shown:
        """The drawing alone, for one that the next replaces a moment later: nothing in it takes the keyboard."""
        drawing = element("div", self.svg, class_="lab-drawing")
        html = element("figure", element("figcaption", self.title), drawing, class_="lab-figure")
        return Shown(html, f"{self.title}\n{self.alt}")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return self.shown()._repr_mimebundle_()

    def __str__(self) -> str:
        return self.shown().text


@dataclass(frozen=True)
class Measure:
    """One row of a chart: its name, one or more values, and the group that says what the values mean.

    `target` is a value of that row alone, worth a mark of its own; only `dots` has it.
    """

    name: str
    values: tuple[float, ...]
    group: str = ""
    target: float | None = None


@dataclass(frozen=True)
class Limit:
    """A value worth a line across the chart, and what it is called."""

    value: float
    name: str


def bars(
    title: str, measures: Sequence[Measure], *, alt: str, axis: str, unit: str = "s", limit: Limit | None = None
) -> Figure:
    """Draw one horizontal bar for each measure (its first value); groups differ in colour, hatch and legend."""

    def paint(axes: "Axes") -> None:
        groups = list(dict.fromkeys(measure.group for measure in measures))
        for group_index, group in enumerate(groups):
            rows = [(row, measure) for row, measure in enumerate(measures) if measure.group == group]
            axes.barh(
                [row for row, _ in rows],
                [measure.values[0] for _, measure in rows],
                height=0.62,
                color=SERIES[group_index % len(SERIES)].light,
                hatch=HATCHES[group_index % len(HATCHES)],
                edgecolor=PAPER.light,
                linewidth=0,
                label=group or None,
            )
        for row, measure in enumerate(measures):
            axes.annotate(
                f"{measure.values[0]:.2f} {unit}",
                (measure.values[0], row),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                bbox={"facecolor": PAPER.light, "edgecolor": "none", "pad": 1.5},
            )
        _dress(axes, [measure.name for measure in measures], axis, limit, legend=groups != [""])

    rows: list[list[Cell]] = [[measure.name, measure.group, measure.values[0]] for measure in measures]
    twin = _twin(title, [Column("what"), Column("group"), Column(axis, "number")], rows)
    return draw(title, paint, alt=alt, twin=twin, rows=len(measures))


def dots(
    title: str, measures: Sequence[Measure], *, alt: str, axis: str, unit: str = "s", limit: Limit | None = None
) -> Figure:
    """Draw every value as a dot, the median as a bar across, a row's target as a dashed one; groups differ in colour,
    marker and legend."""

    def paint(axes: "Axes") -> None:
        groups = list(dict.fromkeys(measure.group for measure in measures))
        named: set[str] = set()
        for row, measure in enumerate(measures):
            index = groups.index(measure.group)
            axes.scatter(
                measure.values,
                [row] * len(measure.values),
                s=42,
                marker=MARKERS[index % len(MARKERS)],
                color=SERIES[index % len(SERIES)].light,
                alpha=0.75,
                label=None if measure.group in named else measure.group or "one run",
                zorder=3,
                clip_on=False,
            )
            named.add(measure.group)
            axes.plot([_median(measure.values)] * 2, [row - 0.3, row + 0.3], color=INK.light, linewidth=2, zorder=4)
            if measure.target is not None:
                named_yet = "target" in named
                axes.plot(
                    [measure.target] * 2,
                    [row - 0.44, row + 0.44],
                    color=BAD.light,
                    linewidth=1.6,
                    linestyle=(0, (3, 2)),
                    label=None if named_yet else "target",
                )
                named.add("target")
        axes.plot(
            [], [], color=INK.light, linestyle="none", marker="|", markersize=13, markeredgewidth=2, label="median"
        )
        _dress(axes, [measure.name for measure in measures], axis, limit, legend=True)

    rows: list[list[Cell]] = [
        [each.name, each.group, len(each.values), _median(each.values), min(each.values), max(each.values)]
        for each in measures
    ]
    numbers = [Column(f"{word} ({unit})", "number") for word in ("median", "least", "most")]
    if any(each.target is not None for each in measures):
        numbers.append(Column(f"target ({unit})", "number"))
        rows = [[*row, each.target] for row, each in zip(rows, measures, strict=True)]
    twin = _twin(title, [Column("what"), Column("group"), Column("runs", "number"), *numbers], rows)
    return draw(title, paint, alt=alt, twin=twin, rows=len(measures))


@dataclass(frozen=True)
class Line:
    """One curve: its name and its points, each (x, y), in order of x."""

    name: str
    points: tuple[tuple[float, float], ...]


def lines(
    title: str,
    curves: Sequence[Line],
    *,
    alt: str,
    x: str,
    y: str,
    twin: Table,
    limit: Limit | None = None,
    spans: Sequence[tuple[float, float, str]] = (),
) -> Figure:
    """Draw curves over a common x axis; they differ in colour, marker and the name at their end.

    Args:
        twin: what the figure says, as rows: the points themselves are mostly too many for one.
        limit: a value of y.
        spans: times from x to x that something held, and what; shaded.
    """

    def paint(axes: "Axes") -> None:
        for start, end, name in spans:
            axes.axvspan(start, end, facecolor=LINE.light, alpha=0.6, zorder=0)
            axes.annotate(
                name, ((start + end) / 2, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
                textcoords="offset points", ha="center", color=INK.light,
            )  # fmt: skip
        for index, curve in enumerate(curves):
            across, up = zip(*curve.points, strict=True)
            axes.plot(
                across,
                up,
                color=SERIES[index % len(SERIES)].light,
                marker=MARKERS[index % len(MARKERS)],
                markevery=max(1, len(up) // 8),
                linewidth=1.8,
                label=curve.name,
            )
        if limit:
            axes.axhline(limit.value, color=INK.light, linewidth=1.2, linestyle=(0, (4, 3)), label=limit.name)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, borderaxespad=1.8 if spans else 0.4)

    return draw(title, paint, alt=alt, twin=twin, rows=6)


def draw(title: str, paint: Callable[["Axes"], None], *, alt: str, twin: Table, rows: float) -> Figure:
    """Let `paint` draw on one pair of axes, tall enough for `rows` rows, and return the figure.

    Paint with the light colours of style.py only: they become the theme's colours.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with matplotlib.rc_context(_SETTINGS):
        canvas = Canvas(figsize=(6.4, 1.1 + 0.36 * rows), dpi=SVG_DOTS_PER_INCH)
        FigureCanvasSVG(canvas)  # it lays out with the same measures that it draws with
        paint(canvas.add_subplot())
        # Done here, since a figure that has a layout to do is drawn twice.
        ConstrainedLayoutEngine().execute(canvas)
        written = io.StringIO()
        canvas.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return Figure(title, alt, themed_svg(written.getvalue(), alt), twin)


def themed_svg(svg: str, alt: str) -> Markup:
    """Make a drawn SVG fit to stand inside a page: theme colours, ids of its own, an accessible name, no preamble."""
    own = hashlib.sha256((svg + alt).encode()).hexdigest()[:8]
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    for hue in HUES:
        svg = re.sub(hue.light, hue.css.replace(hue.light, f"#L{hue.light[1:]}"), svg, flags=re.IGNORECASE)
    svg = svg.replace("#L", "#")
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1f{own}-", svg)
    svg = re.sub(
        r'<svg ([^>]*?)width="[^"]*" height="[^"]*"|<svg ([^>]*?)height="[^"]*" (.*?)width="[^"]*"', _bare, svg, count=1
    )
    name = Markup(' role="img" aria-label="') + Markup.escape(alt) + Markup('"')
    return Markup(svg.replace("<svg", f"<svg{name}", 1))


def _bare(match: "re.Match[str]") -> str:
    return "<svg " + "".join(part for part in match.groups() if part)


def _dress(axes: "Axes", names: Sequence[str], axis: str, limit: Limit | None, *, legend: bool) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(axis)
    axes.set_xlim(left=0)
    axes.margins(x=0.14)
    axes.grid(axis="x", linewidth=0.8)
    axes.set_axisbelow(True)
    if limit:
        axes.axvline(limit.value, color=INK.light, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.annotate(
            limit.name,
            (limit.value, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            color=INK.light,
        )
    if legend:
        above_the_limit = 1.8 if limit else 0.4
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, borderaxespad=above_the_limit)


def _twin(title: str, columns: list[Column], rows: list[list[Cell]]) -> Table:
    """Tell the groups (second column) only where there are some."""
    if any(row[1] for row in rows):
        return table(title, columns, rows)
    return table(title, [columns[0], *columns[2:]], [[row[0], *row[2:]] for row in rows])


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
