"""What a packet between pods looks like on the wire between nodes: which headers carry it."""

from collections.abc import Mapping, Sequence
from typing import Any

from labsupport.display.figures import Figure
from labsupport.display.frames import TUNNELS, frame_figure
from labsupport.errors import EvidenceError

Record = Mapping[str, Any]
PLAIN = "nothing: as the pod sent it"
NOTHING_SEEN = "no packet"
PODS, SERVICES = "10.244.", "10.96."


def carried_by(frames: Sequence[Record]) -> str:
    """What carries the pods' packets: "VXLAN", "Geneve", "UDP", or nothing."""
    packet = _of_pods(frames)
    if packet is None:
        return NOTHING_SEEN
    outer = _names(packet)
    if outer.count("IPv4") < 2:
        return PLAIN
    return next((tunnel for tunnel in TUNNELS if tunnel in outer), "UDP")


def goes_to(frames: Sequence[Record], address: str) -> bool:
    """Whether a packet among the frames is addressed to `address`.

    Raises:
        EvidenceError: there is no packet of a pod at all.
    """
    if _of_pods(frames) is None:
        raise EvidenceError(f"look for packets to {address}", "no packet is between pods", "run the cells above")
    return any(layer["fields"].get("to") == address for frame in frames for layer in frame["layers"])


def wire_figure(title: str, frames: Sequence[Record]) -> Figure:
    """Draw the first packet between pods among the frames.

    Raises:
        EvidenceError: there is none.
    """
    packet = _of_pods(frames)
    if packet is None:
        raise EvidenceError(f"draw a packet of {len(frames)} frames", "none is between pods", "run the cells above")
    alt = f"The headers of one packet between two pods, carried by {carried_by(frames)}."
    return frame_figure(title, packet, alt=alt)


def _of_pods(frames: Sequence[Record]) -> Record | None:
    for frame in frames:
        if any(_is_pods(layer) for layer in frame["layers"]) and "TCP" in _names(frame):
            return frame
    return None


def _is_pods(layer: Record) -> bool:
    """Whether a header says: from a pod, to a pod or a Service. The first addresses of a range are the node's own."""
    if layer["name"] != "IPv4":
        return False
    source, target = (str(layer["fields"].get(end, "")) for end in ("from", "to"))
    return _is_of_pod(source) and (_is_of_pod(target) or target.startswith(SERVICES))


def _is_of_pod(address: str) -> bool:
    return address.startswith(PODS) and int(address.rpartition(".")[2]) > 1


def _names(frame: Record) -> list[str]:
    return [layer["name"] for layer in frame["layers"]]
