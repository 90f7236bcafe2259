"""A cluster that is given the first objects of an earlier one: the same roles, and nobody had to make them again."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from labsupport.process.commands import LocalRunner
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.control_plane import Addresses, ControlPlane
from labsupport.systems.clusters.embedded import EmbeddedCluster, start_embedded_cluster
from labsupport.systems.clusters.first_objects import FirstObjects, _ask, _coded, _connected
from labsupport.systems.clusters.network import NetworkPlan
from tests.clusters import kubectl, machine_tools, tools
from tests.machines import machine_under_test

pytestmark = [pytest.mark.needs("cluster", "root"), pytest.mark.timeout(600)]

KINDS = "clusterroles,clusterrolebindings,roles,rolebindings,flowschemas,prioritylevelconfigurations,priorityclasses"


@contextmanager
def cluster_with(cache: Path) -> Iterator[EmbeddedCluster]:
    with machine_under_test(tools=machine_tools(), visible=[tools().programs.parents[2], cache]) as machine:
        cluster = start_embedded_cluster(machine, replace(tools(), seeds=cache))
        yield cluster
        cluster.close()


def names(cluster: EmbeddedCluster) -> set[str]:
    return set(kubectl(cluster, f"get {KINDS} --all-namespaces -o name").splitlines())


def made_by_the_api_server(cluster: EmbeddedCluster) -> set[str]:
    """Return the kinds of which the API server itself made some, from the audit log."""
    # Its last line may be half written.
    entries = [json.loads(line) for line in cluster.audit_log.read_text().split("\n")[:-1]]
    return {
        entry["objectRef"]["resource"]
        for entry in entries
        if entry["verb"] == "create" and entry["user"]["username"] == "system:apiserver" and "objectRef" in entry
    }


def test_a_second_cluster_has_what_the_first_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster_with(tmp_path) as first:
        wanted, identity = names(first), kubectl(first, "get namespace default -o jsonpath={.metadata.uid}")
        assert "clusterroles" in made_by_the_api_server(first)
    objects = FirstObjects(tmp_path, tools().path("kube-apiserver"))
    assert objects.are_kept
    done: list[str] = []
    start, put = Component.start, FirstObjects.put
    monkeypatch.setattr(Component, "start", lambda self: (done.append(self.name), start(self)))
    monkeypatch.setattr(FirstObjects, "put", lambda *a, **k: put(*a, **k) and not done.append("objects"))
    with cluster_with(tmp_path) as second:
        assert done.index("objects") < done.index("kube-apiserver"), "it could have looked before"
        assert names(second) == wanted
        assert not made_by_the_api_server(second) & {*KINDS.split(",")}
        # All else is its own.
        assert kubectl(second, "get namespace default -o jsonpath={.metadata.uid}") != identity
        assert kubectl(second, "auth can-i list pods --as=system:kube-scheduler") == "yes"


def test_who_watches_meanwhile_is_told_of_each_object(tmp_path: Path) -> None:
    """An API server takes a revision that it has seen for one of which it has seen all."""
    objects = FirstObjects(tmp_path, tools().path("kube-apiserver"))
    keys = [f"/registry/clusterroles/{name}".encode() for name in ("view", "edit", "admin")]
    objects.file.write_text(json.dumps([[_coded(key), _coded(b"role")] for key in keys]))
    plane = ControlPlane(tmp_path, Addresses("", ""), NetworkPlan())
    etcd = LocalRunner().start(plane.etcd(tools().path("etcd")), log=tmp_path / "etcd.log")
    try:
        wait_until(lambda: objects.put(plane.etcd_socket, watched=True), "etcd to take objects", within_seconds=30)
        with _connected(plane.etcd_socket) as connection:
            found = _ask(connection, "/v3/kv/range", {"key": _coded(b"/"), "range_end": _coded(b"0")})["kvs"]
        assert len({each["mod_revision"] for each in found}) == len(found) == len(keys)
    finally:
        etcd.close()
