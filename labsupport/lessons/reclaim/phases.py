"""The phases of volumes as one diagram: which became which, who wrote it and what came right before, all of it seen."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from labsupport.display.figures import Figure
from labsupport.display.states import State, Way, states_figure
from labsupport.display.style import MUTED
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.lessons.reclaim.ends import GONE, End
from labsupport.lessons.reclaim.lives import NOBODY_SIGNS, STRIP, VOLUME, Lives

NOT_YET = "not there"
LOOKED = "looked at before and after only"
# What a change of phase can follow from.
CAUSES: Mapping[tuple[str, str], str] = {
    ("claim", "made"): "claim made",
    ("claim", "gone"): "claim let go",
    ("volume", "unclaimed"): "claim taken off",
    ("volume", "deleted"): "end asked for",
}
PLACES: Mapping[str, tuple[float, float]] = {
    NOT_YET: (0, 0), "Pending": (1, 0), "Available": (2, 0), "Bound": (3, 0),
    GONE: (1, 1), "Released": (2, 1), "Failed": (3, 1),
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One volume that went from one phase to the next: who wrote that, and who had done what right before."""

    volume: str
    before: str
    after: str
    who: str
    cause: tuple[str, str] | None = None  # what, by whom


def changes_of(told: Iterable[Lives]) -> Iterator[Change]:
    """Yield every change of phase in recordings that follow each other: a volume goes on where the last left it."""
    reached: dict[str, str] = {}
    for lives in told:
        for name, life in lives.all.items():
            cause = None
            for turn in life.turns:
                if ("volume", "made") in turn.about:
                    reached[name] = NOT_YET
                before = reached.get(name, NOT_YET)
                # A recording that begins later has not heard of the volume yet.
                heard = turn.states[VOLUME] or ("volume", "gone") in turn.about
                now = (turn.states[VOLUME] or GONE) if heard else before
                if now != before:
                    yield Change(name, before, now, turn.who, cause)
                    reached[name], cause = now, None
                elif turn.who != NOBODY_SIGNS:
                    cause = next(((CAUSES[each], turn.who) for each in turn.about if each in CAUSES), cause)


def looked_at(ends: Mapping[str, End], changes: Sequence[Change]) -> Iterator[Change]:
    """Yield what two looks say and no recording explains: ends between which no recorded way leads."""
    steps = {(change.before, change.after) for change in changes}
    for end in ends.values():
        if end.phase != end.began and not _leads(steps, end.began, end.phase):
            yield Change(end.name, end.began, end.phase, LOOKED)


def phases_figure(title: str, *told: Lives, ends: Mapping[str, End]) -> Figure:
    """Draw every phase that volumes were in, and how they came from one to another.

    Args:
        told: recordings that follow each other.
        ends: volumes that were only looked at before and after.
    """
    recorded = list(changes_of(told))
    looked = list(looked_at(ends, recorded))
    grouped: dict[tuple[str, str], list[Change]] = {}
    for change in sorted([*recorded, *looked], key=_in_order):
        grouped.setdefault((change.before, change.after), []).append(change)
    last = {change.volume: change.after for change in [*recorded, *looked]}
    silent = [name for name in ends if name not in last]
    stayed = Counter(last.values())
    named = {name for pair in grouped for name in pair} | set(stayed)
    return states_figure(
        title,
        [_state(name, stayed[name]) for name in [*PLACES, *sorted(named - set(PLACES))] if name in named],
        [Way(*pair, _lines(changes), changes[0].who == LOOKED) for pair, changes in grouped.items()],
        alt=f"State diagram of the phases of {len(last)} volumes.",
        explained=_explained(recorded, looked, silent),
        twin=_twin(title, grouped, silent),
    )


def _in_order(change: Change) -> tuple[int, int]:
    places = list(PLACES)
    before, after = (places.index(each) if each in places else len(places) for each in (change.before, change.after))
    return before, after


def _leads(steps: set[tuple[str, str]], start: str, end: str) -> bool:
    reached = {start}
    while more := {after for before, after in steps if before in reached} - reached:
        reached |= more
    return end in reached


def _state(name: str, stayed: int) -> State:
    # A phase that Kubernetes may have one day stands below the others.
    column, row = PLACES.get(name, (0, 2))
    return State(name, column, row, STRIP.hues.get(name, MUTED), f"{stayed} end here" if stayed else "")


def _lines(changes: Sequence[Change]) -> tuple[str, ...]:
    """Who wrote it and how often, then what came right before."""
    who = Counter(_letter(change.who) for change in changes)
    if changes[0].who == LOOKED:
        return (f"({len(changes)})",)
    causes: dict[str, dict[str, None]] = {}
    for change in changes:
        if change.cause:
            what, by = change.cause
            causes.setdefault(what, {})[_letter(by)] = None
    after = [line for what, letters in causes.items() for line in (what, f"by {', '.join(letters)}")]
    return (", ".join(f"{letter} ({count})" for letter, count in who.most_common()), *after)


def _letter(who: str) -> str:
    return STRIP.letters.get(who, who)


def _explained(recorded: Sequence[Change], looked: Sequence[Change], silent: Sequence[str]) -> list[str]:
    acting = {change.who for change in recorded} | {change.cause[1] for change in recorded if change.cause}
    told = [f"{letter} {who}" for who, letter in STRIP.letters.items() if who in acting]
    lines = [f"who wrote it, how often, and what came right before:  {'  ·  '.join(told)}"]
    if looked:
        lines.append("dashed: looked at before and after only; what lay between was not recorded")
    if silent:
        lines.append(f"not counted: {len(silent)} more, looked at likewise, that went no other ways")
    return lines


def _twin(title: str, grouped: Mapping[tuple[str, str], Sequence[Change]], silent: Sequence[str]) -> Table:
    """A row for each way."""
    columns: list[str | Column] = [
        "from", "to", Column("how often", "number"), Column("who wrote it", "prose"), Column("right before", "prose"),
        Column("volumes", "prose"),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [
            *pair,
            len(changes),
            _counted(change.who for change in changes),
            _counted(" by ".join(change.cause) for change in changes if change.cause) or None,
            ", ".join(change.volume for change in changes),
        ]
        for pair, changes in grouped.items()
    ]
    note = f"not counted, as they were only looked at and went no other ways: {', '.join(silent)}" if silent else ""
    return table(title, columns, rows, header_columns=2, note=note)


def _counted(words: Iterable[str]) -> str:
    found = Counter(words)
    return ", ".join(f"{word} ({count})" if len(found) > 1 else word for word, count in found.most_common())
