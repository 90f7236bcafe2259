"""How long work tells what it is doing. Whoever shows it (command line, notebook) passes a listener down."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One line about work under way; `fraction` (0 to 1) where the end is known."""

    text: str
    fraction: float | None = None


Listener = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Listen to nothing."""
