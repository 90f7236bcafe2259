"""What whoever uses a lab's cluster has of it: a folder with kubeconfig and keys, theirs alone even where root made it.

The API server's audit log is in it too, and the journal of faults: both are for whoever may use the cluster.
"""

import os
from pathlib import Path

from labsupport.process.ownership import give_to_caller
from labsupport.systems.clusters.certificates import Authority, Identity, write_private
from labsupport.systems.clusters.control_plane import ADMINISTRATORS, AUDIT_LOG, CLIENT_FOLDER, FAULT_JOURNAL
from labsupport.systems.clusters.door import ApiDoor
from labsupport.systems.clusters.kubeconfig import kubeconfig
from labsupport.systems.clusters.tools import ClusterTools

KUBECONFIG = "kubeconfig"


def write_client_files(folder: Path, server: str, authority: Authority) -> ApiDoor:
    """Write what the caller needs below the cluster's `folder`; return the way in that it gives."""
    client = folder / CLIENT_FOLDER
    for each in (client, client / "cache"):
        each.mkdir()
        give_to_caller(each, 0o700)
    pair = authority.issue(Identity("lab", (ADMINISTRATORS,)))
    contents: dict[str, bytes | str] = {
        KUBECONFIG: kubeconfig(server=server, authority=authority.certificate, pair=pair, user="lab"),
        "ca.crt": authority.certificate,
        "lab.crt": pair.certificate,
        "lab.key": pair.key,
        AUDIT_LOG: b"",  # the API server appends to it, and leaves it whose it is
        FAULT_JOURNAL: b"",
    }
    for name, content in contents.items():
        give_to_caller(write_private(client / name, content))
    return door_of(folder, server)


def door_of(folder: Path, server: str) -> ApiDoor:
    """Open our own way into the cluster whose files are in `folder`."""
    at = folder / CLIENT_FOLDER
    return ApiDoor(server, authority=at / "ca.crt", certificate=at / "lab.crt", key=at / "lab.key")


def client_environment(kubeconfig_file: Path, tools: ClusterTools) -> dict[str, str]:
    """What a command, a kernel or a terminal on this computer needs to talk to the cluster."""
    return {
        "KUBECONFIG": str(kubeconfig_file),
        "KUBECACHEDIR": str(kubeconfig_file.with_name("cache")),
        # Neither aliases nor defaults of the user's own kubectl.
        "KUBERC": "off",
        # What it reads to apply a file is much beside what it holds: collecting garbage took it a third of its time.
        "GOGC": "400",
        "PATH": f"{tools.commands}:{os.environ.get('PATH', os.defpath)}",
    }
