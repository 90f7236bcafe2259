"""Cilium: the real cilium-agent on every node, its own plugin for pods, and kube-proxy's work done by eBPF.

Its operator is not to be had as a module; what is needed of it here, the kinds of objects, cilium-crds makes.
"""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from labsupport.process.commands import Invocation
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.network import NetworkPlan
from labsupport.systems.clusters.node import MORE_PLUGINS, NodeOnMachine
from labsupport.systems.dataplanes.dataplane import Fabric, remove_routes, run_lines

NATIVE, TUNNEL = "cilium", "cilium-vxlan"
BPF_FOLDER, CGROUP_FOLDER = "/sys/fs/bpf", "/run/cilium/cgroupv2"
STATE_FOLDER, LIBRARY_FOLDER = "/run/cilium", "/var/lib/cilium"
# The folder in the cache with what its compiler made.
KEPT = "cilium-compiled"
# The last that is attached when the agent starts.
AT_THE_WIRE = f"{BPF_FOLDER}/cilium/devices/eth0/links/cil_to_netdev"
# The label of a rule that says which policy it is of.
NAME = "io.cilium.k8s.policy.name"
# By itself the agent makes room for half a million connections.
MAP_SIZES = {
    "bpf-ct-global-tcp-max": 8192,
    "bpf-ct-global-any-max": 8192,
    "bpf-nat-global-max": 8192,
    "bpf-neigh-global-max": 8192,
    "bpf-lb-map-max": 4096,
}
# $1, $2: where to mount; $3: of plugins; $4: the node's first pod address. The agent keeps that as its own, finding it.
CONNECT = """
mkdir -p "$2" "$3"
mount -t bpf bpf "$1"
mount -t cgroup2 cgroup2 "$2"
ln -sf "$(command -v cilium-cni)" "$3/cilium-cni"
ip link add cilium_host type veth peer name cilium_net
ip address add "$4/32" dev cilium_host scope link
"""
# The compiler as the agent finds it. What it made of the same text, asked in the same words, is kept: distributions do
# that with ccache, which keeps nothing that is written to standard output, where the agent has all of it written. The
# text has no places of files in it (-P), which differ from lab to lab; they matter to nothing but a debugger. Programs
# at sockets have the number of their node's network compiled in: no other lab has any use for them.
COMPILER = """#!/bin/sh
case " $* " in
*bpf_sock*) exec "$CLANG" "$@" ;;
*" -c "*" -o - ") ;;
*) exec "$CLANG" "$@" ;;
esac
key=$({
    echo "$CLANG"
    for word; do case $word in -I*) ;; *) echo "$word" ;; esac; done
    "$CLANG" "$@" -E -P 2>/dev/null
} | sha256sum | cut -c1-32)
made=$COMPILED/$key.o
[ -e "$made" ] || { "$CLANG" "$@" >"$made.$$" && mv "$made.$$" "$made"; } || exit
exec cat "$made"
"""
# The sources that it compiles lie beside it; it writes among them. Whoever comes second finds the kinds made.
START = """
cilium-crds make
CLANG=$(command -v clang)
PATH=$COMPILED:$PATH
export CLANG PATH
cd "$(dirname "$(readlink -f "$(command -v cilium-agent)")")/bpf"
mkdir -p "$1/bpf"
cp -r ./*.[ch] include lib "$1/bpf"
exec cilium-agent --lib-dir="$@"
"""
# Without their pins the kernel lets go of programs and maps. $1, $2 were mounted; $3: range of all pods; then files.
DISCONNECT = """
pods=$3
umount --lazy "$1" "$2"
shift 3
rm -rf "$@"
pkill -x cilium-cni # it would wait half a minute for its agent, and pods of the next network for it
for link in $(ip -oneline link | grep -oE ' (cilium_host|cilium_vxlan|lxc[0-9a-f]+)[@:]' | tr -d ' @:'); do
    ip link delete "$link"
done
ip route flush root "$pods"
iptables-save | awk '
    /^[*]/ { print; chains = "" }
    /^:CILIUM_/ { print "-F " substr($1, 2); chains = chains "-X " substr($1, 2) "\\n" }
    /^-A [A-Z]+ .*-j CILIUM_/ { print "-D" substr($0, 3) }
    /^COMMIT/ { printf chains; print }
' | iptables-restore --noflush
for chain in 'filter FORWARD' 'mangle PREROUTING' 'mangle POSTROUTING' 'nat PREROUTING' 'nat OUTPUT' 'nat POSTROUTING'
do
    nft delete chain ip $chain
done
nft delete table ip raw
echo 0 > /proc/sys/net/ipv4/fib_multipath_use_neigh
"""


class Cilium:
    """cilium-agent, with packets of pods as they are (`cilium`), or in VXLAN (`cilium-vxlan`)."""

    def __init__(self, name: str) -> None:
        self.name = name

    def configuration(self, node: NodeOnMachine) -> str:
        _answer(node).unlink(missing_ok=True)
        return ""

    def connect(self, fabric: Fabric) -> None:
        # This computer's own way to the pods; nodes learn theirs.
        lines = [f"route replace {node.node.identity.pods} via {node.address}" for node in fabric.nodes]
        run_lines(fabric.machine, ["ip", "-batch", "-"], lines)
        for node in fabric.nodes:
            compiled = _compiled(node)
            compiled.mkdir(exist_ok=True)
            copy_missing(fabric.kept / KEPT, compiled)
            (compiled / "clang").write_text(COMPILER)
            (compiled / "clang").chmod(0o755)
            words = [BPF_FOLDER, CGROUP_FOLDER, MORE_PLUGINS, str(node.node.identity.pods[1])]
            node.machine.runner.run(["sh", "-ec", CONNECT, "sh", *words]).or_raise()

    def daemons(self, fabric: Fabric, node: NodeOnMachine) -> list[Component]:
        words = agent_words(self.name, fabric.plan, fabric.kubeconfig, _answer(node))
        argv = ["sh", "-ec", START, "sh", LIBRARY_FOLDER, *words]
        environment = {
            "K8S_NODE_NAME": node.name,
            "KUBECONFIG": str(fabric.kubeconfig),
            "COMPILED": str(_compiled(node)),
        }
        return [Component(f"cilium-agent@{node.name}", node.machine, argv, environment)]

    def is_up(self, node: NodeOnMachine) -> bool:
        answer = _answer(node)
        if not answer.exists() or not node.machine.runner.run(["test", "-e", AT_THE_WIRE]).succeeded:
            return False
        node.node.write_network(answer.read_text())
        return True

    def disconnect(self, fabric: Fabric) -> None:
        settings = Invocation(environment={"KUBECONFIG": str(fabric.kubeconfig)})
        runner = fabric.nodes[0].machine.runner
        # What a last request of an agent made after its kind was told to go keeps that kind until the API server, which
        # waits a minute for it, tells it again: it takes more than the half minute that one removal waits.
        wait_until(
            lambda: runner.run(["cilium-crds", "remove"], invocation=settings).succeeded,
            "Cilium's kinds of objects to be gone",
            within_seconds=100,
        )
        remove_routes(fabric, fabric.machine)
        words = [BPF_FOLDER, CGROUP_FOLDER, str(fabric.plan.pods), STATE_FOLDER, LIBRARY_FOLDER, MORE_PLUGINS]
        for node in fabric.nodes:
            node.machine.runner.run(["sh", "-c", DISCONNECT, "sh", *words])
            with suppress(OSError):  # a cache that takes nothing costs the next lab time, and nothing else
                copy_missing(_compiled(node), fabric.kept / KEPT)


def copy_missing(source: Path, target: Path) -> None:
    """Copy compiled programs that the other folder has not, each whole or not at all."""
    for file in source.glob("*.o"):
        if not (target / file.name).exists():
            target.mkdir(parents=True, exist_ok=True)
            draft = target / f"{file.name}.{os.getpid()}"
            shutil.copyfile(file, draft, follow_symlinks=False)
            draft.replace(target / file.name)


def has_in_force(node: NodeOnMachine, policy: str) -> bool:
    """Whether the agent knows a NetworkPolicy by this name, and all pods of the node run by what it knows."""
    known = _told(node, "policy", "get")
    names = {label["value"] for rule in json.loads(known["policy"]) for label in rule["Labels"] if label["key"] == NAME}
    endpoints = [endpoint["status"] for endpoint in _told(node, "endpoint", "list")]
    return policy in names and all(
        endpoint["state"] == "ready" and endpoint["policy"]["realized"]["policy-revision"] >= known["revision"]
        for endpoint in endpoints
    )


def _told(node: NodeOnMachine, *question: str) -> Any:
    return json.loads(node.machine.runner.run(["cilium-dbg", *question, "--output", "json"]).or_raise().stdout)


def agent_words(name: str, plan: NetworkPlan, kubeconfig: Path, answer: Path) -> list[str]:
    """Return the settings of an agent; it writes `answer`, the node's CNI configuration, when it is ready."""
    routing = {"routing-mode": "native", "auto-direct-node-routes": "true", "ipv4-native-routing-cidr": plan.pods}
    settings = {
        "k8s-kubeconfig-path": kubeconfig,
        "state-dir": STATE_FOLDER,
        "bpf-root": BPF_FOLDER,
        "cgroup-root": CGROUP_FOLDER,
        "write-cni-conf-when-ready": answer,
        "ipam": "kubernetes",
        "devices": "eth0",
        "kube-proxy-replacement": "true",
        "identity-allocation-mode": "crd",
        "enable-ipv6": "false",
        "enable-ipv4-masquerade": "false",
        "enable-l7-proxy": "false",
        "enable-hubble": "false",
        "enable-health-checking": "false",
        "enable-cilium-network-policy": "false",
        "enable-cilium-clusterwide-network-policy": "false",
        **(routing if name == NATIVE else {"routing-mode": "tunnel", "tunnel-protocol": "vxlan"}),
        **MAP_SIZES,
    }
    return [f"--{setting}={value}" for setting, value in settings.items()]


def _answer(node: NodeOnMachine) -> Path:
    return node.node.folder / "cilium.conflist"


def _compiled(node: NodeOnMachine) -> Path:
    """Where what the node's compiler makes is, and the compiler's name."""
    return node.node.folder / "cilium-compiled"
