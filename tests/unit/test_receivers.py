"""The receivers' protocols: what real drivers sent, and garbage, oversized, cut, and wrongly authenticated input."""

import asyncio
import base64
import gzip
import json
import socket
import zlib
from pathlib import Path

import msgpack
import pytest

from labsupport.systems.receivers import fluentd, gelf, splunk, syslog
from labsupport.systems.receivers.records import NotUnderstood, Records

CAPTURED = json.loads((Path(__file__).parent / "captured" / "log-drivers.json").read_text())
TOKEN = "11111111-2222-3333-4444-555555555555"
BOTH = ["to stderr", "to stdout"]
PLAIN = {"version": "1.1", "host": "here", "short_message": "hello"}


def captured(name: str) -> list[bytes]:
    return [base64.b64decode(part) for part in CAPTURED[name]]


def read_back(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# ---- Fluentd ---------------------------------------------------------------------------------------------------------


def deliveries(data: bytes) -> list[fluentd.Delivery]:
    unpacker = fluentd.unpacker()
    unpacker.feed(data)
    return [fluentd.delivery_of(message) for message in unpacker]


@pytest.mark.parametrize("name", ["fluentd", "fluentd-ack"])
def test_what_the_fluentd_driver_sends_is_read(name: str) -> None:
    seen = deliveries(b"".join(captured(name)))
    assert sorted(delivery.records[0]["log"] for delivery in seen) == BOTH
    assert {delivery.tag for delivery in seen} == {"captured"}
    assert all(delivery.records[0]["app"] == "shop" for delivery in seen)


def test_a_chunk_is_acknowledged_where_the_driver_asks_for_it() -> None:
    assert [delivery.chunk for delivery in deliveries(captured("fluentd")[0])] == [None]
    chunk = deliveries(captured("fluentd-ack")[0])[0].chunk
    assert chunk
    assert msgpack.unpackb(fluentd.acknowledgement(chunk)) == {"ack": chunk}


@pytest.mark.parametrize("compress", [False, True])
def test_the_other_forms_of_the_forward_protocol_are_read(compress: bool) -> None:
    entries = b"".join(msgpack.packb([time, {"log": f"line {time}"}]) for time in (1, 2))
    packed = gzip.compress(entries[:12]) + gzip.compress(entries[12:]) if compress else entries
    option = {"size": 2, **({"compressed": "gzip"} if compress else {})}
    forward = msgpack.packb(["tag", [[1, {"log": "line 1"}], [2, {"log": "line 2"}]]])
    for data in (forward, msgpack.packb(["tag", packed, option])):
        assert [record["log"] for record in deliveries(data)[0].records] == ["line 1", "line 2"]


@pytest.mark.parametrize(
    "message",
    [
        7,
        ["tag"],
        ["tag", "x", {}],
        ["tag", 1, "no record"],
        ["tag", [["no time", {}]]],
        ["tag", 1, {"log": "x"}, "no option"],
        ["tag", gzip.compress(b"\x92\x01\x80")[:-9], {"compressed": "gzip"}],
        ["tag", msgpack.packb([1, {"log": "cut"}])[:-1], {}],
        ["tag", b"\xc1", {}],
        ["tag", b"", {"compressed": "rot13"}],
        ["HELO", {"nonce": b"x"}],
    ],
)
def test_what_is_no_forward_message_is_refused(message: object) -> None:
    with pytest.raises(NotUnderstood):
        fluentd.delivery_of(message)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"\0" * (fluentd.LARGEST_UNPACKED + 1))
    with pytest.raises(NotUnderstood, match="when unpacked"):
        fluentd.delivery_of(["tag", bomb, {"compressed": "gzip"}])


@pytest.mark.parametrize("extension", [msgpack.ExtType(0, b"short"), msgpack.ExtType(5, b"12345678")])
def test_an_unknown_kind_of_time_is_refused(extension: msgpack.ExtType) -> None:
    with pytest.raises(NotUnderstood):
        deliveries(msgpack.packb(["tag", extension, {"log": "x"}]))


def spoken_to_fluentd(tmp_path: Path, *parts: bytes) -> tuple[list[dict[str, object]], bytes]:
    """What the receiver keeps of a connection that says this, and what it answers."""
    file = tmp_path / "fluentd.jsonl"

    async def speak() -> bytes:
        reader = asyncio.StreamReader()
        reader.feed_data(b"".join(parts))
        reader.feed_eof()
        ours, its = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=its)
        await fluentd.Receiver(Records(file)).serve(reader, writer)
        await writer.wait_closed()
        with ours:
            return ours.recv(4096)

    answer = asyncio.run(speak())
    return read_back(file), answer


def test_a_connection_is_served_to_its_end(tmp_path: Path) -> None:
    kept, answer = spoken_to_fluentd(tmp_path, *captured("fluentd-ack"))
    assert sorted(str(record["log"]) for record in kept) == BOTH
    unpacker = msgpack.Unpacker()
    unpacker.feed(answer)
    assert len([message["ack"] for message in unpacker]) == 2


def test_garbage_ends_its_connection_after_what_came_before_it(tmp_path: Path) -> None:
    kept, _ = spoken_to_fluentd(tmp_path, captured("fluentd")[0], b"GET / HTTP/1.1\r\n\r\n")
    assert "log" in kept[0]
    assert [list(record) for record in kept[1:]] == [["refused"]]


def test_a_message_cut_off_is_noted(tmp_path: Path) -> None:
    kept, _ = spoken_to_fluentd(tmp_path, captured("fluentd")[0][:-3])
    assert [list(record) for record in kept] == [["refused"]]
    assert "cut off" in str(kept[0]["refused"])


def test_a_message_that_is_too_large_is_refused(tmp_path: Path) -> None:
    huge = msgpack.packb(["tag", 1, {"log": "x" * (fluentd.LARGEST_MESSAGE + 1)}])
    kept, _ = spoken_to_fluentd(tmp_path, huge)
    assert [list(record) for record in kept] == [["refused"]]


# ---- GELF ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gelf-udp-gzip", "gelf-udp-zlib", "gelf-udp-none"])
def test_what_the_gelf_driver_sends_in_one_datagram_is_read(name: str) -> None:
    seen = [gelf.message_of(datagram) for datagram in captured(name)]
    assert sorted(message["short_message"] for message in seen) == BOTH
    assert {message["_app"] for message in seen} == {"shop"}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_chunks_are_put_together_in_any_order(order: tuple[int, ...]) -> None:
    datagrams, chunks = captured("gelf-udp-chunked"), gelf.Chunks()
    whole = [chunks.add("sender", datagrams[number]) for number in order]
    assert whole[:-1] == [None, None]
    assert whole[-1]
    numbers = str(gelf.message_of(whole[-1])["short_message"]).split()
    assert numbers == [str(number) for number in range(1000, 1700)]


def test_chunks_of_different_senders_are_kept_apart() -> None:
    first, second, _ = captured("gelf-udp-chunked")
    chunks = gelf.Chunks()
    assert [chunks.add("one", first), chunks.add("other", second)] == [None, None]


@pytest.mark.parametrize(
    "datagram",
    [
        gelf.CHUNK_MAGIC,
        gelf.CHUNK_MAGIC + b"12345678\x00\x02",
        gelf.CHUNK_MAGIC + b"12345678\x00\x00content",
        gelf.CHUNK_MAGIC + b"12345678\x02\x02content",
        gelf.CHUNK_MAGIC + b"12345678\x00\x81content",
    ],
)
def test_what_is_no_chunk_is_refused(datagram: bytes) -> None:
    with pytest.raises(NotUnderstood):
        gelf.Chunks().add("sender", datagram)


def test_a_chunk_that_contradicts_the_others_is_refused() -> None:
    chunks = gelf.Chunks()
    chunks.add("sender", gelf.CHUNK_MAGIC + b"12345678\x00\x02content")
    with pytest.raises(NotUnderstood, match="says 3 chunks"):
        chunks.add("sender", gelf.CHUNK_MAGIC + b"12345678\x01\x03content")


def test_messages_that_do_not_become_whole_are_thrown_away() -> None:
    now = [0.0]
    chunks = gelf.Chunks(lambda: now[0])
    for number in range(gelf.MOST_INCOMPLETE + 2):
        chunks.add("sender", gelf.CHUNK_MAGIC + number.to_bytes(8, "big") + b"\x00\x02content")
    assert len(chunks.expired()) == 2
    now[0] = gelf.CHUNKS_WITHIN_SECONDS + 1
    assert len(chunks.expired()) == gelf.MOST_INCOMPLETE
    assert chunks.expired() == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"version": "1.1", "host": "here"}',
        b'{"version": 1.1, "host": "here", "short_message": "x"}',
        gzip.compress(json.dumps(PLAIN).encode(), mtime=0)[:-10],
        zlib.compress(json.dumps(PLAIN).encode())[:-6],
        b"\x1f\x8bnot gzip after all",
        gzip.compress(b" " * (gelf.LARGEST_MESSAGE + 1), mtime=0),
        b"[" * 100_000,
    ],
)
def test_what_is_no_gelf_is_refused(data: bytes) -> None:
    with pytest.raises(NotUnderstood):
        gelf.message_of(data)


def test_datagrams_are_kept_or_refused_one_by_one(tmp_path: Path) -> None:
    receiver = gelf.Datagrams(Records(tmp_path / "gelf.jsonl"))
    for datagram in (b"garbage", *captured("gelf-udp-gzip"), *captured("gelf-udp-chunked"), b"\x1e\x0f"):
        receiver.datagram_received(datagram, ("127.0.0.1", 1))
    kept = read_back(tmp_path / "gelf.jsonl")
    assert [record.get("over", "refused") for record in kept] == ["refused", "udp", "udp", "udp", "refused"]


def spoken_to_gelf(tmp_path: Path, data: bytes) -> list[dict[str, object]]:
    file = tmp_path / "gelf.jsonl"

    async def speak() -> None:
        reader = asyncio.StreamReader(limit=gelf.LARGEST_MESSAGE)
        reader.feed_data(data)
        reader.feed_eof()
        ours, its = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=its)
        await gelf.Stream(Records(file)).serve(reader, writer)
        ours.close()

    asyncio.run(speak())
    return read_back(file)


def test_what_the_gelf_driver_sends_over_tcp_is_read(tmp_path: Path) -> None:
    kept = spoken_to_gelf(tmp_path, b"".join(captured("gelf-tcp")))
    assert sorted(str(record["short_message"]) for record in kept) == BOTH


@pytest.mark.parametrize(
    "after",
    [b"garbage\0", json.dumps(PLAIN).encode(), b"x" * (gelf.LARGEST_MESSAGE + 2)],
    ids=["garbage", "cut", "huge"],
)
def test_a_stream_that_goes_wrong_is_noted(tmp_path: Path, after: bytes) -> None:
    kept = spoken_to_gelf(tmp_path, json.dumps(PLAIN).encode() + b"\0" + after)
    assert [record.get("short_message", "refused") for record in kept] == ["hello", "refused"]


# ---- Splunk ----------------------------------------------------------------------------------------------------------


def posted(name: str) -> tuple[str, dict[str, str], bytes]:
    """Path, headers and body of the POST that the driver sent after its OPTIONS."""
    head, _, body = b"".join(captured(name)[1:]).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines}
    return first.split()[1], headers, body


def test_what_the_splunk_driver_sends_is_read() -> None:
    answer = splunk.answer_post(*posted("splunk"), TOKEN)
    assert (answer.status, answer.code) == (200, 0)
    assert sorted(event["event"]["line"] for event in answer.events) == BOTH


def test_the_splunk_driver_asks_without_its_token_first() -> None:
    asked = captured("splunk")[0].decode()
    assert asked.startswith("OPTIONS ")
    assert "authorization" not in asked.lower()


def test_the_raw_format_and_gzip_are_read() -> None:
    path, headers, body = posted("splunk-gzip")
    assert headers["content-encoding"] == "gzip"
    events = splunk.answer_post(path, headers, body, TOKEN).events
    assert sorted(event["event"].split()[-1] for event in events) == ["stderr", "stdout"]


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [("", 401, 2), ("Basic abc", 401, 3), ("Splunk wrong", 403, 4), (f"Splunk {TOKEN} ", 403, 4)],
)
def test_who_has_no_right_token_is_refused(given: str, status: int, code: int) -> None:
    path, headers, body = posted("splunk")
    answer = splunk.answer_post(path, {**headers, "authorization": given}, body, TOKEN)
    assert (answer.status, answer.code, answer.events) == (status, code, ())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 5),
        (b"  \n", 5),
        (b"garbage", 6),
        (b"\xff", 6),
        (b'{"event": "whole"}{"event": "cu', 6),
        (b'{"no": "event"}', 6),
        (b"[]", 6),
        (b"[" * 100_000, 6),
    ],
)
def test_what_is_no_event_is_refused_as_a_whole(body: bytes, code: int) -> None:
    path, headers, _ = posted("splunk")
    answer = splunk.answer_post(path, headers, body, TOKEN)
    assert (answer.status, answer.code, answer.events) == (400, code, ())


@pytest.mark.parametrize(
    "body",
    [
        b"not gzip",
        gzip.compress(b'{"event": 1}', mtime=0)[:-9],
        gzip.compress(b" " * (splunk.LARGEST_BODY + 1), mtime=0),
    ],
)
def test_what_is_no_gzip_is_refused(body: bytes) -> None:
    path, headers, _ = posted("splunk-gzip")
    assert splunk.answer_post(path, headers, body, TOKEN).code == 6


def test_another_path_is_not_there() -> None:
    _, headers, body = posted("splunk")
    assert splunk.answer_post("/services/other", headers, body, TOKEN).status == 404


# ---- syslog ----------------------------------------------------------------------------------------------------------


def test_the_syslog_daemon_listens_where_a_host_s_does() -> None:
    text = syslog.configuration("127.0.0.1", 514, Path("/var/log/syslog"))
    assert 'load="imuxsock"' in text
    assert 'input(type="imtcp" address="127.0.0.1" port="514")' in text
    assert 'file="/var/log/syslog"' in text
    assert "\\n" in text
