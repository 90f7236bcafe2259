"""Disks that a notebook looks at byte by byte."""

from typing import TYPE_CHECKING, Any

from labsupport.experiments.steps import Observation
from labsupport.experiments.trial import Trial

if TYPE_CHECKING:
    from labsupport.backends.places import Places


def disk_attached(trial: Trial, places: "Places", name: str, *, on: str, at: str, megabytes: int) -> Observation:
    """Attach a disk until the trial ends; return {"device", "commands"}."""

    def look() -> dict[str, Any]:
        from labsupport.systems.machines.disks import attach_disk

        disk = attach_disk(places.machine(on), name, at, megabytes=megabytes)
        places.undo_at_the_end(f"the disk {name}", disk.detach)
        return {"device": disk.device, "commands": list(disk.commands)}

    return trial.observe(f"disk {name}", look)
