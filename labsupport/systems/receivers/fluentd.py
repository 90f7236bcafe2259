"""A Fluentd receiver: the Forward protocol v1 over TCP, without its authentication, which Docker's driver lacks too.

Understands all four ways to send events (Message, Forward, PackedForward, CompressedPackedForward) and acknowledges
a chunk where the sender asks for it. https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1
"""

import asyncio
import socket
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from labsupport.systems.receivers.records import NotUnderstood, Records, arguments

LARGEST_MESSAGE = 8 * 1024 * 1024
LARGEST_UNPACKED = 32 * 1024 * 1024
EVENT_TIME = 0
# A receiver that stalls is felt at once only where the kernel does not keep megabytes for it.
KERNEL_BUFFER = 64 * 1024
READ_AT_ONCE = 64 * 1024


@dataclass(frozen=True)
class Delivery:
    """One message of the protocol: its events, and the chunk to acknowledge, if the sender asks for that."""

    tag: str
    records: tuple[Mapping[str, Any], ...]
    chunk: str | None = None


def unpacker() -> msgpack.Unpacker:
    """Return what cuts a stream into messages; it refuses any larger than LARGEST_MESSAGE."""
    return _unpacker(LARGEST_MESSAGE)


def delivery_of(message: object) -> Delivery:
    """Read one message.

    Raises:
        NotUnderstood: it is none of the four forms.
    """
    match message:
        case [str(tag), [*entries]] | [str(tag), [*entries], _]:
            records = [_record_of_entry(entry) for entry in entries]
            option = message[2:]
        case [str(tag), bytes() | str() as packed] | [str(tag), bytes() | str() as packed, _]:
            option = message[2:]
            records = _unpacked(_bytes(packed), compressed=_option(option).get("compressed"))
        case [str(tag), time, {**record}] | [str(tag), time, {**record}, _]:
            records = [_record_of_entry([time, record])]
            option = message[3:]
        case _:
            raise NotUnderstood(f"not [tag, time, record] nor [tag, entries]: {type(message).__name__}")
    chunk = _option(option).get("chunk")
    return Delivery(tag, tuple(records), str(chunk) if chunk is not None else None)


def acknowledgement(chunk: str) -> bytes:
    """Return the answer that a sender waits for which asked for one."""
    return bytes(msgpack.packb({"ack": chunk}))


def _record_of_entry(entry: object) -> Mapping[str, Any]:
    match entry:
        case [int() | float(), dict() as record]:
            return record
        case _:
            raise NotUnderstood("an entry is not [time, record]")


def _unpacked(packed: bytes, *, compressed: object) -> list[Mapping[str, Any]]:
    if compressed not in (None, "text", "gzip"):
        raise NotUnderstood(f"entries compressed with {compressed!r}")
    if compressed == "gzip":
        packed = _gunzip(packed)
    entries = _unpacker(LARGEST_UNPACKED)
    try:
        entries.feed(packed)
        records = [_record_of_entry(entry) for entry in entries]
    except (ValueError, msgpack.UnpackException) as error:
        raise NotUnderstood(f"packed entries: {error}") from None
    if entries.tell() != len(packed):
        raise NotUnderstood("the last packed entry is cut off")
    return records


def _gunzip(packed: bytes) -> bytes:
    """Unpack what may be several gzip streams in a row, as the protocol allows."""
    whole = b""
    while packed:
        stream = zlib.decompressobj(wbits=31)
        try:
            whole += stream.decompress(packed, LARGEST_UNPACKED - len(whole) + 1)
        except zlib.error as error:
            raise NotUnderstood(f"not gzip: {error}") from None
        if len(whole) > LARGEST_UNPACKED:
            raise NotUnderstood(f"more than {LARGEST_UNPACKED} bytes when unpacked")
        if not stream.eof:
            raise NotUnderstood("the gzip stream is cut off")
        packed = stream.unused_data
    return whole


def _unpacker(largest: int) -> msgpack.Unpacker:
    # Text that is no UTF-8 comes through as it is: older senders pack entries as text.
    return msgpack.Unpacker(raw=False, unicode_errors="surrogateescape", max_buffer_size=largest, ext_hook=_extension)


def _option(rest: Sequence[object]) -> Mapping[str, Any]:
    option = rest[0] if rest else None
    if option is None:
        return {}
    if not isinstance(option, dict):
        raise NotUnderstood(f"the option is no map but {type(option).__name__}")
    return option


def _extension(code: int, data: bytes) -> float:
    if code != EVENT_TIME or len(data) != 8:
        raise NotUnderstood(f"extension type {code} of {len(data)} bytes")
    return int.from_bytes(data[:4], "big") + int.from_bytes(data[4:], "big") / 1e9


def _bytes(packed: bytes | str) -> bytes:
    return packed if isinstance(packed, bytes) else packed.encode("utf-8", "surrogateescape")


class Receiver:
    """Serves connections; one that speaks anything else is noted and closed, the others go on."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        messages, received = unpacker(), 0
        try:
            while data := await reader.read(READ_AT_ONCE):
                received += len(data)
                messages.feed(data)
                for message in messages:
                    await self._take(delivery_of(message), writer)
            if messages.tell() < received:
                raise NotUnderstood(f"cut off after {received - messages.tell()} bytes of a message")
        except (ValueError, msgpack.UnpackException, RecursionError) as error:
            self._records.refused(error or type(error).__name__)
        except ConnectionError as error:
            self._records.refused(f"the connection broke: {error}")
        finally:
            writer.close()

    async def _take(self, delivery: Delivery, writer: asyncio.StreamWriter) -> None:
        for record in delivery.records:
            self._records.got({"tag": delivery.tag, **record})
        if delivery.chunk is not None:
            writer.write(acknowledgement(delivery.chunk))
            await writer.drain()


async def main(address: str, port: int, file: Path) -> None:
    """Receive until killed."""
    listener = socket.create_server((address, port))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)
    server = await asyncio.start_server(Receiver(Records(file)).serve, sock=listener, limit=READ_AT_ONCE)
    await server.serve_forever()


if __name__ == "__main__":
    words = arguments("ADDRESS PORT FILE")
    asyncio.run(main(words[0], int(words[1]), Path(words[2])))
