"""What the timeline tells of volumes: phases, finalizers, policies, recyclers, and the folders on the disk."""

import json
from typing import Any

from labsupport.systems.clusters.storage import folders_below
from labsupport.systems.timeline import timeline_records
from tests.scripted import ScriptedRunner
from tests.unit.test_timeline import BINDER, entry

PROTECTION = "system:serviceaccount:kube-system:pvc-protection-controller"
CLAIM_REF = {"name": "papers", "namespace": "default"}
HELD = {"deletionTimestamp": "2023-11-14T22:13:21Z", "finalizers": ["kubernetes.io/pvc-protection"]}


def volume(at: float, revision: int, phase: str, *, user: str = BINDER, verb: str = "update", **spec: Any) -> Any:
    spec = {"hostPath": {"path": "/srv/shelf"}, "persistentVolumeReclaimPolicy": "Recycle", **spec}
    return entry(user, verb, "persistentvolumes", "shelf", at, revision, spec=spec, status={"phase": phase})


def story() -> list[Any]:
    return [
        volume(0.0, 1, "Pending", user="lab", verb="create"),
        volume(0.1, 2, "Available"),
        entry("lab", "create", "persistentvolumeclaims", "papers", 0.2, 3, metadata={"finalizers": ["a"]}),
        volume(0.3, 4, "Available", claimRef=CLAIM_REF),
        volume(0.31, 5, "Bound", claimRef=CLAIM_REF),
        entry(BINDER, "update", "persistentvolumeclaims", "papers", 0.4, 6, spec={"volumeName": "shelf"}),
        entry(
            "lab", "delete", "persistentvolumeclaims", "papers", 0.5, 7, metadata=HELD, spec={"volumeName": "shelf"}
        ),
        entry(
            PROTECTION, "update", "persistentvolumeclaims", "papers", 0.6, 7,
            metadata={"deletionTimestamp": "x"}, spec={"volumeName": "shelf"},
        ),
        volume(0.7, 9, "Released", claimRef=CLAIM_REF),
        entry(BINDER, "create", "pods", "recycler-for-shelf", 0.8, 10),
        entry("system:node:node-1", "patch", "pods", "recycler-for-shelf", 0.9, 11, status={"phase": "Succeeded"}),
        volume(1.0, 12, "Released"),
        volume(1.1, 13, "Available"),
    ]  # fmt: skip


def told(log: list[Any], **more: Any) -> list[dict[str, Any]]:
    return timeline_records([json.dumps(each) for each in log], **more)


def test_a_life_is_told_by_phase_claim_and_recycler() -> None:
    records = told(story())
    assert {record["volume"] for record in records} == {"shelf"}
    assert [(record["who"], record["tags"]) for record in records if record["tags"]] == [
        ("you", ["made"]),
        ("volume controller", ["available"]),
        ("you", ["made"]),
        ("volume controller", ["bound"]),
        ("volume controller", ["volume-named"]),
        ("you", ["deleted"]),
        ("protection controllers", ["gone"]),
        ("volume controller", ["released"]),
        ("volume controller", ["made"]),
        ("kubelet on node-1", ["succeeded"]),
        ("volume controller", ["unclaimed"]),
        ("volume controller", ["available"]),
    ]


def test_the_recycler_is_made_because_the_volume_is_released_and_its_end_frees_the_volume() -> None:
    records = {record["revision"]: record for record in told(story())}
    number = {revision: record["number"] for revision, record in records.items()}
    assert records[10]["because"] == number[9]
    assert records[12]["because"] == number[11]


def test_a_patched_policy_is_told() -> None:
    log = [
        volume(0.0, 1, "Bound", user="lab", verb="create"),
        volume(0.1, 2, "Bound", user="lab", persistentVolumeReclaimPolicy="Retain"),
    ]
    assert told(log)[1]["what"] == "sets the policy of volume shelf to Retain"


def test_a_volume_made_for_a_claim_is_called_by_it_and_others_stay_out() -> None:
    def made(name: str, claim: str) -> Any:
        return entry(
            BINDER, "create", "persistentvolumes", name, 0.1, hash(name) % 100, spec={"claimRef": {"name": claim}}
        )

    log = [
        entry("lab", "create", "persistentvolumeclaims", "papers", 0.0, 1),
        made("pvc-1", "papers"),
        made("pvc-2", "elsewhere"),
    ]
    assert [(record["kind"], record["volume"]) for record in told(log)] == [("claim", "papers"), ("volume", "papers")]


def test_folders_are_told_when_they_change_and_by_whose_they_are() -> None:
    start = 1_700_000_000.0
    looks = [
        {"at": start + 0.1, "folders": {"/srv/shelf": [0, 0], "/srv/other": [1, 1]}},
        {"at": start + 0.5, "folders": {"/srv/shelf": [2, 40], "/srv/other": [1, 1]}},
        {"at": start + 0.9, "folders": {"/srv/shelf": [0, 0], "/srv/other": [1, 1]}},
        {"at": start + 1.0, "folders": {"/srv/other": [1, 1]}},
    ]
    found = [record for record in told(story(), looks=reversed(looks)) if record["kind"] == "folder"]
    assert [(each["volume"], each["tags"], each["because"], each["lane"]) for each in found] == [
        ("shelf", ["filled"], None, "disk"),
        ("shelf", ["emptied"], None, "disk"),
        ("shelf", ["gone"], None, "disk"),
    ]
    assert found[0]["what"] == "/srv/shelf holds 2 files, 40 bytes"


def test_folders_are_read_from_what_find_prints() -> None:
    printed = "/a\tone\td\t4096\n/a\tone/x\tf\t7\n/a\tone/deep\td\t4096\n/a\tone/deep/y\tf\t3\n"
    printed += "/b\ttwo\td\t4096\n/b\tlone\tf\t9\n"
    runner = ScriptedRunner({("find", "-H", "/a", "/b"): (1, printed, "find: /a/gone: No such file")})
    assert folders_below(runner, ["/a", "/b"]) == {"/a/one": [2, 10], "/b/two": [0, 0]}
