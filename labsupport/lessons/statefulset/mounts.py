"""Reads mount tables: which folders of a pod's volumes are mount points, in the container and on the node."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from labsupport.display.tables import Cell, Column, Table, table
from labsupport.experiments.steps import Step

_VOLUME = re.compile(r"/pods/(?P<pod>[^/]+)/volumes/kubernetes\.io~(?P<kind>[^/]+)/(?P<name>[^/]+)$")
_FIELDS_BEFORE_TYPE = 6


@dataclass(frozen=True)
class Mount:
    """One line of a mountinfo: what is mounted (a folder of a file system) and where."""

    source: str
    place: str
    file_system: str

    @property
    def volume_kind(self) -> str:
        """On a node: the kind of volume the kubelet mounted there, such as local-volume; else empty."""
        match = _VOLUME.search(self.place)
        return match["kind"] if match else ""


def read_mounts(step: Step) -> list[Mount]:
    """Read lines of /proc/PID/mountinfo; other lines are left out."""
    mounts = []
    for line in step.lines:
        words = line.split()
        if len(words) > _FIELDS_BEFORE_TYPE and "-" in words:
            kind = words[words.index("-") + 1]
            mounts.append(Mount(words[3], words[4], kind))
    return mounts


def mounts_table(inside: Sequence[Mount], node: Sequence[Mount]) -> Table:
    """Every mount of the pod's volumes, seen from the container and from the node."""
    rows: list[list[Cell]] = [
        [where, mount.place, mount.volume_kind or None, _short(mount.source)]
        for where, mounts in (("container", inside), ("node", node))
        for mount in mounts
    ]
    columns: list[str | Column] = ["seen from", Column("mount point", "code"), "kind", Column("what is there", "code")]
    return table("Mount points of the pod's volumes", columns, rows)


def _short(source: str) -> str:
    """The folder as the node itself calls it: the node's own files lie in a folder of the lab."""
    return re.sub(r"^.*/private(?=/)", "", source)
