"""Strips of packets: a piece for each, end to end, and the same as a table."""

import re

from labsupport.display.strips import strips
from labsupport.display.style import SERIES
from labsupport.display.tables import table

TWIN = table("Packets", ["way", "packets"], [["udp", 3], ["tcp", 1]])


def test_a_strip_has_a_piece_for_each_and_a_name() -> None:
    figure = strips("Packets", {"udp": [10, 10, 5], "tcp": [25]}, alt="Two strips of packets.", axis="bytes", twin=TWIN)
    pieces = re.findall(rf'<path d="M (\S+) [^>]*?fill: {re.escape(SERIES[0].css)}', figure.svg)
    assert len(pieces) == 4 and len(set(pieces)) == 3 and pieces[0] == pieces[3]
    assert "udp" in figure.svg and "bytes" in figure.svg
    assert "Two strips of packets." in figure.shown().text
