"""What notebook 05 needs beside its commands: readers of what pods were asked, the matrix, the widget, the exercise."""

from labsupport.lessons.cni.exercise import diagnosis
from labsupport.lessons.cni.explorer import path_explorer
from labsupport.lessons.cni.matrix import Matrix, ask, matrix_table
from labsupport.lessons.cni.namespaces import changes_table, lines_changed
from labsupport.lessons.cni.states import condition, phases, with_previous
from labsupport.lessons.cni.wire import carried_by, wire_figure

EXERCISES = {"diagnosis": diagnosis}

__all__ = [
    "EXERCISES",
    "Matrix",
    "ask",
    "carried_by",
    "changes_table",
    "condition",
    "diagnosis",
    "lines_changed",
    "matrix_table",
    "path_explorer",
    "phases",
    "wire_figure",
    "with_previous",
]
