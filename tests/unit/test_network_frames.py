"""Frames: decoded down to the frame within a frame; what is cut off or no capture at all is said, not guessed."""

import struct

import pytest

from labsupport.display.frames import frame_figure
from labsupport.errors import EvidenceError
from labsupport.systems.network.frames import frames_in, layers_of

REQUEST = b"GET /secret HTTP/1.1\r\n"
INNER_MACS = bytes.fromhex("02420a000105") + bytes.fromhex("02420a000104")
OUTER_MACS = bytes.fromhex("aa0000000002") + bytes.fromhex("aa0000000001")


def ethernet(macs: bytes, content: bytes, kind: int = 0x0800) -> bytes:
    return macs + struct.pack("!H", kind) + content


def ipv4(source: bytes, destination: bytes, protocol: int, content: bytes) -> bytes:
    return (
        struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(content), 1, 0, 64, protocol, 0, source, destination) + content
    )


def tcp(content: bytes) -> bytes:
    return struct.pack("!HHIIBBHHH", 41000, 8080, 1, 1, 5 << 4, 0x18, 512, 0, 0) + content


def udp(port: int, content: bytes) -> bytes:
    return struct.pack("!HHHH", 50000, port, 8 + len(content), 0) + content


INNER = ethernet(INNER_MACS, ipv4(bytes([10, 0, 1, 4]), bytes([10, 0, 1, 5]), 6, tcp(REQUEST)))
VXLAN = struct.pack("!BBHI", 0x08, 0, 0, 4097 << 8)
OUTER = ethernet(OUTER_MACS, ipv4(bytes([10, 200, 0, 2]), bytes([10, 200, 0, 3]), 17, udp(4789, VXLAN + INNER)))


def pcap(*frames: bytes, link_type: int = 1) -> bytes:
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type)
    return head + b"".join(
        struct.pack("<IIII", 100 + second, 0, len(frame), len(frame)) + frame for second, frame in enumerate(frames)
    )


def test_a_vxlan_frame_is_a_frame_in_a_datagram() -> None:
    layers = layers_of(OUTER)
    assert [layer.name for layer in layers] == ["Ethernet", "IPv4", "UDP", "VXLAN", "Ethernet", "IPv4", "TCP", "data"]
    assert layers[3].fields == {"flags": "0x08", "network identifier": "4097"}
    assert (layers[1].fields["to"], layers[5].fields["to"]) == ("10.200.0.3", "10.0.1.5")
    assert layers[6].fields["flags"] == "P."
    assert layers[7].fields["as text"] == "GET /secret HTTP/1.1··"
    assert sum(layer.length for layer in layers) == len(OUTER)


def test_a_geneve_header_is_as_long_as_it_says() -> None:
    option = struct.pack("!HBBI", 0x0104, 1, 1, 7)
    geneve = struct.pack("!BBHI", 0x02, 0, 0x6558, 5 << 8) + option
    outer = ethernet(OUTER_MACS, ipv4(bytes([10, 0, 0, 2]), bytes([10, 0, 0, 3]), 17, udp(6081, geneve + INNER)))
    layers = layers_of(outer)
    assert [layer.name for layer in layers] == ["Ethernet", "IPv4", "UDP", "Geneve", "Ethernet", "IPv4", "TCP", "data"]
    assert (layers[3].length, layers[3].fields["network identifier"]) == (16, "5")
    assert sum(layer.length for layer in layers) == len(outer)


def test_another_port_is_no_vxlan() -> None:
    assert [layer.name for layer in layers_of(OUTER.replace(b"\x12\xb5", b"\x12\xb6"))][3:] == ["data"]


def test_padding_of_a_short_frame_is_no_data() -> None:
    short = ethernet(OUTER_MACS, ipv4(bytes(4), bytes(4), 6, tcp(b"")))
    assert [layer.name for layer in layers_of(short + b"\0" * 10)] == ["Ethernet", "IPv4", "TCP"]


def test_encrypted_content_is_data_after_its_header() -> None:
    hidden = struct.pack("!II", 0xABC, 7) + b"\x90\x91\x92"
    layers = layers_of(ethernet(OUTER_MACS, ipv4(bytes(4), bytes(4), 50, hidden)))
    assert [layer.name for layer in layers] == ["Ethernet", "IPv4", "ESP", "data"]
    assert layers[2].fields == {"security parameters index": "0x00000abc", "number": "7"}


@pytest.mark.parametrize("length", [0, 5, 14, 20, 34, 38, 42, 46, 52, 66, 90, 100])
def test_a_frame_cut_off_anywhere_is_decoded_as_far_as_it_goes(length: int) -> None:
    layers = layers_of(OUTER[:length])
    assert sum(layer.length for layer in layers) == length
    assert not layers or layers[0].name in ("Ethernet", "data")


def test_a_capture_gives_its_frames_with_their_times() -> None:
    frames = frames_in(pcap(OUTER, INNER))
    assert [frame["seconds"] for frame in frames] == [0.0, 1.0]
    assert frames[1]["bytes"].startswith("02 42 0a 00 01 05")
    assert frames[0]["layers"][3]["name"] == "VXLAN"


def test_a_capture_that_breaks_off_gives_what_is_there() -> None:
    frames = frames_in(pcap(OUTER, INNER)[:-10])
    assert frames[1]["layers"][-1]["fields"] == {"as text": "GET /secret "}


@pytest.mark.parametrize("garbage", [b"", b"hello", b"\xa1\xb2\xc3\xd4" + b"\0" * 40, pcap(OUTER, link_type=113)])
def test_what_is_no_capture_is_refused(garbage: bytes) -> None:
    with pytest.raises(EvidenceError):
        frames_in(garbage)


def test_the_drawing_has_every_header_in_words_too() -> None:
    frame = frames_in(pcap(OUTER))[0]
    figure = frame_figure("One frame", frame, alt="A frame of an overlay network.")
    assert "network identifier 4097" in figure.table.text
    assert "GET /secret" in figure.table.text
    assert [row[1] for row in figure.table.rows] == [layer["name"] for layer in frame["layers"]]
    assert "VXLAN, Ethernet, IPv4" in figure.alt


CHUNK = b"\x1e\x0f" + bytes(range(8)) + b"\x02\x09" + b"middle of a line"


def gelf(content: bytes, port: int = 12201) -> bytes:
    return ethernet(OUTER_MACS, ipv4(bytes([127, 0, 0, 1]), bytes([127, 0, 0, 1]), 17, udp(port, content)))


def test_a_gelf_chunk_says_which_one_of_how_many_it_is() -> None:
    layers = layers_of(gelf(CHUNK))
    assert [layer.name for layer in layers] == ["Ethernet", "IPv4", "UDP", "GELF chunk", "data"]
    assert layers[3].fields == {"message": "0001020304050607", "chunk": "3 of 9"}
    assert layers[4].fields["as text"] == "middle of a line"
    assert sum(layer.length for layer in layers) == len(gelf(CHUNK))


@pytest.mark.parametrize("frame", [gelf(CHUNK, 514), gelf(b'{"version": "1.1"}'), gelf(CHUNK[:11])])
def test_what_is_no_whole_chunk_is_data(frame: bytes) -> None:
    assert [layer.name for layer in layers_of(frame)] == ["Ethernet", "IPv4", "UDP", "data"]
