"""Ends labs and removes what they left: at close, at the next start, by `clean`. Touches only dead and named ones."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from labsupport.errors import LabError, MachineError, RequirementMissing
from labsupport.process.ownership import LAB_NAME, Owner, locked, wait_for_end
from labsupport.process.waiting import wait_until
from labsupport.systems.machines.links import cut
from labsupport.systems.machines.loops import detach, loops_into
from labsupport.systems.machines.run_folders import LabRecord, records, remove, set_aside, those_set_aside

CONTAINER_KIND = "container"
# A lab without a machine: on an engine or a cluster of the user's.
VISIT_KIND = "visit"
CGROUP_ROOT = Path("/sys/fs/cgroup")


def sweep(root: Path) -> list[str]:
    """End and remove what dead owners left below `root`; return the names of those labs. Leaves living ones alone."""
    if not root.is_dir():
        return []
    with locked(root):
        for folder, record in records(root).items():
            # Claims are made under the lock: a folder without a record was left by someone who died while claiming.
            # Where something runs all the same, the record is another version's, and so is the lab.
            if not (record.is_alive() if record is not None else _has_members(folder.name)):
                set_aside(folder)
        aside = those_set_aside(root)
    return sorted(name for name, folder in aside.items() if _could_end(name, folder))


def sweep_abandoned(root: Path) -> list[str]:
    """Remove empty cgroups of labs whose run folder is gone, however it went; return their names."""
    groups = [path for pattern in ("lab-*", "*/lab-*") for path in CGROUP_ROOT.glob(pattern)]
    names = {path.name for path in groups if LAB_NAME.fullmatch(path.name)}
    with locked(root):
        abandoned = sorted(name for name in names if not (root / name).exists() and not _has_members(name))
        for name in abandoned:
            remove_cgroups(name)
    return abandoned


def end_lab(folder: Path) -> None:
    """End one lab, whoever owns it, and remove what it left.

    Raises:
        RequirementMissing: it is another user's.
    """
    name = folder.name
    try:
        folder = set_aside(folder)
    except FileNotFoundError:
        pass  # somebody else ends it too
    except PermissionError as error:
        raise RequirementMissing(f"end {name}", str(error), "run it as who started that lab: `sudo ./lab …`") from error
    _end(name, folder)


def _could_end(name: str, folder: Path) -> bool:
    """End somebody else's lab. What resists stays set aside for the next sweep: it must not keep ours from starting."""
    try:
        _end(name, folder)
    except LabError:
        return False
    return True


def _end(name: str, folder: Path) -> None:
    """End what runs under a name whose run folder was set aside, then remove all of it."""
    record = None
    with suppress(MachineError):
        record = LabRecord.read(folder)
    if record is not None and record.kind == CONTAINER_KIND:
        _end_container(record, folder)
        return
    if record is not None and record.kind == VISIT_KIND:
        from labsupport.systems.visits.ending import end_visit

        end_visit(record, folder)
        return
    for process in (record.init, record.launcher) if record is not None else ():
        if process is not None:
            end_process(process)
    for process in _unrecorded(name):
        end_process(process)
    remove_cgroups(name)
    for loop in loops_into(folder):
        detach(loop)
    cut(name)
    remove(folder)


def _end_container(record: LabRecord, folder: Path) -> None:
    """Remove the container on the user's own engine; what root wrote in the run folder takes root there once more."""
    from labsupport.systems.machines.own_engine import OwnEngine

    engine = OwnEngine(record.engine)
    engine.remove(record.name)
    remove(folder)
    if folder.exists():
        engine.empty(folder)
        remove(folder)


def end_process(process: Owner) -> None:
    """Kill it and wait for its end; that of a PID 1 comes after that of all in its namespace."""
    with suppress(ProcessLookupError):
        pidfd = process.open_pidfd()
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            wait_for_end(pidfd, 60)
        finally:
            os.close(pidfd)


def _unrecorded(name: str) -> Iterator[Owner]:
    """Yield launchers of the lab whose owner died before it could put them on record."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if len(words) > 4 and words[3].endswith(b"/machines/init.py") and Path(words[4].decode()).name == name:
                    yield Owner.of(int(folder.name))


def cgroups_of(path: str) -> list[Path]:
    """Return the cgroup with this path (a lab's name, or below one) in each hierarchy, of either version."""
    assert LAB_NAME.fullmatch(path.partition("/")[0]), path
    return _cgroups_at(path)


def remove_cgroups(path: str) -> None:
    """Remove a cgroup in every hierarchy, with all below it, ending the processes that are still in there."""
    _remove_all(cgroups_of(path), path)


def remove_cgroups_inside(name: str) -> None:
    """The same for an inner machine's, as the root of the machine sees it that it is in."""
    _remove_all(_cgroups_at(name), name)


def _cgroups_at(path: str) -> list[Path]:
    if not CGROUP_ROOT.is_dir():
        return []
    if (CGROUP_ROOT / "cgroup.controllers").exists():
        roots = [CGROUP_ROOT]
    else:  # a folder of hierarchies, one of which may be called as a machine is
        roots = [each for each in CGROUP_ROOT.iterdir() if each.is_dir() and not each.is_symlink()]
    return [root / path for root in roots if (root / path).is_dir()]


def _remove_all(groups: list[Path], path: str) -> None:
    # Processes that were just killed stay members until they are reaped.
    wait_until(
        lambda: not [group for group in groups if not _try_to_remove(group)],
        f"the cgroups called {path} to be empty",
        within_seconds=60,
        every_seconds=0.005,
    )


def _has_members(path: str) -> bool:
    for folder in (folder for group in cgroups_of(path) for folder, _, _ in os.walk(group)):
        with suppress(OSError):  # it has gone meanwhile, and nobody was in it
            if Path(folder, "cgroup.procs").read_text():
                return True
    return False


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
