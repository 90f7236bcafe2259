"""What the Open vSwitch dataplane decides: plain functions."""

from typing import Any

import pytest

from labsupport.systems.dataplanes.inside.addresses import gateway_of, hardware_of
from labsupport.systems.dataplanes.inside.ovs_database import attached_of
from labsupport.systems.dataplanes.inside.ovs_flows import (
    Attached,
    Peer,
    Settings,
    Translation,
    flows,
    translations_of,
)
from labsupport.systems.dataplanes.inside.ovs_plugin import port_name
from labsupport.systems.dataplanes.inside.policy_decisions import Decision, Ports, Rule

SETTINGS = Settings(
    node="node-1",
    kubeconfig="/k",
    folder="/f",
    plugins="/p",
    interpreter="python3",
    datapath="netdev",
    pods="10.244.0.0/24",
    gateway="10.244.0.1",
    tunnel="10.230.0.1",
    peers=(Peer("10.244.1.0/24", "10.230.0.2"),),
    mtu=1450,
)
WEB = Attached("web-0-2", "10.244.0.2", "0a:58:0a:f4:00:02")


def lines(*decisions: Decision, translations: tuple[Translation, ...] = ()) -> list[str]:
    return flows(SETTINGS, [WEB], translations, decisions)


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": {"clusterIP": "10.96.0.7", **spec}}


def endpoints(*addresses: str, ready: bool = True, service: str = "web", port: str = "") -> dict[str, Any]:
    return {
        "metadata": {"namespace": "default", "labels": {"kubernetes.io/service-name": service}},
        "ports": [{"name": port, "port": 8080}],
        "endpoints": [{"addresses": [each], "conditions": {"ready": ready}} for each in addresses],
    }


def test_a_pod_may_only_send_as_itself() -> None:
    sender = 'in_port="web-0-2",dl_src=0a:58:0a:f4:00:02,nw_src=10.244.0.2'
    assert f"table=0,priority=90,ip,{sender},actions=ct(zone=2,nat,table=10)" in lines()
    assert "table=0,priority=0,actions=drop" in lines()


def test_packets_go_to_the_pod_the_other_node_or_the_gateway() -> None:
    text = lines()
    to_pod = 'actions=set_field:0a:58:0a:f4:00:02->eth_dst,output:"web-0-2"'
    assert f"table=60,priority=100,ip,nw_dst=10.244.0.2,{to_pod}" in text
    assert "table=60,priority=90,ip,nw_dst=10.244.1.0/24,actions=set_field:10.230.0.2->tun_dst,output:tun0" in text
    assert "table=60,priority=80,ip,nw_dst=10.244.0.0/24,actions=drop" in text
    assert "table=60,priority=0,ip,actions=set_field:0a:58:0a:f4:00:01->eth_dst,output:gw0" in text


def test_an_isolated_pod_gets_nothing_but_what_a_rule_allows_and_its_node() -> None:
    allowed = Rule(("10.244.1.2/32",), (Ports("tcp", 8080, 8080),))
    text = lines(Decision("default-p", "in", ("10.244.0.2",), (allowed,)))
    match = "tcp,tp_dst=0x1f90/0xffff,nw_dst=10.244.0.2,nw_src=10.244.1.2/32"
    assert f"table=40,priority=100,{match},actions=resubmit(,50)" in text
    assert "table=40,priority=50,ip,nw_dst=10.244.0.2,actions=drop" in text
    assert "table=40,priority=200,ip,in_port=gw0,nw_src=10.244.0.1,actions=resubmit(,50)" in text
    assert not [each for each in text if each.startswith("table=30,priority=50")]


def test_a_pod_without_egress_sends_nothing() -> None:
    text = lines(Decision("default-p", "out", ("10.244.0.2",), ()))
    assert "table=30,priority=50,ip,nw_src=10.244.0.2,actions=drop" in text


def test_what_two_rules_allow_is_one_flow() -> None:
    rule = Rule(None, None)
    text = lines(Decision("default-p", "in", ("10.244.0.2",), (rule, rule)))
    assert text.count("table=40,priority=100,ip,nw_dst=10.244.0.2,actions=resubmit(,50)") == 1


def test_a_range_of_ports_becomes_masks_that_hold_it_and_nothing_else() -> None:
    text = lines(Decision("default-p", "in", ("10.244.0.2",), (Rule(None, (Ports("udp", 1000, 1999),)),)))
    masks = [each.split("tp_dst=")[1].split(",")[0].split("/") for each in text if "tp_dst" in each]
    held = {port for port in range(65536) for value, mask in masks if port & int(mask, 16) == int(value, 16)}
    assert held == set(range(1000, 2000))


def test_a_service_with_several_pods_chooses_one_by_the_connection() -> None:
    text = lines(translations=(Translation("tcp", "10.96.0.7", 80, ("10.244.0.2:8080", "10.244.1.2:8080")),))
    chosen = [each for each in text if each.startswith("table=11")]
    assert "multipath(symmetric_l4,0,modulo_n,2,0,reg1[0..15])" in "\n".join(text)
    assert ["nat(dst=10.244.0.2:8080)" in chosen[0], "nat(dst=10.244.1.2:8080)" in chosen[1]] == [True, True]


def test_a_service_with_one_pod_needs_no_choice_and_one_with_none_no_flow() -> None:
    one, none = Translation("tcp", "10.96.0.7", 80, ("10.244.0.2:8080",)), Translation("tcp", "10.96.0.8", 80, ())
    text = "\n".join(lines(translations=(one, none)))
    assert "nw_dst=10.96.0.7,tp_dst=80,actions=ct(commit,zone=2,nat(dst=10.244.0.2:8080),table=20)" in text
    assert "10.96.0.8" not in text


def test_services_lead_to_the_ready_addresses_of_the_port_of_that_name() -> None:
    slices = [
        endpoints("10.244.0.2", port="http"),
        endpoints("10.244.0.3", port="http", ready=False),
        endpoints("10.244.0.4", port="other"),
        endpoints("10.244.0.5", port="http", service="not-web"),
    ]
    found = translations_of([service(ports=[{"name": "http", "port": 80}])], slices)
    assert found == [Translation("tcp", "10.96.0.7", 80, ("10.244.0.2:8080",))]


@pytest.mark.parametrize("address", ["None", "", None])
def test_a_service_without_an_address_is_left_out(address: str | None) -> None:
    assert translations_of([service(clusterIP=address, ports=[{"port": 80}])], []) == []


def test_settings_come_back_as_they_were_written(tmp_path: Any) -> None:
    SETTINGS.write(tmp_path / "ovs.json")
    assert Settings.read(tmp_path / "ovs.json") == SETTINGS


def test_names_of_ports_fit_an_interface_and_tell_pods_apart() -> None:
    assert port_name("here", "10.244.0.12") == "here-0-12"
    names = {port_name("a-very-long-name", f"10.244.255.{last}") for last in range(100, 200)}
    assert len(names) == 100
    assert max(map(len, names)) <= 15


def test_hardware_addresses_and_gateways_follow_from_addresses() -> None:
    assert hardware_of("10.244.1.255") == "0a:58:0a:f4:01:ff"
    assert gateway_of("10.244.3.0/24") == "10.244.3.1"


@pytest.mark.parametrize(
    ("ofport", "noted", "there"),
    [
        (3, [["pod", "web"], ["address", "10.244.0.2"], ["hardware", "0a:58:0a:f4:00:02"]], True),
        (-1, [["pod", "web"], ["address", "10.244.0.2"], ["hardware", "0a:58:0a:f4:00:02"]], False),
        (["set", []], [["pod", "web"]], False),
        (1, [], False),
    ],
)
def test_a_row_of_the_database_is_a_pods_port_or_none(ofport: Any, noted: list[list[str]], there: bool) -> None:
    row = {"name": "web-0-2", "ofport": ofport, "external_ids": ["map", noted]}
    assert (attached_of(row) == WEB) is there
