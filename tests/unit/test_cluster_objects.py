"""Whose an object on a cluster is that was not there before."""

from typing import Any

from labsupport.systems.clusters.objects import Snapshot, is_made_anew

BEFORE = Snapshot(frozenset({"replica-set-of-coredns"}))


def pod(**owner: str) -> dict[str, Any]:
    return {"metadata": {"name": "pod", "uid": "new", "ownerReferences": [owner] if owner else []}}


def test_what_an_object_from_before_makes_again_is_not_the_trials() -> None:
    assert is_made_anew(pod(kind="ReplicaSet", uid="replica-set-of-coredns"), BEFORE)
    assert is_made_anew(pod(kind="Node", uid="of a node, which no snapshot has"), BEFORE)
    assert not is_made_anew(pod(kind="ReplicaSet", uid="new too"), BEFORE)
    assert not is_made_anew(pod(), BEFORE)
