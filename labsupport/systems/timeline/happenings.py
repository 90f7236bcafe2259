"""One thing that happened on a cluster, read from audit log, watch, DNS answer or disk. Orders and links nothing."""

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from labsupport.systems.timeline.actors import COREDNS, DISK, YOU, who_wrote

KINDS = {
    "services": "service",
    "statefulsets": "set",
    "controllerrevisions": "revision",
    "persistentvolumeclaims": "claim",
    "persistentvolumes": "volume",
    "pods": "pod",
    "endpointslices": "slice",
}
# Reads are not in the log; these verbs leave the cluster as it was.
WITHOUT_EFFECT = frozenset({"get", "list", "watch", "proxy", "connect"})
# Subresources that store nothing of their own: exec, logs, tokens.
WRITTEN_PARTS = frozenset({"", "status", "binding", "scale", "eviction", "finalize"})

# Somebody else wrote the object meanwhile; whoever is told so reads it again and tries once more.
CONFLICT = 409

Key = tuple[str, str]


@dataclass(frozen=True)
class Happening:
    """A write, a refused write, or the answer to a question.

    Args:
        at: seconds since 1970, when the API server had answered.
        who: the component, as a reader knows it.
        revision: of etcd after the write; None where the answer does not say.
        seen: the object as the write left it, or what DNS answered.
        refused: what the API server said, when it refused.
    """

    at: float
    who: str
    verb: str
    kind: str
    name: str
    revision: int | None = None
    seen: Mapping[str, Any] = field(default_factory=dict, hash=False)
    refused: str = ""

    @property
    def key(self) -> Key:
        return (self.kind, self.name)


def from_audit_log(lines: Iterable[str], namespace: str) -> Iterator[Happening]:
    """Read the writes to one namespace's objects, and to volumes, from an audit log; the rest is left out.

    Left out too: dry runs, lines cut short, and lines without an object or a time.
    """
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        found = _from_entry(entry, namespace) if isinstance(entry, dict) else None
        if found is not None:
            yield found


def from_watch(notices: Iterable[Mapping[str, Any]]) -> Iterator[Happening]:
    """Read what a watch told: the revision and the object after each write; who wrote, and when, it does not say."""
    for notice in notices:
        seen = notice.get("object") or {}
        metadata = seen.get("metadata") or {}
        kind = KINDS.get(f"{str(seen.get('kind', '')).lower()}s")
        if kind and metadata.get("name"):
            verb = "gone" if notice.get("type") == "DELETED" else "seen"
            yield Happening(0.0, "", verb, kind, metadata["name"], _revision(seen), seen)


def from_lists(lists: Mapping[str, Iterable[Mapping[str, Any]]]) -> Iterator[Happening]:
    """Read what there was at first, {"pods": [object, …]} and so on: the items of a list do not say their kind."""
    for resource, items in lists.items():
        for seen in items:
            yield Happening(0.0, "", "there", KINDS[resource], seen["metadata"]["name"], _revision(seen), seen)


def from_faults(lines: Iterable[str]) -> Iterator[Happening]:
    """Read a journal of faults, {at, did, action, target} a line: what you broke, and when it went on.

    Left out: lines cut short.
    """
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        yield Happening(float(entry["at"]), YOU, entry["did"], "component", entry["target"], seen=entry)


def from_answers(answers: Iterable[Mapping[str, Any]]) -> Iterator[Happening]:
    """Read what DNS answered, each answer that differs from the one before: {at, name, addresses}.

    Addresses are None where nobody answered. The first answer to each name is no news: it was so before.
    """
    known: dict[str, list[str] | None] = {}
    for answer in sorted(answers, key=lambda each: float(each["at"])):
        name = str(answer["name"])
        addresses = None if answer["addresses"] is None else sorted(answer["addresses"])
        if addresses != known.get(name, addresses):
            yield Happening(float(answer["at"]), COREDNS, "answer", "name", name, None, {"addresses": addresses})
        known[name] = addresses


def from_looks(looks: Iterable[Mapping[str, Any]]) -> Iterator[Happening]:
    """Read what a disk held at each look, each folder that is other than at the look before: {at, folders}.

    `folders` has [files, bytes] by path. What was there at the first look is no news.
    """
    known: Mapping[str, Any] | None = None
    for look in sorted(looks, key=lambda each: float(each["at"])):
        folders = {path: list(content) for path, content in look["folders"].items()}
        before = folders if known is None else known
        for path in sorted(folders.keys() | before.keys()):
            if folders.get(path) != before.get(path):
                files, size = folders.get(path) or (0, 0)
                seen = {"there": path in folders, "files": files, "bytes": size}
                yield Happening(float(look["at"]), DISK, "look", "folder", path, None, seen)
        known = folders


def _from_entry(entry: Mapping[str, Any], namespace: str) -> Happening | None:
    about = entry.get("objectRef") or {}
    kind, part = KINDS.get(about.get("resource", "")), about.get("subresource", "")
    moment = _seconds(entry.get("stageTimestamp") or entry.get("requestReceivedTimestamp"))
    left_out = kind is None or moment is None or part not in WRITTEN_PARTS or entry.get("verb") in WITHOUT_EFFECT
    if left_out or "dryRun=" in entry.get("requestURI", "") or entry.get("stage", "ResponseComplete") == "Panic":
        return None
    assert kind is not None and moment is not None
    if about.get("namespace", namespace) != namespace:
        return None
    seen = entry.get("responseObject") or {}
    status = entry.get("responseStatus") or {}
    refused = str(status.get("message") or seen.get("message") or status["code"]) if _is_refusal(status) else ""
    if part == "binding" and not refused:
        asked = entry.get("requestObject") or {}
        target = (asked.get("target") or {}).get("name", "")
        seen = {"metadata": {"uid": (asked.get("metadata") or {}).get("uid")}, "spec": {"nodeName": target}}
    elif seen.get("kind") == "Status":
        seen = {}
    name = about.get("name") or (seen.get("metadata") or {}).get("name") or _asked_name(entry)
    verb = "bind" if part == "binding" else str(entry.get("verb", ""))
    if status.get("code") == CONFLICT and verb != "create":
        verb = "conflict"
    who = who_wrote((entry.get("user") or {}).get("username", ""), entry.get("userAgent", ""))
    # The answer to an object's last write tells the revision of the write before: the object has none any more.
    revision = None if kind != "pod" and lets_go(seen) else _revision(seen)
    return Happening(moment, who, verb, kind, name, revision, seen, refused) if name else None


def lets_go(seen: Mapping[str, Any]) -> bool:
    """Whether nothing holds this object any more, and somebody wants its end."""
    metadata = seen.get("metadata") or {}
    return "deletionTimestamp" in metadata and not metadata.get("finalizers")


def _is_refusal(status: Mapping[str, Any]) -> bool:
    return int(status.get("code") or 0) >= 400


def _asked_name(entry: Mapping[str, Any]) -> str:
    return str(((entry.get("requestObject") or {}).get("metadata") or {}).get("name") or "")


def _revision(seen: Mapping[str, Any]) -> int | None:
    text = str((seen.get("metadata") or {}).get("resourceVersion") or "")
    return int(text) if text.isdigit() else None


def _seconds(moment: object) -> float | None:
    try:
        return datetime.datetime.fromisoformat(str(moment).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
