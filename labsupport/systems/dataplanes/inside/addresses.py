"""Addresses that follow from others, so that both ends of a wire can tell them without asking."""

import ipaddress


def gateway_of(pods: str) -> str:
    """Return a node's own address in the range of its pods: the first."""
    return str(ipaddress.IPv4Network(pods)[1])


def hardware_of(address: str) -> str:
    """Return the hardware address that goes with an address."""
    return "0a:58:" + ":".join(f"{int(each):02x}" for each in address.split("."))
