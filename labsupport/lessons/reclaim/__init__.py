"""What notebook 07 needs beside its commands: lives of volumes, readers, the widget, the exercise."""

from labsupport.lessons.reclaim.ends import ends_table, in_phase, read_ends, with_file
from labsupport.lessons.reclaim.exercise import rescue
from labsupport.lessons.reclaim.explorer import reclaim_explorer
from labsupport.lessons.reclaim.forensics import Aftermath, Looked, aftermath_table, looks_table, read_counts
from labsupport.lessons.reclaim.lives import read_lives
from labsupport.lessons.reclaim.phases import phases_figure
from labsupport.lessons.reclaim.sizes import read_sizes, sizes_table

EXERCISES = {"rescue": rescue}

__all__ = [
    "EXERCISES",
    "Aftermath",
    "Looked",
    "aftermath_table",
    "ends_table",
    "in_phase",
    "looks_table",
    "phases_figure",
    "read_counts",
    "read_ends",
    "read_lives",
    "read_sizes",
    "reclaim_explorer",
    "rescue",
    "sizes_table",
    "with_file",
]
