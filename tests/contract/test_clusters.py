"""Every cluster keeps the same promises. GAPS says what a backend cannot promise, and why."""

import http.client
import json
import re
import ssl
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import dns.resolver
import pytest

from labsupport.errors import ClusterError
from labsupport.process.commands import LocalRunner
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.embedded import attach_embedded_cluster
from labsupport.systems.clusters.kind import KindCluster, attach_kind_cluster
from labsupport.systems.clusters.lab_cluster import LabCluster
from labsupport.systems.clusters.simulated import SimulatedCluster, attach_simulated_cluster
from labsupport.systems.clusters.started import StartedCluster
from labsupport.systems.faults import make_fault, undo_faults
from labsupport.systems.inventory import settings_now
from labsupport.systems.machines.disks import attach_disk
from labsupport.systems.visits.daemons import ThisComputer
from tests.clusters import (
    SMOKE,
    embedded_cluster,
    kind_cluster,
    kind_tools,
    kubectl,
    seen,
    simulated_cluster,
    simulated_tools,
    tools,
)

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.timeout(900)]

BACKENDS: dict[str, Callable[..., AbstractContextManager[Any]]] = {
    "embedded": embedded_cluster,
    "kind": kind_cluster,
    "simulated": simulated_cluster,
}
NO_CONTAINER = "it runs or asks something in a container, and on simulated nodes there is none"
NO_NODE = "there is no machine behind a simulated node"
# Backend → name of a test → why that promise cannot be kept there.
GAPS: dict[str, dict[str, str]] = {
    "embedded": {},
    "kind": {},
    "simulated": {
        "test_nodes_are_ready_and_of_the_pinned_version": "its nodes say in the place of a version that they are none",
        "test_a_stateful_set_gets_claims_names_and_keeps_its_data": NO_CONTAINER,
        "test_a_volume_goes_with_its_claim": "the folder is elsewhere: see test_simulated_cluster",
        "test_a_local_path_volume_lives_on_its_pods_node": NO_CONTAINER,
        "test_pods_talk_and_see_each_others_own_address": NO_CONTAINER,
        "test_a_service_leads_to_its_pods_from_pod_and_from_node": NO_CONTAINER,
        "test_names_resolve_inside_and_from_this_computer": NO_CONTAINER,
        "test_exec_passes_streams_and_exit_code": NO_CONTAINER,
        "test_logs_of_a_pod": NO_CONTAINER,
        "test_port_forward_from_this_computer": NO_CONTAINER,
        "test_a_component_stops_and_starts_alone": NO_CONTAINER,
        "test_a_fault_is_made_and_undone": NO_CONTAINER,
        "test_an_unknown_part_is_an_error_that_names_the_known_ones": NO_NODE,
        "test_a_node_takes_a_disk": NO_NODE,
        "test_kernel_settings_of_this_computer_stay": NO_NODE,
    },
}

WEB = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: None
  selector: {app: web}
  ports: [{name: http, port: 8080}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: lab/agnhost
          imagePullPolicy: Never
          args: [netexec]
          readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
          volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""


@pytest.fixture(scope="module", params=["embedded", pytest.param("kind", marks=pytest.mark.needs("kind")), "simulated"])
def cluster(request: pytest.FixtureRequest) -> Iterator[LabCluster]:
    with BACKENDS[request.param](nodes=2) as running:
        yield running


@pytest.fixture(autouse=True)
def _not_asked_here(request: pytest.FixtureRequest) -> None:
    backend = request.node.callspec.params["cluster"]
    if why := GAPS[backend].get(request.function.__name__):
        pytest.skip(f"{backend}: {why}")
    asked = (*SMOKE, "test_a_node_takes_a_disk")  # its nodes have what is in their image, and no more
    if backend == "kind" and request.function.__name__ not in asked and not request.config.getoption("--parity"):
        pytest.skip("kind: only with --parity, the embedded cluster is asked in every run")


@pytest.fixture
def namespace(request: pytest.FixtureRequest, cluster: LabCluster) -> Iterator[str]:
    name = "t-" + re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[:60].strip("-")
    cluster.use_namespace(name)
    yield name
    kubectl(cluster, f"delete pods --all --force --grace-period=0 -n {name}")
    kubectl(cluster, f"delete namespace {name} --wait=false")
    cluster.use_namespace("default")


def apply(cluster: LabCluster, folder: Path, text: str) -> None:
    file = folder / "manifest.yaml"
    file.write_text(text)
    cluster.apply(file)


def run_pod(cluster: LabCluster, name: str, *, on: str = "", words: str = "netexec") -> str:
    """Run lab/agnhost and return its address when it is ready, and when it serves if it is to."""
    place = json.dumps({"spec": {"nodeName": on, "terminationGracePeriodSeconds": 1}} if on else {})
    argv = ["kubectl", "run", name, "--image=lab/agnhost", "--image-pull-policy=Never", f"--overrides={place}", "--"]
    cluster.runner.run([*argv, *words.split()]).or_raise()
    kubectl(cluster, f"wait --for=condition=Ready pod/{name} --timeout=120s")
    if words == "netexec":
        here = "http://127.0.0.1:8080/hostname"
        wait_until(lambda: fetch(cluster, name, here) == name, f"{name} to serve", within_seconds=60)
    return kubectl(cluster, f"get pod {name} -o jsonpath={{.status.podIP}}")


def fetch(cluster: LabCluster, pod: str, url: str) -> str:
    """Return what a pod is answered; empty where it is not."""
    # Not `wget -T`: Debian's busybox crashes on it.
    argv = ["kubectl", "exec", pod, "--", "timeout", "5", "wget", "-qO-", url]
    return cluster.runner.run(argv).stdout.strip()


def look_up(cluster: LabCluster, pod: str, name: str) -> str:
    """Return the addresses that a pod is told, and whatever else nslookup says."""
    return cluster.runner.run(["kubectl", "exec", pod, "--", "timeout", "5", "nslookup", name]).stdout


def test_nodes_are_ready_and_of_the_pinned_version(cluster: LabCluster) -> None:
    cluster.wait_ready()
    nodes = json.loads(kubectl(cluster, "get nodes -o json"))["items"]
    assert [node["metadata"]["name"] for node in nodes] == ["node-1", "node-2"]
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes} == {cluster.version}
    assert all(node["spec"]["podCIDR"] for node in nodes)


def test_a_stateful_set_gets_claims_names_and_keeps_its_data(
    cluster: LabCluster, namespace: str, tmp_path: Path
) -> None:
    apply(cluster, tmp_path, WEB)
    seen(cluster, "statefulset web", lambda it: it["status"].get("readyReplicas") == 3)
    claims = json.loads(kubectl(cluster, "get pvc -o json"))["items"]
    assert {claim["status"]["phase"] for claim in claims} == {"Bound"}
    kubectl(cluster, "exec web-0 -- touch /data/kept")
    for pod in ("web-1", "web-2"):
        address = kubectl(cluster, f"get pod {pod} -o jsonpath={{.status.podIP}}")
        name = f"{pod}.web.{namespace}.svc.cluster.local"
        # A name is there a moment after its pod is ready.
        told = partial(look_up, cluster, "web-0", name)
        wait_until(lambda told=told, address=address: address in told(), f"{name} to resolve", within_seconds=60)  # type: ignore[misc]
        assert fetch(cluster, "web-0", f"http://{pod}.web:8080/hostname") == pod
    before = kubectl(cluster, "get pod web-0 -o jsonpath={.metadata.uid}")
    kubectl(cluster, "delete pod web-0")
    seen(cluster, "pod web-0 --ignore-not-found", lambda it: it and it["metadata"]["uid"] != before)
    kubectl(cluster, "wait --for=condition=Ready pod/web-0 --timeout=120s")
    assert kubectl(cluster, "exec web-0 -- ls /data") == "kept"


def test_a_volume_goes_with_its_claim(cluster: LabCluster, namespace: str, tmp_path: Path) -> None:
    apply(cluster, tmp_path, WEB.replace("replicas: 3", "replicas: 1"))
    kubectl(cluster, "rollout status statefulset web --timeout=120s")
    volume = kubectl(cluster, "get pvc data-web-0 -o jsonpath={.spec.volumeName}")
    path = kubectl(cluster, f"get pv {volume} -o jsonpath={{.spec.hostPath.path}}")
    folder = cluster.folder / "volumes" / Path(path).name
    assert folder.is_dir()
    kubectl(cluster, "delete statefulset web")
    kubectl(cluster, "delete pvc data-web-0")
    wait_until(
        lambda: not kubectl(cluster, f"get pv {volume} --ignore-not-found"), "the volume's end", within_seconds=60
    )
    assert not folder.exists()


def test_a_local_path_volume_lives_on_its_pods_node(cluster: LabCluster, namespace: str, tmp_path: Path) -> None:
    cluster.provide_local_path()
    cluster.provide_local_path()
    local = WEB.replace("replicas: 3", "replicas: 1").replace(
        "spec: {accessModes", "spec: {storageClassName: local-path, accessModes"
    )
    apply(cluster, tmp_path, local)
    kubectl(cluster, "rollout status statefulset web --timeout=120s")
    kubectl(cluster, "exec web-0 -- touch /data/kept")
    node = cluster.node(kubectl(cluster, "get pod web-0 -o jsonpath={.spec.nodeName}"))
    assert "kept" in node.machine.runner.run(["find", "/var/lib/local-path"]).stdout
    kubectl(cluster, "delete statefulset web")
    kubectl(cluster, "delete pvc data-web-0")
    wait_until(lambda: not kubectl(cluster, "get pv -o name"), "the volume's end", within_seconds=60)
    assert "kept" not in node.machine.runner.run(["find", "/var/lib/local-path"]).stdout


@pytest.mark.parametrize("places", [("node-1", "node-1"), ("node-1", "node-2")], ids=["same-node", "two-nodes"])
def test_pods_talk_and_see_each_others_own_address(
    cluster: LabCluster, namespace: str, places: tuple[str, str]
) -> None:
    client = run_pod(cluster, "client", on=places[0])
    server = run_pod(cluster, "server", on=places[1])
    assert fetch(cluster, "client", f"http://{server}:8080/clientip").rpartition(":")[0] == client


def test_a_service_leads_to_its_pods_from_pod_and_from_node(cluster: LabCluster, namespace: str) -> None:
    for name, node in (("one", "node-1"), ("two", "node-2")):
        run_pod(cluster, name, on=node)
        kubectl(cluster, f"label pod {name} app=web")
    kubectl(cluster, "create service nodeport web --tcp=80:8080")
    service = json.loads(kubectl(cluster, "get service web -o json"))["spec"]
    wait_until(
        lambda: {fetch(cluster, "one", "http://web/hostname") for _ in range(10)} == {"one", "two"},
        "both pods to answer for the service",
        within_seconds=60,
    )
    # A client on a node, and a packet that comes to another node's port from outside.
    node = cluster.node("node-1")
    port = service["ports"][0]["nodePort"]
    read = r'exec 3<>"/dev/tcp/$0/$1" && printf "GET /hostname HTTP/1.0\r\n\r\n" >&3 && cat <&3'

    def last_line(*place: str) -> str:
        return node.machine.runner.run(["timeout", "5", "bash", "-c", read, *place]).stdout.strip().rpartition("\n")[2]

    # Each node has its own rules, in its own time.
    for place in ((service["clusterIP"], "80"), (cluster.node("node-2").address, str(port))):
        assert wait_until(partial(last_line, *place), f"an answer at {place}", within_seconds=60) in {"one", "two"}


def test_names_resolve_inside_and_from_this_computer(cluster: LabCluster, namespace: str) -> None:
    run_pod(cluster, "client")
    said = kubectl(cluster, "exec client -- nslookup kubernetes.default.svc.cluster.local")
    assert cluster.plan.api_service in said
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.lifetime = [cluster.dns_address], 30
    answer = resolver.resolve("kubernetes.default.svc.cluster.local")
    assert [str(each) for each in answer] == [cluster.plan.api_service]
    with pytest.raises(dns.resolver.NXDOMAIN):
        resolver.resolve("example.org")


def test_exec_passes_streams_and_exit_code(cluster: LabCluster, namespace: str) -> None:
    run_pod(cluster, "web")
    result = cluster.runner.run(["kubectl", "exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.stdout, "err\n" in result.stderr, result.exit_code) == ("out\n", True, 3)


def test_logs_of_a_pod(cluster: LabCluster, namespace: str) -> None:
    run_pod(cluster, "web")
    # It runs before it has said anything.
    said = "Started HTTP server on port 8080"
    wait_until(lambda: said in kubectl(cluster, "logs web"), f"{said!r} in its log", within_seconds=60)


def test_port_forward_from_this_computer(cluster: LabCluster, namespace: str, tmp_path: Path) -> None:
    run_pod(cluster, "web")
    runner = LocalRunner(cluster.environment)
    forward = runner.start(["kubectl", "port-forward", "pod/web", ":8080"], log=tmp_path / "forward.log")
    try:
        port = wait_until(
            lambda: re.search(r"127\.0\.0\.1:(\d+) ->", forward.log.read_text()),
            "the forwarded port",
            within_seconds=60,
        )
        connection = http.client.HTTPConnection("127.0.0.1", int(port[1]), timeout=30)
        connection.request("GET", "/hostname")
        assert connection.getresponse().read() == b"web"
    finally:
        forward.close()


def test_only_who_has_a_certificate_gets_in(cluster: LabCluster) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    address, _, port = cluster.server.removeprefix("https://").partition(":")
    connection = http.client.HTTPSConnection(address, int(port), context=context, timeout=30)
    connection.request("GET", "/api/v1/secrets")
    assert connection.getresponse().status in (401, 403)
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600
    assert stat.S_IMODE(cluster.kubeconfig.parent.stat().st_mode) == 0o700


def test_rights_are_asked_for(cluster: LabCluster) -> None:
    words = ["kubectl", "auth", "can-i", "list", "secrets", "--as=system:serviceaccount:default:default"]
    assert cluster.runner.run(words).stdout.strip() == "no"


def test_the_users_own_settings_stay_as_they_were(cluster: LabCluster) -> None:
    theirs = Path.home() / ".kube"
    before = sorted(theirs.rglob("*")) if theirs.exists() else None
    kubectl(cluster, "get pods")
    assert (sorted(theirs.rglob("*")) if theirs.exists() else None) == before
    assert cluster.environment["KUBECONFIG"] == str(cluster.kubeconfig)


def test_the_official_client_is_ready_to_use(cluster: LabCluster) -> None:
    from kubernetes import client

    names = [node.metadata.name for node in client.CoreV1Api(cluster.api).list_node().items]
    assert names == ["node-1", "node-2"]


def test_a_broken_manifest_makes_nothing_and_names_the_line(
    cluster: LabCluster, namespace: str, tmp_path: Path
) -> None:
    with pytest.raises(ClusterError) as refused:
        apply(cluster, tmp_path, WEB.replace("replicas: 3", "replcas: 3"))
    assert "→   14 |   replcas: 3" in refused.value.happened
    assert "unknown field" in refused.value.happened
    assert kubectl(cluster, "get service,statefulset -o name") == ""


def test_what_a_trial_made_goes_and_what_was_there_stays(cluster: LabCluster, tmp_path: Path) -> None:
    kubectl(cluster, "create configmap older --from-literal=a=b")
    before = cluster.snapshot()
    apply(cluster, tmp_path, WEB.replace("replicas: 3", "replicas: 1"))
    kubectl(cluster, "create namespace trial")
    kubectl(cluster, "create clusterrole trial --verb=get --resource=pods")
    kubectl(cluster, "rollout status statefulset web --timeout=120s")
    removed = cluster.remove_since(before)
    assert {"statefulsets/web", "services/web", "namespaces/trial", "clusterroles/trial"} <= set(removed.names)
    assert kubectl(cluster, "get pods,pvc,pv,statefulset -o name") == ""
    assert kubectl(cluster, "get configmap older -o name") == "configmap/older"
    assert not cluster.remove_since(before)
    kubectl(cluster, "delete configmap older")


def test_who_wrote_what_is_in_the_audit_log(cluster: LabCluster, namespace: str, tmp_path: Path) -> None:
    apply(cluster, tmp_path, WEB.replace("replicas: 3", "replicas: 1"))
    kubectl(cluster, "create secret generic hidden --from-literal=word=never-to-be-seen")
    kubectl(cluster, "rollout status statefulset web --timeout=120s")
    # Its last line may be half written.
    events = [json.loads(line) for line in cluster.audit_log.read_text().split("\n")[:-1]]
    mine = [event for event in events if event.get("objectRef", {}).get("namespace") == namespace]
    writers = {(event["user"]["username"].rpartition(":")[2], event["objectRef"]["resource"]) for event in mine}
    assert {("lab", "statefulsets"), ("statefulset-controller", "pods"), ("kube-scheduler", "pods")} <= writers
    assert {event["verb"] for event in events}.isdisjoint({"get", "list", "watch"})
    assert "never-to-be-seen" not in cluster.audit_log.read_text()


def test_a_component_stops_and_starts_alone(cluster: LabCluster, namespace: str) -> None:
    run_pod(cluster, "client")
    scheduler, names = cluster.component("kube-scheduler"), cluster.component("coredns")
    scheduler.stop()
    names.stop()
    try:
        ended = sorted(name for name, part in cluster.parts.items() if not part.is_running())
        assert ended == ["coredns", "kube-scheduler"]
        kubectl(cluster, "run waits --image=lab/agnhost --image-pull-policy=Never -- pause")
        assert kubectl(cluster, "get pod waits -o jsonpath={.spec.nodeName}") == ""
        lookup = ["kubectl", "exec", "client", "--", "timeout", "3", "nslookup", "kubernetes.default.svc.cluster.local"]
        assert not cluster.runner.run(lookup).succeeded
    finally:
        scheduler.start()
        names.start()
    kubectl(cluster, "wait --for=condition=Ready pod/waits --timeout=120s")
    wait_until(lambda: cluster.runner.run(lookup).succeeded, "names to resolve again", within_seconds=60)


@pytest.mark.parametrize(
    "target", ["kube-scheduler", "kube-controller-manager", "kubelet@node-1", "coredns", "etcd", "node-2"]
)
def test_a_fault_is_made_and_undone(cluster: LabCluster, namespace: str, target: str) -> None:
    action = "cut off" if target == "node-2" else "stop"
    make_fault(cluster, action, target)
    if action == "stop":
        assert not cluster.component(target).is_running()
    else:
        kubectl(cluster, "wait --for=condition=Ready=unknown node/node-2 --timeout=120s")
    assert [one.target for one in undo_faults(cluster)] == [target]
    assert all(part.is_running() for part in cluster.parts.values())
    # It takes all of them to make this so.
    run_pod(cluster, "works", on="" if action == "stop" else target)
    lookup = ["kubectl", "exec", "works", "--", "timeout", "5", "nslookup", "kubernetes.default.svc.cluster.local"]
    wait_until(lambda: cluster.runner.run(lookup).succeeded, "names to resolve again", within_seconds=60)


def test_another_process_finds_the_cluster_again(cluster: LabCluster) -> None:
    found: StartedCluster
    if isinstance(cluster, SimulatedCluster):
        found = attach_simulated_cluster(ThisComputer(cluster.host.folder), simulated_tools())
    elif isinstance(cluster, KindCluster):
        found = attach_kind_cluster(cluster.machine, cluster.engine, kind_tools().cluster)
    else:
        found = attach_embedded_cluster(cluster.machine, tools())
    assert found.server == cluster.server
    assert found.parts.keys() == cluster.parts.keys()
    assert all(part.is_running() for part in found.parts.values())
    assert [node.address for node in found.nodes] == [node.address for node in cluster.nodes]
    assert kubectl(found, "get nodes -o name").splitlines() == ["node/node-1", "node/node-2"]


def test_an_unknown_part_is_an_error_that_names_the_known_ones(cluster: LabCluster) -> None:
    with pytest.raises(ClusterError, match="kube-scheduler"):
        cluster.component("scheduler")
    with pytest.raises(ClusterError, match="node-2"):
        cluster.node("node-3")


def test_a_node_takes_a_disk(cluster: LabCluster) -> None:
    node = cluster.node("node-2").machine
    disk = attach_disk(node, "lab-disk", "/var/lib/disk", megabytes=8)
    look = f"echo a-line-of-ours >{disk.place}/file; sync -f {disk.place}/file; grep -ac a-line-of-ours {disk.device}"
    assert node.runner.run(["sh", "-ec", look]).or_raise().stdout.strip() == "1"
    disk.detach()
    assert not node.runner.run(["mountpoint", disk.place]).succeeded


def test_kernel_settings_of_this_computer_stay(cluster: LabCluster) -> None:
    before = settings_now()
    node = cluster.node("node-1").machine.runner
    assert node.run(["cat", "/proc/sys/vm/overcommit_memory"]).stdout == "1\n"
    assert settings_now() == before
