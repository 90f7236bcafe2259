"""What a notebook sees of the network of pods: which dataplane connects them, and the packets at a place."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Observation
from labsupport.experiments.trial import Trial
from labsupport.process.progress import Listener
from labsupport.process.waiting import wait_until

if TYPE_CHECKING:
    from labsupport.backends.places import Places
    from labsupport.systems.clusters.lab_cluster import LabCluster
    from labsupport.systems.network.capture import Capture

FindCluster = Callable[[], "LabCluster"]
FRAMES_AT_MOST = 30
POD = "pod"
# The pod's own end of its wire, found by its address; then all links of the node.
WIRE_OF_POD = """\
for each in $(ls /run/netns); do
  [ -z "$(ip -netns "$each" -oneline address show to "$1/32")" ] || ip -netns "$each" -oneline link show eth0
done
ip -oneline link
"""
# HTTP to a pod, bare or in one of the tunnels; the nodes talk of other things too. Not what a kubelet asks its pods
# again and again: it does so from the first address of its node's range, which no pod has.
PACKETS_OF_PODS = (
    "(tcp port 80 or tcp port 8080 or udp port 8472 or udp port 8285 or udp port 6081 or udp port 6784) "
    "and not (tcp and ((src net {pods} and ip[15] < 2) or (dst net {pods} and ip[19] < 2)))"
)


def pods_connected(trial: Trial, name: str, cluster: FindCluster, places: "Places") -> Observation:
    """Connect pods by the dataplane `name` until the trial ends; return {"dataplane", "daemons"}."""

    def look() -> dict[str, Any]:
        from labsupport.systems.dataplanes.plain import PLAIN

        live = cluster()
        if name != live.dataplane.name:
            live.use_dataplane(name)
        if name != PLAIN:
            places.undo_at_the_end(f"the dataplane {name}", lambda: _back(live, PLAIN))
        return {"dataplane": name, "daemons": live.daemons()}

    return trial.observe(f"pods connected by {name}", look, repeatable=True)


def product_connecting(
    trial: Trial, name: str, cluster: FindCluster, places: "Places", listener: Listener
) -> Observation:
    """Get a CNI product and connect pods by it until the trial ends; return {"product", "version", "images"}."""

    def look() -> dict[str, Any]:
        from labsupport.backends.starting import make_toolchain
        from labsupport.systems.dataplanes.plain import PLAIN
        from labsupport.systems.dataplanes.product import PREFIX
        from labsupport.systems.products import get_product

        live = cluster()
        ready = get_product(name, make_toolchain(listener), live.plan.pods, listener)
        live.provide_product(ready)
        # First: while its objects go one by one, it would go on making others.
        places.undo_at_the_end(f"the product {name}", lambda: _back(live, PLAIN), first=True)
        live.use_dataplane(f"{PREFIX}{name}")
        return {"product": name, "version": ready.version, "images": dict(ready.digests)}

    return trial.observe(f"pods connected by {name} itself", look)


def products_out_of_reach() -> dict[str, str]:
    """Say of each CNI product why it cannot be had here; empty where it can."""
    from labsupport.backends.starting import make_toolchain
    from labsupport.systems.products import why_not_here

    return why_not_here(make_toolchain())


def _back(cluster: "LabCluster", usual: str) -> None:
    if cluster.dataplane.name != usual:
        cluster.use_dataplane(usual)


def policy_in_force(trial: Trial, name: str, node: str, cluster: FindCluster) -> Observation:
    """Wait until a node goes by the NetworkPolicy `name` of this namespace; return its name."""

    def look() -> str:
        from labsupport.systems.dataplanes import cilium, policy

        live = cluster()
        asked = cilium if live.dataplane.name in (cilium.NATIVE, cilium.TUNNEL) else policy
        wait_until(
            lambda: asked.has_in_force(live.node(node), name),
            f"{node} to go by the policy {name}",
            within_seconds=60,
            every_seconds=0.05,
        )
        return name

    return trial.observe(f"policy {name} in force", look)


class FrameRecording:
    """Frames being captured on a node, from the moment this is made until `read`; in replay, nothing is."""

    def __init__(self, trial: Trial, name: str, node: str, interface: str, cluster: FindCluster) -> None:
        self._trial = trial
        self._name = f"frames: {name}"
        self._capture = _start(cluster(), node, interface) if trial.is_live else None

    def read(self) -> Observation:
        """Return the frames, each as {"seconds", "bytes", "layers"}; the recording ends."""
        return self._trial.observe(self._name, self._frames, repeatable=True)

    def _frames(self) -> list[dict[str, Any]]:
        assert self._capture is not None
        return self._capture.read()


def node_end(said: str, address: str) -> str:
    """Return the node's end of a pod's wire, from what WIRE_OF_POD prints: the kernel tells its number inside.

    Raises:
        EvidenceError: no pod here has the address.
    """
    inside = re.search(r"^\d+: eth0@if(\d+):", said, re.MULTILINE)
    outside = inside and re.search(rf"^{inside[1]}: ([^@:]+)[@:]", said, re.MULTILINE)
    if not outside:
        raise EvidenceError(f"find the wire of {address}", f"the node says {said[-300:]!r}", "is the pod on this node?")
    return outside[1]


def _start(cluster: "LabCluster", node: str, interface: str) -> "Capture":
    from labsupport.systems.network.capture import Capture

    machine = cluster.node(node).machine
    kind, _, pod = interface.partition(" ")
    if kind == POD:
        address = cluster.door.get(f"/api/v1/namespaces/default/pods/{pod}")["status"]["podIP"]
        said = machine.runner.run(["sh", "-c", WIRE_OF_POD, "sh", address]).or_raise().stdout
        interface = node_end(said, address)
    only = PACKETS_OF_PODS.format(pods=cluster.plan.pods)
    return Capture(machine, Path("tcpdump"), interface, [only], most=FRAMES_AT_MOST)
