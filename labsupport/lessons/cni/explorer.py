"""The widget: which dataplane, and where on its way a packet is looked at; its headers there."""

from collections.abc import Mapping

from labsupport.display.explorer import Explorer, Played, Position, Question
from labsupport.display.frames import TUNNELS
from labsupport.display.origin import Origin
from labsupport.experiments.trial import Trial
from labsupport.lessons.cni.path import BETWEEN, HOPS, Frames
from labsupport.lessons.cni.wire import PLAIN, carried_by, wire_figure

EXPLANATIONS = {
    "flannel-vxlan": "The kernel of the node wraps the whole frame into VXLAN and UDP, to the other node; the wire has "
    "to know nodes only.",
    "flannel-host-gw": "A plain route by way of the other node; the nodes must be neighbours on one wire.",
    "flannel-udp": "flanneld itself wraps the packet, not the frame, into UDP: each goes through a program.",
    "bgp": "A plain route, which a daemon has learnt from the daemon of the other node.",
    "cilium": "A plain route; programs in the kernel have judged the packet, and handed it to the wire.",
    "ovs": "Open vSwitch wraps the whole frame into Geneve and UDP: like VXLAN, with room in its header for more.",
    "mesh": "The kernel of the node wraps the whole frame into VXLAN; to whom, gossip has told the node.",
}
NO_TUNNEL = "Between a pod and its own node there is never a tunnel: the pod sends and gets plain packets."


def path_explorer(trial: Trial, paths: Mapping[str, Mapping[str, Frames]]) -> Explorer:
    """Make the widget from the paths that were recorded: dataplane → place → frames."""

    def play(position: Position) -> Played:
        dataplane, place = position["dataplane"], position["place"]
        frames = paths[dataplane][place]
        explained = EXPLANATIONS.get(dataplane, "") if place == BETWEEN else NO_TUNNEL
        return Played(wire_figure(f"{dataplane}: a packet {place}", frames), carried_by(frames), explained)

    return Explorer(
        "A packet on its way from pod to pod",
        {"dataplane": tuple(paths), "place": tuple(HOPS)},
        play,
        question=Question("What carries the pods' packet here?", (*TUNNELS, "UDP", PLAIN)),
        preview=command_for,
        origin=Origin.of_trial(trial),
        stacked=("place",),
    )


def command_for(position: Position) -> str:
    """What a position means, as one would type it on a node."""
    node, interface = HOPS[position["place"]]
    shown = interface if interface == "eth0" else f"(the interface that leads to {interface})"
    return f"{node}$ tcpdump -n -i {shown}"
