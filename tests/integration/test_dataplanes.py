"""Dataplanes on real nodes: two clusters with different ones at once, a change, and what is said when one fails."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from labsupport.errors import ClusterError, UsageError
from labsupport.process.ownership import Owner
from labsupport.process.waiting import wait_until
from labsupport.project import this_project
from labsupport.systems.clusters.embedded import EmbeddedCluster, start_embedded_cluster
from labsupport.systems.clusters.network import cni_configuration
from labsupport.systems.dataplanes.policy import has_in_force
from labsupport.systems.machines.machine import Machine
from tests.clusters import archives, kubectl, machine_tools, seen, tools
from tests.engines import toolchain
from tests.leaks import leak_checked_machine

pytestmark = [pytest.mark.needs("root", "machine", "cluster"), pytest.mark.timeout(900)]

PODS = this_project().root / "notebooks" / "assets" / "05-cni-plugins"
ADDRESS = "-o jsonpath={.status.podIP}"


def programs(*groups: str) -> tuple[Path, ...]:
    toolchain().ensure(*groups)
    return (*machine_tools(), *(toolchain().bin_folder(group) for group in groups))


def start(machine: Machine, dataplane: str) -> EmbeddedCluster:
    return start_embedded_cluster(machine, tools(), nodes=2, archives=archives(), dataplane=dataplane)


def run_pods(cluster: EmbeddedCluster) -> None:
    kubectl(cluster, f"apply -f {PODS}/pods.yaml")
    kubectl(cluster, "wait --for=condition=Ready pod --all --timeout=120s")


def seen_by_far(cluster: EmbeddedCluster) -> str:
    far = kubectl(cluster, f"get pod far {ADDRESS}")
    said = cluster.runner.run(
        ["kubectl", "exec", "here", "--", "timeout", "5", "wget", "-qO-", f"http://{far}:8080/clientip"]
    )
    return said.stdout.rpartition(":")[0]


def wait_for_far(cluster: EmbeddedCluster) -> None:
    """Wait until `far` answers, and sees `here` by its own address: pods are ready before every node knows the way."""
    here = kubectl(cluster, f"get pod here {ADDRESS}")
    wait_until(lambda: seen_by_far(cluster) == here, f"far to see {here}", within_seconds=60)


def running(machine: Machine) -> list[str]:
    return machine.runner.run(["sh", "-c", "cat /proc/[0-9]*/comm"]).stdout.split()


def condition(node: dict[str, Any]) -> dict[str, Any]:
    return next(each for each in node["status"]["conditions"] if each["type"] == "Ready")


def ready(node: dict[str, Any]) -> str:
    return str(condition(node)["status"])


def message(node: dict[str, Any]) -> str:
    return str(condition(node)["message"])


def links(cluster: EmbeddedCluster) -> str:
    return cluster.node("node-1").machine.runner.run(["ip", "-brief", "link"]).or_raise().stdout


def test_two_clusters_with_different_dataplanes_at_once_and_a_change() -> None:
    with ExitStack() as stack:
        shown = programs("flannel", "bgp")
        machines = [
            stack.enter_context(leak_checked_machine(owner=Owner.this_process(), tools=shown)) for _ in range(2)
        ]
        with ThreadPoolExecutor() as pool:
            overlay, routed = pool.map(start, machines, ["flannel-vxlan", "bgp"])
        for cluster in (overlay, routed):
            run_pods(cluster)
            wait_for_far(cluster)
        assert "flannel.1" in links(overlay)
        assert "flannel.1" not in links(routed)
        kubectl(overlay, f"delete --force -f {PODS}/pods.yaml")
        overlay.use_dataplane("plain")
        assert "flannel.1" not in links(overlay)
        assert "cni0" not in links(overlay)
        assert not [each.name for each in overlay.components if each.name.startswith("flanneld")]
        run_pods(overlay)
        wait_for_far(overlay)
        overlay.close()
        routed.close()


def test_a_switch_and_a_mesh_forward_enforce_policies_and_leave_nothing() -> None:
    with leak_checked_machine(owner=Owner.this_process(), tools=programs("openvswitch", "mesh")) as machine:
        cluster = start(machine, "ovs")
        for name, bridge in (("ovs", "gw0"), ("mesh", "weave")):
            if cluster.dataplane.name != name:
                cluster.use_dataplane(name)
            run_pods(cluster)
            assert bridge in links(cluster)
            wait_for_far(cluster)
            kubectl(cluster, f"apply -f {PODS}/deny.yaml")
            node = cluster.node("node-2")
            wait_until(partial(has_in_force, node, "deny-to-web"), "the policy", within_seconds=60)
            assert seen_by_far(cluster) == ""
            kubectl(cluster, f"delete --force -f {PODS}/deny.yaml -f {PODS}/pods.yaml")
        cluster.use_dataplane("plain")

        def left() -> list[str]:
            found = links(cluster)
            links_of_theirs = [each for each in ("gw0", "br-int", "tunnel", "weave", "vxlan", "here-") if each in found]
            return links_of_theirs + [each for each in running(machine) if each.startswith(("ovs", "mesh"))]

        # kubelet takes pods that were removed by force down in its own time.
        wait_until(lambda: not left(), "all of it to be gone", within_seconds=60, last_seen=lambda: f"left: {left()}")
        run_pods(cluster)
        wait_for_far(cluster)
        cluster.close()


def test_a_node_that_is_killed_while_its_pod_is_asked() -> None:
    with leak_checked_machine(owner=Owner.this_process(), tools=programs("openvswitch")) as machine:
        cluster = start(machine, "ovs")
        run_pods(cluster)
        ask = ["kubectl", "exec", "here", "--", "timeout", "1", "wget", "-qO-", "http://web/clientip"]
        wait_until(lambda: cluster.runner.run(ask).succeeded, "the Service to answer", within_seconds=60)
        kubectl(cluster, "exec here -- sh /probe/keep-asking")
        cluster.node("node-2").machine.close()
        seen(cluster, "node node-2", lambda node: ready(node) != "True")
        answers = kubectl(cluster, "exec here -- sh /probe/keep-asking enough").splitlines()
        assert (answers[0], answers[-1]) == ("answers", "no answer")
        seen(cluster, "node node-1", lambda node: ready(node) == "True")
        near = kubectl(cluster, f"get pod near {ADDRESS}")
        assert kubectl(cluster, f"exec here -- wget -qO- http://{near}:8080/clientip")
        cluster.close()


def test_a_wrong_network_configuration_is_told_by_the_node_or_the_pod() -> None:
    with leak_checked_machine(owner=Owner.this_process(), tools=machine_tools()) as machine:
        cluster = start_embedded_cluster(machine, tools(), archives=archives())
        node = cluster.nodes[0].node
        node.write_network("{")
        seen(cluster, "node node-1", lambda each: ready(each) != "True" and "cni" in message(each))
        node.write_network(json.dumps({"cniVersion": "1.0.0", "name": "x", "plugins": [{"type": "nobody-has-it"}]}))
        seen(cluster, "node node-1", lambda each: ready(each) == "True")
        lonely = str(PODS / "lonely.yaml")
        kubectl(cluster, f"apply -f {lonely}")
        told = 'failed to find plugin "nobody-has-it" in path'
        seen(cluster, "events", lambda events: any(told in each.get("message", "") for each in events["items"]))
        node.write_network(cni_configuration(node.identity.pods))
        kubectl(cluster, "wait --for=condition=Ready pod/needs-network --timeout=120s")
        cluster.close()


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
