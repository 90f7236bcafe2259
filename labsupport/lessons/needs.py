"""What a notebook needs to run live. Data only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Needs:
    """What somebody wants to be live: an engine, a cluster of so many nodes, and the lab's images on both."""

    engine: bool = False
    nodes: int = 0
    images: tuple[str, ...] = ()

    def __or__(self, other: "Needs") -> "Needs":
        images = tuple(sorted({*self.images, *other.images}))
        return Needs(self.engine or other.engine, max(self.nodes, other.nodes), images)
