"""A GELF receiver: JSON messages over UDP (plain, gzip or zlib; whole or in chunks) and over TCP (ended by zero).

https://go2docs.graylog.org/current/getting_in_log_data/gelf.html
"""

import asyncio
import json
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labsupport.systems.receivers.records import NotUnderstood, Records, arguments

CHUNK_MAGIC = b"\x1e\x0f"
CHUNK_HEADER = 12
MOST_CHUNKS = 128
CHUNKS_WITHIN_SECONDS = 5.0
MOST_INCOMPLETE = 1000
LARGEST_MESSAGE = 2 * 1024 * 1024
REQUIRED = ("version", "host", "short_message")
GZIP, ZLIB = b"\x1f\x8b", b"\x78"


def message_of(data: bytes) -> Mapping[str, Any]:
    """Read one whole message, compressed or not.

    Raises:
        NotUnderstood: it is no GELF.
    """
    if data[:2] == GZIP or data[:1] == ZLIB:
        data = _decompressed(data)
    if len(data) > LARGEST_MESSAGE:
        raise NotUnderstood(f"{len(data)} bytes; {LARGEST_MESSAGE} are allowed")
    try:
        message = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(f"not JSON: {error}") from None
    if not isinstance(message, dict):
        raise NotUnderstood(f"not a JSON object but {type(message).__name__}")
    if missing := [name for name in REQUIRED if not isinstance(message.get(name), str)]:
        raise NotUnderstood(f"it lacks {', '.join(missing)}")
    return message


def _decompressed(data: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=47)  # gzip or zlib, as its first bytes say
    try:
        whole = stream.decompress(data, LARGEST_MESSAGE + 1)
    except zlib.error as error:
        raise NotUnderstood(f"not compressed as its first bytes say: {error}") from None
    if len(whole) <= LARGEST_MESSAGE and not stream.eof:
        raise NotUnderstood("the compressed message is cut off")
    return whole


@dataclass
class _Incomplete:
    since: float
    count: int
    parts: dict[int, bytes] = field(default_factory=dict)


class Chunks:
    """Puts messages together from chunks, which come in any order; what is not whole in time is thrown away."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._incomplete: dict[tuple[str, bytes], _Incomplete] = {}

    def add(self, sender: str, datagram: bytes) -> bytes | None:
        """Take one chunk; return the message when it is the last one missing.

        Raises:
            NotUnderstood: it is no chunk, or does not fit the others of its message.
        """
        if len(datagram) <= CHUNK_HEADER:
            raise NotUnderstood(f"a chunk of {len(datagram)} bytes has no content")
        number, count = datagram[10], datagram[11]
        if not 0 < count <= MOST_CHUNKS or number >= count:
            raise NotUnderstood(f"chunk {number} of {count}; at most {MOST_CHUNKS} are allowed")
        key = (sender, datagram[2:10])
        message = self._incomplete.setdefault(key, _Incomplete(self._clock(), count))
        if message.count != count:
            raise NotUnderstood(f"chunk {number} says {count} chunks, others of its message {message.count}")
        message.parts[number] = datagram[CHUNK_HEADER:]
        if len(message.parts) < count:
            return None
        del self._incomplete[key]
        return b"".join(message.parts[each] for each in range(count))

    def expired(self) -> list[str]:
        """Throw away what has waited too long, and the oldest where there is too much; say what."""
        now = self._clock()
        ordered = sorted(self._incomplete, key=lambda key: self._incomplete[key].since)
        too_many = max(0, len(ordered) - MOST_INCOMPLETE)
        gone = []
        for index, key in enumerate(ordered):
            message = self._incomplete[key]
            if index < too_many or now - message.since > CHUNKS_WITHIN_SECONDS:
                gone.append(f"{len(message.parts)} of {message.count} chunks of a message came in time")
                del self._incomplete[key]
        return gone


class Datagrams(asyncio.DatagramProtocol):
    """GELF over UDP."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._chunks = Chunks()

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        try:
            whole: bytes | None = data
            if data[:2] == CHUNK_MAGIC:
                whole = self._chunks.add(f"{address[0]}:{address[1]}", data)
            if whole is not None:
                self._records.got({"over": "udp", **message_of(whole)})
        except NotUnderstood as error:
            self._records.refused(error)
        for late in self._chunks.expired():
            self._records.refused(late)


class Stream:
    """GELF over TCP: messages ended by a zero byte, never compressed."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.readuntil(b"\0"):
                self._records.got({"over": "tcp", **message_of(data[:-1])})
        except asyncio.IncompleteReadError as cut:
            if cut.partial:
                self._records.refused(f"cut off after {len(cut.partial)} bytes")
        except asyncio.LimitOverrunError:
            self._records.refused(f"more than {LARGEST_MESSAGE} bytes without an end")
        except (NotUnderstood, ConnectionError) as error:
            self._records.refused(error)
        finally:
            writer.close()


async def main(address: str, port: int, file: Path) -> None:
    """Receive on the UDP and the TCP port until killed."""
    records = Records(file)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Datagrams(records), local_addr=(address, port))
    server = await asyncio.start_server(Stream(records).serve, address, port, limit=LARGEST_MESSAGE)
    await server.serve_forever()


if __name__ == "__main__":
    words = arguments("ADDRESS PORT FILE")
    asyncio.run(main(words[0], int(words[1]), Path(words[2])))
