"""What a long line became on its way to the GELF collector: captured packets, beside what is there in the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labsupport.display.frames import frame_table
from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.strips import strips
from labsupport.display.tables import Cell, Column, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Observation, Step

CHUNK = "GELF chunk"
CARRIED = (CHUNK, "data")


@dataclass(frozen=True)
class Kept:
    """Of one container: lines in a place, and whether its long line is there as it was written."""

    lines: int
    whole: bool


@dataclass(frozen=True)
class Sent:
    """What one container sent, its packets that carry something; and what the collector and the engine have of it."""

    packets: tuple[Mapping[str, Any], ...] = field(hash=False)
    collector: Kept
    engine: Kept

    @property
    def lengths(self) -> list[int]:
        """The bytes of each packet, headers included."""
        return [len(packet["bytes"].split()) for packet in self.packets]

    @property
    def chunks(self) -> list[str]:
        """Which of how many each chunk says it is, in the order in which they were sent: "1 of 7"."""
        layers = (layer for packet in self.packets for layer in packet["layers"])
        return [layer["fields"]["chunk"] for layer in layers if layer["name"] == CHUNK]

    @property
    def sent_again(self) -> int:
        """The packets that carry what an earlier one carried, whether alone or with what came after it."""
        carried = [_content(packet) for packet in self.packets]
        return sum(any(each.startswith(one) for one in carried[:number]) for number, each in enumerate(carried))


@dataclass(frozen=True)
class Wire:
    """Every container of an experiment, by the words that say how it sent its line."""

    by_way: Mapping[str, Sent] = field(hash=False)
    origin: Origin = LIVE

    def __getitem__(self, way: str) -> Sent:
        return self.by_way[way]

    @property
    def whole(self) -> list[str]:
        """The ways whose long line the collector has whole."""
        return [way for way, sent in self.by_way.items() if sent.collector.whole]

    def packets(self, way: str) -> int:
        return len(self[way].packets)

    def figure(self, title: str) -> Shown:
        numbers = ("packets", "bytes on the wire", "lines at the collector")
        columns: list[str | Column] = [
            "way", *(Column(name, "number") for name in numbers), "the long one whole?",
            Column("lines docker logs shows", "number"), "whole there?",
        ]  # fmt: skip
        rows: list[list[Cell]] = [
            [way, self.packets(way), sum(sent.lengths), sent.collector.lines, sent.collector.whole,
             sent.engine.lines, sent.engine.whole]
            for way, sent in self.by_way.items()
        ]  # fmt: skip
        told = {way: _told(sent) for way, sent in self.by_way.items()}
        drawn = strips(
            title,
            {f"{way}\n{told[way]}": sent.lengths for way, sent in self.by_way.items()},
            alt=f"A strip of packets for each way. {'; '.join(f'{way}: {said}' for way, said in told.items())}.",
            axis="bytes on the wire, headers included",
            twin=table(title, columns, rows),
        )
        return self.origin.above(drawn.shown())

    def packet(self, way: str, number: int) -> Shown:
        """The headers of one packet, the first being number 1, and the beginning of what it carries.

        Raises:
            EvidenceError: there are not so many.
        """
        if not 0 < number <= self.packets(way):
            raise EvidenceError(
                f"show packet {number} of {way}", f"{self.packets(way)} were captured", "run the cells again"
            )
        return self.origin.above(frame_table(f"Packet {number} of {way}", self[way].packets[number - 1]).shown())


def read_wire(captured: Mapping[str, Observation], whole: Step) -> Wire:
    """Put together what was captured of each way and what whole.sh prints of its container: the same words with dashes.

    Raises:
        EvidenceError: whole.sh says something else, or not of all of them.
    """
    kept = {}
    try:
        for line in whole.lines:
            name, *numbers = line.split()
            arrived, arrived_whole, shown, shown_whole = map(int, numbers)
            kept[name] = Kept(arrived, arrived_whole == 1), Kept(shown, shown_whole == 1)
        sent = {way: Sent(_carrying(seen), *kept[way.replace(" ", "-")]) for way, seen in captured.items()}
    except (KeyError, ValueError) as error:
        raise EvidenceError(whole.command, f"{error} in {whole.stdout[:200]!r}", "run the cells again") from None
    return Wire(sent, Origin.of(whole))


def _carrying(seen: Observation) -> tuple[Mapping[str, Any], ...]:
    """Leave out the packets of TCP that carry nothing: they open and close the connection."""
    return tuple(frame for frame in seen.value if frame["layers"][-1]["name"] in CARRIED)


def _content(packet: Mapping[str, Any]) -> bytes:
    """What a packet carries, with the header of a chunk."""
    start = next(layer["start"] for layer in packet["layers"] if layer["name"] in CARRIED)
    return bytes.fromhex(packet["bytes"])[start:]


def _told(sent: Sent) -> str:
    packets = len(sent.packets)
    came = "arrives" if sent.collector.whole else "lost"
    return f"{packets} packet{'s'[: packets != 1]}, long line {came}"
