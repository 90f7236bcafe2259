"""Draws one captured frame: a strip of its headers, each as long as it is in bytes, and what each of them says.

Takes plain records as systems/network/frames.py makes them; captures nothing.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labsupport.display.figures import Figure, draw
from labsupport.display.style import HATCHES, INK, MUTED, PAPER, SERIES
from labsupport.display.tables import Cell, Column, Table, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Record = Mapping[str, Any]
TUNNELS = ("VXLAN", "Geneve")
LEAST_SHARE = 0.085
MOST_TEXT = 60
MOST_BYTES = 8


def frame_figure(title: str, frame: Record, *, alt: str) -> Figure:
    """Draw the headers of one frame, outermost to the left; a frame within the frame has a bracket of its own."""
    layers: Sequence[Record] = frame["layers"]
    names = ", ".join(layer["name"] for layer in layers)
    return draw(
        title, lambda axes: _paint(axes, layers), alt=f"{alt} From left to right: {names}.",
        twin=frame_table(title, frame), rows=3.2,
    )  # fmt: skip


def frame_table(title: str, frame: Record) -> Table:
    """Each header as a row: where it begins, how long it is, what it says, and its first bytes."""
    data = str(frame["bytes"]).split()
    columns: list[str | Column] = [
        Column("#", "number"), "header", Column("from byte", "number"), Column("bytes", "number"),
        Column("says", "prose"), Column("begins with", "code"),
    ]  # fmt: skip
    rows = [_row(place, layer, data) for place, layer in enumerate(frame["layers"], 1)]
    return table(title, columns, rows, note=f"{len(data)} bytes", header_columns=2)


def _row(place: int, layer: Record, data: Sequence[str]) -> list[Cell]:
    says = ", ".join(f"{name} {value[:MOST_TEXT]}" for name, value in layer["fields"].items())
    start, length = layer["start"], layer["length"]
    return [place, layer["name"], start, length, says, " ".join(data[start : start + min(length, MOST_BYTES)])]


def _paint(axes: "Axes", layers: Sequence[Record]) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    total = sum(layer["length"] for layer in layers)
    shares = [max(layer["length"] / total, LEAST_SHARE) for layer in layers]
    widths = [share / sum(shares) for share in shares]
    starts = [sum(widths[:place]) for place in range(len(layers))]
    names = [layer["name"] for layer in layers]
    inner = _inner(names)
    for place, layer in enumerate(layers):
        hue, hatch = (SERIES[0], HATCHES[0]) if place < inner else (SERIES[1], HATCHES[1])
        axes.bar(
            starts[place], 0.26, widths[place], 0.42, align="edge", facecolor=PAPER.light, edgecolor=hue.light,
            hatch=hatch, linewidth=1.4, alpha=1.0,
        )  # fmt: skip
        axes.text(
            starts[place] + widths[place] / 2, 0.55, f"{layer['name']}\n{layer['length']} B", ha="center", va="center",
            fontsize=7.5, color=INK.light, bbox={"facecolor": PAPER.light, "edgecolor": "none", "pad": 1.2},
        )  # fmt: skip
    bare = inner == len(names)
    outside = (
        "on the wire: as the container sent it, with no envelope"
        if bare
        else "on the wire: from one computer to the other"
    )
    _bracket(axes, 0.0, 1.0, 0.3, outside, below=True)
    if not bare:
        _bracket(axes, starts[inner], 1.0, 0.8, "inside: from one container to the other", below=False)


def _inner(names: Sequence[str]) -> int:
    """Where what is carried begins: after a tunnel's header, or with a second IPv4 header; else after the last."""
    for tunnel in TUNNELS:
        if tunnel in names:
            return names.index(tunnel) + 1
    return names.index("IPv4", names.index("IPv4") + 1) if names.count("IPv4") > 1 else len(names)


def _bracket(axes: "Axes", start: float, end: float, y: float, text: str, *, below: bool) -> None:
    step = -0.05 if below else 0.05
    axes.plot([start, start, end, end], [y, y + step, y + step, y], color=MUTED.light, linewidth=1.2)
    axes.text(
        (start + end) / 2, y + 1.6 * step, text, ha="center", va="top" if below else "bottom", fontsize=8.5,
        color=INK.light,
    )  # fmt: skip
