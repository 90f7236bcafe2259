"""The widget: which dataplane, and where on its way a packet is looked at; its headers there."""

from collections.abc import Callable
from typing import Protocol

from labsupport.display.explorer import Explorer, Played, Position, Question
from labsupport.display.origin import Origin
from labsupport.experiments.steps import Observation
from labsupport.experiments.trial import Trial
from labsupport.lessons.cni.matrix import ASSETS, PLENTY_SECONDS
from labsupport.lessons.cni.wire import carried_by, wire_figure

DATAPLANES = ("flannel-vxlan", "flannel-host-gw", "flannel-udp", "bgp", "cilium", "cilium-vxlan")
LEAVING, BETWEEN, ARRIVING = "leaving its pod", "between the nodes", "arriving at its pod"
# Place → node, and the interface there: the one that leads to a pod, or the node's own.
HOPS = {LEAVING: ("node-1", "pod here"), BETWEEN: ("node-1", "eth0"), ARRIVING: ("node-2", "pod far")}
FETCH = "kubectl exec here -- wget -qO- http://web/clientip"


class Frames(Protocol):
    """Frames being captured."""

    def read(self) -> Observation: ...


class Lab(Protocol):
    """The part of a lab that the widget needs."""

    @property
    def connect_pods(self) -> Callable[[Trial, str], Observation]: ...

    @property
    def record_frames(self) -> Callable[[Trial, str, str, str], Frames]: ...


def path_explorer(lab: Lab, trial: Trial) -> Explorer:
    """Make the widget; each position connects pods anew, and looks at one packet at one place."""

    def play(position: Position) -> Played:
        dataplane, place = position["dataplane"], position["place"]
        lab.connect_pods(trial, dataplane)
        trial.run(f"kubectl apply -f {ASSETS}/pods.yaml", repeatable=True)
        trial.run(
            "kubectl wait --for=condition=Ready pod --all --timeout=60s", within_seconds=PLENTY_SECONDS, repeatable=True
        )
        node, interface = HOPS[place]
        recording = lab.record_frames(trial, f"{dataplane}, {place}", node, interface)
        trial.run(FETCH, repeatable=True)
        frames = recording.read().value
        trial.run(f"kubectl delete --force -f {ASSETS}/pods.yaml", within_seconds=PLENTY_SECONDS, repeatable=True)
        title = f"{dataplane}: a packet {place}"
        return Played(wire_figure(title, frames), carried_by(frames), explanation(dataplane, place))

    return Explorer(
        "A packet on its way from pod to pod",
        {"dataplane": DATAPLANES, "place": tuple(HOPS)},
        play,
        question=Question("What carries the pods' packet here?", ("VXLAN", "UDP", "nothing: as the pod sent it")),
        preview=command_for,
        origin=Origin.of_trial(trial),
    )


def command_for(position: Position) -> str:
    """What a position means, as one would type it on a node."""
    node, interface = HOPS[position["place"]]
    shown = interface if interface == "eth0" else f"(the interface that leads to {interface})"
    return f"{node}$ tcpdump -n -i {shown}     while: {FETCH}"


def explanation(dataplane: str, place: str) -> str:
    """Say why it comes out so."""
    if place != BETWEEN:
        return "Between a pod and its own node there is never a tunnel: the pod sends and gets plain packets."
    return {
        "flannel-vxlan": "The kernel of the node wraps the whole frame into VXLAN and UDP, to the other node; "
        "the wire has to know nodes only.",
        "flannel-udp": "flanneld itself wraps the packet, not the frame, into UDP: each goes through a program.",
        "flannel-host-gw": "A plain route by way of the other node; the nodes must be neighbours on one wire.",
        "bgp": "A plain route, which a daemon has learnt from the daemon of the other node.",
        "cilium": "A plain route; programs in the kernel have judged the packet, and handed it to the wire.",
        "cilium-vxlan": "Cilium's own default: the kernel wraps the whole frame into VXLAN, after its programs.",
    }[dataplane]
