"""Which CNI products there are, and what is particular to each. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labsupport.systems.clusters.node import MORE_PLUGINS


@dataclass(frozen=True)
class Product:
    """A CNI product.

    Attributes:
        file: its manifest, or its chart, by the name that versions.toml has.
        values: of a chart; it is none where there are none.
        range_of_pods: where the manifest has the range of all pods, for those that do not ask each node for its own:
            "CONTAINER/VARIABLE" of a pod's environment, or "CONFIG MAP/ENTRY/KEY" of JSON in it.
        groups: how the names of API groups end whose kinds it makes itself.
        links: names of the interfaces it makes on nodes, as an extended regular expression.
        chains: how the names of its chains in nodes' firewalls begin.
        tables: its own tables there, as nft has them.
        mounts, folders: what it leaves on nodes.
    """

    name: str
    file: str
    values: Mapping[str, str] = field(default_factory=dict)
    range_of_pods: str = ""
    groups: tuple[str, ...] = ()
    links: str = ""
    chains: str = ""
    tables: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


_CILIUM_CGROUPS = "/run/cilium/cgroupv2"

PRODUCTS = {
    each.name: each
    for each in (
        Product(
            "calico",
            file="calico",
            range_of_pods="calico-node/CALICO_IPV4POOL_CIDR",
            groups=("projectcalico.org",),
            links=r"cali[0-9a-f]+|tunl0|vxlan\.calico",
            chains="cali-",
            mounts=("/run/calico/cgroup",),
            folders=("/run/calico", "/var/lib/calico", "/run/nodeagent", "/var/log/calico"),
        ),
        Product(
            "antrea",
            file="antrea",
            groups=("antrea.io",),
            links=r"antrea-.*|.*-[0-9a-f]{6}|genev_sys_[0-9]+",
            chains="ANTREA-",
            folders=("/run/antrea", "/var/log/antrea"),
        ),
        Product(
            "cilium",
            file="cilium-chart",
            values={
                "ipam.mode": "kubernetes",
                # Its container that mounts cgroups runs a copy of its program from there.
                "cni.binPath": MORE_PLUGINS,
                "cgroup.hostRoot": _CILIUM_CGROUPS,
                "operator.replicas": "1",
                "envoy.enabled": "false",
                "l7Proxy": "false",
                "hubble.enabled": "false",
                # It writes into /etc/sysctl.d and has systemd read it.
                "sysctlfix.enabled": "false",
            },
            groups=("cilium.io",),
            links=r"cilium_host|cilium_vxlan|lxc[0-9a-f]+|lxc_health",
            chains="CILIUM_",
            mounts=("/sys/fs/bpf", _CILIUM_CGROUPS),
            folders=("/run/cilium", "/var/lib/cilium"),
        ),
        Product(
            "flannel",
            file="flannel-manifest",
            range_of_pods="kube-flannel-cfg/net-conf.json/Network",
            links=r"cni0|flannel\.1",
            chains="FLANNEL-",
            tables=("ip flannel-ipv4", "ip6 flannel-ipv6"),
            folders=("/run/flannel", "/var/lib/cni"),
        ),
    )
}
