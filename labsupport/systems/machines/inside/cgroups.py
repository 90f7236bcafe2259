"""The machine's own place in every cgroup hierarchy, of either version. What is made here is removed from outside."""

import os
from collections.abc import Iterator
from typing import NamedTuple

LEAF = "init"
WANTED_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
# What the dozen programs of a lab would weigh without a group around them, one weighing 1024. With the usual share the
# whole lab gets as much of a busy computer's processors as one other program, and its clocks run out.
SHARES_OF_A_LAB = "12288"


class Hierarchy(NamedTuple):
    """One mounted hierarchy: where, its version, and what must be said to mount it again."""

    path: str
    version: int
    options: str


def hierarchies() -> list[Hierarchy]:
    """Return every cgroup hierarchy mounted below /sys/fs/cgroup, each once."""
    controllers = set()
    with open("/proc/self/cgroup") as lines:
        for line in lines:
            controllers.update(line.split(":")[1].split(","))
    found: dict[str, Hierarchy] = {}
    with open("/proc/self/mountinfo") as lines:
        for line in lines:
            before, _, after = line.partition(" - ")
            path = before.split()[4]
            kind, _, options = after.split()[:3]
            if path.startswith("/sys/fs/cgroup") and kind in ("cgroup", "cgroup2"):
                known = [option for option in options.split(",") if option in controllers]
                found[path] = Hierarchy(
                    path, 2 if kind == "cgroup2" else 1, ",".join(known) if kind == "cgroup" else ""
                )
    return list(found.values())


def join(name: str, all_hierarchies: list[Hierarchy], *, outermost: bool) -> None:
    """Make cgroup `name` in each hierarchy and move this process there, ready to become the root of a namespace."""
    for hierarchy in all_hierarchies:
        group = f"{hierarchy.path}/{name}"
        os.makedirs(group, exist_ok=True)
        if hierarchy.version == 1:
            _fill_version_1(hierarchy.path, group)
            if outermost and os.path.exists(f"{group}/cpu.shares"):
                _write(f"{group}/cpu.shares", SHARES_OF_A_LAB)
        else:
            _hand_down_controllers(hierarchy.path)
        _write(f"{group}/cgroup.procs", "0")


def settle(name: str, all_hierarchies: list[Hierarchy], *, shares: bool = True) -> None:
    """On version 2 only leaves may hold processes: move into one, so that the machine can share out its controllers.

    It does so at once where `shares`; a system with an init of its own leaves that to it.

    Called after the namespace was made, whose root is therefore the cgroup above the leaf.
    """
    for hierarchy in all_hierarchies:
        if hierarchy.version == 2:
            group = f"{hierarchy.path}/{name}"
            os.makedirs(f"{group}/{LEAF}", exist_ok=True)
            _write(f"{group}/{LEAF}/cgroup.procs", "0")
            if shares:
                _hand_down_controllers(group)


def _fill_version_1(parent: str, group: str) -> None:
    # A new cpuset has no processor and no memory node, and a process cannot join it so.
    for entry in ("cpuset.cpus", "cpuset.mems"):
        if os.path.exists(f"{group}/{entry}"):
            with open(f"{parent}/{entry}") as source:
                _write(f"{group}/{entry}", source.read())
    if os.path.exists(f"{group}/cpuset.cpus"):
        _write(f"{group}/cgroup.clone_children", "1")


def _hand_down_controllers(group: str) -> None:
    """Let the children of a version 2 group use the controllers that engines and clusters need.

    On the computer's root group systemd has done so already. Elsewhere this one switch stays as it was set here, as
    another lab may rely on it.
    """
    with open(f"{group}/cgroup.controllers") as source:
        available = source.read().split()
    with open(f"{group}/cgroup.subtree_control") as source:
        handed_down = source.read().split()
    for controller in available:
        if controller in WANTED_CONTROLLERS and controller not in handed_down:
            _write(f"{group}/cgroup.subtree_control", f"+{controller}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as target:
        target.write(text)


def mounts_inside(all_hierarchies: list[Hierarchy]) -> Iterator[tuple[str, str, str]]:
    """Yield what to mount in the machine: kind, path, options. A tmpfs first where there are several hierarchies."""
    if [hierarchy.path for hierarchy in all_hierarchies] != ["/sys/fs/cgroup"]:
        yield "tmpfs", "/sys/fs/cgroup", "mode=755"
    for hierarchy in all_hierarchies:
        yield (
            ("cgroup", hierarchy.path, hierarchy.options) if hierarchy.version == 1 else ("cgroup2", hierarchy.path, "")
        )
