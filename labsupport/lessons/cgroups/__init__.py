"""What notebook 01 needs beside its commands: readers, tables, figures of what they print, widgets, the exercise."""

from labsupport.lessons.cgroups.daemon import downloads_figure, levels, numbers_lost, read_absence, read_downloads
from labsupport.lessons.cgroups.daemon_json import (
    WRONG_FILES,
    Effect,
    effects_table,
    judged_table,
    last_words,
    read_judged,
    refusals,
    show_file,
)
from labsupport.lessons.cgroups.exercise import write_daemon_json
from labsupport.lessons.cgroups.explorer import limits_explorer
from labsupport.lessons.cgroups.hierarchies import (
    ask_apis,
    read_hierarchies,
    read_membership,
    side_by_side,
    spread,
    where_chosen,
)
from labsupport.lessons.cgroups.keys import keys_explorer
from labsupport.lessons.cgroups.limits import (
    read_endings,
    read_usage,
    sampling,
    script,
    sees_others,
    shares_table,
    sizes,
)

EXERCISES = {"daemon-json": write_daemon_json}

__all__ = [
    "EXERCISES",
    "WRONG_FILES",
    "Effect",
    "ask_apis",
    "downloads_figure",
    "effects_table",
    "judged_table",
    "keys_explorer",
    "last_words",
    "levels",
    "limits_explorer",
    "numbers_lost",
    "read_absence",
    "read_downloads",
    "read_endings",
    "read_hierarchies",
    "read_judged",
    "read_membership",
    "read_usage",
    "refusals",
    "sampling",
    "script",
    "sees_others",
    "shares_table",
    "show_file",
    "side_by_side",
    "sizes",
    "spread",
    "where_chosen",
    "write_daemon_json",
]
