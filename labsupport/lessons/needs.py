"""What a notebook needs to run live. Data only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Needs:
    """What somebody wants to be live: an engine, a cluster of so many nodes, and the lab's images on both.

    `engines` are those that trials use beside the lab's own ("old", "systemd"); `tools` are groups of the toolchain, on
    machines' PATH.
    `local_path` is the storage class of that name, with its provisioner.
    `simulated_nodes`: for some of its trials nodes will do that are only simulated; nothing else is needed for those.
    """

    engine: bool = False
    nodes: int = 0
    images: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    local_path: bool = False
    simulated_nodes: bool = False

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(
            self.engine or other.engine,
            max(self.nodes, other.nodes),
            _both(self.images, other.images),
            _both(self.engines, other.engines),
            _both(self.tools, other.tools),
            self.local_path or other.local_path,
            self.simulated_nodes or other.simulated_nodes,
        )


def _both(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*some, *others}))
