"""Which addresses a cluster uses, and how pods reach each other: plain routes between nodes, no overlay.

Pods hang on their node by a veth with a route each (the `ptp` plugin), not on a bridge: replies of a Service then
always pass the node's own connection tracking, so nothing depends on the kernel's br_netfilter module and its settings.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from labsupport.errors import UsageError

SERVER_PORT = 6443
CLUSTER_DOMAIN = "cluster.local"
CNI_VERSION = "1.0.0"


@dataclass(frozen=True)
class NetworkPlan:
    """The address ranges of one cluster. Each lab has network namespaces of its own, so all labs use the same.

    Raises:
        UsageError: pods and Services would share addresses.
    """

    pods: IPv4Network = field(default_factory=lambda: IPv4Network("10.244.0.0/16"))
    services: IPv4Network = field(default_factory=lambda: IPv4Network("10.96.0.0/16"))

    def __post_init__(self) -> None:
        if self.pods.overlaps(self.services):
            raise _overlap(self.pods, f"Services have addresses of {self.services}")

    def refuse_addresses_of(self, nodes: Mapping[str, str]) -> None:
        """Refuse nodes (name → address) that have an address of pods or Services: packets for it would never arrive.

        Raises:
            UsageError: one has; the message names it.
        """
        for name, address in nodes.items():
            for network in (self.pods, self.services):
                if IPv4Address(address) in network:
                    raise _overlap(network, f"{name} has the address {address}")

    @property
    def api_service(self) -> str:
        """The address of the `kubernetes` Service: the first of the range."""
        return str(self.services[1])

    @property
    def dns_service(self) -> str:
        return str(self.services[10])

    def pods_of(self, position: int) -> IPv4Network:
        """The pod range of the node at `position` (0 is the first)."""
        return list(self.pods.subnets(new_prefix=24))[position]


def _overlap(network: IPv4Network, happened: str) -> UsageError:
    return UsageError(f"give a cluster the range {network}", happened, "choose ranges that do not overlap")


def cni_configuration(pods: IPv4Network, *, mtu: int = 1500) -> str:
    """Write the CNI configuration list of a node whose pods live in `pods`."""
    plugins = [
        {
            "type": "ptp",
            "mtu": mtu,
            "ipMasq": False,
            "ipam": {
                "type": "host-local",
                "dataDir": "/run/cni-ipam",
                "ranges": [[{"subnet": str(pods)}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return json.dumps({"cniVersion": CNI_VERSION, "name": "lab", "plugins": plugins}, indent=2)


def route_commands(addresses: dict[int, str], plan: NetworkPlan, *, of: int | None) -> list[str]:
    """List the lines for `ip -batch` that lead to every node's pods, run on node `of`, or on the machine where None."""
    return [
        f"route replace {plan.pods_of(position)} via {address}"
        for position, address in addresses.items()
        if position != of
    ]
