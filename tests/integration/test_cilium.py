"""Cilium on real nodes: it connects, translates Services, enforces policies; and takes everything back.

And what keeps its compiled programs: the compiler's name on a node, with a compiler of the test's own behind it.
"""

import os
from functools import partial
from pathlib import Path

import pytest

from labsupport.process.commands import LocalRunner
from labsupport.process.ownership import Owner
from labsupport.process.waiting import wait_until
from labsupport.project import this_project
from labsupport.systems.clusters.embedded import EmbeddedCluster, start_embedded_cluster
from labsupport.systems.clusters.node import NodeOnMachine
from labsupport.systems.dataplanes.cilium import COMPILER, KEPT, copy_missing
from labsupport.systems.kernel_programs import Held, all_held, held_by
from tests.clusters import archives, kubectl, machine_tools, tools
from tests.engines import toolchain
from tests.leaks import leak_checked_machine

pytestmark = pytest.mark.timeout(900)
on_nodes = pytest.mark.needs("root", "machine", "cluster")

PODS = this_project().root / "notebooks" / "assets" / "05-cni-plugins"
# What a node looks like in its own network namespace, but for names and numbers that differ each time.
STATE = (
    "ip -brief link | cut -d' ' -f1 | cut -d@ -f1",
    "ip -4 rule",
    "ip -4 route show table all type unicast",
    "iptables-save 2>/dev/null | grep '^[*:-]' | sed 's/ \\[.*//' | grep -v CANARY | sort",
    "ls /sys/fs/bpf /run/cilium 2>&1",
    "grep -c -e ' bpf ' -e cgroupv2 /proc/mounts",
)


def programs() -> tuple[Path, ...]:
    toolchain().ensure("cilium", "ebpf")
    return (*machine_tools(), *(toolchain().bin_folder(group) for group in ("cilium", "ebpf")))


def run_pods(cluster: EmbeddedCluster) -> None:
    kubectl(cluster, f"apply -f {PODS}/pods.yaml")
    kubectl(cluster, "wait --for=condition=Ready pod --all --timeout=120s")


def asker_as_seen(cluster: EmbeddedCluster, whom: str) -> str:
    ask = ["kubectl", "exec", "here", "--", "timeout", "3", "wget", "-qO-", f"http://{whom}/clientip"]
    return cluster.runner.run(ask).stdout.rpartition(":")[0]


def address(cluster: EmbeddedCluster, pod: str) -> str:
    return kubectl(cluster, f"get pod {pod} -o jsonpath={{.status.podIP}}")


def wait_for_answer(cluster: EmbeddedCluster, whom: str) -> None:
    """Wait until somebody answers `here`, and sees its own address: pods are ready before every node knows the way."""
    here = address(cluster, "here")
    wait_until(lambda: asker_as_seen(cluster, whom) == here, f"{whom} to see {here}", within_seconds=60)


def state(node: NodeOnMachine) -> dict[str, list[str]]:
    return {line: node.machine.runner.run(["sh", "-c", line]).stdout.splitlines() for line in STATE}


def held(node: NodeOnMachine) -> set[Held]:
    return held_by([node.machine.pid])


def wait_gone(things: set[Held]) -> None:
    wait_until(
        lambda: not things & all_held(),
        "the kernel to have let go of them",
        within_seconds=60,
        last_seen=lambda: str(sorted(things & all_held())),
    )


def test_what_the_compiler_made_of_the_same_text_it_is_not_asked_again(tmp_path: Path) -> None:
    asked, compiled, source = tmp_path / "asked", tmp_path / "compiled", tmp_path / "bpf_lxc.c"
    real, ours = tmp_path / "real", tmp_path / "clang"
    real.write_text(
        '#!/bin/sh\nfor word; do case $word in -E) exec cat "$SOURCE" ;; esac; done\n'
        'echo "$*" >>"$ASKED"\ngrep -q broken "$SOURCE" && exit 1\necho "made: $(cat "$SOURCE")"\n'
    )
    ours.write_text(COMPILER)
    for program in (real, ours):
        program.chmod(0o755)
    compiled.mkdir()
    places = {"CLANG": str(real), "COMPILED": str(compiled), "SOURCE": str(source), "ASKED": str(asked)}

    def compile_it(text: str, *words: str, file: str = "bpf_lxc.c") -> tuple[str, int]:
        source.write_text(text)
        asked.write_text("")
        said = LocalRunner(places).run([str(ours), *words, "-c", file, "-o", "-"])
        return said.stdout.strip() if said.succeeded else "failed", len(asked.read_text().splitlines())

    assert compile_it("one", "-I/a", "-O2") == ("made: one", 1)
    assert compile_it("one", "-I/b", "-O2") == ("made: one", 0)
    assert compile_it("one", "-I/b", "-O1") == ("made: one", 1)
    assert compile_it("two", "-I/b", "-O2") == ("made: two", 1)
    assert [compile_it("broken") for _ in range(2)] == [("failed", 1)] * 2
    assert [compile_it("one", file="bpf_sock.c") for _ in range(2)] == [("made: one", 1)] * 2
    copy_missing(compiled, tmp_path / "kept" / "there")
    assert len(list((tmp_path / "kept" / "there").iterdir())) == len(list(compiled.glob("*.o"))) == 3


@on_nodes
def test_cilium_connects_enforces_and_translates_then_takes_all_of_it_back() -> None:
    with leak_checked_machine(owner=Owner.this_process(), tools=programs(), visible=[toolchain().cache]) as machine:
        cluster = start_embedded_cluster(machine, tools(), nodes=2, archives=archives())
        before = state(cluster.nodes[0])
        cluster.use_dataplane("cilium")
        assert [name for name in cluster.daemons() if name.startswith("cilium-agent")]
        assert not cluster.component("kube-proxy@node-1").is_running()
        assert "kube-proxy" not in cluster.node("node-1").machine.runner.run(["nft", "list", "tables"]).stdout
        run_pods(cluster)
        wait_for_answer(cluster, f"{address(cluster, 'far')}:8080")
        wait_for_answer(cluster, "web")
        kubectl(cluster, f"apply -f {PODS}/deny.yaml")
        wait_until(lambda: not asker_as_seen(cluster, "web"), "the policy to be in force", within_seconds=60)
        made = set.union(*(held(node) for node in cluster.nodes))
        assert len([kind for kind, _ in made if kind == "program"]) > 10
        assert made <= all_held()
        kubectl(cluster, f"delete --force -f {PODS}/pods.yaml")
        cluster.use_dataplane("plain")
        wait_gone(made)
        compiled = {file.name for file in (cluster.nodes[0].node.folder / "cilium-compiled").glob("*.o")}
        assert compiled
        assert compiled <= {file.name for file in (tools().seeds / KEPT).iterdir()}
        # kubelet takes pods that were removed by force down in its own time.
        now = partial(state, cluster.nodes[0])
        wait_until(lambda: now() == before, "the node as it was", within_seconds=60, last_seen=lambda: f"{now()}")
        run_pods(cluster)
        wait_for_answer(cluster, "web")
        cluster.close()


@on_nodes
def test_a_cluster_that_starts_with_cilium_in_vxlan_then_its_node_is_killed_then_its_machine() -> None:
    with leak_checked_machine(owner=Owner.this_process(), tools=programs(), visible=[toolchain().cache]) as machine:
        cluster = start_embedded_cluster(machine, tools(), nodes=2, archives=archives(), dataplane="cilium-vxlan")
        run_pods(cluster)
        wait_for_answer(cluster, "web")
        survivor, killed = cluster.nodes
        theirs, its = held(survivor), held(killed)
        assert its
        assert not its & theirs
        os.kill(killed.machine.pid, 9)
        wait_gone(its)
        assert theirs & all_held()
        wait_for_answer(cluster, f"{address(cluster, 'near')}:8080")
        os.kill(machine.pid, 9)
        wait_gone(theirs)
