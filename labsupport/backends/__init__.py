"""What a lab runs on: chooses machine, engine and cluster, starts or finds them, and knows a lab's places.

Knows no notebook, trial or person.
"""

from labsupport.backends.choosing import (
    ALLOW_VARIABLE,
    NO_AUDIT_LOG,
    NOTHING_CHOSEN,
    LabOptions,
    Looks,
    Plan,
    plan,
    takes_a_guest,
)
from labsupport.backends.running import Backends, Existing
from labsupport.backends.starting import (
    ATTACH_VARIABLE,
    CLUSTER_FILES,
    ENGINE_FILE,
    attach_backends,
    attach_machine,
    attach_to_end,
    end_and_look,
    folder_of_lab,
    have_images,
    have_tools,
    make_toolchain,
    running_backends,
    start_backends,
    tool_groups,
)
from labsupport.backends.turns import Turn, take_turn

__all__ = [
    "ALLOW_VARIABLE",
    "ATTACH_VARIABLE",
    "CLUSTER_FILES",
    "ENGINE_FILE",
    "NOTHING_CHOSEN",
    "NO_AUDIT_LOG",
    "Backends",
    "Existing",
    "LabOptions",
    "Looks",
    "Plan",
    "Turn",
    "attach_backends",
    "attach_machine",
    "attach_to_end",
    "end_and_look",
    "folder_of_lab",
    "have_images",
    "have_tools",
    "make_toolchain",
    "plan",
    "running_backends",
    "start_backends",
    "take_turn",
    "takes_a_guest",
    "tool_groups",
]
