"""The control plane's programs: which certificates they hold and with which words each is started.

Owns the folder `control-plane` of a machine's run folder. Starts nothing itself: embedded.py decides when.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labsupport.process.waiting import patiently
from labsupport.systems.clusters.audit import audit_policy
from labsupport.systems.clusters.certificates import Authority, Identity, KeyPair, signing_key, write_private
from labsupport.systems.clusters.dns import DNS_PORT, DNS_USER, corefile
from labsupport.systems.clusters.kubeconfig import kubeconfig
from labsupport.systems.clusters.network import CLUSTER_DOMAIN, SERVER_PORT, NetworkPlan
from labsupport.systems.clusters.storage import LOCAL_PATH, LOCAL_PATH_NAMESPACE, TOOLBOX, recycler_pod

# Beside the control plane's folder: what its caller may read.
CLIENT_FOLDER, AUDIT_LOG, FAULT_JOURNAL = "client", "audit.log", "faults.jsonl"
POD_NETWORK = "pod-network"  # whom a dataplane's programs are for the API server
RECYCLER = "recycler.json"
# Kubernetes' own default is 50: nobody waits a minute in a lesson. A node says every second that it lives.
LOST_AFTER_SECONDS = 6
# What is the same wherever these programs run, by the names of their flags.
SCHEDULER_SETTINGS = {
    "leader-elect": "false",
    "kube-api-qps": "300",
    "kube-api-burst": "600",
    "profiling": "false",
}
CONTROLLER_MANAGER_SETTINGS = {
    **SCHEDULER_SETTINGS,
    # Each controller signs with its own name: the audit log then says which of them wrote.
    "use-service-account-credentials": "true",
    "enable-hostpath-provisioner": "true",
    "node-monitor-period": "1s",
    # A claim that waits for a volume to be freed is looked at again this often, instead of every 15 s.
    "pvclaimbinder-sync-period": "1s",
}
ADMINISTRATORS = "system:masters"
CONTROLLER_MANAGER = "system:kube-controller-manager"
KUBELET_CLIENT = Identity("kube-apiserver-kubelet-client", (ADMINISTRATORS,))
ISSUER = f"https://kubernetes.default.svc.{CLUSTER_DOMAIN}"


def controller_manager_settings() -> dict[str, str]:
    """Say how controllers run; where this computer is slow, they give a node longer before it counts as lost."""
    return {**CONTROLLER_MANAGER_SETTINGS, "node-monitor-grace-period": f"{patiently(LOST_AFTER_SECONDS):g}s"}


@dataclass(frozen=True)
class Addresses:
    """Where the API server is reached: `inside` by nodes and pods (advertised), `outside` by this computer.

    `only_here`: there is no machine around it, and it listens on this computer's loopback address alone.
    """

    inside: str
    outside: str
    port: int = SERVER_PORT
    dns_port: int = DNS_PORT
    only_here: bool = False

    @property
    def server(self) -> str:
        return f"https://{self.outside}:{self.port}"

    @property
    def server_inside(self) -> str:
        return f"https://{self.inside}:{self.port}"


class ControlPlane:
    """Files and argument vectors of one control plane in `folder`."""

    def __init__(self, folder: Path, addresses: Addresses, plan: NetworkPlan) -> None:
        self.folder = folder
        self.addresses = addresses
        self.plan = plan
        self.audit_log = folder.parent / CLIENT_FOLDER / AUDIT_LOG
        self.etcd_socket = folder / "etcd.sock"
        self.authority: Authority | None = None
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)

    def etcd(self, program: Path) -> list[str]:
        """Words for etcd: reached by a socket file only, and no fsync, since its data ends with the lab."""
        # The advertised addresses are for members and clients elsewhere: there are none, and etcd takes no socket here.
        return [
            str(program),
            "--name=lab",
            f"--data-dir={self.folder / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls=unix://{self.etcd_socket}",
            "--advertise-client-urls=http://127.0.0.1:2379",
            f"--listen-peer-urls=unix://{self.folder / 'etcd-peer.sock'}",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=lab=http://127.0.0.1:2380",
            "--log-level=warn",
        ]

    def write_files(self) -> Authority:
        """Write every key, certificate, kubeconfig and policy of the control plane."""
        self.authority = authority = Authority()
        write_private(self.folder / "ca.crt", authority.certificate)
        write_private(self.folder / "ca.key", authority.pair.key)
        server = Identity(
            "kube-apiserver",
            names=("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", ISSUER[8:]),
            addresses=("127.0.0.1", self.addresses.inside, self.addresses.outside, self.plan.api_service),
        )
        self._write_pair("kube-apiserver", authority.issue(server))
        self._write_pair("kubelet-client", authority.issue(KUBELET_CLIENT))
        self._write_pair("service-accounts", signing_key())
        self.write_kubeconfig("kube-controller-manager", Identity(CONTROLLER_MANAGER))
        self.write_kubeconfig("kube-scheduler", Identity("system:kube-scheduler"))
        self.write_kubeconfig("coredns", Identity(DNS_USER))
        self.write_kubeconfig(LOCAL_PATH, Identity(LOCAL_PATH, (ADMINISTRATORS,)))
        self.write_kubeconfig(POD_NETWORK, Identity(POD_NETWORK, (ADMINISTRATORS,)))
        write_private(self.folder / "audit-policy.yaml", audit_policy())
        write_private(self.folder / RECYCLER, json.dumps(recycler_pod()))
        only_at = self.addresses.outside if self.addresses.only_here else ""
        names = corefile(kubeconfig=str(self.kubeconfig_of("coredns")), port=self.addresses.dns_port, only_at=only_at)
        write_private(self.folder / "Corefile", names)
        return authority

    def pair(self, name: str) -> KeyPair:
        """Return a written key and certificate."""
        return KeyPair((self.folder / f"{name}.crt").read_bytes(), (self.folder / f"{name}.key").read_bytes())

    def kubeconfig_of(self, name: str) -> Path:
        return self.folder / f"{name}.kubeconfig"

    def write_kubeconfig(self, name: str, identity: Identity) -> Path:
        """Give a component inside the machine an identity of its own."""
        assert self.authority is not None
        text = kubeconfig(
            server=self.addresses.server_inside,
            authority=self.authority.certificate,
            pair=self.authority.issue(identity),
            user=identity.user,
        )
        return write_private(self.kubeconfig_of(name), text)

    def api_server(self, program: Path) -> list[str]:
        at = self._at
        return [
            str(program),
            f"--etcd-servers=unix://{self.etcd_socket}",
            f"--secure-port={self.addresses.port}",
            *self._listening(),
            # The link-local address would be refused in the endpoints of the `kubernetes` Service.
            f"--advertise-address={self.addresses.inside}",
            f"--tls-cert-file={at('kube-apiserver.crt')}",
            f"--tls-private-key-file={at('kube-apiserver.key')}",
            f"--client-ca-file={at('ca.crt')}",
            f"--kubelet-certificate-authority={at('ca.crt')}",
            f"--kubelet-client-certificate={at('kubelet-client.crt')}",
            f"--kubelet-client-key={at('kubelet-client.key')}",
            # Names of nodes are in nobody's DNS.
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={at('service-accounts.crt')}",
            f"--service-account-signing-key-file={at('service-accounts.key')}",
            f"--service-cluster-ip-range={self.plan.services}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--audit-policy-file={at('audit-policy.yaml')}",
            f"--audit-log-path={self.audit_log}",
            # Unlike "batch": each write is in the log by the time its request has ended.
            "--audit-log-mode=blocking",
            "--profiling=false",
        ]

    def _listening(self) -> list[str]:
        if self.addresses.only_here:
            # A loopback address would be refused in the endpoints of the `kubernetes` Service: it gets none.
            return [f"--bind-address={self.addresses.outside}", "--endpoint-reconciler-type=none"]
        return ["--bind-address=0.0.0.0"]

    def client(self, name: str, program: Path) -> list[str]:
        """Words for a client of the API server: kube-controller-manager, kube-scheduler, coredns or LOCAL_PATH."""
        flags = {
            "kube-controller-manager": self._controller_manager(),
            "kube-scheduler": self._scheduler(),
            "coredns": ["-conf", str(self._at("Corefile"))],
            LOCAL_PATH: self._local_path_provisioner(),
        }
        return [str(program), *flags[name]]

    def _controller_manager(self) -> list[str]:
        kubeconfig_file = self.kubeconfig_of("kube-controller-manager")
        return [
            f"--kubeconfig={kubeconfig_file}",
            f"--authentication-kubeconfig={kubeconfig_file}",
            f"--authorization-kubeconfig={kubeconfig_file}",
            *_flags(controller_manager_settings()),
            f"--service-account-private-key-file={self._at('service-accounts.key')}",
            f"--root-ca-file={self._at('ca.crt')}",
            f"--cluster-signing-cert-file={self._at('ca.crt')}",
            f"--cluster-signing-key-file={self._at('ca.key')}",
            # Its own template asks for an image of a public registry.
            f"--pv-recycler-pod-template-filepath-hostpath={self._at(RECYCLER)}",
            # startup.py gives each node its range: its network must stand before anyone could be asked for one.
            "--allocate-node-cidrs=false",
            "--secure-port=0",
        ]

    def _scheduler(self) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig_of('kube-scheduler')}",
            *_flags(SCHEDULER_SETTINGS),
            "--secure-port=0",
        ]

    def _local_path_provisioner(self) -> list[str]:
        return [
            "start",
            f"--kubeconfig={self.kubeconfig_of(LOCAL_PATH)}",
            f"--namespace={LOCAL_PATH_NAMESPACE}",
            f"--helper-image={TOOLBOX}",
            "--configmap-name=local-path-config",
            "--service-account-name=default",
        ]

    def _at(self, name: str) -> Path:
        return self.folder / name

    def _write_pair(self, name: str, pair: KeyPair) -> None:
        write_private(self.folder / f"{name}.crt", pair.certificate)
        write_private(self.folder / f"{name}.key", pair.key)


def _flags(settings: Mapping[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in settings.items()]
