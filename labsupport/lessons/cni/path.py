"""A packet's path: what passes three places at once, while pods are asked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from labsupport.experiments.steps import Observation
from labsupport.experiments.trial import Trial

LEAVING, BETWEEN, ARRIVING = "leaving its pod", "between the nodes", "arriving at its pod"
# Place → node, and the interface there: the one that leads to a pod, or the node's own.
HOPS = {LEAVING: ("node-1", "pod here"), BETWEEN: ("node-1", "eth0"), ARRIVING: ("node-2", "pod far")}
Frames = Sequence[Mapping[str, Any]]


class Recording(Protocol):
    """Frames being captured at a place."""

    def read(self) -> Observation: ...


class Lab(Protocol):
    """The part of a lab that this needs."""

    @property
    def record_frames(self) -> Callable[[Trial, str, str, str], Recording]: ...


class PathRecording:
    """Captures under way at every place, until `read`."""

    def __init__(self, lab: Lab, trial: Trial, dataplane: str) -> None:
        self._recordings = {
            place: lab.record_frames(trial, f"{dataplane}, {place}", *hop) for place, hop in HOPS.items()
        }

    def read(self) -> dict[str, Frames]:
        """Return the frames of each place; the captures end."""
        return {place: recording.read().value for place, recording in self._recordings.items()}


def record_path(lab: Lab, trial: Trial, dataplane: str) -> PathRecording:
    """Capture what passes between `here` and `far` at every place, from now on."""
    return PathRecording(lab, trial, dataplane)
