"""What the kernel prints becomes namespaces and wires; what has ended, or is no JSON, misleads nobody."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from labsupport.display.topology import topology_figure, topology_table
from labsupport.errors import MachineError
from labsupport.systems.network.namespaces import Contents, parse_namespaces, read_namespaces
from labsupport.systems.network.topology import Space, read_topology, topology_of
from tests.scripted import ScriptedRunner

WEB, DB = "/run/netns/web", "/run/netns/db"


def link(name: str, index: int, kind: str = "", **more: Any) -> dict[str, Any]:
    address = more.pop("address", "")
    local, _, length = address.partition("/")
    info = {"linkinfo": {"info_kind": kind, "info_data": more.pop("data", {})}} if kind else {"link_type": "ether"}
    addresses = [{"family": "inet", "local": local, "prefixlen": int(length)}] if address else []
    return {
        "ifname": name,
        "ifindex": index,
        "address": f"02:00:00:00:00:{index:02x}",
        "addr_info": addresses,
        **info,
        **more,
    }


MACHINE_LINKS = (
    {**link("lo", 1), "link_type": "loopback"},
    link("eth0", 2, address="10.200.0.2/24"),
    link("br-0123456789ab", 3, "bridge", address="172.18.0.1/16"),
    link("veth1", 5, "veth", link_index=4, link_netnsid=1, master="br-0123456789ab"),
    link("veth2", 7, "veth", link_index=4, link_netnsid=2, master="br-0123456789ab"),
)
CONTENTS = {
    "": Contents(1, MACHINE_LINKS, ({"dst": "default", "gateway": "10.200.0.1", "dev": "eth0"},), ("-t nat -A X",)),
    WEB: Contents(2, (link("eth0", 4, "veth", link_index=5, link_netnsid=0, address="172.18.0.2/16"),), (), ()),
    DB: Contents(3, (link("eth0", 4, "veth", link_index=7, link_netnsid=0, address="172.18.0.3/16"),), (), ()),
}
SPACES = [
    Space("alpha", "machine", ""),
    Space("web", "container", WEB, "mine"),
    Space("db", "container", DB, "mine"),
]


def by_name(record: dict[str, Any]) -> dict[str, Any]:
    return {space["name"]: space for space in record["spaces"]}


def test_both_ends_of_a_wire_are_found_though_indexes_repeat() -> None:
    spaces = by_name(topology_of("alpha", SPACES, CONTENTS, {"br-0123456789ab": "mine"}))
    assert spaces["web"]["links"][0]["wire"] == ["alpha", "veth1"]
    assert spaces["db"]["links"][0]["wire"] == ["alpha", "veth2"]
    ends = {each["name"]: each["wire"] for each in spaces["alpha"]["links"]}
    assert (ends["veth1"], ends["veth2"], ends["eth0"]) == (["web", "eth0"], ["db", "eth0"], [])
    assert [each["network"] for each in spaces["alpha"]["links"] if each["kind"] == "bridge"] == ["mine"]


def test_a_wire_whose_end_cannot_be_told_has_none() -> None:
    twice = {**CONTENTS, DB: Contents(3, CONTENTS[WEB].links, (), ())}
    spaces = by_name(topology_of("alpha", SPACES, twice, {}))
    assert {each["name"]: each["wire"] for each in spaces["alpha"]["links"]}["veth1"] == []


def test_a_container_in_the_machines_namespace_is_the_same_one() -> None:
    shared = [*SPACES, Space("host", "container", "/run/netns/default", "host")]
    contents = {**CONTENTS, "/run/netns/default": CONTENTS[""]}
    assert by_name(topology_of("alpha", shared, contents, {}))["host"]["same_as"] == "alpha"


def test_macvlan_sits_on_an_interface_of_the_machine() -> None:
    child = link("eth0", 9, "macvlan", link_index=2, link_netnsid=0, address="10.200.0.192/24")
    contents = {**CONTENTS, WEB: Contents(2, (child,), (), ())}
    assert by_name(topology_of("alpha", SPACES, contents, {}))["web"]["links"][0]["parent"] == ["alpha", "eth0"]


def test_vxlan_tells_its_network_identifier() -> None:
    tunnel = link("vxlan0", 9, "vxlan", data={"id": 4097})
    contents = {**CONTENTS, WEB: Contents(2, (tunnel,), (), ())}
    record = topology_of("alpha", [SPACES[0], Space("mesh", "overlay", WEB, "mesh")], contents, {})
    assert by_name(record)["mesh"]["links"][0]["vni"] == 4097


def test_what_the_script_prints_is_read_and_a_namespace_that_ended_is_left_out() -> None:
    said = f"""\
== /gone
==\x20
net:[4026531840]
{json.dumps([link("eth0", 2), {}])}
[]
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
"""
    found = parse_namespaces(said)
    assert list(found) == [""]
    assert found[""].number == 4026531840
    assert [each["ifname"] for each in found[""].links] == ["eth0"]
    assert found[""].rules == ("-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",)


def test_no_json_is_an_error_that_names_the_namespace() -> None:
    with pytest.raises(MachineError, match="network namespace /run/netns/web"):
        parse_namespaces("== /run/netns/web\nnet:[1]\nDevice does not exist\n[]\n")


def test_a_shell_that_fails_is_an_error() -> None:
    with pytest.raises(Exception, match="nsenter: not found"):
        read_namespaces(ScriptedRunner({"sh": (127, "", "nsenter: not found")}), [""])


def test_containers_and_hidden_namespaces_are_found_through_the_engine() -> None:
    mine = SimpleNamespace(id="0123456789abcdef", name="mine", attrs={"Driver": "bridge", "Options": {}})
    mesh = SimpleNamespace(id="mesh0123456789", name="mesh", attrs={"Driver": "overlay", "Scope": "swarm"})
    settings = {"NetworkSettings": {"SandboxKey": WEB, "Networks": {"mine": {}, "mesh": {}}}}
    web = SimpleNamespace(name="web", attrs=settings)
    client = SimpleNamespace(
        networks=SimpleNamespace(list=lambda: [mine, mesh]), containers=SimpleNamespace(list=lambda: [web])
    )
    blocks = {"": 1, WEB: 2, "/run/netns/1-mesh012345": 3}
    said = "".join(f"== {file}\nnet:[{number}]\n[]\n[]\n" for file, number in blocks.items())
    runner = ScriptedRunner({"sh": (0, said, "")})
    record = read_topology(SimpleNamespace(client=client), runner, "alpha")  # type: ignore[arg-type]
    assert [(space["name"], space["kind"], space["network"]) for space in record["spaces"]] == [
        ("alpha", "machine", ""), ("web", "container", "mine, mesh"), ("mesh (overlay)", "overlay", "mesh"),
    ]  # fmt: skip
    assert list(runner.asked[0][4:]) == list(blocks)


def test_the_drawing_has_a_table_with_every_address_and_says_what_it_shows() -> None:
    record = topology_of("alpha", SPACES, CONTENTS, {"br-0123456789ab": "mine"})
    figure = topology_figure("Topology", [record], alt="Two containers on a bridge.", switch="the switch")
    assert "alpha with 2 containers and 1 bridges" in figure.alt
    assert "veth1" in figure.svg
    for word in ("172.18.0.2/16", "alpha: veth1", "1 rules", "via 10.200.0.1 dev eth0"):
        assert word in figure.table.text


def test_a_machine_without_containers_can_be_drawn() -> None:
    record = topology_of("alpha", SPACES[:1], CONTENTS, {})
    assert topology_figure("Topology", [record], alt="A machine with nothing on it.").table.rows
    assert "the same namespace" not in topology_table("Topology", [record]).text
