"""What notebook 08 needs beside its commands: the story a timeline tells, readers, the widget, the exercise."""

from labsupport.lessons.statefulset.exercise import stuck
from labsupport.lessons.statefulset.explorer import order_explorer
from labsupport.lessons.statefulset.identity import Replacement, identity_of
from labsupport.lessons.statefulset.mounts import mounts_table, read_mounts
from labsupport.lessons.statefulset.names import names_table, pod_addresses, read_answer
from labsupport.lessons.statefulset.story import read_story

EXERCISES = {"stuck": stuck}

__all__ = [
    "EXERCISES",
    "Replacement",
    "identity_of",
    "mounts_table",
    "names_table",
    "order_explorer",
    "pod_addresses",
    "read_answer",
    "read_mounts",
    "read_story",
    "stuck",
]
