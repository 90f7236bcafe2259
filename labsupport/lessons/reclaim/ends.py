"""What became of volumes once their claims had gone: reads `kubectl get persistentvolumes`, and tables it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labsupport.display.tables import Cell, Column, Table, table
from labsupport.experiments.steps import Step

GONE = "gone"
KINDS = {"hostPath": "hostPath", "local": "local", "nfs": "NFS", "csi": "CSI"}
RECYCLER = "recycler-for-"


@dataclass(frozen=True)
class End:
    """One volume after its claim: `phase` is gone where the object is; `said` is the volume controller's word.

    `began` is the phase it had with its claim.
    """

    name: str
    kind: str
    path: str
    began: str
    phase: str
    said: str = ""


def read_ends(before: Step, after: Step) -> dict[str, End]:
    """Compare two `kubectl get persistentvolumes --output json`: volumes of the first, as the second has them."""
    now = {volume["metadata"]["name"]: volume for volume in after.json()["items"]}
    ends = {}
    for volume in before.json()["items"]:
        name = volume["metadata"]["name"]
        status: Mapping[str, Any] = now[name]["status"] if name in now else {"phase": GONE}
        began = volume["status"]["phase"]
        kind = next((kind for kind in KINDS if kind in volume["spec"]), "")
        path = str(volume["spec"].get(kind, {}).get("path") or "")
        ends[name] = End(name, KINDS.get(kind, "other"), path, began, status["phase"], status.get("message", ""))
    return ends


def in_phase(ends: Mapping[str, End], phase: str) -> list[str]:
    """The volumes that ended so, by name."""
    return sorted(end.name for end in ends.values() if end.phase == phase)


def ends_table(ends: Mapping[str, End], files: Mapping[str, Sequence[str]], pods: Step) -> Table:
    """A row for each volume.

    Args:
        files: the files that are still there, by path, on each computer that was looked at.
        pods: `kubectl get pods --output name`, to tell whose recycler was made.
    """
    places = [f"file on the {place}" for place in files]
    columns: list[str | Column] = [
        "volume",
        "kind",
        Column("path", "code"),
        "ends as",
        *places,
        "recycler pod still there",
    ]
    rows: list[list[Cell]] = []
    for end in ends.values():
        there = [has_file(end, found) if end.kind in ("hostPath", "local") else None for found in files.values()]
        recycler = any(line.endswith(f"{RECYCLER}{end.name}") for line in pods.lines)
        rows.append([end.name, end.kind, end.path or None, end.phase, *there, recycler, end.said or None])
    return table("After the claims are gone", [*columns, Column("the controller says", "prose")], rows)


def with_file(ends: Mapping[str, End], files: Sequence[str]) -> list[str]:
    """The volumes whose file is among `files`, by name."""
    return sorted(end.name for end in ends.values() if has_file(end, files))


def has_file(end: End, files: Sequence[str]) -> bool:
    return bool(end.path) and any(path.startswith(f"{end.path}/") for path in files)
