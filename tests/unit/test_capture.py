"""The end of a capture: tcpdump has to have written what it was given."""

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from labsupport.systems.network.capture import wait_until_written


class Tcpdump:
    """Says at each SIGUSR1 the next of `counts`: frames written, and frames that its filter let through."""

    def __init__(self, log: Path, counts: Sequence[tuple[int, int]]) -> None:
        self.log = log
        self.left = list(counts)

    def signal(self, number: int) -> None:
        assert number == signal.SIGUSR1
        if self.left:
            written, seen = self.left.pop(0)
            with self.log.open("a") as log:
                log.write(
                    f"tcpdump: {written} packet{'s'[: written != 1]} captured, {seen} packets received by filter\n"
                )

    def is_running(self) -> bool:
        return bool(self.left)


@pytest.mark.parametrize(
    ("counts", "unasked"),
    [
        ([(0, 3), (1, 3), (3, 3), (9, 9)], [(9, 9)]),
        ([(4, 4), (9, 9)], [(9, 9)]),
        ([(0, 6), (3, 6), (3, 6), (9, 9)], [(9, 9)]),  # loopback: the filter counts both ways
        ([], []),  # it has ended, or its signal did nothing
    ],
)
def test_it_is_asked_until_nothing_waits(
    tmp_path: Path, counts: list[tuple[int, int]], unasked: list[tuple[int, int]]
) -> None:
    tcpdump = Tcpdump(tmp_path / "log", counts)
    wait_until_written(tcpdump)  # type: ignore[arg-type]
    assert tcpdump.left == unasked
