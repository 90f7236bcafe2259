"""Dataplanes on real nodes: two clusters with different ones at once, a change, and what is said when one fails."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from labsupport.errors import ClusterError, UsageError
from labsupport.process.ownership import Owner
from labsupport.project import this_project
from labsupport.systems.clusters.embedded import EmbeddedCluster, start_embedded_cluster
from labsupport.systems.machines.machine import Machine
from tests.clusters import archives, kubectl, machine_tools, tools
from tests.engines import toolchain
from tests.leaks import leak_checked_machine

pytestmark = [pytest.mark.needs("root", "machine", "cluster"), pytest.mark.timeout(300)]

PODS = this_project().root / "notebooks" / "assets" / "05-cni-plugins"
ADDRESS = "-o jsonpath={.status.podIP}"


def programs() -> tuple[Path, ...]:
    toolchain().ensure("flannel", "bgp")
    return (*machine_tools(), *(toolchain().bin_folder(group) for group in ("flannel", "bgp")))


def start(machine: Machine, dataplane: str) -> EmbeddedCluster:
    return start_embedded_cluster(machine, tools(), nodes=2, archives=archives(), dataplane=dataplane)


def run_pods(cluster: EmbeddedCluster) -> None:
    kubectl(cluster, f"apply -f {PODS}/pods.yaml")
    kubectl(cluster, "wait --for=condition=Ready pod --all --timeout=90s", within_seconds=100)


def seen_by_far(cluster: EmbeddedCluster) -> str:
    far = kubectl(cluster, f"get pod far {ADDRESS}")
    said = cluster.runner.run(
        ["kubectl", "exec", "here", "--", "timeout", "5", "wget", "-qO-", f"http://{far}:8080/clientip"]
    )
    return said.stdout.rpartition(":")[0]


def links(cluster: EmbeddedCluster) -> str:
    return cluster.node("node-1").machine.runner.run(["ip", "-brief", "link"]).or_raise().stdout


def test_two_clusters_with_different_dataplanes_at_once_and_a_change() -> None:
    with ExitStack() as stack:
        machines = [
            stack.enter_context(leak_checked_machine(owner=Owner.this_process(), tools=programs())) for _ in range(2)
        ]
        with ThreadPoolExecutor() as pool:
            overlay, routed = pool.map(start, machines, ["flannel-vxlan", "bgp"])
        for cluster in (overlay, routed):
            run_pods(cluster)
            assert seen_by_far(cluster) == kubectl(cluster, f"get pod here {ADDRESS}")
        assert "flannel.1" in links(overlay)
        assert "flannel.1" not in links(routed)
        kubectl(overlay, f"delete --force -f {PODS}/pods.yaml")
        overlay.use_dataplane("plain")
        assert "flannel.1" not in links(overlay)
        assert "cni0" not in links(overlay)
        assert not [each.name for each in overlay.components if each.name.startswith("flanneld")]
        run_pods(overlay)
        assert seen_by_far(overlay) == kubectl(overlay, f"get pod here {ADDRESS}")
        overlay.close()
        routed.close()


def test_a_dataplane_nobody_knows_starts_nothing() -> None:
    with leak_checked_machine(owner=Owner.this_process(), tools=machine_tools()) as machine:
        with pytest.raises(UsageError, match="flannel-vxlan"):
            start(machine, "flannel")
        assert not (machine.folder / "cluster").exists()


def test_a_daemon_that_ends_while_the_cluster_starts_is_named_with_its_own_words(tmp_path: Path) -> None:
    broken = tmp_path / "bird"
    broken.write_text("#!/bin/sh\necho 'FATAL this bird does not fly' >&2\nexit 1\n")
    broken.chmod(0o755)
    with leak_checked_machine(
        owner=Owner.this_process(), tools=(*machine_tools(), tmp_path), visible=[tmp_path]
    ) as machine:
        with pytest.raises(ClusterError, match="this bird does not fly"):
            start(machine, "bgp")
        assert not (machine.folder / "cluster").exists()
