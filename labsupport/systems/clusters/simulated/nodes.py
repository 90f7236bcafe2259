"""Simulated nodes: the objects they are, and what KWOK writes in the place of their kubelets.

There is no machine, kubelet or container behind them, and they say so wherever one looks at them. KWOK writes what
stages.yaml says and nothing else; its own stages would also open readiness gates, which here only somebody does who
writes the condition. Pods of Jobs complete; no other pod does: nothing is emptied by a recycler that never ran.
"""

from pathlib import Path
from typing import Any

from labsupport.systems.clusters.network import NetworkPlan

STAGES = Path(__file__).with_name("stages.yaml")
PROGRAM = "kwok"
USER = "simulated-nodes"  # whom the audit log names where a kubelet would have written
# KWOK renews a node's lease four times in this time: once a second, as a kubelet of a lab does.
LEASE_SECONDS = 4
ROOM = {"cpu": "4", "memory": "8Gi", "pods": "110"}


def kwok(program: Path, kubeconfig_file: Path) -> list[str]:
    """Words for KWOK. It serves nothing: there is nothing to run a command in, and nobody who has logged."""
    return [
        str(program),
        f"--kubeconfig={kubeconfig_file}",
        f"--config={STAGES}",
        "--manage-all-nodes=true",
        f"--node-lease-duration-seconds={LEASE_SECONDS}",
        "--node-port=0",
    ]


def simulated_node(name: str, position: int, plan: NetworkPlan, version: str) -> dict[str, Any]:
    """Make a node that says of itself what it is; `version` is KWOK's.

    It has no address: whoever would talk to its kubelet is told so instead of reaching for somebody else's computer.
    """
    pods = str(plan.pods_of(position))
    what = f"simulated-by-kwok-{version}"
    return {
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "type": "simulated"},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {"podCIDR": pods, "podCIDRs": [pods]},
        "status": {
            "capacity": ROOM,
            "allocatable": ROOM,
            "addresses": [{"type": "Hostname", "address": name}],
            "nodeInfo": {
                **dict.fromkeys(("kubeletVersion", "kubeProxyVersion", "kernelVersion", "osImage"), what),
                **dict.fromkeys(("machineID", "systemUUID", "bootID"), ""),
                "containerRuntimeVersion": f"none://{what}",
                "operatingSystem": "linux",
                "architecture": "none",
            },
        },
    }
