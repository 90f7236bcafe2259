"""A recorded timeline as notebook 08 reads it: in which order things came, what started it, what caused what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labsupport.display.figures import Figure
from labsupport.display.tables import Table
from labsupport.display.timeline import Record, look_of, timeline_figure, timeline_table
from labsupport.errors import EvidenceError
from labsupport.lessons.recording import Recording


@dataclass(frozen=True)
class Story:
    """The events of a timeline, in order."""

    records: tuple[Record, ...]

    @property
    def starts(self) -> list[str]:
        """Who wrote what without a cause among the events: refused requests and answers of DNS are left aside.

        An answer has no revision. By the clock it may come before the write that it is because of, which is logged once
        it is done; and a busy name server may leave one question open.
        """
        return [
            f"{record['who']}: {record['what']}"
            for record in self.records
            if record["because"] is None and record["kind"] != "name" and "refused" not in record["tags"]
        ]

    @property
    def refusals(self) -> list[str]:
        """What the API server refused, and why."""
        return [record["what"] for record in self.records if "refused" in record["tags"]]

    def steps(self, pod: str, *names: str) -> list[str]:
        """The first of each of these kinds of step about a pod, in the order in which they came."""
        found = [look_of(record).name for record in self.records if record["pod"] == pod]
        return [name for name in dict.fromkeys(found) if name in names]

    def order(self, step: str) -> list[str]:
        """The pods in the order in which this kind of step came to them."""
        return list(dict.fromkeys(record["pod"] for record in self.records if look_of(record).name == step))

    def sequence(self, its_set: str, *names: str) -> list[str]:
        """What of these kinds of step came to the pods of a set, as “web-0: pod made”, in order, each once."""
        found = [
            f"{record['pod']}: {look_of(record).name}"
            for record in self.records
            if record["pod"].rpartition("-")[0] == its_set and look_of(record).name in names
        ]
        return list(dict.fromkeys(found))

    def cause(self, step: str, pod: str) -> str:
        """What caused the first step of this kind about a pod; empty when nothing did.

        Raises:
            EvidenceError: there is no such step.
        """
        number = self._first(step, pod)["because"]
        return next((each["what"] for each in self.records if each["number"] == number), "")

    def author(self, step: str, pod: str) -> str:
        """Which component wrote the first step of this kind about a pod.

        Raises:
            EvidenceError: there is no such step.
        """
        return str(self._first(step, pod)["lane"])

    def authors(self, step: str) -> dict[str, str]:
        """Which component wrote the first step of this kind about each pod; for “service”, about each Service made."""
        found: dict[str, str] = {}
        for record in self.records:
            if step == record["kind"] and "made" in record["tags"]:
                found.setdefault(record["name"], str(record["lane"]))
            elif look_of(record).name == step:
                found.setdefault(record["pod"], str(record["lane"]))
        return found

    def _first(self, step: str, pod: str) -> Record:
        for record in self.records:
            if record["pod"] == pod and look_of(record).name == step:
                return record
        raise EvidenceError(
            f"find “{step}” of {pod} in the timeline",
            f"it is not among {len(self.records)} events",
            "record it until that happened: wait with `kubectl wait` before you read the timeline",
        )

    def most_on_their_way(self) -> int:
        """The largest number of pods that were made and not yet ready, at any one time."""
        waiting: set[str] = set()
        most = 0
        for record in self.records:
            name = look_of(record).name
            if name == "pod made":
                waiting.add(record["pod"])
                most = max(most, len(waiting))
            elif name in ("pod ready", "pod gone"):
                waiting.discard(record["pod"])
        return most

    def about(self, *sets: str) -> "Story":
        """The part of it that is about these sets and their pods, and what you broke."""
        kept = [
            record
            for record in self.records
            if record["kind"] == "component"
            or (record["kind"] in ("set", "service") and record["name"] in sets)
            or record["pod"].startswith(tuple(f"{name}-" for name in sets))
        ]
        return Story(tuple(kept))

    def figure(self, title: str = "Who did what, when, and because of what") -> Figure:
        """All of it, to scale."""
        pods = self.order("pod made")
        alt = f"Lanes of components over time. Pods are made in the order {', '.join(pods) or 'none'}."
        return timeline_figure(title, self.records, alt=alt)

    def journey(self, pod: str) -> Figure:
        """What happened about one pod, step by step."""
        steps = [look_of(record).name for record in self.records if record["pod"] == pod]
        told = ", ".join(name for name in dict.fromkeys(steps) if name not in ("bookkeeping",))
        return timeline_figure(
            f"The way of {pod}",
            self.records,
            alt=f"Steps of {pod} from left to right: {told}.",
            of_pod=pod,
            evenly=True,
        )

    def table(self) -> Table:
        """Every event, with its cause."""
        return timeline_table("The timeline", self.records)


def read_story(recording: Recording) -> Story:
    """End a recording and return what it recorded.

    Raises:
        EvidenceError: nothing happened meanwhile.
    """
    seen: Any = recording.read().value
    return story_of(seen)


def story_of(records: Sequence[Record]) -> Story:
    """Return a story of these records."""
    if not records:
        raise EvidenceError(
            "read the timeline",
            "nothing was written while it was recorded",
            "run the cell with lab.record_timeline before the commands that change something",
        )
    return Story(tuple(records))
