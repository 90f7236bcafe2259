"""What notebook 02 needs beside its commands: readers and tables of what they print, the widget, the exercise."""

from labsupport.lessons.logs.delivery import SAID, lines_of, read_deliveries
from labsupport.lessons.logs.exercise import will_not_start
from labsupport.lessons.logs.explorer import fate_explorer
from labsupport.lessons.logs.loss import read_deaths, read_stall
from labsupport.lessons.logs.rotation import read_rotation
from labsupport.lessons.logs.starting import read_answers
from labsupport.lessons.logs.wire import read_wire

EXERCISES = {"will-not-start": will_not_start}

__all__ = [
    "EXERCISES",
    "SAID",
    "fate_explorer",
    "lines_of",
    "read_answers",
    "read_deaths",
    "read_deliveries",
    "read_rotation",
    "read_stall",
    "read_wire",
    "will_not_start",
]
