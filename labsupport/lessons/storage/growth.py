"""What each thing done in a container adds to its own layer: the copy-up, in bytes. Measures nothing itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from labsupport.display.figures import Measure, bars
from labsupport.display.markup import Shown
from labsupport.lessons.storage.stack import Stack

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Growth:
    """The container's own layer after each of several things done, in their order."""

    after: Mapping[str, Stack]
    path: str

    def bytes_after(self, done: str) -> int:
        """How much of the file is in the container's own layer then."""
        return self.after[done].upper.bytes_of(self.path)

    def mebibytes_after(self, done: str) -> float:
        return round(self.bytes_after(done) / MEBIBYTE, 2)

    def figure(self) -> Shown:
        first = next(iter(self.after.values()))
        size = max(layer.bytes_of(self.path) for layer in first.lower) / MEBIBYTE
        told = "; ".join(f"{done}: {self.mebibytes_after(done):g} MiB" for done in self.after)
        drawn = bars(
            f"{self.path} in the container's own layer",
            [Measure(done, (self.mebibytes_after(done),)) for done in self.after],
            alt=f"Horizontal bars: how much of {self.path}, a file of {size:.0f} MiB, is in the container's own layer "
            f"after each of {len(self.after)} things done to it. {told}.",
            axis="MiB on disk",
            unit="MiB",
        )
        return first.origin.above(drawn.shown())


def growth(path: str, after: Mapping[str, Stack]) -> Growth:
    """Follow one file through what was done to it: name of the deed → the stack right after it."""
    return Growth(dict(after), path)
