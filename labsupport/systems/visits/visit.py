"""A visit: a lab without a machine, on an engine or a cluster of the user's. Owns its run folder and its end.

What it makes there outlives this computer's processes: so a keeper ends it with its owner; where that is killed too,
the next sweep does. Knows no Docker and no Kubernetes: ending.py does.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labsupport.errors import MachineError
from labsupport.process.commands import LocalRunner
from labsupport.process.ownership import Owner, give_to_caller, own_run_root, run_roots
from labsupport.process.waiting import wait_until
from labsupport.systems.machines import run_folders
from labsupport.systems.machines.run_folders import LabRecord
from labsupport.systems.machines.sweeping import VISIT_KIND, end_lab, sweep

KEEPER_WITHIN_SECONDS = 60
KEEPER_LOG = "keeper.log"


@dataclass(frozen=True)
class Visit:
    """A lab on what is the user's: its name, which everything it makes there carries, and its run folder."""

    name: str
    folder: Path

    def keeper(self) -> Owner:
        """The process that ends it, and without which it is over."""
        keeper = LabRecord.read(self.folder).init
        assert keeper is not None
        return keeper

    def outlive_owner(self) -> None:
        """Go on when the process ends that owns it."""
        run_folders.forget_owner(self.folder)

    def close(self) -> None:
        """Take back all it has made, and remove its run folder; a second call does nothing."""
        if self.folder.exists():
            end_lab(self.folder)


def start_visit(owner: Owner | None, engine: str = "") -> Visit:
    """Claim a run folder and start its keeper, having swept what dead owners left.

    Args:
        engine: where the user's engine is, if the lab is to use it.

    Raises:
        RequirementMissing, MachineError: the folder cannot be made, or the keeper does not start; nothing is left.
    """
    root = own_run_root()
    sweep(root)
    folder, record = run_folders.claim(root, VISIT_KIND, owner, lambda name, taken: "", engine)
    try:
        for each, mode in ((folder, 0o755), (folder / "log", 0o755), (folder / "private", 0o700)):
            give_to_caller(each, mode)
        log = folder / "log" / KEEPER_LOG
        argv = [sys.executable, "-P", "-m", "labsupport.systems.visits.keeper", str(folder)]
        package = Path(__file__).parents[3]
        keeper = LocalRunner({"PYTHONPATH": str(package)}).start(argv, log=log)
        wait_until(
            lambda: _is_kept(folder) or keeper.exit_code is not None,
            f"the keeper of {record.name}",
            within_seconds=KEEPER_WITHIN_SECONDS,
            last_seen=log.read_text,
        )
        if keeper.exit_code is not None:
            raise MachineError(f"keep {record.name}", log.read_text()[-500:] or "it ended at once", "./lab doctor")
    except BaseException:
        end_lab(folder)
        raise
    return Visit(record.name, folder)


def attach_visit(folder: Path) -> Visit:
    """Return the visit of a running lab.

    Raises:
        MachineError: it has ended.
    """
    if not LabRecord.read(folder).is_alive():
        raise MachineError(
            f"attach to {folder.name}", "it has ended", "`./lab status` lists what runs; `./lab up` starts one"
        )
    return Visit(folder.name, folder)


def visits_to(engine: str, *, but: str) -> Iterator[Path]:
    """Yield the run folders of other labs that use this engine of the user's and are alive."""
    for root in run_roots():
        for folder, record in run_folders.records(root).items():
            if record is None or (record.kind, record.engine) != (VISIT_KIND, engine) or record.name == but:
                continue
            if record.is_alive() and os.access(folder, os.W_OK):
                yield folder


def _is_kept(folder: Path) -> bool:
    return LabRecord.read(folder).init is not None
