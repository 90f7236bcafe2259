"""Cluster DNS of kind: CoreDNS as a Deployment of one pod, as kubeadm has it, with this project's Corefile.

kubeadm's own would keep answers, also that there is no such name, for half a minute; and nobody could ask it from
outside.
"""

import socket
import struct
from typing import Any

from labsupport.systems.clusters.dns import LABELS, PORTS, corefile, reading_rights
from labsupport.systems.clusters.network import CLUSTER_DOMAIN, SERVER_PORT, NetworkPlan

NAMESPACE = "kube-system"
NAME = "coredns"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}"
# On every node; of the first one it is published as port 53 of the machine.
PORT_ON_NODES = 30053
ANSWERS_WITHIN_SECONDS = 0.5
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_ACCOUNT = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}


def dns_in_a_pod(plan: NetworkPlan, image: str) -> list[tuple[str, dict[str, Any]]]:
    """Make all that cluster DNS takes: account, rights, settings, Deployment, and its two Services.

    Returns:
        each object with the API path it is posted to.
    """
    role, binding = reading_rights(_ACCOUNT)
    deployment: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _named(NAME),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": _pod(image)},
        },
    }
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _named(NAME), "data": {"Corefile": corefile()}}
    services = [
        _service("kube-dns", {"clusterIP": plan.dns_service}),
        _service("kube-dns-outside", {"type": "NodePort"}, PORT_ON_NODES),
    ]
    here = f"namespaces/{NAMESPACE}"
    return [
        (f"/api/v1/{here}/serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _named(NAME)}),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", role),
        ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding),
        (f"/api/v1/{here}/configmaps", settings),
        (f"/apis/apps/v1/{here}/deployments", deployment),
        *((f"/api/v1/{here}/services", service) for service in services),
    ]


def answers(server: str, name: str = f"kubernetes.default.svc.{CLUSTER_DOMAIN}") -> bool:
    """Whether cluster DNS at `server`, port 53, knows the address of `name`; asks once."""
    labels = b"".join(bytes([len(word)]) + word.encode() for word in name.split("."))
    one_question, of_an_address = struct.pack("!6H", 1, 0, 1, 0, 0, 0), struct.pack("!2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(ANSWERS_WITHIN_SECONDS)
        try:
            connection.sendto(one_question + labels + b"\0" + of_an_address, (server, 53))
            _, flags, _, found, _, _ = struct.unpack("!6H", connection.recv(512)[:12])
        except (OSError, struct.error):
            return False
    return bool(flags & 0xF == 0 and found > 0)


def _pod(image: str) -> dict[str, Any]:
    container = {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        # The API server is on this pod's node; its Service is not to be reached before kube-proxy has begun.
        "env": [
            {"name": "KUBERNETES_SERVICE_HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
            {"name": "KUBERNETES_SERVICE_PORT", "value": str(SERVER_PORT)},
        ],
        "volumeMounts": [{"name": "settings", "mountPath": "/etc/coredns", "readOnly": True}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
    }
    return {
        "serviceAccountName": NAME,
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": 1,
        # Of the nodes, this one is not cut off in the lessons.
        "nodeSelector": {CONTROL_PLANE: ""},
        # As kubeadm's own: it need not wait until kind takes the taint off a single node.
        "tolerations": [{"key": CONTROL_PLANE, "operator": "Exists", "effect": "NoSchedule"}],
        "containers": [container],
        "volumes": [{"name": "settings", "configMap": {"name": NAME}}],
    }


def _service(name: str, more: dict[str, Any], node_port: int | None = None) -> dict[str, Any]:
    outside = {"nodePort": node_port} if node_port else {}
    ports = [{"name": each, "protocol": protocol, "port": 53, **outside} for each, protocol in PORTS]
    # It answers also while its kubelet stands still, and so calls no pod of its node ready.
    spec = {"selector": LABELS, "ports": ports, "publishNotReadyAddresses": True, **more}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _named(name), "spec": spec}


def _named(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": NAMESPACE, "labels": LABELS}
