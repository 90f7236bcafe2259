"""What a notebook sees of the network of pods: which dataplane connects them, and the packets at a place."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.experiments.steps import Observation
from labsupport.experiments.trial import Trial
from labsupport.process.waiting import wait_until

if TYPE_CHECKING:
    from labsupport.backends.places import Places
    from labsupport.systems.clusters.embedded import EmbeddedCluster
    from labsupport.systems.network.capture import Capture

FindCluster = Callable[[], "EmbeddedCluster"]
FRAMES_AT_MOST = 30
POD = "pod"
# HTTP to a pod, bare or in one of the tunnels; the nodes talk of other things too.
PACKETS_OF_PODS = "tcp port 80 or tcp port 8080 or udp port 8472 or udp port 8285"


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


def _back(cluster: "EmbeddedCluster", usual: str) -> None:
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
            within_seconds=20,
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


def _start(cluster: "EmbeddedCluster", node: str, interface: str) -> "Capture":
    from labsupport.systems.network.capture import Capture

    machine = cluster.node(node).machine
    kind, _, pod = interface.partition(" ")
    if kind == POD:
        # Not every dataplane has a route to each pod; but each wire's end knows the number of the other.
        look = ["kubectl", "exec", pod, "--", "cat", "/sys/class/net/eth0/iflink"]
        number = cluster.runner.run(look).or_raise().stdout.strip()
        links = machine.runner.run(["ip", "-oneline", "link"]).or_raise().stdout.splitlines()
        wire = next(line.split()[1] for line in links if line.startswith(f"{number}: "))
        interface = wire.rstrip(":").partition("@")[0]
    return Capture(machine, Path("tcpdump"), interface, PACKETS_OF_PODS.split(), most=FRAMES_AT_MOST)
