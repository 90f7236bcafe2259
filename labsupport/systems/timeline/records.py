"""Makes the timeline: happenings from every source, in order, each with what it changed and what caused it.

A record is a plain value (JSON can hold it), because a trial keeps it as evidence and replays it:
{"number", "at", "who", "lane", "row", "verb", "kind", "name", "pod", "volume", "what", "tags", "minor",
"revision", "because"}; pod and volume are those that it is about, empty where it is about none. What you did to a
component has "lanes" too, each with its row: those in which that component works.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from labsupport.systems.timeline.actors import API_SERVER, LANES, YOU, lane_of, lanes_of_component
from labsupport.systems.timeline.causes import Event, World, causes
from labsupport.systems.timeline.changes import Change, Seen, change, endpoints
from labsupport.systems.timeline.happenings import (
    Happening,
    Key,
    from_answers,
    from_audit_log,
    from_faults,
    from_lists,
    from_looks,
    from_watch,
)
from labsupport.systems.timeline.order import in_order

DECIMALS = 3


def timeline_records(
    audit_log: Iterable[str],
    *,
    namespace: str = "default",
    notices: Iterable[Mapping[str, Any]] = (),
    answers: Iterable[Mapping[str, Any]] = (),
    looks: Iterable[Mapping[str, Any]] = (),
    faults: Iterable[str] = (),
    first: Mapping[str, Iterable[Mapping[str, Any]]] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Merge an audit log, what watches told and what DNS answered into one list of records, in order.

    Args:
        audit_log: its lines, in any order.
        namespace: whose objects; volumes, which have none, are told by their claims.
        notices: of watches, as the API sends them: {"type", "object"}.
        answers: of DNS: {"at": seconds since 1970, "name", "addresses"}.
        looks: at a disk: {"at", "folders": {path: [files, bytes]}}.
        faults: lines of a journal, each {"at", "did", "action", "target"} as JSON.
        first: what there was before, by resource: {"pods": [object, …]}.
    """
    written = [
        *from_audit_log(audit_log, namespace),
        *from_answers(answers),
        *from_looks(looks),
        *from_faults(faults),
    ]
    ordered = in_order(written, from_watch(notices))
    there = list(from_lists(first))
    world = World.of([*there, *ordered])
    foreign = _volumes_of_others(ordered, world)
    events = _events([one for one in ordered if one.key not in foreign], {one.key: one.seen for one in there}, world)
    start = _start(events)
    because = causes(events, world)
    return [
        _record(place, event, start, because[place]) | {"volume": world.volume_of(event.happening)}
        for place, event in enumerate(events)
    ]


def _events(ordered: Sequence[Happening], latest: dict[Key, Seen], world: World) -> list[Event]:
    events = []
    for one in ordered:
        before = latest.get(one.key)
        found = change(one, before)
        events.append(Event(one, found, world.pod_of(one) or _only_pod(one, before)))
        if one.seen and one.kind != "name" and not one.refused and one.verb != "bind":
            latest[one.key] = one.seen
        if "gone" in found.tags:
            latest.pop(one.key, None)
    return events


def _only_pod(one: Happening, before: Seen | None) -> str:
    """The pod that a slice tells something new of, when it is one only."""
    if one.kind != "slice":
        return ""
    now, old = endpoints(one.seen), endpoints(before or {})
    changed = {name for name in now.keys() | old.keys() if now.get(name) != old.get(name)}
    return changed.pop() if len(changed) == 1 else ""


def _volumes_of_others(ordered: Sequence[Happening], world: World) -> set[Key]:
    """Volumes for claims that are not in this namespace's part of the story, unless you wrote them."""
    claims = {one.name for one in ordered if one.kind == "claim"} | world.pods_by_claim.keys()
    volumes = {one.key for one in ordered if one.kind == "volume"}
    yours = {one.key for one in ordered if one.who == YOU}
    return {key for key in volumes - yours if world.claim_by_volume.get(key[1], "") not in claims}


def _start(events: Sequence[Event]) -> float:
    yours = [event.happening.at for event in events if event.happening.who == YOU]
    return min(yours or [event.happening.at for event in events], default=0.0)


def _record(place: int, event: Event, start: float, because: int | None) -> dict[str, Any]:
    one, changed = event.happening, event.change
    who = API_SERVER if "refused" in changed.tags else one.who
    lanes = {lane: LANES.index(lane) for lane in lanes_of_component(one.name)} if one.kind == "component" else {}
    return {
        "number": place + 1,
        "at": round(one.at - start, DECIMALS),
        "who": who,
        "lane": lane_of(who),
        "row": LANES.index(lane_of(who)),
        "verb": one.verb,
        "kind": one.kind,
        "name": one.name,
        "pod": event.pod,
        "what": _told(one, changed),
        "tags": list(changed.tags),
        "minor": changed.minor,
        "revision": one.revision,
        "because": None if because is None else because + 1,
        **({"lanes": lanes} if lanes else {}),
    }


def _told(one: Happening, changed: Change) -> str:
    """Volumes have names nobody can tell apart: say whose they are."""
    claim = ((one.seen.get("spec") or {}).get("claimRef") or {}).get("name") if one.kind == "volume" else ""
    return changed.what.replace(f"volume {one.name}", f"the volume of {claim}") if claim else changed.what
