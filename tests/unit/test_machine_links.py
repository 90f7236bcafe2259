"""The choice of a link: never one in use, and a clear word when none is left."""

import ipaddress
from pathlib import Path

import pytest

from labsupport.errors import MachineError
from labsupport.systems.machines.links import Link, choose_link, networks_in_use


def test_both_ends_are_in_the_network() -> None:
    link = Link("169.254.7.4/30")
    assert (link.host_address, link.address) == ("169.254.7.5", "169.254.7.6")


def test_two_names_rarely_and_two_labs_never_get_the_same() -> None:
    first = choose_link("lab-00ab12", set())
    assert choose_link("lab-00ab12", set()) == first
    assert choose_link("lab-00ab12", {first.network}) != first
    assert choose_link("lab-00ab13", set()) != first


@pytest.mark.parametrize("name", ["lab-000000", "lab-002a40", "lab-002a7f", "lab-ffffff", "lab-003fff"])
def test_reserved_addresses_and_metadata_services_are_left_alone(name: str) -> None:
    third = int(choose_link(name, set()).address.split(".")[2])
    assert third not in (0, 169, 170, 255)


def test_networks_of_another_size_count_too() -> None:
    first = ipaddress.IPv4Network(choose_link("lab-0b0000", set()).network)
    around = first.supernet(new_prefix=24)
    assert not ipaddress.IPv4Network(choose_link("lab-0b0000", {str(around)}).network).overlaps(around)


def test_when_all_are_taken_it_says_so() -> None:
    with pytest.raises(MachineError) as caught:
        choose_link("lab-123456", {"169.254.0.0/16"})
    assert "169.254.0.0/16 is in use" in caught.value.happened
    assert "./lab down" in caught.value.do


def test_routes_tell_which_networks_are_in_use(tmp_path: Path) -> None:
    routes = tmp_path / "route"
    routes.write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0000FEA9\t00000000\t0001\t0\t0\t1000\t0000FFFF\t0\t0\t0\n"
        "lab-1\t0406FEA9\t00000000\t0001\t0\t0\t0\tFCFFFFFF\t0\t0\t0\n"
    )
    assert networks_in_use(routes) == {"169.254.6.4/30"}
