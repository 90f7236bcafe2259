"""Faults on purpose: a component of a lab's own cluster stopped, killed or frozen, a node cut off; their undoing.

Only what a lab itself started can be had here. Each fault is on record in the lab's run folder before it is made and
until it is undone, so that whoever comes after a killed kernel finds it and undoes it.
"""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labsupport.errors import ClusterError, LabError, UsageError
from labsupport.process.ownership import Owner
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.started import StartedCluster
from labsupport.systems.inventory import Thing

PATIENCE_SECONDS = 0.5
MADE, UNDONE = "made", "undone"


@dataclass(frozen=True)
class FaultRecord:
    """One fault that somebody made: `owner` is the process that is to undo it."""

    id: str
    action: str
    target: str
    owner: Owner

    def __str__(self) -> str:
        return f"{self.target} {ACTIONS[self.action].past}"


@dataclass(frozen=True)
class Action:
    """A kind of fault: how it is made and undone (undoing what is not so does nothing), and its name when done."""

    past: str
    make: Callable[[StartedCluster, str], None]
    undo: Callable[[StartedCluster, str], None]


def _start(cluster: StartedCluster, target: str) -> None:
    cluster.component(target).start()


def _stop(cluster: StartedCluster, target: str) -> None:
    # etcd would wait for its clients to go, and they for longer and longer to come back afterwards.
    cluster.component(target).stop(within_seconds=PATIENCE_SECONDS)


def _kill(cluster: StartedCluster, target: str) -> None:
    victim = cluster.component(target)
    victim.kill()
    wait_until(lambda: not victim.is_running(), f"the end of {target}", within_seconds=60, every_seconds=0.005)


ACTIONS: Mapping[str, Action] = {
    "stop": Action("stopped", _stop, _start),
    "kill": Action("killed", _kill, _start),
    "freeze": Action(
        "frozen",
        lambda cluster, target: cluster.component(target).freeze(),
        lambda cluster, target: cluster.component(target).thaw(),
    ),
    "cut off": Action(
        "cut off",
        lambda cluster, target: cluster.cut_off(cluster.node(target)),
        lambda cluster, target: cluster.connect_again(cluster.node(target)),
    ),
}


def make_fault(cluster: StartedCluster, action: str, target: str) -> FaultRecord:
    """Stop, kill or freeze the component `target`, or cut off the node `target`; put it on record first.

    Raises:
        UsageError: there is no such action, or the target has a fault already.
        ClusterError: there is no such component or node.
    """
    if action not in ACTIONS:
        raise UsageError(f"{action} {target}", "there is no such fault", f"one of: {', '.join(ACTIONS)}")
    known = cluster.node(target) if action == "cut off" else cluster.component(target)
    if already := next((one for one in open_faults(cluster) if one.target == known.name), None):
        raise UsageError(f"{action} {target}", f"{already} already", "undo that first: fault.undo(), or lab.reset()")
    record = FaultRecord(secrets.token_hex(4), action, target, Owner.this_process())
    _write(cluster, record, MADE, at=time.time())
    ACTIONS[action].make(cluster, target)
    return record


def undo_fault(cluster: StartedCluster, record: FaultRecord) -> None:
    """Undo one fault; undone already is fine.

    Raises:
        LabError: it could not be undone; it stays on record.
    """
    if record in open_faults(cluster):
        began = time.time()  # what the component does as soon as it is back comes after this
        ACTIONS[record.action].undo(cluster, record.target)
        _write(cluster, record, UNDONE, at=began)


def open_faults(cluster: StartedCluster) -> list[FaultRecord]:
    """Return the faults that were made and not undone, oldest first."""
    found: dict[str, FaultRecord] = {}
    for entry in _entries(cluster.fault_journal):
        if entry["did"] == MADE:
            owner = Owner(**entry["owner"])
            found[entry["id"]] = FaultRecord(entry["id"], entry["action"], entry["target"], owner)
        else:
            found.pop(entry["id"], None)
    return list(found.values())


def is_abandoned(record: FaultRecord) -> bool:
    """Whether nobody else is going to undo it: it is this process's own, or its maker has ended."""
    return record.owner == Owner.this_process() or not record.owner.is_alive()


def undo_faults(cluster: StartedCluster, *, whose: Callable[[FaultRecord], bool] = is_abandoned) -> list[FaultRecord]:
    """Undo faults, the latest first, and return when the cluster is usable again; return what was undone.

    Raises:
        ClusterError: some could not be undone, the message names them; all others are.
        WaitExpired: pods cannot run again.
    """
    wanted = [record for record in reversed(open_faults(cluster)) if whose(record)]
    failed: list[str] = []
    for record in wanted:
        try:
            undo_fault(cluster, record)
        except LabError as error:
            failed.append(f"{record}: {error.happened}")
    if failed:
        do = "end this lab and start a new one: nothing of it outlives it"
        raise ClusterError("undo the faults of this lab", f"still so: {'; '.join(failed)}", do)
    if wanted and not open_faults(cluster):
        cluster.wait_ready()
    return wanted


def faults_left(cluster: StartedCluster) -> list[Thing]:
    """Return what was broken on purpose and that nobody is going to mend any more."""
    return [Thing("fault", str(record)) for record in open_faults(cluster) if is_abandoned(record)]


def _write(cluster: StartedCluster, record: FaultRecord, did: str, *, at: float) -> None:
    line = json.dumps({"at": at, "did": did, **asdict(record)}) + "\n"
    # In one write, to the end: another process of this lab may write at the same moment.
    descriptor = os.open(cluster.fault_journal, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _entries(journal: Path) -> Iterator[dict[str, Any]]:
    """Read a journal, one JSON object a line; a line cut short, by a full disk, says nothing."""
    for line in journal.read_text(encoding="utf-8").splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found
