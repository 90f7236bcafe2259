"""What a cluster's programs are given: certificates, kubeconfigs, configurations, images."""

import json
import stat
import tarfile
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from labsupport.errors import WaitExpired
from labsupport.systems.clusters import image_files
from labsupport.systems.clusters.audit import audit_policy
from labsupport.systems.clusters.certificates import Authority, Identity, KeyPair, write_private
from labsupport.systems.clusters.components import advice, last_words
from labsupport.systems.clusters.control_plane import Addresses, ControlPlane
from labsupport.systems.clusters.dns import corefile, dns_objects
from labsupport.systems.clusters.kubeconfig import kubeconfig, with_files, with_namespace
from labsupport.systems.clusters.network import NetworkPlan, cni_configuration, route_commands
from labsupport.systems.clusters.node import NodePrograms, containerd_configuration, kubelet_configuration
from labsupport.systems.clusters.readiness import takes_pods, wait_with
from labsupport.systems.clusters.storage import standard_classes

PLAN = NetworkPlan()


def test_a_certificate_names_its_user_groups_and_places() -> None:
    authority = Authority()
    pair = authority.issue(Identity("system:node:n1", ("system:nodes",), ("n1",), ("10.200.0.2",)))
    found, signer = (
        x509.load_pem_x509_certificate(pair.certificate),
        x509.load_pem_x509_certificate(authority.certificate),
    )
    found.verify_directly_issued_by(signer)
    assert found.subject.rfc4514_string() == "CN=system:node:n1,O=system:nodes"
    places = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert places.get_values_for_type(x509.DNSName) == ["n1"]
    assert places.get_values_for_type(x509.IPAddress) == [ip_address("10.200.0.2")]


def test_a_user_cannot_pose_as_a_server() -> None:
    found = x509.load_pem_x509_certificate(Authority().issue(Identity("lab")).certificate)
    uses = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path / "cp", Addresses("10.200.0.1", "169.254.1.2"), PLAN)
    plane.write_files()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in plane.folder.iterdir()}
    assert {name for name, mode in modes.items() if mode != 0o600} == set()
    assert stat.S_IMODE(plane.folder.stat().st_mode) == 0o700


def test_a_private_file_replaces_one_that_others_could_read(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("old")
    (tmp_path / "key").chmod(0o644)
    write_private(tmp_path / "key", "new")
    assert (tmp_path / "key").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_the_server_is_known_by_both_addresses_and_advertises_the_inner_one(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path / "cp", Addresses("10.200.0.1", "169.254.1.2"), PLAN)
    plane.write_files()
    found = x509.load_pem_x509_certificate(plane.pair("kube-apiserver").certificate)
    places = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(each) for each in places.get_values_for_type(x509.IPAddress)}
    assert {"10.200.0.1", "169.254.1.2", "10.96.0.1"} <= addresses
    words = plane.api_server(Path("/bin/kube-apiserver"))
    assert "--advertise-address=10.200.0.1" in words
    assert "--authorization-mode=Node,RBAC" in words


def test_etcd_listens_on_no_network(tmp_path: Path) -> None:
    words = ControlPlane(tmp_path / "cp", Addresses("", ""), PLAN).etcd(Path("/bin/etcd"))
    listening = [word for word in words if word.startswith("--listen")]
    assert len(listening) == 2
    assert all("=unix://" in word for word in listening)


def test_a_kubeconfig_holds_all_a_client_needs() -> None:
    authority = Authority()
    pair = authority.issue(Identity("lab"))
    text = kubeconfig(server="https://169.254.1.2:6443", authority=authority.certificate, pair=pair, user="lab")
    moved = yaml.safe_load(with_namespace(text, "mine"))
    assert moved["contexts"][0]["context"] == {"cluster": "lab", "user": "lab", "namespace": "mine"}
    assert set(moved["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}


def test_each_node_has_its_own_pods_and_routes_to_the_others() -> None:
    assert [str(PLAN.pods_of(position)) for position in (0, 1)] == ["10.244.0.0/24", "10.244.1.0/24"]
    addresses = {0: "10.200.0.2", 1: "10.200.0.3"}
    assert route_commands(addresses, PLAN, of=0) == ["route replace 10.244.1.0/24 via 10.200.0.3"]
    assert len(route_commands(addresses, PLAN, of=None)) == 2
    assert '"subnet": "10.244.0.0/24"' in cni_configuration(PLAN.pods_of(0))


def test_names_of_the_cluster_and_all_others_are_served_apart() -> None:
    text = corefile(kubeconfig="/k")
    cluster, others = text.split(".:53 {")
    assert "kubernetes cluster.local" in cluster
    assert "template" not in cluster
    assert "NXDOMAIN" in others


def test_the_dns_service_leads_to_the_machine() -> None:
    made = {each["kind"]: each for _, each in dns_objects(PLAN, address="10.200.0.1")}
    assert made["Service"]["spec"]["clusterIP"] == PLAN.dns_service
    assert "selector" not in made["Service"]["spec"]
    assert made["EndpointSlice"]["endpoints"][0]["addresses"] == ["10.200.0.1"]


def test_one_class_is_the_default_and_binds_at_once() -> None:
    marked = [each for each in standard_classes() if each["metadata"]["annotations"]]
    assert [(each["metadata"]["name"], each["volumeBindingMode"]) for each in marked] == [("standard", "Immediate")]


def test_the_audit_log_keeps_no_secret_and_every_other_write() -> None:
    rules = yaml.safe_load(audit_policy())["rules"]
    secrets = next(
        rule for rule in rules if any("secrets" in each.get("resources", ()) for each in rule.get("resources", ()))
    )
    assert secrets["level"] == "Metadata"
    assert rules[-1] == {"level": "RequestResponse"}
    assert rules[0] == {"level": "None", "verbs": ["get", "list", "watch"]}


def test_nodes_start_on_cgroup_v1_and_without_cap_sys_resource(tmp_path: Path) -> None:
    assert kubelet_configuration(tmp_path, PLAN)["failCgroupV1"] is False
    text = containerd_configuration(tmp_path, NodePrograms(Path("/p"), Path("/c")), tmp_path)
    assert "restrict_oom_score_adj = true" in text
    assert 'BinaryName = "/p/runc"' in text


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("lab/toolbox", "docker.io/lab/toolbox:latest"),
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("registry.k8s.io/pause:3.10.2", "registry.k8s.io/pause:3.10.2"),
        ("localhost:5000/x", "localhost:5000/x:latest"),
    ],
)
def test_an_image_name_in_full(name: str, full: str) -> None:
    assert image_files.full_name(name) == full


def test_the_same_program_gives_the_same_image(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"program")
    image = image_files.ProgramImage("lab/x", program, ("serve",))
    first = image.write(tmp_path / "first.tar").read_bytes()
    program.touch()
    assert image.write(tmp_path / "second.tar").read_bytes() == first
    with tarfile.open(tmp_path / "first.tar") as tar:
        names = tar.getnames()
        assert {name.split("/")[0] for name in names} == {"oci-layout", "index.json", "manifest.json", "blobs"}
        stored = tar.extractfile("manifest.json")
        assert stored is not None
        # As engines read it that keep images by a storage driver.
        (told,) = json.load(stored)
    assert told["RepoTags"] == ["docker.io/lab/x:latest"]
    assert {told["Config"], *told["Layers"]} <= set(names)


def test_ready_is_not_yet_schedulable() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    assert not takes_pods({"status": ready, "spec": {"taints": [taint]}})
    assert takes_pods({"status": ready, "spec": {"taints": [{"key": "mine", "effect": "NoSchedule"}]}})
    assert takes_pods({"status": ready, "spec": {}})
    assert not takes_pods({})


@dataclass
class _Door:
    """An API server that shows these nodes; None: it does not answer."""

    nodes: list[dict[str, object]] | None

    def find(self, path: str) -> dict[str, object] | None:
        return None if self.nodes is None else {"items": self.nodes}

    def text(self, path: str) -> str:
        return "[+]etcd ok\nhealthz check passed"


WITHOUT_CNI = {
    "metadata": {"name": "node-2"},
    "spec": {"taints": [{"key": "node.kubernetes.io/not-ready"}]},
    "status": {"conditions": [{"type": "Ready", "status": "False", "message": "cni plugin not initialized"}]},
}


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([WITHOUT_CNI], r"node-2 takes no pods: Ready is False \(cni plugin not initialized\); taints: .*/not-ready"),
        ([{"metadata": {"name": "node-1"}}], r"Ready is not said \(its kubelet said nothing\); taints: none"),
        ([], "no node has registered"),
        (None, "healthz check passed\nWhat to do"),
    ],
)
def test_an_expired_wait_says_which_node_takes_no_pods_and_why(
    nodes: list[dict[str, object]] | None, said: str
) -> None:
    with pytest.raises(WaitExpired, match=said):
        wait_with([], lambda: False, "pods", within_seconds=0, door=_Door(nodes))  # type: ignore[arg-type]


def test_last_words_are_errors_rather_than_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text(
        "I1123 01:00:00.000001       7 server.go:1] starting\n"
        'E1123 01:00:00.000002       7 run.go:72] "command failed" err="listen tcp 0.0.0.0:6443: bind: address already '
        'in use"\nI1123 01:00:00.000003       7 server.go:9] bye\n'
    )
    said = last_words(log)
    assert said.splitlines()[1:] == [
        '  run.go:72] "command failed" err="listen tcp 0.0.0.0:6443: bind: address already in use"'
    ]
    assert "end what listens there" in advice(said, log)


def test_last_words_of_etcd_come_without_its_stack(tmp_path: Path) -> None:
    log = tmp_path / "etcd.log"
    log.write_text(
        '{"level":"panic","ts":"now","msg":"failed to open","error":"file too large","stacktrace":"a\\nb"}\n'
    )
    assert last_words(log) == "\n  failed to open: file too large"


def test_last_words_of_a_program_that_says_nothing(tmp_path: Path) -> None:
    assert last_words(tmp_path / "missing.log") == "nothing"
    assert str(tmp_path / "missing.log") in advice("nothing", tmp_path / "missing.log")


def test_keys_and_certificates_of_a_kubeconfig_go_into_files_beside_it() -> None:
    text = kubeconfig(server="https://192.0.2.1", authority=b"ca", pair=KeyPair(b"certificate", b"key"), user="u")
    found, files = with_files(text)
    assert files == {
        "cluster-certificate-authority.pem": b"ca",
        "user-client-certificate.pem": b"certificate",
        "user-client-key.pem": b"key",
    }
    user = yaml.safe_load(found)["users"][0]["user"]
    assert user == {"client-certificate": "user-client-certificate.pem", "client-key": "user-client-key.pem"}
