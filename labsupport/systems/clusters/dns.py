"""Cluster DNS: CoreDNS as a process of the control plane, and the Service through which pods reach it.

A process and not a pod: it need not wait until a node takes pods, resolves names as soon as the API server answers, and
can be stopped alone, which is what the notebooks do to it. Pods still go through the `kube-dns` Service; its endpoint
slice names the machine instead of a pod.
"""

from typing import Any

from labsupport.systems.clusters.network import CLUSTER_DOMAIN, NetworkPlan

DNS_PORT = 53
DNS_USER = "system:coredns"
LABELS = {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}
PORTS = (("dns", "UDP"), ("dns-tcp", "TCP"))


def corefile(*, kubeconfig: str = "", port: int = DNS_PORT, only_at: str = "") -> str:
    """Write CoreDNS's configuration: the cluster's names, every query logged, no way out.

    Args:
        kubeconfig: a file; without one it is a pod, and finds the API server as pods do.
        only_at: an address; it listens nowhere else, and on no other port.
    """
    zones = f"{CLUSTER_DOMAIN} in-addr.arpa ip6.arpa"
    way_in = f"\n        kubeconfig {kubeconfig}" if kubeconfig else ""
    readiness, bind = ("", f"    bind {only_at}\n") if only_at else ("    ready :8181\n", "")
    # A server for all other names of its own: in one block `template` would answer before `kubernetes`.
    return f"""\
{" ".join(f"{zone}:{port}" for zone in zones.split())} {{
{bind}    log . "{{common}}"
    errors
{readiness}    kubernetes {zones} {{{way_in}
        pods insecure
    }}
}}
.:{port} {{
{bind}    log . "{{common}}"
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def dns_objects(plan: NetworkPlan, *, address: str, port: int = DNS_PORT) -> list[tuple[str, dict[str, Any]]]:
    """Make what cluster DNS may read, its Service and endpoint slice, each with the API path it is posted to."""
    service: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": LABELS},
        "spec": {
            "clusterIP": plan.dns_service,
            "ports": [{"name": name, "protocol": protocol, "port": 53} for name, protocol in PORTS],
        },
    }
    endpoints: dict[str, Any] = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kube-dns-lab",
            "namespace": "kube-system",
            "labels": {**LABELS, "kubernetes.io/service-name": "kube-dns"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": name, "protocol": protocol, "port": port} for name, protocol in PORTS],
    }
    return [
        *dns_rights(),
        ("/api/v1/namespaces/kube-system/services", service),
        ("/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices", endpoints),
    ]


def dns_rights() -> list[tuple[str, dict[str, Any]]]:
    """Make what cluster DNS as a process may read, each with the API path it is posted to."""
    role, binding = reading_rights({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": DNS_USER})
    return [
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", role),
        ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding),
    ]


def reading_rights(subject: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make the role that lets cluster DNS read what it answers from, and its binding to `subject`."""
    role: dict[str, Any] = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": DNS_USER},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "namespaces", "pods"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ],
    }
    binding: dict[str, Any] = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": DNS_USER},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": DNS_USER},
        "subjects": [subject],
    }
    return role, binding
