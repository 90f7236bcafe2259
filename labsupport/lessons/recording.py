"""What lessons need of a timeline that is being recorded."""

from typing import Protocol

from labsupport.experiments.steps import Observation


class Recording(Protocol):
    """A timeline under way; `read` ends it."""

    def read(self) -> Observation: ...
