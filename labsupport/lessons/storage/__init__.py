"""What notebook 03 needs beside its commands: readers, drawings, the widget, the exercise."""

from labsupport.lessons.storage.drawing import layers_figure
from labsupport.lessons.storage.exercise import predict_usage
from labsupport.lessons.storage.explorer import layers_explorer
from labsupport.lessons.storage.growth import growth
from labsupport.lessons.storage.stack import read_stack
from labsupport.lessons.storage.subvolumes import read_subvolumes
from labsupport.lessons.storage.switching import read_switches
from labsupport.lessons.storage.withdrawn import read_answers
from labsupport.lessons.storage.workload import (
    Rounds,
    compare_times,
    growth_of,
    read_taken,
    started,
    starts_table,
)

EXERCISES = {"predict-usage": predict_usage}

__all__ = [
    "EXERCISES", "Rounds", "compare_times", "growth", "growth_of", "layers_explorer", "layers_figure", "predict_usage",
    "read_answers", "read_stack", "read_subvolumes", "read_switches", "read_taken", "started", "starts_table",
]  # fmt: skip
