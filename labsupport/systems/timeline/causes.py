"""Links each write to the earlier write that caused it, by rules on objects and owners. A cause always comes earlier.

A component acts when an object it watches changes. So the cause of a write is the latest earlier write to what its
author had to wait for: the object itself, its owner, what it refers to. `_awaited` is the list of these for each kind
of write; everything else here is looking them up. Where an author goes on by itself, as a kubelet that has started a
container does, the cause is the latest such write of somebody else.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labsupport.systems.timeline.actors import YOU, works_for
from labsupport.systems.timeline.changes import Change
from labsupport.systems.timeline.happenings import Happening, Key

PARALLEL = "Parallel"
_ORDINAL = re.compile(r"(?P<set>.+)-(?P<ordinal>\d+)")
# What the volume controller calls the volumes it makes for claims, and its pods that empty a volume.
MADE_FOR_A_CLAIM, RECYCLER = "pvc-", "recycler-for-"
FAULT: Key = ("fault", "")
ANY: frozenset[str] = frozenset()
# Of these the author takes several steps, each one only when the step before it is stored.
STEP_BY_STEP = frozenset({"claim", "volume", "set"})


@dataclass(frozen=True)
class Event:
    """A happening and what it changed; `pod` is the pod it is about, where there is one."""

    happening: Happening
    change: Change
    pod: str = ""


@dataclass
class World:
    """What the whole timeline tells of who belongs to whom."""

    pods_by_claim: dict[str, str] = field(default_factory=dict)
    claims_by_pod: dict[str, list[str]] = field(default_factory=dict)
    claim_by_volume: dict[str, str] = field(default_factory=dict)
    volume_by_claim: dict[str, str] = field(default_factory=dict)
    volume_by_folder: dict[str, str] = field(default_factory=dict)
    set_by_pod: dict[str, str] = field(default_factory=dict)
    parallel: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, happenings: Sequence[Happening]) -> "World":
        """Learn it from every object seen."""
        world = cls()
        for one in happenings:
            world._learn(one)
        return world

    def pod_of(self, one: Happening) -> str:
        """Return the pod that a pod, claim, volume or name belongs to; a set's, a Service's or a slice's is none."""
        if one.kind == "pod":
            return one.name
        if one.kind == "claim":
            return self.pods_by_claim.get(one.name, "")
        if one.kind == "volume":
            return self.pods_by_claim.get(self.claim_by_volume.get(one.name, ""), "")
        return one.name.partition(".")[0] if one.kind == "name" else ""

    def volume_of(self, one: Happening) -> str:
        """Return the volume that a volume, claim, folder or recycler is about; one made for a claim is called by it."""
        if one.kind == "claim":
            return self._called(self.volume_by_claim.get(one.name, "")) or one.name
        if one.kind == "volume":
            return self._called(one.name)
        if one.kind == "folder":
            return self._called(self.volume_by_folder.get(one.name, ""))
        return self._called(one.name.removeprefix(RECYCLER)) if one.name.startswith(RECYCLER) else ""

    def _called(self, volume: str) -> str:
        return self.claim_by_volume.get(volume, volume) if volume.startswith(MADE_FOR_A_CLAIM) else volume

    def _learn(self, one: Happening) -> None:
        spec = one.seen.get("spec") or {}
        self._learn_volume(one, spec)
        if one.kind == "pod":
            for volume in spec.get("volumes") or ():
                claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
                if claim and claim not in self.claims_by_pod.setdefault(one.name, []):
                    self.claims_by_pod[one.name].append(claim)
                    self.pods_by_claim[claim] = one.name
            for owner in _owners(one.seen):
                if owner.get("kind") == "StatefulSet":
                    self.set_by_pod[one.name] = str(owner.get("name"))
        elif one.kind == "volume" and (spec.get("claimRef") or {}).get("name"):
            self.claim_by_volume[one.name] = spec["claimRef"]["name"]
        elif one.kind == "set" and spec.get("podManagementPolicy") == PARALLEL:
            self.parallel.add(one.name)

    def _learn_volume(self, one: Happening, spec: Mapping[str, Any]) -> None:
        if one.kind == "claim" and spec.get("volumeName"):
            self.volume_by_claim.setdefault(one.name, spec["volumeName"])
        elif one.kind == "volume":
            for source in ("hostPath", "local"):
                if path := (spec.get(source) or {}).get("path"):
                    self.volume_by_folder[path] = one.name


def causes(events: Sequence[Event], world: World) -> list[int | None]:
    """Return for each event, all in order, the place of the one that caused it; None where nothing earlier did.

    What you do yourself has no cause.
    """
    places: dict[Key, list[int]] = {}
    found: list[int | None] = []
    for place, event in enumerate(events):
        found.append(_cause(event, events, places, world))
        for key in _touched(event):
            places.setdefault(key, []).append(place)
    return found


def _cause(event: Event, events: Sequence[Event], places: Mapping[Key, list[int]], world: World) -> int | None:
    one = event.happening
    if one.who == YOU:
        return None
    awaited = [
        place
        for key, tags in _awaited(event, world)
        for place in places.get(key, ())
        if (not tags or tags & set(events[place].change.tags)) and not events[place].happening.refused
    ]
    by_others = [place for place in awaited if events[place].happening.who != one.who]
    cause = max(awaited if one.kind in STEP_BY_STEP else by_others or awaited, default=None)
    return _later(cause, _fault(event, places.get(FAULT, ()), events))


def _fault(event: Event, faults: Sequence[int], events: Sequence[Event]) -> int | None:
    """The latest thing you did to the component that did this: it ended its silence, or began it."""
    ofs = [place for place in faults if works_for(event.happening.who, events[place].happening.name)]
    wanted = "broken" if "unanswered" in event.change.tags else "mended"
    return next((place for place in reversed(ofs) if wanted in events[place].change.tags), None)


def _later(one: int | None, other: int | None) -> int | None:
    return max((place for place in (one, other) if place is not None), default=None)


def _awaited(event: Event, world: World) -> Iterator[tuple[Key, frozenset[str]]]:
    """The objects whose writes this one may follow from, each with the changes that count (none: all)."""
    one = event.happening
    made_for = one.verb == "create" and event.pod
    if one.kind == "folder":
        return  # nobody signs what is done to a disk
    if one.name.startswith(RECYCLER) and one.verb == "create":
        yield ("volume", one.name.removeprefix(RECYCLER)), frozenset({"released"})
        return
    if made_for and one.kind in ("pod", "claim"):
        yield from _what_a_set_waits_for(event.pod, world)
        return
    yield one.key, ANY
    if one.kind == "pod" and one.verb == "bind":
        for claim in world.claims_by_pod.get(one.name, ()):
            yield ("claim", claim), frozenset({"bound", "volume-named"})
    elif one.kind == "claim":
        if "node-chosen" in event.change.tags:
            yield ("pod", event.pod), frozenset({"made"})
        for volume, claim in world.claim_by_volume.items():
            if claim == one.name:
                yield ("volume", volume), ANY
    elif one.kind == "volume":
        yield ("claim", world.claim_by_volume.get(one.name, "")), ANY
        yield ("pod", f"{RECYCLER}{one.name}"), frozenset({"succeeded", "failed"})
    elif one.kind == "slice":
        for pod in _listed_anew(event):
            yield ("pod", pod), frozenset({"running", "ready", "unready", "deleted", "gone", "failed", "succeeded"})
        for owner in _owners(one.seen):
            yield ("service", str(owner.get("name"))), ANY
    elif one.kind == "set":
        for pod, its_set in world.set_by_pod.items():
            if its_set == one.name:
                counted = frozenset({"ready", "unready", "gone"})
                yield ("pod", pod), counted if "counted" in event.change.tags else counted | {"made", "deleted"}
    elif one.kind == "revision":
        for owner in _owners(one.seen):
            yield ("set", str(owner.get("name"))), ANY
    elif one.kind == "name":
        yield ("listed", event.pod), ANY


def _what_a_set_waits_for(pod: str, world: World) -> Iterator[tuple[Key, frozenset[str]]]:
    """A pod of a set is made when the set asks for it, its forerunner is ready, or the pod of its name is gone."""
    match = _ORDINAL.fullmatch(pod)
    its_set = world.set_by_pod.get(pod, match["set"] if match else "")
    yield ("set", its_set), frozenset({"made", "scaled", "changed"})
    yield ("pod", pod), frozenset({"gone"})
    if match and int(match["ordinal"]) and its_set not in world.parallel:
        yield ("pod", f"{match['set']}-{int(match['ordinal']) - 1}"), frozenset({"ready"})


def _touched(event: Event) -> Iterator[Key]:
    """The keys under which later events look for this one."""
    yield event.happening.key
    if event.happening.kind == "component":
        yield FAULT
    if event.happening.kind == "slice":
        for pod in _listed_anew(event):
            yield ("listed", pod)


def _listed_anew(event: Event) -> list[str]:
    """The pods that a slice lists, or lists no longer, since this write."""
    words = re.findall(r"lists (\S+) (?:at|no longer)", event.change.what)
    return words or ([event.pod] if event.pod else [])


def _owners(seen: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (seen.get("metadata") or {}).get("ownerReferences") or ()
