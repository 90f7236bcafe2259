"""Says what a write changed, by comparing the object with what it was before. Words for people, tags for rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labsupport.systems.timeline.happenings import Happening, lets_go

CHOSEN_NODE = "volume.kubernetes.io/selected-node"
POLICY = "persistentVolumeReclaimPolicy"
# What you did to a component or a node, and how it was undone.
FAULTS = {
    "stop": ("stops {}", "starts {} again"),
    "kill": ("kills {}", "starts {} again"),
    "freeze": ("freezes {}", "lets {} go on"),
    "cut off": ("cuts off {}", "connects {} again"),
}
Seen = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """What one happening changed.

    Args:
        what: in words, with the object's name.
        tags: what rules and readers look for: made, bound, ready, unready, running, node-chosen, named, deleted, gone …
        minor: bookkeeping, which a drawing may leave small.
    """

    what: str
    tags: tuple[str, ...] = ()
    minor: bool = False


def change(one: Happening, before: Seen | None) -> Change:
    """Say what `one` changed; `before` is the object as the write before left it, None where it was not there."""
    if one.verb == "conflict":
        return Change(f"finds {one.kind} {one.name} changed meanwhile", ("conflict",), minor=True)
    if one.refused:
        return Change(f"refuses {one.kind} {one.name}: {one.refused}", ("refused",))
    if one.kind == "component":
        made, undone = FAULTS[one.seen["action"]]
        broken = one.verb == "made"
        return Change((made if broken else undone).format(one.name), ("broken" if broken else "mended",))
    if one.kind == "name" and one.seen["addresses"] is None:
        return Change(f"does not answer {one.name}", ("unanswered",))
    if one.kind == "name":
        addresses = ", ".join(one.seen.get("addresses") or ())
        tag = "named" if addresses else "unnamed"
        return Change(f"answers {one.name}: {addresses or 'no such name'}", (tag,))
    if one.kind == "folder":
        return _folder(one)
    if one.verb == "create":
        return Change(f"makes {one.kind} {one.name}", ("made",), minor=one.kind == "revision")
    if one.verb == "bind":
        return Change(f"puts {one.name} on {one.seen['spec']['nodeName'] or 'a node'}", ("bound",))
    if one.verb in ("delete", "deletecollection"):
        return _deletion(one, before)
    if ((before or {}).get("metadata") or {}).get("finalizers") and lets_go(one.seen):
        return Change(f"lets {one.kind} {one.name} go", ("gone",))
    said = {"pod": _pod, "claim": _claim, "volume": _volume, "set": _set, "slice": _slice}
    found = said[one.kind](one, before or {}) if one.kind in said else Change("")
    return found if found.what else Change(f"notes on {one.kind} {one.name}", found.tags, minor=True)


def is_true(seen: Seen, condition: str) -> bool:
    """Whether a pod's condition, such as Ready, is true."""
    return any(
        each.get("type") == condition and each.get("status") == "True" for each in _status(seen).get("conditions") or ()
    )


def endpoints(seen: Seen) -> dict[str, tuple[str, bool]]:
    """The pods an EndpointSlice lists: name → address, and whether it is ready. No name: none."""
    found = {}
    for each in seen.get("endpoints") or ():
        name = (each.get("targetRef") or {}).get("name")
        if name:
            ready = bool((each.get("conditions") or {}).get("ready"))
            found[name] = (next(iter(each.get("addresses") or ()), ""), ready)
    return found


def _deletion(one: Happening, before: Seen | None) -> Change:
    asked_before = "deletionTimestamp" in ((before or {}).get("metadata") or {})
    stays = "deletionTimestamp" in (one.seen.get("metadata") or {})
    if stays and not asked_before:
        return Change(f"asks for the end of {one.kind} {one.name}", ("deleted",))
    return Change(f"removes {one.kind} {one.name}", ("gone",))


def _folder(one: Happening) -> Change:
    if not one.seen["there"]:
        return Change(f"{one.name} is gone", ("gone",))
    if not one.seen["files"]:
        return Change(f"{one.name} is empty", ("emptied",))
    return Change(f"{one.name} holds {one.seen['files']} files, {one.seen['bytes']} bytes", ("filled",))


def _pod(one: Happening, before: Seen) -> Change:
    now, name = one.seen, one.name
    if is_true(now, "Ready") and not is_true(before, "Ready"):
        return Change(f"{name} is ready", ("ready",))
    if is_true(before, "Ready") and not is_true(now, "Ready"):
        return Change(f"{name} is no longer ready", ("unready",))
    phase = _status(now).get("phase")
    if phase != _status(before).get("phase", "Pending"):
        return Change(f"{name} is {str(phase).lower()}", (str(phase).lower(),))
    why = [
        each.get("message") or each.get("reason")
        for each in _status(now).get("conditions") or ()
        if each.get("type") == "PodScheduled" and each.get("status") == "False"
    ]
    if why:
        return Change(f"cannot place {name}: {why[0]}", ("unplaced",), minor=True)
    return Change("")


def _claim(one: Happening, before: Seen) -> Change:
    name = one.name
    if _chosen_node(one.seen) and not _chosen_node(before):
        return Change(f"wants {name} on {_chosen_node(one.seen)}", ("node-chosen",))
    if _status(one.seen).get("phase") == "Bound" and _status(before).get("phase") != "Bound":
        return Change(f"{name} is bound", ("bound",), minor=True)
    volume = (one.seen.get("spec") or {}).get("volumeName")
    if volume and not (before.get("spec") or {}).get("volumeName"):
        return Change(f"gives {name} its volume", ("volume-named",))
    return Change("")


def _volume(one: Happening, before: Seen) -> Change:
    phase = _status(one.seen).get("phase")
    if phase and phase != _status(before).get("phase"):
        return Change(f"volume of {_claimed_by(one.seen) or one.name} is {phase.lower()}", (phase.lower(),), minor=True)
    policy, old = (str((each.get("spec") or {}).get(POLICY) or "") for each in (one.seen, before))
    if before and policy != old:
        return Change(f"sets the policy of volume {one.name} to {policy}", ("policy-set",))
    if _claimed_by(before) and not _claimed_by(one.seen):
        return Change(f"takes the claim off volume {one.name}", ("unclaimed",))
    return Change("")


def _set(one: Happening, before: Seen) -> Change:
    now, old = one.seen.get("spec") or {}, before.get("spec") or {}
    if before and now.get("replicas") != old.get("replicas"):
        return Change(f"asks for {now.get('replicas')} replicas of {one.name}", ("scaled",))
    if before and now != old:
        return Change(f"changes {one.name}", ("changed",))
    ready = _status(one.seen).get("readyReplicas", 0)
    if ready != _status(before).get("readyReplicas", 0):
        return Change(f"counts {ready} ready in {one.name}", ("counted",), minor=True)
    return Change("")


def _slice(one: Happening, before: Seen) -> Change:
    now, old = endpoints(one.seen), endpoints(before)
    words, tags = [], []
    for name, (address, ready) in now.items():
        if old.get(name) != (address, ready):
            words.append(f"lists {name} at {address}, {'ready' if ready else 'not ready'}")
            tags.append("listed-ready" if ready else "listed")
    gone = [name for name in old if name not in now]
    words += [f"lists {name} no longer" for name in gone]
    tags += ["unlisted"] * bool(gone)
    return Change("; ".join(words), tuple(dict.fromkeys(tags)), minor=not words)


def _claimed_by(volume: Seen) -> str:
    return str(((volume.get("spec") or {}).get("claimRef") or {}).get("name") or "")


def _chosen_node(claim: Seen) -> str:
    return str(((claim.get("metadata") or {}).get("annotations") or {}).get(CHOSEN_NODE) or "")


def _status(seen: Seen) -> Seen:
    found: Seen = seen.get("status") or {}
    return found
