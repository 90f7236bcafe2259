"""What an exercise may use of a lab: commands at its places, and engines of its own to try a daemon.json on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from labsupport.process.commands import CommandResult, Invocation


class Workbench(Protocol):
    """A runner that can also start an engine; what was started ends after the check."""

    def run(
        self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = Invocation()
    ) -> CommandResult:
        """Run a command at the place that the invocation names."""
        ...

    def start_engine(self, name: str, daemon_json: Mapping[str, Any] | Path, *, images: Sequence[str] = ()) -> None:
        """Start an engine with exactly this daemon.json; commands reach it at the place `name`.

        Raises:
            EngineError: the daemon refused; `happened` holds its own words.
            NotRecorded: nothing is live here.
        """
        ...
