"""Ends labs, and removes what they left: at close, at the next start, and by `clean`. Touches only what is dead or named."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from labsupport.process.ownership import LAB_NAME, Owner, locked, wait_for_end
from labsupport.process.waiting import wait_until
from labsupport.systems.machines.run_folders import GONE_PREFIX, LabRecord, records, remove, set_aside

CGROUP_ROOT = Path("/sys/fs/cgroup")


def sweep(root: Path) -> list[str]:
    """End and remove what dead owners left below `root`; return the names of those labs. Living labs are not touched."""
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
    with suppress(FileNotFoundError):
        record = LabRecord.read(folder)
    _end(record.name, record)
    if folder.exists():
        remove(set_aside(folder))


def _end(name: str, record: LabRecord | None) -> None:
    if record is not None:
        for process in (record.launcher, record.init):
            if process is not None:
                _kill(process)
    groups = cgroups_of(name)
    for group in groups:
        _kill_members(group)
    for group in groups:
        _remove_cgroup(group)
    wait_until(
        lambda: not Path(f"/sys/class/net/{name}").exists(),
        f"the kernel to remove the interface {name}",
        within_seconds=10,
        every_seconds=0.005,
    )


def _kill(process: Owner) -> None:
    with suppress(ProcessLookupError):
        pidfd = process.open_pidfd()
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            wait_for_end(pidfd, 10)
        finally:
            os.close(pidfd)


def cgroups_of(name: str) -> list[Path]:
    """Return the lab's cgroup in each hierarchy, of version 1, 2 or both."""
    assert LAB_NAME.fullmatch(name), name
    candidates = [CGROUP_ROOT / name, *(CGROUP_ROOT.glob(f"*/{name}"))]
    return [path for path in candidates if path.is_dir() and not path.parent.is_symlink()]


def _kill_members(group: Path) -> None:
    for procs in [*group.rglob("cgroup.procs"), group / "cgroup.procs"]:
        with suppress(OSError):
            for pid in procs.read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)


def _remove_cgroup(group: Path) -> None:
    folders = sorted((Path(folder) for folder, _, _ in os.walk(group)), key=lambda path: len(path.parts), reverse=True)

    def gone() -> bool:
        for folder in folders:
            with suppress(OSError):
                folder.rmdir()
        return not group.exists()

    # Processes that were just killed stay members until they are reaped.
    wait_until(gone, f"the cgroup {group} to be empty", within_seconds=10, every_seconds=0.005)
