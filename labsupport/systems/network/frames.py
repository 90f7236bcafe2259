"""Decodes captured frames, layer by layer, down to what a tunnel carries. Reads bytes; captures none."""

import io
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from labsupport.errors import EvidenceError

# 4789 is the standard's; 8472 is Linux' own of before, which flannel uses; 6784 is Weave's.
VXLAN_PORTS, GENEVE_PORT = (4789, 8472, 6784), 6081
FLANNEL_UDP_PORT = 8285  # a bare packet inside, without any header of its own
VXLAN_BYTES, VNI_GIVEN = 8, 0x08
GELF_PORT, GELF_CHUNK, GELF_CHUNK_BYTES = 12201, b"\x1e\x0f", 12
GENEVE_BYTES, GENEVE_OPTION_UNIT, GENEVE_LENGTH_BITS, GENEVE_OF_ETHERNET = 8, 4, 0x3F, 0x6558
ETHER_TYPES = {0x0800: "IPv4", 0x0806: "ARP", 0x86DD: "IPv6", 0x8100: "VLAN"}
# As tcpdump writes them, from the lowest bit up.
TCP_FLAGS = "FSRP.U"
PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 50: "ESP"}


@dataclass(frozen=True)
class Layer:
    """One header of a frame, or what it carries in the end: where it is, in bytes, and its fields as one reads them."""

    name: str
    start: int
    length: int
    fields: Mapping[str, str]


def frames_in(pcap: bytes) -> list[dict[str, Any]]:
    """Read a capture file: each frame as {"seconds" since the first, "bytes" in hexadecimal pairs, "layers"}.

    Where a file breaks off in a frame, as when the capture was killed, the last frame is shorter.

    Raises:
        EvidenceError: it is no capture of Ethernet frames.
    """
    import dpkt

    try:
        reader = dpkt.pcap.Reader(io.BytesIO(pcap))
    except (ValueError, dpkt.Error) as error:
        raise EvidenceError("read a capture", f"it is no pcap file: {error}", "run the cell again") from None
    if reader.datalink() != dpkt.pcap.DLT_EN10MB:
        raise EvidenceError(
            "read a capture", f"its frames are of link type {reader.datalink()}, not Ethernet", "name one interface"
        )
    frames: list[dict[str, Any]] = []
    first = None
    for at, data in reader:
        first = at if first is None else first
        layers = [asdict(layer) for layer in layers_of(bytes(data))]
        frames.append({"seconds": round(float(at - first), 6), "bytes": data.hex(" "), "layers": layers})
    return frames


def layers_of(frame: bytes) -> list[Layer]:
    """Decode one Ethernet frame; what cannot be decoded, or is cut off, is its last layer, `data`."""
    return list(_ethernet(frame, 0))


def _ethernet(frame: bytes, start: int) -> Iterator[Layer]:
    if len(frame) < start + 14:
        yield from _data(frame, start)
        return
    destination, source, kind = struct.unpack_from("!6s6sH", frame, start)
    fields = {"to": _mac(destination), "from": _mac(source), "type": ETHER_TYPES.get(kind, f"{kind:#06x}")}
    yield Layer("Ethernet", start, 14, fields)
    yield from _ipv4(frame, start + 14) if kind == 0x0800 else _data(frame, start + 14)


def _ipv4(frame: bytes, start: int) -> Iterator[Layer]:
    import dpkt

    try:
        packet = dpkt.ip.IP(frame[start:])
    except dpkt.Error:
        yield from _data(frame, start)
        return
    length = packet.hl * 4
    protocol = PROTOCOLS.get(packet.p, str(packet.p))
    fields = {"from": socket.inet_ntoa(packet.src), "to": socket.inet_ntoa(packet.dst), "protocol": protocol}
    yield Layer("IPv4", start, length, fields)
    # Short frames are padded; what counts ends where the packet says.
    frame = frame[: start + packet.len]
    start += length
    if protocol == "UDP" and len(frame) >= start + 8:
        yield from _udp(frame, start)
    elif protocol == "TCP" and len(frame) >= start + 20:
        yield from _tcp(frame, start)
    elif protocol == "ESP" and len(frame) >= start + 8:
        index, number = struct.unpack_from("!II", frame, start)
        yield Layer("ESP", start, 8, {"security parameters index": f"{index:#010x}", "number": str(number)})
        yield from _data(frame, start + 8)
    else:
        yield from _data(frame, start)


def _udp(frame: bytes, start: int) -> Iterator[Layer]:
    source, destination, length, _ = struct.unpack_from("!HHHH", frame, start)
    yield Layer("UDP", start, 8, {"from port": str(source), "to port": str(destination), "bytes": str(length)})
    start += 8
    if destination in VXLAN_PORTS and len(frame) >= start + VXLAN_BYTES and frame[start] & VNI_GIVEN:
        network = int.from_bytes(frame[start + 4 : start + 7], "big")
        yield Layer("VXLAN", start, VXLAN_BYTES, {"flags": f"{frame[start]:#04x}", "network identifier": str(network)})
        yield from _ethernet(frame, start + VXLAN_BYTES)
    elif destination == GENEVE_PORT and len(frame) >= start + GENEVE_BYTES:
        yield from _geneve(frame, start)
    elif destination == FLANNEL_UDP_PORT:
        yield from _ipv4(frame, start)
    elif destination == GELF_PORT and frame.startswith(GELF_CHUNK, start) and len(frame) >= start + GELF_CHUNK_BYTES:
        message, number, count = frame[start + 2 : start + 10], frame[start + 10], frame[start + 11]
        fields = {"message": message.hex(), "chunk": f"{number + 1} of {count}"}
        yield Layer("GELF chunk", start, GELF_CHUNK_BYTES, fields)
        yield from _data(frame, start + GELF_CHUNK_BYTES)
    else:
        yield from _data(frame, start)


def _geneve(frame: bytes, start: int) -> Iterator[Layer]:
    """RFC 8926: eight bytes, and options whose length is in the first."""
    first, _, kind = struct.unpack_from("!BBH", frame, start)
    length = GENEVE_BYTES + GENEVE_OPTION_UNIT * (first & GENEVE_LENGTH_BITS)
    network = int.from_bytes(frame[start + 4 : start + 7], "big")
    yield Layer("Geneve", start, length, {"type": f"{kind:#06x}", "network identifier": str(network)})
    yield from (_ethernet if kind == GENEVE_OF_ETHERNET else _data)(frame, start + length)


def _tcp(frame: bytes, start: int) -> Iterator[Layer]:
    import dpkt

    try:
        segment = dpkt.tcp.TCP(frame[start:])
    except dpkt.Error:
        yield from _data(frame, start)
        return
    flags = "".join(letter for bit, letter in enumerate(TCP_FLAGS) if segment.flags >> bit & 1)
    length = segment.off * 4
    yield Layer("TCP", start, length, {"from port": str(segment.sport), "to port": str(segment.dport), "flags": flags})
    yield from _data(frame, start + length)


def _data(frame: bytes, start: int) -> Iterator[Layer]:
    if rest := frame[start:]:
        text = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in rest)
        yield Layer("data", start, len(rest), {"as text": text})


def _mac(address: bytes) -> str:
    return address.hex(":")
