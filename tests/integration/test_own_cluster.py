"""A lab on the user's own cluster: one namespace, limits, rights that reach no further, and an end that leaves nothing.

The user's cluster is one that these tests start; the user is its administrator, or may use one namespace only.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from labsupport.backends import Backends, LabOptions, end_and_look, plan, start_backends
from labsupport.errors import ClusterError, RequirementMissing
from labsupport.lessons.needs import Needs
from labsupport.process.commands import CommandResult, Invocation, LocalRunner
from labsupport.process.ownership import LABEL_KEY, RUN_ROOT_VARIABLE, Owner
from labsupport.process.waiting import wait_until
from labsupport.project import this_project
from labsupport.systems.clusters.embedded import EmbeddedCluster
from labsupport.systems.clusters.kubeconfig import with_namespace, with_token
from labsupport.systems.clusters.objects import Snapshot
from tests.clusters import embedded_cluster, kubectl, seen
from tests.contract import test_clusters as promises

pytestmark = [pytest.mark.needs("cluster", "root"), pytest.mark.timeout(900)]

DIES = """
import os, sys
from labsupport.backends import LabOptions, plan, start_backends
from labsupport.lessons.needs import Needs
from labsupport.process.ownership import Owner
lab = start_backends(plan(LabOptions(cluster="own")), Needs(nodes=1), owner=Owner.this_process())
lab.runner.run("kubectl create configmap made".split()).or_raise()
print(lab.visit.name, flush=True)
if "keeper" in sys.argv:
    os.kill(lab.visit.keeper().pid, 9)
os.kill(os.getpid(), 9)
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: web, image: lab/toolbox, imagePullPolicy: Never, command: [sleep, "600"]}]
"""
CLAIMED = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: db, image: lab/toolbox, imagePullPolicy: Never, command: [sleep, "600"]}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""


@pytest.fixture(scope="module")
def users() -> Iterator[EmbeddedCluster]:
    """The user's cluster, with something of theirs on it."""
    with embedded_cluster() as cluster:
        cluster.use_namespace("shared")
        kubectl(cluster, "create configmap theirs --from-literal=a=b")
        kubectl(cluster, "create deployment theirs --image=lab/toolbox -- sleep 600")
        kubectl(cluster, "create serviceaccount learner")
        kubectl(cluster, "create rolebinding learner --clusterrole=edit --serviceaccount=shared:learner")
        kubectl(cluster, "create serviceaccount stranger")
        # Its pod is made by controllers, in their own time.
        seen(cluster, "pods", lambda pods: pods["items"])
        yield cluster


@pytest.fixture(autouse=True)
def own_run_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A run root of each test's own: what a killed lab left there, no other lab that starts meanwhile removes."""
    with tempfile.TemporaryDirectory(prefix="l-", dir="/var/lib") as root:
        monkeypatch.setenv(RUN_ROOT_VARIABLE, root)

        def left() -> list[str]:
            return [path.name for path in Path(root).iterdir() if "lab-" in path.name]

        yield
        wait_until(lambda: not left(), "its labs' folders to be gone", within_seconds=10, last_seen=lambda: str(left()))


@pytest.fixture
def kubeconfig(users: EmbeddedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The administrator's kubeconfig, outside of any lab; KUBECONFIG names it."""
    file = tmp_path / "config"
    file.write_text(with_namespace(users.kubeconfig.read_text(), "default"))
    monkeypatch.setenv("KUBECONFIG", str(file))
    return file


def become(users: EmbeddedCluster, kubeconfig: Path, account: str) -> None:
    """Make the kubeconfig that of somebody with few rights."""
    token = kubectl(users, f"create token {account} -n shared")
    kubeconfig.write_text(with_namespace(with_token(kubeconfig.read_text(), account, token), "shared"))


def expect_as_before(users: EmbeddedCluster, before: Snapshot) -> None:
    """Wait until the cluster is as it was: what others had owned goes after them, and lists are of a moment ago."""

    def differ() -> list[str]:
        return sorted(users.snapshot().uids ^ before.uids)

    wait_until(lambda: not differ(), "it as it was", within_seconds=60, last_seen=lambda: f"differ: {differ()}")


def open_lab(*, allow_cluster_changes: bool = False) -> Backends:
    options = LabOptions(cluster="own", allow_cluster_changes=allow_cluster_changes)
    return start_backends(plan(options), Needs(nodes=1), owner=Owner.this_process())


def run(lab: Backends, words: str, stdin: str | None = None) -> CommandResult:
    return lab.runner.run(["kubectl", *words.split()], invocation=Invocation(stdin=stdin))


def test_it_has_a_namespace_with_limits_and_leaves_the_cluster_as_it_was(
    users: EmbeddedCluster, kubeconfig: Path
) -> None:
    before, was = users.snapshot(), kubeconfig.read_bytes()
    lab = open_lab()
    assert lab.home is not None
    namespace = json.loads(kubectl(users, f"get namespace {lab.home.name} -o json"))
    assert namespace["metadata"]["labels"][LABEL_KEY] == lab.home.name
    run(lab, "apply -f -", DEPLOYMENT).or_raise()
    run(lab, "rollout status deployment web --timeout=60s").or_raise()
    assert "web-" in run(lab, "get pods -o name").stdout
    assert run(lab, "create quota more --hard=pods=1000").exit_code == 1
    balancer = run(lab, "create service loadbalancer out --tcp=80")
    assert "exceeded quota" in balancer.stderr
    made = lab.snapshot()
    run(lab, "create configmap trials").or_raise()
    assert lab.remove_since(made)
    assert "trials" not in run(lab, "get configmaps -o name").stdout
    assert "web-" in run(lab, "get pods -o name").stdout
    assert end_and_look(lab) == []
    expect_as_before(users, before)
    assert kubeconfig.read_bytes() == was


def test_its_commands_reach_no_further_than_its_namespace(users: EmbeddedCluster, kubeconfig: Path) -> None:
    lab = open_lab()
    try:
        for words in ("get nodes", "create namespace more", "get pods -n shared", "delete configmap theirs -n shared"):
            refused = run(lab, words)
            assert "forbidden" in refused.stderr.lower(), words
        assert lab.cluster is not None
        with pytest.raises(ClusterError, match="has one"):
            lab.cluster.use_namespace("more")
    finally:
        lab.close()


def test_a_flag_lets_it_change_the_cluster(users: EmbeddedCluster, kubeconfig: Path) -> None:
    lab = open_lab(allow_cluster_changes=True)
    try:
        assert "node-1" in run(lab, "get nodes -o name").or_raise().stdout
    finally:
        lab.close()


@pytest.mark.parametrize("killed", ["owner", "keeper"])
def test_a_killed_labs_namespace_goes(users: EmbeddedCluster, kubeconfig: Path, killed: str) -> None:
    before = users.snapshot()
    died = LocalRunner({"PYTHONPATH": str(this_project().root)}).run([sys.executable, "-c", DIES, killed])
    assert died.exit_code == 128 + 9, died.stderr
    name = died.stdout.strip()
    if killed == "keeper":
        assert name in kubectl(users, "get namespaces -o name")
        open_lab().close()
    wait_until(lambda: name not in kubectl(users, "get namespaces -o name"), f"{name} to be gone", within_seconds=120)
    expect_as_before(users, before)


def test_who_may_use_one_namespace_only_gets_that_and_others_things_stay(
    users: EmbeddedCluster, kubeconfig: Path, tmp_path: Path
) -> None:
    become(users, kubeconfig, "learner")
    before = users.snapshot()
    lab = open_lab()
    run(lab, "apply -f -", DEPLOYMENT + "---" + CLAIMED).or_raise()
    run(lab, "create configmap made").or_raise()
    run(lab, "run pod --image=lab/toolbox --image-pull-policy=Never --restart=Never -- sleep 600").or_raise()
    run(lab, "expose deployment web --port=80").or_raise()
    made = run(lab, f"get all,configmaps -o name -l {LABEL_KEY}").stdout.split()
    assert {"deployment.apps/web", "statefulset.apps/db", "configmap/made", "pod/pod", "service/web"} <= set(made)
    over = run(lab, "apply -f -", "{apiVersion: v1, kind: ConfigMap, metadata: {name: theirs}, data: {a: changed}}")
    assert over.exit_code == 1
    assert "not the lab's" in over.stderr
    kubectl(users, "create configmap meanwhile -n shared")
    assert end_and_look(lab) == []
    assert kubectl(users, "get configmap theirs -n shared -o jsonpath={.data.a}") == "b"
    kubectl(users, "delete configmap meanwhile -n shared")
    expect_as_before(users, before)


def test_who_may_do_nothing_is_told_so_and_nothing_is_left(users: EmbeddedCluster, kubeconfig: Path) -> None:
    become(users, kubeconfig, "stranger")
    before = users.snapshot()
    with pytest.raises(RequirementMissing, match="neither make namespaces there nor create"):
        open_lab()
    expect_as_before(users, before)


def test_ten_learners_at_once_do_not_meet(users: EmbeddedCluster, kubeconfig: Path) -> None:
    before = users.snapshot()

    def learn(number: int) -> str:
        lab = open_lab()
        run(lab, f"create configmap mine --from-literal=who={number}").or_raise()
        said = run(lab, "get configmap mine -o jsonpath={.data.who}").or_raise().stdout
        assert end_and_look(lab) == []
        return said

    with ThreadPoolExecutor(max_workers=10) as pool:
        assert list(pool.map(learn, range(10))) == [str(number) for number in range(10)]
    expect_as_before(users, before)


def test_it_keeps_the_promises_of_every_cluster_that_take_no_more_than_a_namespace(
    users: EmbeddedCluster, kubeconfig: Path, tmp_path: Path
) -> None:
    lab = open_lab()
    try:
        cluster: Any = lab.cluster
        promises.test_exec_passes_streams_and_exit_code(cluster, "")
        cluster.runner.run(["kubectl", "delete", "pod", "web", "--now"]).or_raise()
        promises.test_logs_of_a_pod(cluster, "")
        cluster.runner.run(["kubectl", "delete", "pod", "web", "--now"]).or_raise()
        promises.test_a_broken_manifest_makes_nothing_and_names_the_line(cluster, "", tmp_path)
    finally:
        lab.close()


def test_no_context_and_no_answer_are_one_clear_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(RequirementMissing, match="use-context"):
        open_lab()
