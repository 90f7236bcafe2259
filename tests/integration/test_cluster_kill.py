"""`kill -9` while a cluster starts, or of one of its nodes, leaves nothing of what was killed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from labsupport.process.ownership import Owner
from labsupport.process.progress import Progress
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.embedded import start_embedded_cluster
from labsupport.systems.machines.namespaces import start_namespaces_machine
from tests.clusters import archives, embedded_cluster, kubectl, machine_tools, tools
from tests.leaks import assert_ended_by_the_kernel

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.timeout(600)]

PHASES = ("etcd, API server", "the API server answers", "pods can run")


def in_a_child(action: Callable[[Path], None], root: Path) -> int:
    """Run `action` in a forked process and return its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            action(root)
        finally:
            os._exit(1)
    return pid


def start_and_be_killed(phase: str) -> Callable[[Path], None]:
    def killed(progress: Progress) -> None:
        if progress.text.startswith(phase):
            os.kill(os.getpid(), signal.SIGKILL)

    def start(root: Path) -> None:
        machine = start_namespaces_machine(owner=Owner.this_process(), tools=machine_tools(), root=root)
        (root / "name").write_text(machine.name)
        start_embedded_cluster(machine, tools(), archives=archives(), listener=killed)

    return start


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("labs")  # short: sockets are below it


@pytest.mark.parametrize("phase", PHASES)
def test_killed_while_it_starts(phase: str, root: Path) -> None:
    archives()
    _, status = os.waitpid(in_a_child(start_and_be_killed(phase), root), 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    name = (root / "name").read_text()

    assert_ended_by_the_kernel(name, root)


def test_a_killed_node_ends_alone() -> None:
    with embedded_cluster(nodes=2) as cluster:
        kubectl(
            cluster,
            "run here --image=lab/agnhost --image-pull-policy=Never "
            '--overrides={"spec":{"nodeName":"node-1"}} -- netexec',
        )
        kubectl(cluster, "wait --for=condition=Ready pod/here --timeout=120s")
        lost = cluster.node("node-2").machine
        os.kill(lost.pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{lost.pid}").exists(), "the node's end", within_seconds=30)
        assert not any(each.is_running() for each in cluster.components if each.name.endswith("@node-2"))
        assert all(each.is_running() for each in cluster.components if not each.name.endswith("@node-2"))
        assert kubectl(cluster, "exec here -- echo unharmed") == "unharmed"
