"""The modes of kube-proxy beside that of the labs (nftables): what each writes for one Service, and that it answers.

The mode ipvs takes a kernel with ip_vs, which that of the virtual machine has: `./lab test --vm` runs it there.
"""

import ipaddress
from collections.abc import Iterator
from functools import partial

import pytest
import yaml

from labsupport.process.commands import LocalRunner
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.embedded import EmbeddedCluster
from labsupport.systems.kernel_features import FEATURES, KernelFeatures
from tests.clusters import embedded_cluster, kubectl

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.timeout(900)]

PORT = 8080
ASK = r'exec 3<>"/dev/tcp/$0/80" && printf "GET /hostname HTTP/1.0\r\n\r\n" >&3 && cat <&3'


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedCluster]:
    with embedded_cluster() as running:
        kubectl(running, "run web --image=lab/agnhost --image-pull-policy=Never --labels=app=web -- netexec")
        kubectl(running, "create service clusterip web --tcp=80:8080")
        kubectl(running, "wait --for=condition=Ready pod/web --timeout=120s")
        yield running


def rules(cluster: EmbeddedCluster, mode: str) -> str:
    """What the kernel of the node has of that mode, as text."""
    look = {"iptables": ["iptables-save", "-t", "nat"], "ipvs": ["cat", "/proc/net/ip_vs"]}
    return cluster.nodes[0].machine.runner.run(look[mode]).stdout


def written(mode: str, service: str, pod: str) -> tuple[str, str]:
    """What stands there for a Service, and for the pod behind it."""
    if mode == "ipvs":
        as_hex = (f"{int(ipaddress.ip_address(each)):08X}" for each in (service, pod))
        return f"TCP  {next(as_hex)}:0050 rr", f"-> {next(as_hex)}:{PORT:04X}"
    return f"-d {service}/32", f"--to-destination {pod}:{PORT}"


@pytest.mark.parametrize("mode", ["iptables", "ipvs"])
def test_a_service_is_rules_of_the_mode_and_answers(cluster: EmbeddedCluster, mode: str) -> None:
    has = KernelFeatures(LocalRunner()).verdict(next(each for each in FEATURES if each.name == "ip_vs"))
    if mode == "ipvs" and not has.available:
        pytest.skip(f"{has.because}; ./lab test --vm runs it on a kernel that has it")
    file = cluster.nodes[0].node.folder / "kube-proxy.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "mode": mode}))
    proxy = cluster.component("kube-proxy@node-1")
    proxy.stop()
    cluster.nodes[0].machine.runner.run(["nft", "delete", "table", "ip", "kube-proxy"])
    proxy.start()
    service = kubectl(cluster, "get service web -o jsonpath={.spec.clusterIP}")
    wanted = written(mode, service, kubectl(cluster, "get pod web -o jsonpath={.status.podIP}"))
    seen = partial(rules, cluster, mode)
    wait_until(lambda: all(each in seen() for each in wanted), f"{wanted} in {mode}", within_seconds=60, last_seen=seen)
    said = cluster.nodes[0].machine.runner.run(["timeout", "30", "bash", "-c", ASK, service]).or_raise().stdout
    assert said.endswith("web")
