"""How many labs this computer has room for, side by side: by memory, addresses and watches. Starts and ends none."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from labsupport.errors import RequirementMissing
from labsupport.process.ownership import run_roots
from labsupport.systems.machines import links, run_folders
from labsupport.systems.machines.sweeping import cgroups_of

# Of a lab at rest beside others, with which it shares the programs' own pages. `./lab bench beside` measures it.
MACHINE_MEGABYTES, ENGINE_MEGABYTES, CONTROL_PLANE_MEGABYTES, NODE_MEGABYTES = 20, 60, 340, 90
# What its trials add at the same time.
TRIALS_MEGABYTES = 200
# By which daemons watch files. The kernel grants so many to each user, and all labs are root's.
INSTANCES_OF_ENGINE, INSTANCES_OF_CONTROL_PLANE, INSTANCES_OF_NODE = 3, 4, 10
STARTING = timedelta(seconds=60)
LIMIT_OF_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
# What a cgroup of either version says of its memory.
HELD = ("memory.usage_in_bytes", "memory.current")
LESS_MEMORY = "end other programs; or ask for less, such as `--cluster replay`"
END_SOME = "end labs that nobody uses: `./lab status` lists them, `./lab down` ends one"


@dataclass(frozen=True)
class Size:
    """What a lab is made of, as far as its room is concerned."""

    engine: bool
    nodes: int

    @property
    def megabytes(self) -> int:
        cluster = CONTROL_PLANE_MEGABYTES + self.nodes * NODE_MEGABYTES if self.nodes else 0
        return MACHINE_MEGABYTES + self.engine * ENGINE_MEGABYTES + cluster

    @property
    def instances(self) -> int:
        cluster = INSTANCES_OF_CONTROL_PLANE + self.nodes * INSTANCES_OF_NODE if self.nodes else 0
        return self.engine * INSTANCES_OF_ENGINE + cluster


@dataclass(frozen=True)
class Room:
    """How many more labs fit by one measure: None where that is not known here. `change_it` is what makes it more."""

    name: str
    fits: int | None
    because: str
    change_it: str


@dataclass(frozen=True)
class Free:
    """What is left of this computer: megabytes, and inotify instances; None where that is not known."""

    megabytes: int | None
    instances: int | None

    @classmethod
    def now(cls) -> "Free":
        limit = _most_instances()
        return cls(free_megabytes(), None if limit is None else limit - instances_in_use(_all_of_root()))


def rooms(size: Size, free: Free) -> list[Room]:
    """Return how many labs of this size fit beside what runs now, by each measure."""
    return [_by_memory(size, free.megabytes), _by_addresses(), _by_instances(size, free.instances)]


def require_room(size: Size, free: Free | None = None) -> None:
    """Refuse a lab that does not fit, before anything of it is started.

    What labs that are still starting will take counts as taken. Where no lab runs, only memory is looked at: counting
    the rest takes longer than a start can spare.

    Args:
        free: what is left; found out where it is not given.

    Raises:
        RequirementMissing: by which measure it does not fit, what runs here, and what to do.
    """
    running = _running()
    free = free or (Free.now() if running else Free(free_megabytes(), None))
    coming = [_still_to_come(record, size) for record in running if _is_starting(record)]
    many = f"{len(running)} other lab{'' if len(running) == 1 else 's'} run here"
    measures = (
        ("MB of memory", size.megabytes, free.megabytes, sum(each[0] for each in coming), LESS_MEMORY),
        ("inotify instances", size.instances, free.instances, sum(each[1] for each in coming), _more_instances()),
    )
    for what, wanted, left, reserved, do in measures:
        if left is not None and left - reserved < wanted:
            beside = f", {reserved} of which labs take that start now" if reserved else ""
            happened = f"it takes about {wanted} {what}, and {max(left, 0)} are free{beside}; {many}"
            raise RequirementMissing("start a lab", happened, f"{END_SOME}; or {do}")


def free_megabytes() -> int | None:
    """Return the memory that programs can still have, page cache counted as free; None where that is not known."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) // 1000 for line in lines if line.startswith("MemAvailable")), None)


def _by_memory(size: Size, free: int | None) -> Room:
    each = size.megabytes + TRIALS_MEGABYTES
    because = f"{free} MB are free, and a lab takes about {size.megabytes} MB at rest and {TRIALS_MEGABYTES} MB at work"
    return Room(
        "memory",
        None if free is None else free // each,
        because if free is not None else "this system does not say how much is free",
        f"end other programs; or add memory: {each} MB a learner; or --cluster replay for some notebooks",
    )


def _by_addresses() -> Room:
    taken = len(links.networks_in_use()) if Path("/proc/net/route").exists() else 0
    because = f"each takes four of 169.254.0.0/16, and {taken} networks of it are in use"
    return Room("addresses", links.LARGEST_NUMBER - taken, because, END_SOME)


def _by_instances(size: Size, free: int | None) -> Room:
    if free is None:
        return Room("inotify instances", None, "this kernel does not say how many there may be", "nothing to do")
    return Room(
        "inotify instances",
        max(0, free // max(size.instances, 1)),
        f"fs.inotify.max_user_instances is {_most_instances()}, {free} are free, and a lab takes {size.instances}",
        _more_instances(),
    )


def instances_in_use(processes: Iterable[Path]) -> int:
    """Return how many inotify instances these have open, each a folder of /proc; those that end meanwhile have none."""
    found = 0
    for process in processes:
        with suppress(OSError):
            found += sum(map(_is_inotify, (process / "fd").iterdir()))
    return found


def _is_inotify(descriptor: Path) -> bool:
    with suppress(OSError):  # it may be closed while we look
        return str(descriptor.readlink()) == "anon_inode:inotify"
    return False


def _all_of_root() -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if process.stat().st_uid == 0:
                yield process


def _most_instances() -> int | None:
    try:
        return int(LIMIT_OF_INSTANCES.read_text())
    except OSError:
        return None


def _more_instances() -> str:
    return f"sudo sysctl fs.inotify.max_user_instances={max(1024, 4 * (_most_instances() or 0))}"


def _still_to_come(record: run_folders.LabRecord, size: Size) -> tuple[int, int]:
    """Return the megabytes and inotify instances that a lab has not taken yet, were it of this size."""
    groups = cgroups_of(record.name)
    pids = {pid for group in groups for file in group.rglob("cgroup.procs") for pid in _words(file)}
    held = max((int(word) for group in groups for name in HELD for word in _words(group / name)), default=0)
    taken = instances_in_use(Path("/proc", pid) for pid in pids)
    return max(0, size.megabytes - held // 1_000_000), max(0, size.instances - taken)


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:  # a group of the other version, or one that has just gone
        return []


def _running() -> list[run_folders.LabRecord]:
    everywhere = [record for root in run_roots() for record in run_folders.records(root).values()]
    return [record for record in everywhere if record is not None and record.is_alive()]


def _is_starting(record: run_folders.LabRecord) -> bool:
    return datetime.now(UTC) - datetime.fromisoformat(record.created) < STARTING
