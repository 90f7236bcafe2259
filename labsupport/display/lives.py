"""Draws lives side by side: for each thing a strip of steps, with who did each and the states it left.

Takes plain steps; knows no cluster. The order counts, not the time: a step is as wide as the words in it need.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from labsupport.display.figures import Figure, draw
from labsupport.display.style import INK, LINE, MUTED, PAPER, Hue
from labsupport.display.tables import Cell, Column, Table, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOBODY = "-"
# Above the drawing: between two who acted, and how many letters of them fit side by side.
BETWEEN, LONGEST_LINE = "  ·  ", 112
GAP = 0.7
# In small letters: what the drawing has room for from left to right, the narrowest step, and what a box adds to a word.
LETTERS_ACROSS = 78
NARROWEST_STEP = 2.4
AROUND_A_WORD = 2.2


@dataclass(frozen=True)
class Turn:
    """One step of a life: when, who did what, and the state of each of its lanes afterwards ("": not there).

    `about` is for who reads lives and draws none: what the step was, as kind and tag.
    """

    at: float
    who: str
    what: str
    states: Mapping[str, str]
    about: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Life:
    """The steps of one thing, in order."""

    name: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Strip:
    """How states and people are drawn: a hue for each state, a letter for each of those who act, words for nobody."""

    lanes: Sequence[str]
    hues: Mapping[str, Hue]
    letters: Mapping[str, str]
    nobody: str


def lives_figure(title: str, lives: Sequence[Life], strip: Strip, *, alt: str) -> Figure:
    """Draw each life as a strip: a line of letters (who), then a line of bars for each lane."""
    lines = len(strip.lanes) + 1 + GAP
    return draw(
        title,
        lambda axes: _paint(axes, lives, strip),
        alt=alt,
        twin=lives_table(title, lives, strip.lanes),
        rows=len(lives) * lines * 0.56 + 0.6,
    )


def lives_table(title: str, lives: Sequence[Life], lanes: Sequence[str]) -> Table:
    """Every step as a row."""
    columns: list[str | Column] = [
        Column("volume", "code"), Column("step", "number"), Column("seconds", "code"), "who", Column("what", "prose"),
        *(f"{lane}" for lane in lanes),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [life.name, place, f"{turn.at:.2f}", turn.who, turn.what, *(turn.states.get(lane) or None for lane in lanes)]
        for life in lives
        for place, turn in enumerate(life.turns, 1)
    ]
    return table(title, columns, rows, header_columns=2)


def spans(life: Life, lane: str) -> list[tuple[int, int, str]]:
    """The states of a lane as (first step, step after the last, state), those that are not there left out."""
    found: list[tuple[int, int, str]] = []
    for place, turn in enumerate(life.turns):
        state = turn.states.get(lane, "")
        if found and found[-1][2] == state:
            found[-1] = (found[-1][0], place + 1, state)
        else:
            found.append((place, place + 1, state))
    return [each for each in found if each[2]]


def edges_of(life: Life, lanes: Sequence[str]) -> list[float]:
    """Where each step of a life begins, and where the last one ends, in small letters from the left."""
    widths = [NARROWEST_STEP] * len(life.turns)
    boxes = [box for lane in lanes for box in spans(life, lane)]
    for first, after, state in sorted(boxes, key=lambda box: box[1] - box[0]):
        missing = len(state) + AROUND_A_WORD - sum(widths[first:after])
        for place in range(first, after):
            widths[place] += max(missing, 0.0) / (after - first)
    return list(accumulate(widths, initial=0.0))


def _paint(axes: "Axes", lives: Sequence[Life], strip: Strip) -> None:
    height = len(strip.lanes) + 1 + GAP
    edges = [edges_of(life, strip.lanes) for life in lives]
    width = max((each[-1] for each in edges), default=1.0)
    for row, (life, places) in enumerate(zip(lives, edges, strict=True)):
        top = row * height
        _paint_people(axes, life, strip, top, places)
        for line, lane in enumerate(strip.lanes, 1):
            _name(axes, lane, top + line, MUTED, 7)
            for first, after, state in spans(life, lane):
                start, end = places[first], places[after]
                label = shortened(state, (end - start) * LETTERS_ACROSS / max(width, LETTERS_ACROSS))
                _bar(axes, strip.hues.get(state, MUTED), (start, end), top + line, label)
        _name(axes, life.name, top, INK, 8.5)
    for above, _ in pairwise(range(len(lives))):
        axes.axhline((above + 1) * height - 0.5 - GAP / 2, color=LINE.light, linewidth=0.8)
    axes.set_xlim(0, max(width, LETTERS_ACROSS / 2))
    axes.set_ylim(len(lives) * height - GAP - 0.4, -0.7)
    axes.set_axis_off()
    _explain_letters(axes, lives, strip)


def _paint_people(axes: "Axes", life: Life, strip: Strip, line: float, places: Sequence[float]) -> None:
    for turn, place in zip(life.turns, places, strict=False):
        axes.text(
            place + 0.5, line, strip.letters.get(turn.who, NOBODY), ha="left", va="center", fontsize=7.5,
            color=INK.light, weight="bold",
        )  # fmt: skip
        axes.plot([place, place], [line - 0.35, line + len(strip.lanes) + 0.4], color=LINE.light, linewidth=0.6)


def shortened(state: str, letters: float) -> str:
    """As much of a state's name as so many letters have room for; the whole name is in the table."""
    room = int(letters)
    return state if len(state) <= room else f"{state[: max(1, room - 1)]}…"


def _bar(axes: "Axes", hue: Hue, span: tuple[float, float], line: float, label: str) -> None:
    start, end = span
    axes.barh(
        line, end - start - 0.25, left=start + 0.12, height=0.72, facecolor=PAPER.light, edgecolor=hue.light,
        linewidth=1.3, zorder=2,
    )  # fmt: skip
    axes.text(start + 0.6, line, label, ha="left", va="center", fontsize=6.5, color=hue.light, zorder=3)


def _name(axes: "Axes", text: str, line: float, hue: Hue, size: float) -> None:
    axes.annotate(
        text, (0, line), xycoords=("axes fraction", "data"), xytext=(-6, 0), textcoords="offset points", ha="right",
        va="center", fontsize=size, color=hue.light, annotation_clip=False,
    )  # fmt: skip


def _explain_letters(axes: "Axes", lives: Sequence[Life], strip: Strip) -> None:
    acting = {turn.who for life in lives for turn in life.turns}
    told = [f"{letter} {who}" for who, letter in strip.letters.items() if who in acting]
    if acting - set(strip.letters):
        told.append(f"{NOBODY} {strip.nobody}")
    told[:1] = [f"who acted:  {''.join(told[:1])}"]
    axes.annotate(
        "\n".join(_in_lines(told)), (0.5, 1), xycoords="axes fraction", xytext=(0, 8),
        textcoords="offset points", ha="center", va="bottom", fontsize=7.5, color=INK.light, annotation_clip=False,
    )  # fmt: skip


def _in_lines(parts: Sequence[str]) -> list[str]:
    """Put parts side by side, in as many lines as it takes: a line too long for the drawing would be cut off."""
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]}{BETWEEN}{part}" if lines else part
        if lines and len(longer) <= LONGEST_LINE:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines
