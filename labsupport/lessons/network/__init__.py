"""What notebook 04 needs beside its commands: readers and drawings of what they print, the widget, the exercise."""

from labsupport.lessons.network.exercise import repair
from labsupport.lessons.network.explorer import path_explorer
from labsupport.lessons.network.reachability import read_reach
from labsupport.lessons.network.seen import (
    addressed_links,
    macs_at,
    macs_in,
    new_rules,
    read_frames,
    topology,
)
from labsupport.lessons.network.speed import read_speed

EXERCISES = {"repair": repair}

__all__ = [
    "EXERCISES",
    "addressed_links",
    "macs_at",
    "macs_in",
    "new_rules",
    "path_explorer",
    "read_frames",
    "read_reach",
    "read_speed",
    "repair",
    "topology",
]
