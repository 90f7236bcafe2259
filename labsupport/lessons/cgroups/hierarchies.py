"""Reads which cgroup hierarchies a machine has, and where in each a container is. Knows no engine."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Observation, Step
from labsupport.experiments.trial import Trial


class Engines(Protocol):
    """A lab, as far as its engines and their API clients go."""

    @property
    def engine(self) -> Any: ...

    def engine_called(self, name: str) -> Any: ...


# A container's own name for itself, as a command prints it or as evidence keeps it.
ID = re.compile(r"[0-9a-f]{64}|<container-\d+>")
UNIFIED = "version 2"
MODES = {
    frozenset({1}): "v1: every controller has a hierarchy of version 1",
    frozenset({2}): "v2: one hierarchy of version 2 has all controllers",
    frozenset({1, 2}): "hybrid: both versions are mounted side by side",
}


@dataclass(frozen=True)
class Hierarchy:
    """One mounted hierarchy and the controllers that live in it."""

    path: str
    version: int
    controllers: tuple[str, ...]


@dataclass(frozen=True)
class Hierarchies:
    """All that a machine has mounted, and which of its kernel's file systems are cgroups."""

    mounted: tuple[Hierarchy, ...]
    kinds: tuple[str, ...]
    origin: Origin = LIVE

    @property
    def mode(self) -> str:
        """v1, v2 or hybrid."""
        return self.explained.partition(":")[0]

    @property
    def explained(self) -> str:
        return MODES[frozenset(each.version for each in self.mounted)]

    @property
    def in_both(self) -> list[str]:
        """Controllers that live in a hierarchy of version 1 and in one of version 2."""
        of = {version: {name for each in self.mounted if each.version == version for name in each.controllers}
              for version in (1, 2)}  # fmt: skip
        return sorted(of[1] & of[2])

    def table(self) -> Shown:
        rows: list[list[Cell]] = [
            [each.path, each.version, ", ".join(each.controllers) or "none"] for each in self.mounted
        ]
        columns: list[str | Column] = [
            Column("mounted at", "code"),
            Column("version", "number"),
            "controllers that live there",
        ]
        return self.origin.above(
            table("Cgroup hierarchies of this machine", columns, rows, note=self.explained).shown()
        )


def read_hierarchies(mounts: Step, controllers: Step, kinds: Step) -> Hierarchies:
    """Put together what three commands printed.

    Args:
        mounts: of `grep cgroup /proc/mounts`.
        controllers: the file cgroup.controllers of the version 2 hierarchy; empty where there is none.
        kinds: of `grep cgroup /proc/filesystems`.

    Raises:
        EvidenceError: no hierarchy is mounted.
    """
    found = []
    for line in mounts.lines:
        _, path, kind, options, *_ = line.split()
        if kind == "cgroup":
            found.append(Hierarchy(path, 1, _controllers(options)))
        elif kind == "cgroup2":
            found.append(Hierarchy(path, 2, tuple(controllers.output.split())))
    if not found:
        raise EvidenceError(mounts.command, f"no cgroup hierarchy in {mounts.stdout!r}", "run it on a Linux machine")
    return Hierarchies(tuple(found), tuple(line.split()[-1] for line in kinds.lines), Origin.of(mounts))


def spread(step: Step) -> list[str]:
    """Read one-or-many.sh: hierarchies whose new directory could be seen in another one."""
    lines = (line.split(": ") for line in step.lines)
    return [made for made, seen in lines if seen.split() != [made]]


@dataclass(frozen=True)
class Membership:
    """Where a container is in each hierarchy: what the kernel says of its first process, and the folders there are."""

    paths: Mapping[str, str]
    folders: tuple[str, ...]
    origin: Origin = LIVE

    @property
    def kinds(self) -> list[str]:
        """The different paths, with ID for the container's own."""
        return sorted({ID.sub("ID", path) for path in self.paths.values()})


def read_membership(cgroup: Step, folders: Step) -> Membership:
    """Put together /proc/PID/cgroup of a container's process and what `find /sys/fs/cgroup …` found."""
    paths = {}
    for line in cgroup.lines:
        number, names, path = line.split(":", 2)
        paths[UNIFIED if number == "0" else names.removeprefix("name=")] = path
    return Membership(paths, tuple(folders.lines), Origin.of(cgroup))


def side_by_side(memberships: Mapping[str, Membership]) -> Shown:
    """One row a hierarchy, one column a driver."""
    hierarchies = sorted({name for each in memberships.values() for name in each.paths})
    rows: list[Sequence[Cell]] = [
        [name, *(ID.sub("ID", each.paths.get(name, "")) or None for each in memberships.values())]
        for name in hierarchies
    ]
    folders: list[Cell] = [f"{len(each.folders)} folders" for each in memberships.values()]
    made = table(
        "The cgroup of the same container",
        ["hierarchy", *(Column(driver, "code") for driver in memberships)],
        [*rows, ["found below /sys/fs/cgroup", *folders]],
        note="ID stands for the 64 digits of the container",
    )
    return next(iter(memberships.values())).origin.above(made.shown())


def ask_apis(trial: Trial, lab: Engines) -> Observation:
    """Ask the lab's engine and the one called systemd through their API which cgroup driver they use."""

    def look() -> list[str]:
        return [str(engine.client.info()["CgroupDriver"]) for engine in (lab.engine, lab.engine_called("systemd"))]

    return trial.observe("cgroup drivers by the API", look)


def where_chosen(driver: str, answers: Sequence[Step]) -> list[str]:
    """Read default-driver.sh: on which machines, in its words, an engine without settings chose this driver."""
    told = {answer.output.rpartition(": ")[::2] for answer in answers}
    return sorted(where for where, chosen in told if chosen == driver)


def _controllers(options: str) -> tuple[str, ...]:
    known = {"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "net_cls", "net_prio",
             "perf_event", "hugetlb", "rdma", "misc"}  # fmt: skip
    return tuple(name for name in options.split(",") if name in known)
