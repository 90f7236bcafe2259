"""Draws a timeline: one lane for each component, one line in it for each pod, and lines from cause to effect.

Takes plain records (number, at, who, lane, row, kind, name, pod, what, tags, minor, revision, because; lanes, where
something stood still); knows no cluster. The drawing is for seeing order; the table twin has every word.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from labsupport.display.figures import Figure, draw
from labsupport.display.style import BAD, INK, LINE, MUTED, PAPER, SERIES, Hue
from labsupport.display.tables import Cell, Column, Table, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Record = Mapping[str, Any]
MOST_LABELLED_PODS = 6
# A component of one node is called kubelet@node-1; what happens to the whole of a node is told of node-1.
ON_A_NODE = re.compile(r"node-\d+$")
POINTS_A_LETTER = 4.2
LANE_INCHES, FEW_PODS_INCHES, MANY_PODS_INCHES, INCHES_A_ROW = 0.18, 0.15, 0.085, 0.36


@dataclass(frozen=True)
class Look:
    """How one kind of step is drawn: the shape says what it is about, filled or hollow whether that was made."""

    name: str
    marker: str
    hue: Hue
    filled: bool = True


REFUSED = Look("refused", "X", BAD)
LOOKS: Mapping[tuple[str, str], Look] = {
    ("claim", "made"): Look("claim made", "s", SERIES[1]),
    ("claim", "node-chosen"): Look("node chosen for claim", "s", SERIES[1], filled=False),
    ("volume", "made"): Look("volume made", "D", SERIES[4]),
    ("claim", "volume-named"): Look("claim gets its volume", "D", SERIES[4], filled=False),
    ("pod", "made"): Look("pod made", "o", SERIES[0]),
    ("pod", "bound"): Look("pod gets its node", "o", SERIES[0], filled=False),
    ("pod", "running"): Look("pod running", ">", SERIES[2], filled=False),
    ("pod", "ready"): Look("pod ready", "^", SERIES[2]),
    ("slice", "listed-ready"): Look("pod listed as ready", "^", SERIES[2], filled=False),
    ("slice", "unlisted"): Look("pod listed no longer", "<", SERIES[5]),
    ("slice", "listed"): Look("pod listed as not ready", "<", SERIES[5], filled=False),
    ("name", "named"): Look("name answered", "v", SERIES[3]),
    ("name", "unnamed"): Look("no such name", "v", SERIES[3], filled=False),
    ("pod", "deleted"): Look("pod to end", "x", INK),
    ("pod", "unready"): Look("pod no longer ready", "^", INK, filled=False),
    ("pod", "failed"): Look("pod ended", "s", INK),
    ("pod", "succeeded"): Look("pod ended", "s", INK),
    ("pod", "gone"): Look("pod gone", "X", INK),
    ("name", "unanswered"): Look("no answer", "X", SERIES[3], filled=False),
    ("component", "broken"): Look("you stop a component", "8", INK),
    ("component", "mended"): Look("it goes on", "8", INK, filled=False),
}
OTHER = Look("other object made or changed", "P", SERIES[5])
MINOR = Look("bookkeeping", "|", MUTED)


@dataclass(frozen=True)
class Silence:
    """From where to where a lane stands still; on one node only, where a node is named."""

    lane: str
    begin: float
    end: float
    node: str


@dataclass(frozen=True)
class Lanes:
    """Where each record of a timeline is drawn."""

    records: tuple[Record, ...]
    evenly: bool

    @cached_property
    def names(self) -> list[str]:
        found = {record["lane"]: record["row"] for record in self.records}
        for record in self.records:
            found.update(record.get("lanes", {}))
        return sorted(found, key=lambda lane: (found[lane], lane))

    @cached_property
    def pods(self) -> list[str]:
        return sorted({record["pod"] for record in self.records if record["pod"]}, key=_in_counting_order)

    @cached_property
    def with_pods(self) -> set[str]:
        return {record["lane"] for record in self.records if record["pod"]}

    @cached_property
    def borders(self) -> list[float]:
        """Where the lanes begin, from top to bottom in inches, and where the last one ends."""
        lines = [len(self.pods) if lane in self.with_pods else 1 for lane in self.names]
        return list(itertools.accumulate((LANE_INCHES + self.line_inches * each for each in lines), initial=0.0))

    @cached_property
    def silences(self) -> list[Silence]:
        """While components stood still; to the end, if one never went on."""
        found, since = [], {}
        for record in self.records:
            if "broken" in record["tags"]:
                since[record["name"]] = record
            elif "mended" in record["tags"] and record["name"] in since:
                begun = since.pop(record["name"])
                found += self._silent(begun, self.place(record)[0])
        last = self.place(self.records[-1])[0]
        return found + [each for begun in since.values() for each in self._silent(begun, last)]

    def _silent(self, begun: Record, end: float) -> list[Silence]:
        on_node = ON_A_NODE.search(begun["name"])
        begin, _ = self.place(begun)
        return [Silence(lane, begin, end, on_node.group() if on_node else "") for lane in begun["lanes"]]

    @property
    def line_inches(self) -> float:
        return FEW_PODS_INCHES if len(self.pods) <= MOST_LABELLED_PODS else MANY_PODS_INCHES

    def middle(self, lane: str) -> float:
        place = self.names.index(lane)
        return (self.borders[place] + self.borders[place + 1]) / 2

    def place(self, record: Record) -> tuple[float, float]:
        x = self.records.index(record) + 1.0 if self.evenly else float(record["at"])
        return x, self.line(record["lane"], record["pod"])

    def line(self, lane: str, pod: str) -> float:
        """How far down a pod's line in a lane is; the first pod's is on top, what is about none in the middle."""
        if pod not in self.pods:
            return self.middle(lane)
        return self.middle(lane) + self.line_inches * (self.pods.index(pod) - (len(self.pods) - 1) / 2)


def look_of(record: Record) -> Look:
    """Say how a record is drawn."""
    if "refused" in record["tags"]:
        return REFUSED
    found = next((LOOKS[record["kind"], tag] for tag in record["tags"] if (record["kind"], tag) in LOOKS), None)
    return found or (MINOR if record["minor"] or not record["tags"] else OTHER)


def timeline_figure(
    title: str, records: Sequence[Record], *, alt: str, of_pod: str | None = None, evenly: bool = False
) -> Figure:
    """Draw a timeline's lanes.

    Args:
        alt: the point of the drawing; how many events and lanes is added.
        of_pod: only what is about this pod, and what directly caused that.
        evenly: one step to the right for each event instead of a scale of seconds; for few events close together.
    """
    chosen = tuple(records) if of_pod is None else _story_of(of_pod, records)
    lanes = Lanes(chosen, evenly)
    counted = f" {len(chosen)} events in {len(lanes.names)} lanes: {', '.join(lanes.names)}."
    twin = timeline_table(title, chosen)
    return draw(
        title, lambda axes: _paint(axes, lanes), alt=alt + counted, twin=twin, rows=lanes.borders[-1] / INCHES_A_ROW
    )


def timeline_table(title: str, records: Sequence[Record]) -> Table:
    """Every event as a row: who, what, when, and the number of the event that caused it."""
    columns: list[str | Column] = [
        Column("#", "number"), Column("seconds", "code"), "who", Column("what", "prose"),
        Column("etcd revision", "number"), Column("because of #", "number"),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [each["number"], f"{each['at']:.3f}", each["who"], each["what"], each["revision"], each["because"]]
        for each in records
    ]
    return table(title, columns, rows)


def _story_of(pod: str, records: Sequence[Record]) -> tuple[Record, ...]:
    own = {record["number"] for record in records if record["pod"] == pod}
    own |= {record["because"] for record in records if record["pod"] == pod}
    return tuple(record for record in records if record["number"] in own)


def _paint(axes: "Axes", lanes: Lanes) -> None:
    from matplotlib.transforms import blended_transform_factory

    _paint_silences(axes, lanes)
    _paint_causes(axes, lanes)
    by_look: dict[Look, list[tuple[float, float]]] = {}
    for record in lanes.records:
        by_look.setdefault(look_of(record), []).append(lanes.place(record))
    size = 34 if len(lanes.pods) <= MOST_LABELLED_PODS else 16
    for look in dict.fromkeys([*LOOKS.values(), OTHER, REFUSED, MINOR]):
        if look in by_look:
            _scatter(axes, look, by_look[look], size)
    _label(axes, lanes)
    # In the middle of the drawing, names of lanes included: with long ones the axes alone are too narrow for it.
    across = blended_transform_factory(axes.figure.transFigure, axes.transAxes)
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.52, 1.0), bbox_transform=across, ncols=3, fontsize=8,
        handletextpad=0.3, columnspacing=1.2,
    )  # fmt: skip


def _scatter(axes: "Axes", look: Look, places: Sequence[tuple[float, float]], size: float) -> None:
    xs, ys = zip(*places, strict=True)
    if look.marker in "|x":
        axes.scatter(
            xs, ys, s=size, marker=look.marker, color=look.hue.light, linewidths=1.2, label=look.name, zorder=2
        )
        return
    face = look.hue.light if look.filled else PAPER.light
    axes.scatter(
        xs, ys, s=size, marker=look.marker, facecolors=face, edgecolors=look.hue.light, linewidths=1.2,
        label=look.name, zorder=3,
    )  # fmt: skip


def _paint_silences(axes: "Axes", lanes: Lanes) -> None:
    for number, silence in enumerate(lanes.silences):
        place = lanes.names.index(silence.lane)
        axes.fill_between(
            [silence.begin, silence.end], lanes.borders[place], lanes.borders[place + 1], facecolor="none",
            hatch="////", edgecolor=LINE.light, linewidth=0, label="stands still" if number == 0 else None, zorder=0,
        )  # fmt: skip
        if silence.node:
            axes.text(
                silence.begin, lanes.borders[place] + LANE_INCHES / 2, f" only {silence.node}", fontsize=6.5,
                ha="left", va="center", color=INK.light, zorder=1,
                bbox={"facecolor": PAPER.light, "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip


def _paint_causes(axes: "Axes", lanes: Lanes) -> None:
    from matplotlib.collections import LineCollection

    by_number = {record["number"]: record for record in lanes.records}
    lines = [
        [lanes.place(cause), lanes.place(record)]
        for record in lanes.records
        if (cause := by_number.get(record["because"])) and (lanes.evenly or look_of(record) is not MINOR)
    ]
    axes.add_collection(LineCollection(lines, colors=MUTED.light, linewidths=0.7, alpha=0.65, zorder=1))


def _label(axes: "Axes", lanes: Lanes) -> None:
    axes.set_yticks([lanes.middle(lane) for lane in lanes.names], lanes.names)
    axes.set_ylim(lanes.borders[-1], 0)
    for border in lanes.borders[1:-1]:
        axes.axhline(border, color=LINE.light, linewidth=0.8, zorder=0)
    axes.tick_params(axis="y", length=0, pad=4)
    if len(lanes.pods) > 1:
        several_sets = len({pod.rpartition("-")[0] for pod in lanes.pods}) > 1
        longest = max(len(pod) for pod in lanes.pods) if several_sets else 1
        axes.tick_params(axis="y", pad=10 + POINTS_A_LETTER * longest)
        shown = lanes.pods if len(lanes.pods) <= MOST_LABELLED_PODS else [lanes.pods[0], lanes.pods[-1]]
        for lane, pod in itertools.product(sorted(lanes.with_pods), shown):
            axes.annotate(
                pod if several_sets else pod.rpartition("-")[2], (0, lanes.line(lane, pod)),
                xycoords=("axes fraction", "data"), xytext=(-4, 0), textcoords="offset points",
                ha="right", va="center", fontsize=6.5, color=MUTED.light,
            )  # fmt: skip
    if lanes.evenly:
        at = [f"{record['at']:.2f}" for record in lanes.records]
        axes.set_xticks(range(1, len(at) + 1), at, rotation=90, fontsize=7)
        axes.set_xlabel("seconds since the first request; one step for each event")
        axes.set_xlim(0.4, len(at) + 0.6)
    else:
        axes.set_xlabel("seconds since the first request")
        axes.margins(x=0.02)


def _in_counting_order(name: str) -> list[tuple[int, str]]:
    """web-10 after web-9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
