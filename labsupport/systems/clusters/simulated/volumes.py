"""The volumes of a cluster without a machine: folders that the controller-manager makes where it always does.

That place, SHARED_VOLUMES, is this computer's own, and the same for every lab on it: each removes its own folders, and
nothing else. Nobody writes in them, as no container runs. A rule of the API server keeps the controller-manager, which
removes what is behind a deleted hostPath volume, from other folders of this computer.
"""

import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from labsupport.systems.clusters.control_plane import AUDIT_LOG, CLIENT_FOLDER
from labsupport.systems.clusters.startup import CLUSTER_FOLDER
from labsupport.systems.clusters.storage import SHARED_VOLUMES

PLACE = Path(SHARED_VOLUMES)
NAME = "volumes-of-this-computer"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
VOLUMES = "/api/v1/persistentvolumes"
FORBIDDEN = (
    "the nodes of this lab are simulated: there is no folder of a node, and the controller-manager would remove this "
    "folder of your own computer"
)


def why_no_place(place: Path = PLACE) -> str:
    """Why this user can make no volumes here; empty where they can."""
    try:
        found = place.lstat()
    except FileNotFoundError:
        return ""
    if stat.S_ISDIR(found.st_mode) and os.access(place, os.W_OK | os.X_OK):
        return ""
    return f"{place}, where the controller-manager makes volumes, is user {found.st_uid}'s"


def have_place(place: Path = PLACE) -> None:
    """Make the folder, for all users as /tmp is: of the controller-manager's own making it would be one user's."""
    with suppress(FileExistsError):
        place.mkdir()
        place.chmod(0o1777)


def remove_volumes(folder: Path) -> None:
    """Remove the folders of the volumes that the cluster in a run folder made, and the place itself if it is empty."""
    audit_log = folder / CLUSTER_FOLDER / CLIENT_FOLDER / AUDIT_LOG
    if not audit_log.exists():
        return
    with audit_log.open(errors="replace") as lines:
        for path in made_volumes(lines):
            shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):  # somebody else's are in it, or it is somebody else's
        PLACE.rmdir()


def made_volumes(audit_lines: Iterator[str]) -> Iterator[Path]:
    """Yield the folders of the volumes that the controller-manager itself made, as the audit log tells."""
    for line in audit_lines:
        if '"persistentvolumes"' not in line or '"create"' not in line:
            continue
        with suppress(ValueError, KeyError, TypeError):
            event = json.loads(line)
            path = Path(event["requestObject"]["spec"]["hostPath"]["path"])
            if event["user"]["username"].endswith(":persistent-volume-binder") and path.parent == PLACE:
                yield path


def rule() -> list[tuple[str, dict[str, Any]]]:
    """Make the rule for hostPath volumes, each object with the API path it is posted to."""
    expression = (
        f"!has(object.spec.hostPath) || !object.spec.hostPath.path.contains('/tmp/') "
        f"|| object.spec.hostPath.path.startsWith('{SHARED_VOLUMES}/')"
    )
    constraints = {
        "resourceRules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["persistentvolumes"],
            }
        ]
    }
    policy = {
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": constraints,
            "validations": [{"expression": expression, "message": FORBIDDEN}],
        },
    }
    binding = {"metadata": {"name": NAME}, "spec": {"policyName": NAME, "validationActions": ["Deny"]}}
    return [
        (f"{ADMISSION}/validatingadmissionpolicies", policy),
        (f"{ADMISSION}/validatingadmissionpolicybindings", binding),
    ]


def forbidden_volume() -> dict[str, Any]:
    """Make a volume that the rule refuses once it is in force."""
    spec = {
        "capacity": {"storage": "1Mi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/tmp/of-this-computer"},
    }
    return {"metadata": {"name": "refused"}, "spec": spec}
