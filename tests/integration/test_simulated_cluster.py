"""A cluster with simulated nodes: what of it is live, what it must not pretend, and that it ends with its owner."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import dns.resolver
import pytest

from labsupport.errors import ClusterError
from labsupport.process.ownership import Owner, own_run_root
from labsupport.process.progress import Progress
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.simulated import SimulatedCluster, start_simulated_cluster
from labsupport.systems.clusters.simulated.volumes import PLACE
from labsupport.systems.faults import make_fault, undo_faults
from labsupport.systems.inventory import leftovers
from labsupport.systems.machines.run_folders import LabRecord
from labsupport.systems.machines.sweeping import sweep
from labsupport.systems.visits import start_visit
from labsupport.systems.visits.daemons import ThisComputer
from tests.children import in_a_child
from tests.clusters import kubectl, seen, simulated_cluster, simulated_tools
from tests.computers import USER, computer_of_a_user

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.timeout(180)]

SET = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: None
  selector: {app: web}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      readinessGates: [{conditionType: lab/open}]
      containers:
        - name: web
          image: no/such-image
          volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""
VOLUME = """\
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  capacity: {{storage: 1Mi}}
  accessModes: [ReadWriteOnce]
  storageClassName: by-hand
  persistentVolumeReclaimPolicy: {policy}
  hostPath: {{path: {path}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}, namespace: default}}
spec:
  storageClassName: by-hand
  volumeName: {name}
  accessModes: [ReadWriteOnce]
  resources: {{requests: {{storage: 1Mi}}}}
"""
OPEN = {"status": {"conditions": [{"type": "lab/open", "status": "True"}]}}


@pytest.fixture(scope="module")
def cluster() -> Iterator[SimulatedCluster]:
    with simulated_cluster(nodes=2) as running:
        yield running


def apply(cluster: SimulatedCluster, folder: Path, text: str) -> None:
    file = folder / "manifest.yaml"
    file.write_text(text)
    cluster.apply(file)


def answers(cluster: SimulatedCluster, name: str) -> list[str]:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [cluster.dns_address], cluster.dns_port
    try:
        return [str(each) for each in resolver.resolve(f"{name}.default.svc.cluster.local")]
    except dns.resolver.NXDOMAIN:
        return []


def wait_until_gone(name: str) -> None:
    """Wait for a lab's keeper, which is a process that starts to load what it takes when its owner has ended."""

    def left() -> list[str]:
        return [str(each) for each in leftovers(name, root=own_run_root())]

    wait_until(lambda: not left(), f"{name} to be gone", within_seconds=60, last_seen=lambda: f"left: {left()}")


def test_sets_claims_and_names_are_live(cluster: SimulatedCluster, tmp_path: Path) -> None:
    before = cluster.snapshot()
    apply(cluster, tmp_path, SET)
    kubectl(cluster, "wait --for=jsonpath={.status.phase}=Running pod/web-0 --timeout=30s")
    # The second waits for the first to be ready, which nobody has said yet.
    assert kubectl(cluster, "get pods -o name") == "pod/web-0"
    assert answers(cluster, "web-0.web") == []
    cluster.runner.run(
        ["kubectl", "patch", "pod", "web-0", "--subresource=status", "--patch", json.dumps(OPEN)]
    ).or_raise()
    kubectl(cluster, "wait --for=create pod/web-1 --timeout=30s")
    address = kubectl(cluster, "get pod web-0 -o jsonpath={.status.podIP}")
    assert address.startswith("10.244.")
    wait_until(lambda: answers(cluster, "web-0.web") == [address], "the name of web-0", within_seconds=10)
    volume = kubectl(cluster, "get pvc data-web-0 -o jsonpath={.spec.volumeName}")
    folder = Path(kubectl(cluster, f"get pv {volume} -o jsonpath={{.spec.hostPath.path}}"))
    assert folder.parent == PLACE
    assert folder.is_dir()
    cluster.remove_since(before)
    wait_until(lambda: not folder.exists(), "the volume's folder to go", within_seconds=20)
    assert kubectl(cluster, "get pods,pvc,pv -o name") == ""


def test_a_retained_volume_is_released_and_a_recycled_one_never_pretends_to_be_empty(
    cluster: SimulatedCluster, tmp_path: Path
) -> None:
    before = cluster.snapshot()
    for name, policy in (("kept", "Retain"), ("recycled", "Recycle")):
        apply(cluster, tmp_path, VOLUME.format(name=name, policy=policy, path=f"/srv/{name}"))
    kubectl(cluster, "wait --for=jsonpath={.status.phase}=Bound pvc --all --timeout=30s")
    kubectl(cluster, "delete pvc --all")
    kubectl(cluster, "wait --for=jsonpath={.status.phase}=Released pv/kept pv/recycled --timeout=30s")
    recycler = "pod/recycler-for-recycled"
    kubectl(cluster, f"wait --for=jsonpath={{.status.phase}}=Running {recycler} --timeout=30s")
    assert not cluster.runner.run(
        ["kubectl", "wait", "--for=jsonpath={.status.phase}=Available", "pv/recycled", "--timeout=2s"]
    ).succeeded
    cluster.remove_since(before)


def test_the_controllers_are_kept_from_folders_of_this_computer(cluster: SimulatedCluster, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    path = f"/tmp/..{mine}" if not str(mine).startswith("/tmp/") else str(mine)
    with pytest.raises(ClusterError, match=r"your own computer|must not contain"):
        apply(cluster, tmp_path, VOLUME.format(name="mine", policy="Delete", path=path))
    assert mine.is_dir()


def test_it_says_of_itself_that_it_is_simulated(cluster: SimulatedCluster) -> None:
    assert kubectl(cluster, "get nodes").count("simulated-by-kwok") == 2
    in_a_terminal = "import pty; pty.spawn(['kubectl', 'get', 'nodes'])"
    said = cluster.runner.run(["python3", "-c", in_a_terminal]).stdout
    assert said.startswith("[simulated: nodes, containers, addresses of pods]")
    assert cluster.simulated == ("nodes", "containers", "addresses of pods")
    with pytest.raises(ClusterError, match="simulated"):
        cluster.node("node-1")


def test_a_node_lives_as_long_as_its_simulation_does(cluster: SimulatedCluster) -> None:
    make_fault(cluster, "stop", "kwok")
    kubectl(cluster, "wait --for=condition=Ready=unknown node/node-2 --timeout=30s")
    assert [one.target for one in undo_faults(cluster)] == ["kwok"]
    kubectl(cluster, "wait --for=condition=Ready node --all --timeout=30s")


def test_without_its_scheduler_a_pod_waits_and_with_it_goes_on(cluster: SimulatedCluster) -> None:
    make_fault(cluster, "stop", "kube-scheduler")
    kubectl(cluster, "run waits --image=no/such-image")
    assert kubectl(cluster, "get pod waits -o jsonpath={.spec.nodeName}") == ""
    undo_faults(cluster)
    kubectl(cluster, "wait --for=condition=Ready pod/waits --timeout=30s")
    refused = cluster.runner.run(["kubectl", "exec", "waits", "--", "true"])
    assert (refused.exit_code, refused.stdout) == (1, "")
    kubectl(cluster, "delete pod waits")
    seen(cluster, "pod waits --ignore-not-found", lambda it: not it, within=10)


@pytest.mark.parametrize("keeper_too", [False, True], ids=["owner", "owner-and-keeper"])
def test_kill_9_of_its_owner_ends_it(keeper_too: bool, tmp_path: Path) -> None:
    simulated_tools()

    def start(writer: int) -> None:
        visit = start_visit(Owner.this_process())
        os.write(writer, f"{visit.name}\n".encode())
        cluster = start_simulated_cluster(ThisComputer(visit.folder), simulated_tools())
        apply(cluster, tmp_path, SET)
        kubectl(cluster, "wait --for=jsonpath={.status.phase}=Bound pvc/data-web-0 --timeout=30s")
        path = kubectl(cluster, "get pv -o jsonpath={.items[0].spec.hostPath.path}")
        os.write(writer, f"{path}\n".encode())
        signal.pause()

    with in_a_child(start) as child:
        name, volume = child.said.readline().decode().strip(), Path(child.said.readline().decode().strip())
        assert volume.is_dir()
        keeper = LabRecord.read(own_run_root() / name).init
        assert keeper is not None
        if keeper_too:
            os.kill(keeper.pid, signal.SIGKILL)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    if keeper_too:
        sweep(own_run_root())
    wait_until_gone(name)
    assert not volume.exists()


def test_killed_while_it_starts() -> None:
    simulated_tools()

    def killed(progress: Progress) -> None:
        if progress.text.startswith("the API server answers"):
            os.kill(os.getpid(), signal.SIGKILL)

    def start(writer: int) -> None:
        visit = start_visit(Owner.this_process())
        os.write(writer, f"{visit.name}\n".encode())
        start_simulated_cluster(ThisComputer(visit.folder), simulated_tools(), listener=killed)

    with in_a_child(start) as child:
        name = child.said.readline().decode().strip()
        assert child.wait() == -signal.SIGKILL
    wait_until_gone(name)


def test_what_a_program_writes_while_its_lab_is_ended_goes_too() -> None:
    visit = start_visit(Owner.this_process())
    path = str(visit.folder / "cluster" / "audit.log")
    program = "import os, sys\nwhile True: os.makedirs(sys.argv[1], exist_ok=True)"
    ThisComputer(visit.folder).start("writes", [sys.executable, "-c", program, path])
    wait_until(lambda: Path(path).is_dir(), "its first word", within_seconds=10)
    visit.close()
    assert leftovers(visit.name, root=own_run_root()) == []


AS_A_USER = """
import json, os, sys
from pathlib import Path
from labsupport.backends import LabOptions, end_and_look, plan, start_backends
from labsupport.lessons.catalog import lesson
from labsupport.process.ownership import Owner

chosen, needs = plan(LabOptions()), lesson("08").needs
lab = start_backends(chosen, needs, owner=Owner.this_process())
run = lambda words: lab.runner.run(words.split()).or_raise().stdout.strip()
run("kubectl apply -f notebooks/assets/08-statefulset/web.yaml")
run("kubectl rollout status statefulset/web --timeout=60s")
status = [Path(f"/proc/{part.pid}/status").read_text() for part in lab.cluster.parts.values()]
said = {
    "why not": chosen.why_not(needs),
    "no engine": chosen.no_engine,
    "name": lab.name,
    "simulated": lab.simulated,
    "claims": run("kubectl get pvc -o jsonpath={.items[*].status.phase}"),
    "users": sorted({line.split()[1] for text in status for line in text.splitlines() if line.startswith("Uid:")}),
    "rights": sorted({line.split()[1] for text in status for line in text.splitlines() if line.startswith("CapEff:")}),
    "left": [str(each) for each in end_and_look(lab)],
}
print(json.dumps(said))
"""


def test_it_is_what_a_user_without_root_and_docker_gets() -> None:
    simulated_tools()
    with computer_of_a_user() as computer:
        result = computer.run("-c", AS_A_USER, DOCKER_HOST="unix:///tmp/none.sock")
        assert result.exit_code == 0, result.stdout
        said = json.loads(result.stdout.splitlines()[-1])
        left = computer.machine.runner.run(["sh", "-c", "ls -A /tmp/user/labs; ls -d /tmp/hostpath_pv"]).stdout.split()
    assert said.pop("no engine").startswith("no private machine can start here")
    assert said == {
        "why not": "",
        "name": "simulated",
        "simulated": ["nodes", "containers", "addresses of pods"],
        "claims": "Bound Bound Bound",
        "users": [USER],
        "rights": ["0000000000000000"],
        "left": [],
    }
    assert left == [".lock"]
