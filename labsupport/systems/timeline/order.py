"""Puts happenings in order. Etcd's revisions are the true order of writes; clocks only place what has none."""

import math
from collections.abc import Iterable
from dataclasses import replace

from labsupport.systems.timeline.happenings import Happening


def in_order(written: Iterable[Happening], watched: Iterable[Happening] = ()) -> list[Happening]:
    """Order happenings, whatever order they come in; writes that changed nothing are dropped.

    A write whose time contradicts the revisions takes the time of the write before it: the log is written after
    the answer, so two writes may be logged the other way round.

    Args:
        watched: what watches told; they know the revision of writes whose answer does not (bindings, deletions).
    """
    known = _with_revisions(_distinct(written), list(watched))
    placed: list[tuple[float, Happening]] = []
    latest = -math.inf
    for one in sorted((one for one in known if one.revision is not None), key=lambda one: one.revision or 0):
        latest = max(latest, one.at)
        placed.append((latest, replace(one, at=latest)))
    made = {_unique_id(one): moment for moment, one in placed if one.verb == "create" and _unique_id(one)}
    for one in (one for one in known if one.revision is None):
        # A pod is on its node after it was made, whichever of the two the log tells first.
        at = max(one.at, made.get(_unique_id(one), one.at)) if one.verb == "bind" else one.at
        placed.append((at, replace(one, at=at)))
    return [one for _, one in sorted(placed, key=_turn)]


def _turn(placed: tuple[float, Happening]) -> tuple[float, float, str, str, str]:
    moment, one = placed
    # At one moment: what has a revision first, by it; the rest by name, so that every input order gives one output.
    return moment, math.inf if one.revision is None else one.revision, one.kind, one.name, one.verb


def _distinct(written: Iterable[Happening]) -> list[Happening]:
    """Drop writes that left the object at a revision it already had: the earliest one made it."""
    first: dict[tuple[str, str, int], Happening] = {}
    rest = []
    for one in written:
        if one.revision is None:
            rest.append(one)
            continue
        place = (*one.key, one.revision)
        if place not in first or one.at < first[place].at:
            first[place] = one
    return [*first.values(), *rest]


def _with_revisions(written: list[Happening], watched: list[Happening]) -> list[Happening]:
    """Give bindings the revision at which a watch first saw the pod on its node."""
    logged = {(*one.key, one.revision) for one in written if one.revision is not None}
    free = [one for one in watched if one.revision is not None and (*one.key, one.revision) not in logged]
    free.sort(key=lambda one: one.revision or 0)
    filled = []
    for one in sorted(written, key=lambda each: each.at):
        match = next((notice for notice in free if one.revision is None and _is_trace_of(notice, one)), None)
        if match is not None:
            free.remove(match)
            filled.append(replace(one, revision=match.revision))
        else:
            filled.append(one)
    return filled


def _is_trace_of(notice: Happening, one: Happening) -> bool:
    if notice.key != one.key or one.refused:
        return False
    if one.verb == "bind":
        # A pod of the same name may have been there before, on the same node: only the unique id tells them apart.
        return notice.verb == "seen" and _who_and_where(notice) == _who_and_where(one)
    return one.verb == "delete" and notice.verb == "gone"


def _who_and_where(one: Happening) -> tuple[object, object]:
    return _unique_id(one), (one.seen.get("spec") or {}).get("nodeName")


def _unique_id(one: Happening) -> object:
    return (one.seen.get("metadata") or {}).get("uid")
