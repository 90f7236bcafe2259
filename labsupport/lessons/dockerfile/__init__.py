"""What notebook 06 needs beside its commands: readers and tables of what they print, the widget, the exercise."""

from labsupport.lessons.dockerfile.caching import caching_table, read_cached
from labsupport.lessons.dockerfile.exercise import rewrite
from labsupport.lessons.dockerfile.explorer import argv_explorer
from labsupport.lessons.dockerfile.landing import read_landing
from labsupport.lessons.dockerfile.layers import read_layers, ways_table
from labsupport.lessons.dockerfile.matrix import read_matrix
from labsupport.lessons.dockerfile.stopping import read_stops

EXERCISES = {"rewrite": rewrite}

__all__ = [
    "EXERCISES",
    "argv_explorer",
    "caching_table",
    "read_cached",
    "read_landing",
    "read_layers",
    "read_matrix",
    "read_stops",
    "rewrite",
    "ways_table",
]
