"""What notebook 08 needs beside its commands: the story a timeline tells, readers, the widget, the exercise."""

from labsupport.lessons.statefulset.ablation import ablation_table, read_ablations
from labsupport.lessons.statefulset.connections import read_connections
from labsupport.lessons.statefulset.exercise import stuck
from labsupport.lessons.statefulset.explorer import order_explorer
from labsupport.lessons.statefulset.identity import Replacement, identity_of
from labsupport.lessons.statefulset.mounts import mounts_table, read_mounts
from labsupport.lessons.statefulset.names import answer_of, names_table, pod_addresses, read_answer
from labsupport.lessons.statefulset.placement import alive_on, nodes_of, placement_table, share_a_node
from labsupport.lessons.statefulset.rollback import stuck_state, stuck_table
from labsupport.lessons.statefulset.story import read_story

EXERCISES = {"stuck": stuck}

__all__ = [
    "EXERCISES",
    "Replacement",
    "ablation_table",
    "alive_on",
    "answer_of",
    "identity_of",
    "mounts_table",
    "names_table",
    "nodes_of",
    "order_explorer",
    "placement_table",
    "pod_addresses",
    "read_ablations",
    "read_answer",
    "read_connections",
    "read_mounts",
    "read_story",
    "share_a_node",
    "stuck",
    "stuck_state",
    "stuck_table",
]
