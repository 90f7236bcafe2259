"""What `kind create cluster` is told: its own configuration and kubeadm's. Decides; writes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from labsupport.systems.clusters import dns
from labsupport.systems.clusters.control_plane import SCHEDULER_SETTINGS, controller_manager_settings
from labsupport.systems.clusters.kind.dns import PORT_ON_NODES
from labsupport.systems.clusters.kind.image import IMAGES, PLUGINS, PROGRAMS
from labsupport.systems.clusters.network import SERVER_PORT, NetworkPlan
from labsupport.systems.clusters.node import PROXY_CONNECTION_TRACKING, kubelet_settings
from labsupport.systems.clusters.startup import MEMORY_LIMITS
from labsupport.systems.clusters.storage import SHARED_VOLUMES

CLUSTER_NAME = "lab"
# The engine's network that nodes are on.
NETWORK = "kind"
# Of the folder that a cluster has below its machine's run folder.
AUDIT_POLICY, RECYCLER, OBJECTS, KIND_CONFIG = "audit-policy.yaml", "recycler.json", "objects.yaml", "kind.yaml"
# What kind writes; the lab's own is for whoever uses the cluster.
OWN_KUBECONFIG = "kind.kubeconfig"
# The cluster's own certificate authority, which kubeadm takes as it finds it.
AUTHORITY = ("ca.crt", "ca.key")
# Where a node shows what its pods of the control plane are to see, beside what kubeadm shows them.
ON_NODE = Path("/machine")
# The machine's own folders, seen by the controller-manager, which removes what hostPath volumes hold from them.
MACHINE_FOLDERS = ("/tmp", "/var/lib/shelves")
# A unit of the first node listens there, for the API server and for whoever looks what it holds.
ETCD_PORT, ETCD_SOCKET = 2379, Path("/run/etcd.sock")
ETCD = f"http://127.0.0.1:{ETCD_PORT}"
KUBEADM_SKIPS = (
    "preflight",
    # It restarts kubelet, for the sake of a certificate that is good for a year.
    "kubelet-finalize",
    "show-join-command",
)
# What nodes that join take: of a single node, a second in which kubeadm waits between its requests.
FOR_NODES_THAT_JOIN = ("bootstrap-token",)


@dataclass(frozen=True)
class KindPlan:
    """One cluster of kind.

    Attributes:
        address: of the machine, where this computer reaches the API server and cluster DNS.
        folder: of the cluster; all nodes see it at the same path.
        programs, plugins: folders of the toolchain.
        images: a seed, as images.py makes them.
        shown: more folders to show to nodes, read-only, at the same path.
        unified: whether cgroups are of version 2.
        machine_root: where this computer has the files that the lab's machine has at its root.
        lab: its name, which the cluster and its network have too where the engine is not the lab's alone; else empty.
    """

    address: str
    folder: Path
    size: int
    programs: Path
    plugins: Path
    images: Path
    shown: tuple[Path, ...]
    unified: bool
    machine_root: Path = Path("/")
    lab: str = ""
    network: NetworkPlan = field(default_factory=NetworkPlan)

    @property
    def name(self) -> str:
        """What kind calls the cluster."""
        return self.lab or CLUSTER_NAME

    @property
    def engine_network(self) -> str:
        """What the engine calls the network of the nodes."""
        return self.lab or NETWORK

    @property
    def containers(self) -> list[str]:
        """What the engine calls the nodes: as kind has them."""
        more = ["control-plane", "worker", *(f"worker{position}" for position in range(2, self.size))]
        return [f"{self.name}-{each}" for each in more[: self.size]]

    @property
    def kind(self) -> Path:
        """The program itself."""
        return self.programs / "kind"

    @property
    def server(self) -> str:
        """Where this computer reaches the API server."""
        return f"https://{self.address}:{SERVER_PORT}"

    @property
    def server_inside(self) -> str:
        """Where the lab's machine and the nodes reach it."""
        return f"https://{self.containers[0] if self.lab else self.address}:{SERVER_PORT}"

    @property
    def names(self) -> list[str]:
        """The nodes' names in Kubernetes."""
        return [f"node-{position + 1}" for position in range(self.size)]

    def as_record(self) -> dict[str, Any]:
        """Return it as plain values, for another process."""
        return {
            **{name: str(value) for name, value in vars(self).items() if isinstance(value, Path | str)},
            "size": self.size,
            "unified": self.unified,
            "shown": [str(path) for path in self.shown],
        }

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "KindPlan":
        """Return what `as_record` made a record of."""
        paths = {name: Path(record[name]) for name in ("folder", "programs", "plugins", "images", "machine_root")}
        return cls(**{**record, **paths, "shown": tuple(map(Path, record["shown"]))})


def kind_configuration(plan: KindPlan) -> str:
    """Write what `kind create cluster --config` reads."""
    document = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": plan.name,
        "networking": {
            "apiServerAddress": plan.address,
            "apiServerPort": SERVER_PORT,
            "podSubnet": str(plan.network.pods),
            "serviceSubnet": str(plan.network.services),
            "kubeProxyMode": "nftables",
            # Which one there is decides the lab: see dataplanes.
            "disableDefaultCNI": True,
        },
        "kubeadmConfigPatches": [yaml.safe_dump(each, sort_keys=False) for each in kubeadm_patches(plan)],
        "nodes": [_node(plan, position) for position in range(plan.size)],
    }
    return yaml.safe_dump(document, sort_keys=False)


def _node(plan: KindPlan, position: int) -> dict[str, Any]:
    name = plan.names[position]
    shown = [(path, path) for path in plan.shown]
    read_only = [(plan.programs, PROGRAMS), (plan.plugins, PLUGINS), (plan.images, IMAGES), *shown]
    written = [(plan.folder, plan.folder), (plan.folder / name / "cni", Path("/etc/cni/net.d"))]
    written.append((plan.folder / "volumes", Path(SHARED_VOLUMES)))
    node: dict[str, Any] = {"role": "worker" if position else "control-plane"}
    registration: dict[str, Any] = {"name": name}
    if position == 0:
        read_only.append((plan.folder / OBJECTS, Path("/kind/manifests/default-storage.yaml")))
        read_only += [(plan.folder / name, Path("/etc/kubernetes/pki") / name) for name in AUTHORITY]
        written += [(plan.machine_root / path.lstrip("/"), _on_node(path)) for path in MACHINE_FOLDERS]
        node["extraPortMappings"] = [
            {
                "containerPort": PORT_ON_NODES,
                "hostPort": dns.DNS_PORT,
                "listenAddress": plan.address,
                "protocol": protocol,
            }
            for protocol in ("UDP", "TCP")
        ]
        if plan.size > 1:  # of a single node kind takes the taint off itself, and insists on its being there
            registration["taints"] = []
    kind = "JoinConfiguration" if position else "InitConfiguration"
    node["kubeadmConfigPatches"] = [yaml.safe_dump({"kind": kind, "nodeRegistration": registration})]
    mounts = [*((*each, True) for each in read_only), *((*each, False) for each in written)]
    node["extraMounts"] = [
        {"hostPath": str(here), "containerPath": str(there), "readOnly": fixed} for here, there, fixed in mounts
    ]
    return node


def kubeadm_patches(plan: KindPlan) -> list[dict[str, Any]]:
    """Say what kubeadm is to do otherwise than kind would have it, a document for each kind of its configuration."""
    cgroups: dict[str, Any] = {} if plan.unified else {"cgroupDriver": "cgroupfs"}
    cluster = {
        "kind": "ClusterConfiguration",
        "encryptionAlgorithm": "ECDSA-P256",  # RSA keys take a second
        "dns": {"disabled": True},  # ours keeps no answers and logs every question: see dns.py
        "etcd": {"external": {"endpoints": [ETCD]}},
        "apiServer": {
            "extraArgs": _arguments(
                {
                    "audit-policy-file": str(plan.folder / AUDIT_POLICY),
                    "audit-log-path": str(plan.folder / "client" / "audit.log"),
                    # Unlike "batch": each write is in the log by the time its request has ended.
                    "audit-log-mode": "blocking",
                    "profiling": "false",
                }
            ),
            "extraVolumes": [_volume("lab", plan.folder, plan.folder)],
            "extraEnvs": _environment("kube-apiserver"),
        },
        "controllerManager": {
            "extraArgs": _arguments(
                {
                    **controller_manager_settings(),
                    "pv-recycler-pod-template-filepath-hostpath": str(plan.folder / RECYCLER),
                    # Each node's network stands before anyone could be asked for a range.
                    "allocate-node-cidrs": "false",
                }
            ),
            "extraVolumes": [
                _volume("lab", plan.folder, plan.folder),
                *(_volume(f"machine-{n}", _on_node(path), Path(path)) for n, path in enumerate(MACHINE_FOLDERS)),
            ],
            "extraEnvs": _environment("kube-controller-manager"),
        },
        "scheduler": {"extraArgs": _arguments(SCHEDULER_SETTINGS)},
    }
    return [
        cluster,
        {"kind": "InitConfiguration", "skipPhases": [*KUBEADM_SKIPS, *(FOR_NODES_THAT_JOIN if plan.size == 1 else ())]},
        {"kind": "KubeletConfiguration", **kubelet_settings(), "cgroupRoot": "/", **cgroups},
        {"kind": "KubeProxyConfiguration", "conntrack": {**PROXY_CONNECTION_TRACKING, "tcpBeLiberal": False}},
    ]


def _on_node(path: str) -> Path:
    return ON_NODE / path.lstrip("/")


def _volume(name: str, here: Path, there: Path) -> dict[str, Any]:
    return {"name": name, "hostPath": str(here), "mountPath": str(there), "pathType": "DirectoryOrCreate"}


def _arguments(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _environment(program: str) -> list[dict[str, str]]:
    return _arguments({"GOGC": "400", "GOMEMLIMIT": MEMORY_LIMITS[program]})
