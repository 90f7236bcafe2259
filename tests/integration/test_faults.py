"""Faults on a real cluster: each does what it says, and is undone, also by who comes after a killed kernel."""

import os
import signal
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from labsupport.backends import ATTACH_VARIABLE, Plan, attach_backends, end_and_look, start_backends
from labsupport.errors import ClusterError
from labsupport.lab import EVIDENCE_VARIABLE
from labsupport.lessons.needs import Needs
from labsupport.process.commands import LocalRunner
from labsupport.process.ownership import RUN_ROOT_VARIABLE, Owner
from labsupport.process.waiting import wait_until
from labsupport.project import Project
from labsupport.systems.clusters.embedded import EmbeddedCluster, attach_embedded_cluster, start_embedded_cluster
from labsupport.systems.faults import faults_left, make_fault, open_faults, undo_faults
from labsupport.systems.machines.namespaces import start_namespaces_machine
from tests.clusters import archives, embedded_cluster, kubectl, machine_tools, seen, tools
from tests.leaks import assert_ended_by_the_kernel

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.timeout(900)]

STOPPED = ("kube-scheduler", "kube-controller-manager", "kubelet@node-1", "coredns", "etcd", "kube-apiserver")


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedCluster]:
    with embedded_cluster(nodes=2) as running:
        yield running


def state_of(cluster: EmbeddedCluster, component: str) -> str:
    """The state of a component's process, as /proc says: S sleeping, T stopped, nothing when it has ended."""
    found = cluster.component(component)
    if not found.is_running():
        return ""
    return Path(f"/proc/{found.pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("action", ["stop", "kill"])
def test_a_component_ends_and_is_started_again(cluster: EmbeddedCluster, action: str) -> None:
    before = cluster.component("kube-scheduler").pid
    make_fault(cluster, action, "kube-scheduler")
    assert state_of(cluster, "kube-scheduler") == ""
    assert [str(one) for one in undo_faults(cluster)] == [f"kube-scheduler {action.replace('stop', 'stopp')}ed"]
    assert cluster.component("kube-scheduler").is_running()
    assert cluster.component("kube-scheduler").pid != before
    assert not undo_faults(cluster)


def test_a_frozen_component_goes_on_where_it_was(cluster: EmbeddedCluster) -> None:
    before = cluster.component("coredns").pid
    make_fault(cluster, "freeze", "coredns")
    wait_until(lambda: state_of(cluster, "coredns") == "T", "it to stand still", within_seconds=30)
    undo_faults(cluster)
    assert state_of(cluster, "coredns") != "T"
    assert cluster.component("coredns").pid == before


def test_a_node_cut_off_is_silent_and_comes_back(cluster: EmbeddedCluster) -> None:
    make_fault(cluster, "cut off", "node-2")
    kubectl(cluster, "wait --for=condition=Ready=unknown node/node-2 --timeout=120s")
    # On a busy computer it may be late with a sign of life, and be missed for a moment.
    seen(cluster, "node node-1", lambda node: not node["spec"].get("taints"))
    undo_faults(cluster)
    kubectl(cluster, "wait --for=condition=Ready node/node-2 --timeout=30s")


def test_only_what_the_lab_started_can_be_had(cluster: EmbeddedCluster) -> None:
    with pytest.raises(ClusterError, match="kube-scheduler"):
        make_fault(cluster, "stop", "sshd")
    with pytest.raises(ClusterError, match="node-2"):
        make_fault(cluster, "cut off", "node-3")
    assert open_faults(cluster) == []


def in_a_child_that_is_killed(cluster: EmbeddedCluster, action: str, target: str) -> None:
    """As a notebook's kernel that is attached to a lab, breaks something, and is killed."""
    pid = os.fork()
    if pid == 0:
        try:
            make_fault(attach_embedded_cluster(cluster.machine, tools()), action, target)
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


@pytest.mark.parametrize("target", [*STOPPED, "node-2"])
def test_who_comes_after_a_killed_kernel_is_told_and_undoes_it(cluster: EmbeddedCluster, target: str) -> None:
    action, done = ("cut off", "cut off") if target == "node-2" else ("stop", "stopped")
    in_a_child_that_is_killed(cluster, action, target)
    after = attach_embedded_cluster(cluster.machine, tools())
    assert [str(each) for each in faults_left(after)] == [f"fault: {target} {done}"]
    undo_faults(after)
    assert faults_left(after) == []
    assert all(each.is_running() for each in after.components)
    # It takes all of them to make this so.
    kubectl(after, "run works --image=lab/toolbox --image-pull-policy=Never -- sleep 100")
    kubectl(after, "wait --for=condition=Ready pod/works --timeout=120s")
    kubectl(after, "delete pod works --force --grace-period=0")


BREAKS = """
import os, signal
from labsupport import open_lab
lab = open_lab("08-statefulset")
trial = lab.trial("broken-by-hand")
lab.fault(trial, "stop", "etcd")
lab.fault(trial, "cut off", "node-1")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_notebook_killed_on_a_lab_that_lives_on_is_cleaned_up_after(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="l-", dir="/var/lib") as root:
        monkeypatch.setenv(RUN_ROOT_VARIABLE, root)
        needs = Needs(nodes=1, images=("lab/toolbox",))
        chosen = Plan("namespaces", no_engine="none was asked for")
        living = start_backends(chosen, needs, owner=Owner.this_process())
        try:
            assert living.machine is not None
            kernel = LocalRunner({ATTACH_VARIABLE: living.machine.name, EVIDENCE_VARIABLE: str(tmp_path)})
            ended = kernel.run([str(project.python), "-c", BREAKS], within_seconds=120)
            assert ended.exit_code == 128 + signal.SIGKILL, ended.stderr
            after = attach_backends(living.machine.name)
            assert after.plan == chosen
            assert after.mended == ["a fault: node-1 cut off", "a fault: etcd stopped"]
            assert after.cluster is not None
            kubectl(after.cluster, "create configmap stored --from-literal=a=b")
            assert end_and_look(after) == []
        finally:
            living.close()


def test_a_lab_killed_amid_every_fault_leaves_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    archives()
    root = tmp_path_factory.mktemp("labs")
    pid = os.fork()
    if pid == 0:
        try:
            machine = start_namespaces_machine(owner=Owner.this_process(), tools=machine_tools(), root=root)
            (root / "name").write_text(machine.name)
            own = start_embedded_cluster(machine, tools(), nodes=2, archives=archives())
            for target in STOPPED:
                make_fault(own, "freeze" if target == "etcd" else "stop", target)
            make_fault(own, "cut off", "node-2")
            os.kill(os.getpid(), signal.SIGKILL)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    name = (root / "name").read_text()

    assert_ended_by_the_kernel(name, root)
