"""The lives of volumes, read from a recorded timeline: who did what, and what became of volume, claim and bytes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from labsupport.display.figures import Figure
from labsupport.display.lives import Life, Strip, Turn, lives_figure
from labsupport.display.style import BAD, SERIES
from labsupport.display.timeline import Record
from labsupport.errors import EvidenceError
from labsupport.lessons.recording import Recording

VOLUME, CLAIM, DISK = "volume", "claim", "disk"
YOU, NOBODY_SIGNS = "you", "disk"
LANES = (VOLUME, CLAIM, DISK)
# What a tag of a record makes of a lane; a lane that is gone is empty.
STATES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("volume", "made"): (VOLUME, "Pending"),
    ("volume", "available"): (VOLUME, "Available"),
    ("volume", "bound"): (VOLUME, "Bound"),
    ("volume", "released"): (VOLUME, "Released"),
    ("volume", "failed"): (VOLUME, "Failed"),
    ("volume", "gone"): (VOLUME, ""),
    ("claim", "made"): (CLAIM, "Pending"),
    ("claim", "bound"): (CLAIM, "Bound"),
    ("claim", "deleted"): (CLAIM, "Terminating"),
    ("claim", "gone"): (CLAIM, ""),
    ("folder", "filled"): (DISK, "data"),
    ("folder", "emptied"): (DISK, "empty"),
    ("folder", "gone"): (DISK, ""),
}
# Steps that change no lane and matter all the same; those of pods are of the one that recycles.
TOLD = frozenset(
    {
        ("volume", "policy-set"), ("volume", "unclaimed"), ("volume", "deleted"),
        ("pod", "made"), ("pod", "bound"), ("pod", "succeeded"),
    }
)  # fmt: skip
STRIP = Strip(
    LANES,
    {
        "Pending": SERIES[5], "Available": SERIES[2], "Bound": SERIES[0], "Released": SERIES[4], "Failed": BAD,
        "Terminating": SERIES[3], "data": SERIES[0], "empty": SERIES[5],
    },
    {
        YOU: "Y", "volume controller": "V", "protection controllers": "P", "local-path provisioner": "L",
        "scheduler": "S", "kubelet": "K",
    },
    "seen on the disk",
)  # fmt: skip


@dataclass(frozen=True)
class Lives:
    """The lives of some volumes, by name."""

    all: Mapping[str, Life]

    def __getitem__(self, name: str) -> Life:
        if name not in self.all:
            raise EvidenceError(
                f"read the life of the volume {name}",
                f"it is not among {', '.join(self.all) or 'none'}",
                "record the timeline from before the volume is made until its life is over",
            )
        return self.all[name]

    def phases(self, name: str) -> list[str]:
        """The phases of a volume in order; ends with "gone" when it was removed."""
        return _in_turn(turn.states[VOLUME] for turn in self[name].turns)

    def claim_states(self, name: str) -> list[str]:
        """The states of a volume's claim in order; ends with "gone" when it was removed."""
        return _in_turn(turn.states[CLAIM] for turn in self[name].turns)

    def disk(self, name: str) -> str:
        """What its folder held in the end: data, empty, or gone."""
        return self[name].turns[-1].states[DISK] or "gone"

    def phase(self, name: str) -> str:
        """The volume's phase in the end, or gone."""
        return self[name].turns[-1].states[VOLUME] or "gone"

    def actors(self, *names: str, after: str = "Released") -> list[str]:
        """Who acted once these volumes had reached a phase, each once, in order; a disk signs nothing."""
        found = []
        for name in names:
            turns = self[name].turns
            start = next((place for place, turn in enumerate(turns) if turn.states[VOLUME] == after), len(turns))
            found += [
                turn.who
                for before, turn in pairwise(turns[start:])
                if turn.who != NOBODY_SIGNS and not _only_ends_the_claim(before, turn)
            ]
        return list(dict.fromkeys(found))

    def figure(self, title: str, *names: str) -> Figure:
        """Draw some lives, or all."""
        chosen = [self[name] for name in names] if names else list(self.all.values())
        told = "; ".join(f"{life.name}: {' → '.join(self.phases(life.name))}" for life in chosen)
        alt = f"Strips of steps, a line each for volume, claim and disk. {told}."
        return lives_figure(title, chosen, STRIP, alt=alt)


def read_lives(recording: Recording) -> Lives:
    """End a recording and return the lives of the volumes in it.

    Raises:
        EvidenceError: there is none.
    """
    seen: Any = recording.read().value
    return lives_of(seen)


def lives_of(records: Sequence[Record]) -> Lives:
    """Return the lives that these records tell, in the order in which volumes first appear."""
    by_volume: dict[str, list[Record]] = {}
    for record in records:
        if record["volume"] and "refused" not in record["tags"]:
            by_volume.setdefault(record["volume"], []).append(record)
    lives = {name: Life(name, tuple(_turns(told))) for name, told in by_volume.items()}
    found = {name: life for name, life in lives.items() if any(turn.states[VOLUME] for turn in life.turns)}
    if not found:
        raise EvidenceError(
            "read the lives of volumes",
            f"no volume is in the {len(records)} events of the timeline",
            "run the cell with lab.record_timeline before the commands that make volumes",
        )
    return Lives(found)


def _turns(records: Sequence[Record]) -> Iterator[Turn]:
    states = dict.fromkeys(LANES, "")
    for record in records:
        about = frozenset((record["kind"], tag) for tag in record["tags"])
        before = dict(states)
        states.update(STATES[each] for each in about if each in STATES)
        if states != before or TOLD & about:
            yield Turn(record["at"], record["lane"], _plain(record["what"]), dict(states), about)


def _only_ends_the_claim(before: Turn, turn: Turn) -> bool:
    """Whether a step is the end of the claim and no more: it may be logged after what the volume controller made of it,
    since it has no revision and its time is that of the answer."""
    return turn.states != before.states and turn.states == {**before.states, CLAIM: ""}


def _plain(what: str) -> str:
    """Names that were made up say nothing, and a volume made for a claim has one."""
    return re.sub(r"(pvc-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "…", what)


def _in_turn(states: Iterator[str]) -> list[str]:
    found: list[str] = []
    for state in states:
        if (state or "gone") != (found[-1] if found else "gone"):
            found.append(state or "gone")
    return found
