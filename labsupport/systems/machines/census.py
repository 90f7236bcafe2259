"""Who runs on a machine and on the machines inside it: each process, the machine and container it is in, its memory.

Reads /proc inside: a process's cgroup says where it belongs, whoever started it.
"""

import re
from dataclasses import dataclass

from labsupport.systems.machines.machine import Machine

CONTAINER = re.compile(r"[0-9a-f]{64}")
# The groups that engines and kubelets make in a machine's own; before them in a path stands the inner machine.
GROUPS_OF_ENGINES = frozenset(["docker", "kubepods", "kubepods.slice", "system.slice", "system", "init", "init.scope"])


@dataclass(frozen=True)
class Process:
    """One process. `machine` is empty for the outer machine itself, `container` where it is in none."""

    pid: int
    name: str
    megabytes: float
    machine: str = ""
    container: str = ""


def census(machine: Machine) -> list[Process]:
    """Return the processes on `machine` and on the machines inside it, by pid; what ends meanwhile is left out."""
    groups = machine.runner.run(["sh", "-c", "grep -H '' /proc/[0-9]*/cgroup"]).stdout
    statuses = machine.runner.run(["sh", "-c", "cat /proc/[0-9]*/status"]).stdout
    return read_census(groups, statuses)


def read_census(groups: str, statuses: str) -> list[Process]:
    """Read what `grep -H` says of cgroup files, and status files one after the other."""
    places = _places(groups)
    found = []
    for block in re.split(r"^(?=Name:)", statuses, flags=re.MULTILINE):
        fields = dict(line.split(":", 1) for line in block.splitlines() if ":" in line)
        if "VmRSS" not in fields:  # the kernel's own, or one that has just ended
            continue
        pid = int(fields["Pid"])
        if pid in places:
            machine, container = places[pid]
            found.append(
                Process(pid, fields["Name"].strip(), int(fields["VmRSS"].split()[0]) / 1024, machine, container)
            )
    return sorted(found, key=lambda process: process.pid)


def _places(groups: str) -> dict[int, tuple[str, str]]:
    """Return pid → inner machine and container, from the longest path of each process: some hierarchies lack parts."""
    paths: dict[int, str] = {}
    for line in groups.splitlines():
        file, _, entry = line.partition("cgroup:")
        path = entry.split(":", 2)[-1]
        pid = int(file.split("/")[2])
        paths[pid] = max(paths.get(pid, ""), path, key=len)
    return {pid: _place(path) for pid, path in paths.items()}


def _place(path: str) -> tuple[str, str]:
    container = CONTAINER.search(path)
    first = path.strip("/").partition("/")[0]
    inner = "" if first in GROUPS_OF_ENGINES or CONTAINER.search(first) else first
    return inner, container.group() if container else ""
