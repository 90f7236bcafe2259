"""What kind, kubeadm and a node of kind are told; how commands get into a node."""

import re
import tomllib
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml

from labsupport.errors import WaitExpired
from labsupport.process.commands import Invocation
from labsupport.project import this_project
from labsupport.systems.clusters.certificates import Authority
from labsupport.systems.clusters.client_files import door_of, write_client_files
from labsupport.systems.clusters.first_objects import FirstObjects
from labsupport.systems.clusters.kind.configuration import (
    KindPlan,
    kind_configuration,
    kubeadm_patches,
)
from labsupport.systems.clusters.kind.dns import dns_in_a_pod
from labsupport.systems.clusters.kind.helper import address_of
from labsupport.systems.clusters.kind.meanwhile import work_beside_kind
from labsupport.systems.clusters.kind.nodes import InNode
from labsupport.systems.clusters.network import NetworkPlan
from labsupport.systems.clusters.node import NodePrograms, containerd_configuration
from tests.scripted import ScriptedRunner

# Port 1 of this computer, where nothing listens.
NOBODY = "https://127.0.0.1:1"
PLAN = KindPlan(
    address="169.254.7.2",
    folder=Path("/run/lab/cluster"),
    size=2,
    programs=Path("/cache/kind"),
    plugins=Path("/cache/cni"),
    images=Path("/cache/seed"),
    shown=(Path("/cache"), Path("/project")),
    unified=False,
)


def configuration(plan: KindPlan) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(kind_configuration(plan))
    return document


def mounts(node: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    return {each["containerPath"]: (each["hostPath"], each["readOnly"]) for each in node["extraMounts"]}


def patches_of(node: dict[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = yaml.safe_load(node["kubeadmConfigPatches"][0])
    return patch


def test_the_api_server_and_names_are_published_where_this_computer_reaches_them() -> None:
    document = configuration(PLAN)
    assert document["networking"]["apiServerAddress"] == PLAN.address
    assert PLAN.server == f"https://{PLAN.address}:{document['networking']['apiServerPort']}"
    published = document["nodes"][0]["extraPortMappings"]
    assert {(each["hostPort"], each["protocol"]) for each in published} == {(53, "UDP"), (53, "TCP")}
    assert {each["listenAddress"] for each in published} == {PLAN.address}
    assert "extraPortMappings" not in document["nodes"][1]


def test_nodes_see_programs_images_and_their_network_and_write_only_what_is_the_clusters() -> None:
    first, second = (mounts(node) for node in configuration(PLAN)["nodes"])
    assert second["/opt/lab/images"] == ("/cache/seed", True)
    assert second["/project"] == ("/project", True)
    assert second["/etc/cni/net.d"] == ("/run/lab/cluster/node-2/cni", False)
    assert first["/tmp/hostpath_pv"] == second["/tmp/hostpath_pv"] == ("/run/lab/cluster/volumes", False)
    assert first["/etc/kubernetes/pki/ca.key"] == ("/run/lab/cluster/ca.key", True)
    assert "/etc/kubernetes/pki/ca.key" not in second
    written = {here for here, fixed in (*first.values(), *second.values()) if not fixed}
    assert all(here.startswith(str(PLAN.folder)) or here in ("/tmp", "/var/lib/shelves") for here in written)


def test_every_node_takes_pods() -> None:
    first, second = configuration(PLAN)["nodes"]
    assert patches_of(first) == {"kind": "InitConfiguration", "nodeRegistration": {"name": "node-1", "taints": []}}
    assert patches_of(second) == {"kind": "JoinConfiguration", "nodeRegistration": {"name": "node-2"}}
    alone = configuration(replace(PLAN, size=1))["nodes"]
    # kind takes the taint off a single node, and fails where there is none.
    assert patches_of(alone[0]) == {"kind": "InitConfiguration", "nodeRegistration": {"name": "node-1"}}


def test_the_cgroup_driver_is_kinds_own_where_systemd_can_be_it() -> None:
    def kubelet(plan: KindPlan) -> dict[str, Any]:
        return next(each for each in kubeadm_patches(plan) if each["kind"] == "KubeletConfiguration")

    assert kubelet(PLAN)["cgroupDriver"] == "cgroupfs"
    assert "cgroupDriver" not in kubelet(replace(PLAN, unified=True))
    assert kubelet(PLAN)["failCgroupV1"] is False


def test_where_systemd_can_be_it_a_node_tells_its_runtime_so_as_it_boots() -> None:
    entrypoint = this_project().root / "toolchain/images/kind-node/files/usr/local/bin/entrypoint"
    changed = re.search(r"sed -i 's/(.+)/(.+)/' /etc/containerd/config.toml", entrypoint.read_text())
    assert changed is not None
    written = containerd_configuration(Path("/data"), NodePrograms(Path("/bin"), Path("/cni")), Path("/net"))
    runtimes = tomllib.loads(re.sub(*changed.groups(), written))["plugins"]["io.containerd.cri.v1.runtime"]
    assert runtimes["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True


def test_the_audit_log_is_in_a_folder_that_the_api_server_sees() -> None:
    cluster = next(each for each in kubeadm_patches(PLAN) if each["kind"] == "ClusterConfiguration")
    arguments = {each["name"]: each["value"] for each in cluster["apiServer"]["extraArgs"]}
    seen = [volume["mountPath"] for volume in cluster["apiServer"]["extraVolumes"]]
    for name in ("audit-policy-file", "audit-log-path"):
        assert any(Path(arguments[name]).is_relative_to(folder) for folder in seen)
    assert all(volume["hostPath"] == volume["mountPath"] for volume in cluster["apiServer"]["extraVolumes"])


def test_another_process_reads_the_plan_from_its_record() -> None:
    assert KindPlan.of_record(PLAN.as_record()) == PLAN


def test_containers_have_the_names_that_kind_gives_them() -> None:
    four = replace(PLAN, size=4)
    assert four.containers == ["lab-control-plane", "lab-worker", "lab-worker2", "lab-worker3"]
    assert replace(PLAN, size=1).containers == ["lab-control-plane"]


def test_on_an_engine_of_the_users_everything_has_the_labs_name_and_nothing_of_the_computers_is_shown() -> None:
    visiting = replace(PLAN, lab="lab-3f9a2c", machine_root=Path("/run/lab/machine"), address=address_of("lab-3f9a2c"))
    document = configuration(visiting)
    assert document["name"] == visiting.engine_network == "lab-3f9a2c"
    assert visiting.containers == ["lab-3f9a2c-control-plane", "lab-3f9a2c-worker"]
    assert visiting.server_inside == "https://lab-3f9a2c-control-plane:6443"
    first = mounts(document["nodes"][0])
    written = [here for here, fixed in first.values() if not fixed]
    assert all(here.startswith(("/run/lab/cluster", "/run/lab/machine")) for here in written)
    assert first["/machine/tmp"] == ("/run/lab/machine/tmp", False)


def test_each_lab_has_a_loopback_address_of_its_own_that_is_nobody_elses() -> None:
    assert address_of("lab-3f9a2c") == "127.63.154.44"
    assert address_of("lab-000000") == "127.1.1.1"
    assert address_of("lab-ffffff") == "127.254.254.254"


def test_both_services_of_dns_lead_to_its_pod() -> None:
    objects = [each for _, each in dns_in_a_pod(NetworkPlan(), "coredns:v1")]
    deployment = next(each for each in objects if each["kind"] == "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    services = [each for each in objects if each["kind"] == "Service"]
    assert [each["spec"]["selector"] for each in services] == [labels, labels]
    assert services[0]["spec"]["clusterIP"] == NetworkPlan().dns_service
    settings = next(each for each in objects if each["kind"] == "ConfigMap")["data"]["Corefile"]
    assert "kubeconfig" not in settings and "pods insecure" in settings


def test_cluster_dns_waits_neither_for_kube_proxy_nor_for_a_taint_to_go() -> None:
    deployment = next(each for path, each in dns_in_a_pod(NetworkPlan(), "c:v1") if "deploy" in path)
    pod = deployment["spec"]["template"]["spec"]
    host, port = pod["containers"][0]["env"]
    assert (host["name"], host["valueFrom"]) == (
        "KUBERNETES_SERVICE_HOST",
        {"fieldRef": {"fieldPath": "status.hostIP"}},
    )
    assert PLAN.server.endswith(f":{port['value']}") and "hostNetwork" not in pod
    assert [each["key"] for each in pod["tolerations"]] == list(pod["nodeSelector"])


def test_only_a_cluster_that_nodes_join_gets_what_those_take() -> None:
    def skipped(plan: KindPlan) -> list[str]:
        found: list[str] = next(each for each in kubeadm_patches(plan) if each["kind"] == "InitConfiguration")[
            "skipPhases"
        ]
        return found

    assert "bootstrap-token" in skipped(replace(PLAN, size=1))
    assert "bootstrap-token" not in skipped(PLAN)


def test_what_is_done_beside_kind_waits_for_etcd_and_ends_where_kind_fails(tmp_path: Path) -> None:
    write_client_files(tmp_path, NOBODY, Authority())
    program, asked, stop = tmp_path / "kube-apiserver", list[int](), Event()
    program.write_text("a build")
    kept = FirstObjects(tmp_path, program)
    kept.file.write_text("[]")

    def no_node_yet() -> None:
        asked.append(1)
        if len(asked) == 2:
            stop.set()

    with closing(door_of(tmp_path, NOBODY)) as door:
        work_beside_kind(door, no_node_yet, kept, [], stop=stop, within_seconds=5)
        assert len(asked) == 2
        stop.clear()
        with pytest.raises(WaitExpired, match="API server"):
            work_beside_kind(door, lambda: tmp_path, kept, [("/api", {})], stop=stop, within_seconds=0.1)


def test_a_command_in_a_node_has_the_nodes_programs_and_says_only_its_own_words() -> None:
    runner = ScriptedRunner({"printenv PATH": (0, "/tools:/bin\n", ""), "nsenter": (0, "done", "")})
    result = InNode(runner, 42).run(["ls", "x"], invocation=Invocation(environment={"A": "b"}, folder=Path("/project")))
    sent = " ".join(runner.asked[-1])
    assert sent.startswith("nsenter --target=42 --all -- env --ignore-environment --chdir=/project PATH=/opt/lab/bin:")
    assert sent.endswith(":/tools:/bin HOME=/root LANG=C.UTF-8 A=b ls x")
    assert (result.argv, result.stdout) == (("ls", "x"), "done")
