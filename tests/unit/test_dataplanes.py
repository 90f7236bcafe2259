"""What dataplanes write and how policies become rules: plain functions."""

import json
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from labsupport.errors import EvidenceError, UsageError
from labsupport.observing.dataplanes import node_end
from labsupport.systems.clusters.network import NetworkPlan
from labsupport.systems.clusters.node import Node, NodeIdentity, NodeOnMachine, NodePrograms
from labsupport.systems.dataplanes import mesh
from labsupport.systems.dataplanes.bgp import bird_configuration
from labsupport.systems.dataplanes.cilium import agent_words
from labsupport.systems.dataplanes.flannel import bridge_configuration, network_configuration, read_answer
from labsupport.systems.dataplanes.inside.policy_decisions import decide, not_understood, selects
from labsupport.systems.dataplanes.inside.policy_rules import ruleset
from labsupport.systems.dataplanes.named import dataplane_called

ANSWER = {"FLANNEL_NETWORK": "10.244.0.0/16", "FLANNEL_SUBNET": "10.244.1.1/24", "FLANNEL_MTU": "1450"}


def node(number: int) -> NodeOnMachine:
    identity = NodeIdentity(f"node-{number}", f"10.200.0.{number + 1}", IPv4Network(f"10.244.{number - 1}.0/24"))
    return NodeOnMachine(Node(Path("/run"), identity, NodePrograms(Path("/p"), Path("/c"))), None)  # type: ignore[arg-type]


def pod(name: str, address: str, *, on: str = "node-1", namespace: str = "default", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"nodeName": on},
        "status": {"podIP": address},
    }


def policy(name: str = "p", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"podSelector": {}, **spec}}


PODS = [
    pod("web", "10.244.0.2", app="web"),
    pod("good", "10.244.1.2", on="node-2", app="good"),
    pod("bad", "10.244.1.3", on="node-2", app="bad"),
    pod("far", "10.244.1.4", on="node-2", namespace="other", app="good"),
]
NAMESPACES = [{"metadata": {"name": name, "labels": {"name": name}}} for name in ("default", "other")]


def rules(*policies: dict[str, Any], on: str = "node-1") -> str:
    return ruleset(decide(on, PODS, NAMESPACES, policies))


def test_every_name_leads_to_its_dataplane_and_others_are_refused() -> None:
    flannels = ("flannel-vxlan", "flannel-host-gw", "flannel-udp")
    for name in ("plain", "none", *flannels, "bgp", "cilium", "cilium-vxlan", "ovs", "mesh"):
        assert dataplane_called(name).name == name
    with pytest.raises(UsageError, match="flannel-host-gw"):
        dataplane_called("flannel")


def test_flannels_answer_becomes_a_bridge_with_its_mtu_and_range() -> None:
    bridge = json.loads(bridge_configuration(ANSWER))["plugins"][0]
    assert bridge["mtu"] == 1450
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24", "gateway": "10.244.1.1"}]]


@pytest.mark.parametrize("text", [None, "", "FLANNEL_MTU=1450\n", "nonsense\n\0"])
def test_an_answer_that_is_not_there_yet_is_none(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "subnet.env"
    if text is not None:
        file.write_text(text)
    assert read_answer(file) == {}


def test_flannel_is_told_its_backend() -> None:
    assert json.loads(network_configuration(NetworkPlan(), "udp"))["Backend"] == {"Type": "udp"}


def test_a_bgp_daemon_announces_its_own_range_to_every_other_node() -> None:
    text = bird_configuration(node(1), [node(1), node(2), node(3)])
    assert "route 10.244.0.0/24 unreachable;" in text
    assert text.count("protocol bgp ") == 2
    assert "neighbor 10.200.0.3 as 64512;" in text
    assert "neighbor 10.200.0.2 " not in text


def test_cilium_is_told_how_packets_travel_and_where_to_answer() -> None:
    native, tunnel = (agent_words(name, NetworkPlan(), Path("/k"), Path("/a")) for name in ("cilium", "cilium-vxlan"))
    assert {"--routing-mode=native", "--ipv4-native-routing-cidr=10.244.0.0/16"} <= set(native)
    assert {"--routing-mode=tunnel", "--tunnel-protocol=vxlan"} <= set(tunnel)
    assert {"--kube-proxy-replacement=true", "--write-cni-conf-when-ready=/a"} <= set(native) & set(tunnel)


def test_without_a_policy_nobody_is_isolated() -> None:
    text = rules()
    assert "set isolated-in { type ipv4_addr; flags interval; }" in text
    assert "set isolated-out { type ipv4_addr; flags interval; }" in text


def test_default_deny_isolates_this_nodes_pods_only() -> None:
    text = rules(policy(policyTypes=["Ingress"]))
    assert "set isolated-in { type ipv4_addr; flags interval; elements = { 10.244.0.2/32 }; }" in text
    assert "set isolated-out { type ipv4_addr; flags interval; }" in text


def test_an_allowed_peer_of_the_same_namespace_is_in_the_rules_set() -> None:
    allowed = {"from": [{"podSelector": {"matchLabels": {"app": "good"}}}], "ports": [{"port": 8080}]}
    text = rules(policy(podSelector={"matchLabels": {"app": "web"}}, ingress=[allowed]))
    assert "set in-0-default-p-0 { type ipv4_addr; flags interval; elements = { 10.244.1.2/32 }; }" in text
    assert "ip daddr @in-0-default-p ip saddr @in-0-default-p-0 tcp dport 8080 return" in text


def test_a_namespace_selector_looks_elsewhere() -> None:
    allowed = {"from": [{"namespaceSelector": {"matchLabels": {"name": "other"}}}]}
    text = rules(policy(ingress=[allowed]))
    assert "elements = { 10.244.1.4/32 }" in text


def test_a_rule_without_peers_or_ports_allows_all() -> None:
    assert "ip daddr @in-0-default-p return" in rules(policy(ingress=[{}]))


def test_an_exception_is_cut_out_of_its_range() -> None:
    block = {"ipBlock": {"cidr": "10.0.0.0/30", "except": ["10.0.0.2/31"]}}
    text = rules(policy(policyTypes=["Egress"], egress=[{"to": [block]}]))
    assert "elements = { 10.0.0.0/31 }" in text
    assert "ip saddr @out-0-default-p ip daddr @out-0-default-p-0 return" in text


def test_egress_rules_mean_both_kinds_where_none_are_named() -> None:
    text = rules(policy(egress=[{}]))
    assert "set isolated-in { type ipv4_addr; flags interval; elements" in text
    assert "set isolated-out { type ipv4_addr; flags interval; elements" in text


def test_port_ranges_and_bare_protocols() -> None:
    ports = [{"port": 80, "endPort": 90}, {"protocol": "UDP"}]
    text = rules(policy(ingress=[{"ports": ports}]))
    assert "tcp dport 80-90 return" in text
    assert "meta l4proto udp return" in text


def test_a_port_by_name_allows_nothing_and_is_told() -> None:
    named = policy(ingress=[{"ports": [{"port": "http"}]}])
    assert "dport" not in rules(named)
    assert not_understood([named]) == ["default-p"]


@pytest.mark.parametrize(
    ("operator", "values", "labels", "holds"),
    [
        ("In", ["a"], {"x": "a"}, True),
        ("In", ["a"], {}, False),
        ("NotIn", ["a"], {}, True),
        ("Exists", None, {"x": "b"}, True),
        ("DoesNotExist", None, {"x": "b"}, False),
    ],
)
def test_label_expressions(operator: str, values: list[str] | None, labels: dict[str, str], holds: bool) -> None:
    term = {"key": "x", "operator": operator, "values": values}
    assert selects({"matchExpressions": [term]}, labels) is holds


SAID = """\
2: eth0@if7: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP link-netnsid 0
2: eth0@if12: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP link-netnsid 1
7: here-0-5@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP
"""


def test_the_nodes_end_of_a_pods_wire_is_told_by_its_number() -> None:
    assert node_end(SAID, "10.244.0.5") == "here-0-5"
    with pytest.raises(EvidenceError, match="is the pod on this node"):
        node_end(SAID.partition("\n")[2], "10.244.0.5")


def test_a_mesh_gives_each_node_a_part_of_one_range() -> None:
    bridge = json.loads(mesh.bridge_configuration("10.244.1.0/24", "10.244.0.0/16"))["plugins"][0]
    own = {"subnet": "10.244.0.0/16", "rangeStart": "10.244.1.2", "rangeEnd": "10.244.1.254", "gateway": "10.244.1.1"}
    assert bridge["ipam"]["ranges"] == [[own]]


@pytest.mark.parametrize(("pods", "services"), [("10.96.0.0/12", "10.96.0.0/16"), ("10.96.4.0/24", "10.96.0.0/16")])
def test_a_plan_whose_pods_and_services_share_addresses_is_refused(pods: str, services: str) -> None:
    with pytest.raises(UsageError, match=r"give a cluster the range .*\n.*Services have addresses of 10.96.0.0/16"):
        NetworkPlan(IPv4Network(pods), IPv4Network(services))


@pytest.mark.parametrize(
    "plan", [NetworkPlan(pods=IPv4Network("10.200.0.0/16")), NetworkPlan(services=IPv4Network("10.192.0.0/12"))]
)
def test_a_plan_that_has_a_nodes_own_address_is_refused(plan: NetworkPlan) -> None:
    with pytest.raises(UsageError, match=r"node-2 has the address 10.200.0.3"):
        plan.refuse_addresses_of({"node-1": "10.100.0.2", "node-2": "10.200.0.3"})
    NetworkPlan().refuse_addresses_of({"node-1": "10.200.0.2", "node-2": "172.18.0.3"})
