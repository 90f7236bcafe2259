"""The keeper of a visit: `python -m labsupport.systems.visits.keeper FOLDER`. It ends the lab when its owner has ended.

It is the lab's process on record. On a lab without an owner it waits to be ended. It imports nothing heavy until then.
"""

import math
import sys
from pathlib import Path

from labsupport.errors import MachineError
from labsupport.process.ownership import Owner
from labsupport.process.waiting import wait_until
from labsupport.systems.machines import run_folders
from labsupport.systems.machines.run_folders import LabRecord


def main(folder: Path) -> None:
    """Wait for the owner's end, however it comes; then take back what the lab has made, and remove its folder."""
    this = Owner.this_process()
    record = run_folders.update(folder, LabRecord.read(folder), launcher=this, init=this)
    owner = record.owner
    # By looking, as not every system tells of the end of a process that is nobody's child.
    wait_until(lambda: _is_over(folder, owner), "the owner's end", within_seconds=math.inf, every_seconds=0.1)
    if folder.exists():
        from labsupport.systems.machines.sweeping import end_lab

        end_lab(folder)


def _is_over(folder: Path, owner: Owner | None) -> bool:
    """Whether somebody has ended the lab, or its owner has ended and no `up` has made it a lab without one."""
    if owner is not None and owner.is_alive():
        return False
    try:
        return LabRecord.read(folder).owner is not None
    except MachineError:
        return True


if __name__ == "__main__":
    main(Path(sys.argv[1]))
