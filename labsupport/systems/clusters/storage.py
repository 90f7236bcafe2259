"""Storage classes: volumes made when a claim asks for one.

`standard`, the default, is the controller-manager's own host-path provisioner: the volume is a folder, made and deleted
by the controller-manager itself, at once and without helper pods. All nodes of a lab share the folder that these are
in, so a volume acts like a network disk that follows its pod; Kubernetes means it for tests, and for one node.
`standard-wait` is the same, made only when a pod that uses the claim is scheduled; that costs about a second a pod.
`local-path` is Rancher's provisioner: the folder belongs to one node, and a helper pod on it makes and deletes it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from labsupport.process.commands import Runner

SHARED_VOLUMES = "/tmp/hostpath_pv"  # where the controller-manager puts them: not configurable
TOOLBOX = "docker.io/lab/toolbox:latest"
LOCAL_PATH = "local-path-provisioner"
LOCAL_PATH_NAMESPACE = "local-path-storage"
LOCAL_PATH_FOLDER = "/var/lib/local-path"
STORAGE_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


def storage_class(
    name: str, provisioner: str = "kubernetes.io/host-path", *, wait: bool = False, default: bool = False
) -> dict[str, Any]:
    """Make a StorageClass; with `wait` its volumes are made when a pod that uses the claim is scheduled."""
    marks = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": marks},
        "provisioner": provisioner,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer" if wait else "Immediate",
    }


def standard_classes() -> list[dict[str, Any]]:
    """Make the classes every lab's cluster has from the start."""
    return [storage_class("standard", default=True), storage_class("standard-wait", wait=True)]


def recycler_pod() -> dict[str, Any]:
    """Make the pod that empties a hostPath volume of policy Recycle: Kubernetes' own but for its image and its node.

    Nothing says on which node such a volume is. Notebooks that make one by hand have its folder on the first.
    """
    empty = r'test -e /scrub && rm -rf /scrub/..?* /scrub/.[!.]* /scrub/* && test -z "$(ls -A /scrub)" || exit 1'
    container = {
        "name": "pv-recycler",
        "image": TOOLBOX,
        "imagePullPolicy": "Never",
        "command": ["/bin/sh", "-c", empty],
        "volumeMounts": [{"name": "volume", "mountPath": "/scrub"}],
    }
    # The controller-manager puts the volume to empty in the place of this one.
    volume = {"name": "volume", "hostPath": {"path": "/replaced"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "pv-recycler", "namespace": "default"},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": "node-1"},
            "restartPolicy": "Never",
            "volumes": [volume],
            "containers": [container],
        },
    }


def folders_below(runner: Runner, parents: Sequence[str]) -> Mapping[str, Sequence[int]]:
    """Return [files, bytes] of each folder that is directly in one of `parents`, by its path."""
    # Followed where a parent itself is a link, and only there.
    found = runner.run(["find", "-H", *parents, "-mindepth", "1", "-printf", r"%H\t%P\t%y\t%s\n"])
    folders: dict[str, list[int]] = {}
    # Its exit code says no more than that a folder was not there, or went while it looked.
    for line in found.stdout.splitlines():
        parent, path, kind, size = line.split("\t")
        name, _, below = path.partition("/")
        if kind == "d" and not below:
            folders.setdefault(f"{parent}/{name}", [0, 0])
        elif kind == "f" and below:
            content = folders.setdefault(f"{parent}/{name}", [0, 0])
            content[0], content[1] = content[0] + 1, content[1] + int(size)
    return folders


def local_path_objects() -> list[tuple[str, dict[str, Any]]]:
    """Make what the local-path provisioner needs, by the API path each is posted to."""
    helper = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {
            "priorityClassName": "system-node-critical",
            "containers": [{"name": "helper-pod", "image": TOOLBOX, "imagePullPolicy": "Never"}],
        },
    }
    folder = {"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [LOCAL_PATH_FOLDER]}
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "local-path-config", "namespace": LOCAL_PATH_NAMESPACE},
        "data": {
            "config.json": json.dumps({"nodePathMap": [folder]}),
            "setup": '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n',
            "teardown": '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n',
            "helperPod.yaml": json.dumps(helper),
        },
    }
    return [
        (f"/api/v1/namespaces/{LOCAL_PATH_NAMESPACE}/configmaps", settings),
        (STORAGE_CLASSES, storage_class("local-path", "rancher.io/local-path", wait=True)),
    ]
