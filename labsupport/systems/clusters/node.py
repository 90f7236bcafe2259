"""One real node: containerd, kubelet and kube-proxy on an inner machine, with their files and words.

Owns the node's folder of files. The inner machine gives it process, mount, network and cgroup trees of its own.
"""

from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import yaml

from labsupport.process.waiting import patiently
from labsupport.systems.clusters.certificates import Authority, Identity, write_private
from labsupport.systems.clusters.images import PAUSE_IMAGE
from labsupport.systems.clusters.kubeconfig import kubeconfig
from labsupport.systems.clusters.network import CLUSTER_DOMAIN, NetworkPlan
from labsupport.systems.machines.machine import Machine

CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
# Where a dataplane puts a CNI plugin of its own.
MORE_PLUGINS = "/run/cni-plugins"
# Snapshotters and services that nothing here asks for; each costs start-up time or a warning.
UNUSED_PLUGINS = (
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.nri.v1.nri",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.internal.v1.tracing",
)

# What is the same for every kubelet, wherever its files are.
KUBELET_SETTINGS = {
    # From 1.35 on kubelet refuses cgroup v1 unless told; on v2 the setting does nothing.
    "failCgroupV1": False,
    "failSwapOn": False,
    # The disk and memory are this computer's own: how full they are says nothing about the lab.
    "evictionHard": {"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"},
    "imageGCHighThresholdPercent": 100,
    "localStorageCapacityIsolation": False,
    "serializeImagePulls": False,
    # How often a node that is well says so stays as it was.
    "nodeStatusReportFrequency": "5m",
    "kubeAPIQPS": 200,
    "kubeAPIBurst": 400,
}
# Zeros leave the connection tracking of the whole computer as it is.
PROXY_CONNECTION_TRACKING = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}


@dataclass(frozen=True)
class NodePrograms:
    """Where a node's programs are: two folders of the toolchain, seen at the same path inside."""

    folder: Path
    plugins: Path


@dataclass(frozen=True)
class NodeIdentity:
    """Who a node is: its name, address and pod range."""

    name: str
    address: str
    pods: IPv4Network


@dataclass(frozen=True)
class NodeOnMachine:
    """A node and the inner machine it runs on."""

    node: "Node"
    machine: Machine

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def address(self) -> str:
        return self.node.identity.address


class Node:
    """Files and argument vectors of one node in `folder`."""

    def __init__(self, folder: Path, identity: NodeIdentity, programs: NodePrograms) -> None:
        self.folder = folder
        self.identity = identity
        self.programs = programs

    @property
    def name(self) -> str:
        return self.identity.name

    @property
    def containerd_root(self) -> Path:
        return self.folder / "containerd"

    def write_runtime_files(self, network: str) -> None:
        """Write what containerd needs: its configuration and, unless empty, the pod network's."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "containerd.toml").write_text(
            containerd_configuration(self.containerd_root, self.programs, self._network_folder)
        )
        self._network_folder.mkdir(exist_ok=True)
        if network:
            self.write_network(network)

    def write_network(self, configuration: str) -> None:
        """Write the CNI configuration list, whole; containerd reads it at once. An empty one: there is none."""
        if not configuration:
            self._network_file.unlink(missing_ok=True)
            return
        # Renamed within its folder: of a file moved in from elsewhere containerd takes no notice.
        draft = self._network_folder / "draft"
        draft.write_text(configuration)
        draft.replace(self._network_file)

    def usual_places(self) -> list[str]:
        """The command that shows plugins and their configuration where administrators look for them."""
        script = (
            'mkdir -p /opt/cni && ln -sfn "$1" /opt/cni/bin && rm -rf /etc/cni/net.d && ln -sfn "$2" /etc/cni/net.d'
        )
        return ["sh", "-c", script, "sh", str(self.programs.plugins), str(self._network_folder)]

    def write_client_files(self, authority: Authority, server: str, plan: NetworkPlan) -> None:
        """Write what kubelet and kube-proxy need: keys, kubeconfigs, configurations."""
        itself = Identity(f"system:node:{self.name}", ("system:nodes",))
        for name, identity in (("kubelet", itself), ("kube-proxy", Identity("system:kube-proxy"))):
            pair = authority.issue(identity)
            text = kubeconfig(server=server, authority=authority.certificate, pair=pair, user=identity.user)
            write_private(self.folder / f"{name}.kubeconfig", text)
        serving = authority.issue(replace(itself, names=(self.name,), addresses=(self.identity.address,)))
        write_private(self.folder / "ca.crt", authority.certificate)
        write_private(self.folder / "kubelet.crt", serving.certificate)
        write_private(self.folder / "kubelet.key", serving.key)
        (self.folder / "kubelet.yaml").write_text(yaml.safe_dump(kubelet_configuration(self.folder, plan)))
        (self.folder / "kube-proxy.yaml").write_text(
            yaml.safe_dump(proxy_configuration(self.folder / "kube-proxy.kubeconfig", self.name, plan))
        )

    def containerd(self) -> list[str]:
        return [
            str(self.programs.folder / "containerd"),
            "--config",
            str(self.folder / "containerd.toml"),
            "--log-level=warn",
        ]

    def kubelet(self) -> list[str]:
        return [
            str(self.programs.folder / "kubelet"),
            f"--config={self.folder / 'kubelet.yaml'}",
            f"--kubeconfig={self.folder / 'kubelet.kubeconfig'}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.identity.address}",
        ]

    def kube_proxy(self) -> list[str]:
        return [str(self.programs.folder / "kube-proxy"), f"--config={self.folder / 'kube-proxy.yaml'}"]

    @property
    def _network_folder(self) -> Path:
        return self.folder / "cni"

    @property
    def _network_file(self) -> Path:
        return self._network_folder / "10-lab.conflist"


def containerd_configuration(root: Path, programs: NodePrograms, network: Path) -> str:
    """Write containerd's configuration for a node.

    `restrict_oom_score_adj` keeps containers starting where this computer withholds CAP_SYS_RESOURCE; `no_sync` trades
    safety after a power cut, which no lab survives anyway, for start-up time.
    """
    disabled = ", ".join(f'"{name}"' for name in UNUSED_PLUGINS)
    return f"""\
version = 3
root = "{root}"
state = "/run/containerd"
imports = []
disabled_plugins = [{disabled}]

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.metadata.v1.bolt"]
no_sync = true

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{programs.plugins}", "{MORE_PLUGINS}"]
conf_dir = "{network}"
use_internal_loopback = true

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{programs.folder / "runc"}"
SystemdCgroup = false
"""


def kubelet_settings() -> dict[str, Any]:
    """Say how a kubelet of a lab runs, whatever its cluster; where this computer is slow, it lives more slowly too."""
    return {
        **KUBELET_SETTINGS,
        # It renews its lease four times in this time: see LOST_AFTER_SECONDS of the control plane.
        "nodeLeaseDurationSeconds": round(patiently(4)),
        # How soon a node that was lost says that it is back; and how long it waits for the API server to hear it.
        "nodeStatusUpdateFrequency": f"{patiently(1):g}s",
    }


def kubelet_configuration(folder: Path, plan: NetworkPlan) -> dict[str, Any]:
    """Make kubelet's configuration."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(folder / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(folder / "kubelet.crt"),
        "tlsPrivateKeyFile": str(folder / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "clusterDomain": CLUSTER_DOMAIN,
        "clusterDNS": [plan.dns_service],
        "cgroupDriver": "cgroupfs",
        **kubelet_settings(),
        "healthzPort": 10248,
    }


def proxy_configuration(kubeconfig_file: Path, node: str, plan: NetworkPlan) -> dict[str, Any]:
    """Make kube-proxy's configuration."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig_file)},
        "hostnameOverride": node,
        "clusterCIDR": str(plan.pods),
        "mode": "nftables",
        "conntrack": PROXY_CONNECTION_TRACKING,
    }
