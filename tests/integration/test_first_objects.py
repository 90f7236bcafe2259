"""A cluster that is given the first objects of an earlier one: the same roles, and nobody had to make them again."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from labsupport.systems.clusters.embedded import EmbeddedCluster, start_embedded_cluster
from labsupport.systems.clusters.first_objects import FirstObjects
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


def test_a_second_cluster_has_what_the_first_made(tmp_path: Path) -> None:
    with cluster_with(tmp_path) as first:
        wanted, identity = names(first), kubectl(first, "get namespace default -o jsonpath={.metadata.uid}")
        assert "clusterroles" in made_by_the_api_server(first)
    objects = FirstObjects(tmp_path, tools().path("kube-apiserver"))
    assert objects.are_kept
    with cluster_with(tmp_path) as second:
        assert names(second) == wanted
        assert not made_by_the_api_server(second) & {*KINDS.split(",")}
        # All else is its own.
        assert kubectl(second, "get namespace default -o jsonpath={.metadata.uid}") != identity
        assert kubectl(second, "auth can-i list pods --as=system:kube-scheduler") == "yes"
