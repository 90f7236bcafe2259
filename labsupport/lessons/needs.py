"""What a notebook needs to run live. Data only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Needs:
    """What somebody wants to be live: an engine, a cluster of so many nodes, and the lab's images on both.

    `releases` are other engines' that a trial starts ("old"); `tools` are groups of the toolchain on machines' PATH.
    """

    engine: bool = False
    nodes: int = 0
    images: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(
            self.engine or other.engine,
            max(self.nodes, other.nodes),
            _both(self.images, other.images),
            _both(self.releases, other.releases),
            _both(self.tools, other.tools),
        )


def _both(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*some, *others}))
