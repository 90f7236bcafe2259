"""Ends labs and removes what they left: at close, at the next start, by `clean`. Touches only dead and named ones."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from labsupport.errors import MachineError
from labsupport.process.ownership import LAB_NAME, Owner, locked, wait_for_end
from labsupport.process.waiting import wait_until
from labsupport.systems.machines.run_folders import GONE_PREFIX, LabRecord, records, remove, set_aside

CGROUP_ROOT = Path("/sys/fs/cgroup")


def sweep(root: Path) -> list[str]:
    """End and remove what dead owners left below `root`; return the names of those labs. Leaves living ones alone."""
    aside: list[tuple[Path, LabRecord | None]] = []
    with locked(root):
        for folder, record in records(root).items():
            # Claims are made under the lock: a folder without a record was left by someone who died while claiming.
            if record is None or not record.is_alive():
                aside.append((set_aside(folder), record))
        aside += [
            (folder, None)
            for folder in root.iterdir()
            if folder.name.startswith(GONE_PREFIX) and folder not in [each for each, _ in aside]
        ]
    for folder, record in aside:
        _end(folder.name.removeprefix(GONE_PREFIX), record)
        remove(folder)
    return sorted(folder.name.removeprefix(GONE_PREFIX) for folder, _ in aside)


def end_lab(folder: Path, record: LabRecord) -> None:
    """End one lab, whoever owns it, and remove what it left."""
    with suppress(MachineError):
        record = LabRecord.read(folder)  # it may know more by now: its PID 1
    _end(record.name, record)
    with suppress(FileNotFoundError):
        remove(set_aside(folder))


def _end(name: str, record: LabRecord | None) -> None:
    if record is not None:
        for process in (record.init, record.launcher):
            if process is not None:
                end_process(process)
    remove_cgroups(name)
    wait_until(
        lambda: not Path(f"/sys/class/net/{name}").exists(),
        f"the kernel to remove the interface {name}",
        within_seconds=10,
        every_seconds=0.005,
    )


def end_process(process: Owner) -> None:
    """Kill it and wait for its end; that of a PID 1 comes after that of all in its namespace."""
    with suppress(ProcessLookupError):
        pidfd = process.open_pidfd()
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            wait_for_end(pidfd, 10)
        finally:
            os.close(pidfd)


def cgroups_of(path: str) -> list[Path]:
    """Return the cgroup with this path (a lab's name, or below one) in each hierarchy, of either version."""
    assert LAB_NAME.fullmatch(path.partition("/")[0]), path
    roots = [CGROUP_ROOT, *(each for each in CGROUP_ROOT.iterdir() if each.is_dir() and not each.is_symlink())]
    return [root / path for root in roots if (root / path).is_dir()]


def remove_cgroups(path: str) -> None:
    """Remove a cgroup in every hierarchy, with all below it, ending the processes that are still in there."""
    groups = cgroups_of(path)
    # Processes that were just killed stay members until they are reaped.
    wait_until(
        lambda: not [group for group in groups if not _try_to_remove(group)],
        f"the cgroups called {path} to be empty",
        within_seconds=10,
        every_seconds=0.005,
    )


def _try_to_remove(group: Path) -> bool:
    for folder, _, _ in os.walk(group, topdown=False):
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            _kill_members(Path(folder))
    return not group.exists()


def _kill_members(group: Path) -> None:
    with suppress(OSError):
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
