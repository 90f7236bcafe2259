"""What a trial saw: steps and observations, and whether it was live or recorded. Plain values; nothing here acts."""

import datetime
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from labsupport.errors import EvidenceError

SHOWN_LINES = 40
# What a shell takes for more than a letter, within double quotes.
SPECIAL = frozenset('"$`\\!')


@dataclass(frozen=True)
class Recording:
    """Says that something shown is not live: when and with what it was recorded, and why it is shown instead."""

    date: datetime.date
    versions: tuple[str, ...]
    reason: str
    backend: str

    @property
    def banner(self) -> str:
        """One line to put above everything that comes from this recording."""
        return f"RECORDED on {self.date} with {', '.join(self.versions)}, not live: {self.reason}"


@dataclass(frozen=True, repr=False)
class Step:
    """One command of a trial and what it left: exit code, both streams, seconds.

    `place` is where it ran; empty for this computer. `stdin` is what it was given to read. `recorded` is None when it
    ran live. `simulated` names the parts of the system that were not the real thing.
    """

    experiment: str
    number: int
    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    recorded: Recording | None = None
    simulated: tuple[str, ...] = ()
    place: str = ""
    stdin: str = ""

    @property
    def command(self) -> str:
        """The command as one could paste it into a shell."""
        return shlex.join(self.argv)

    @property
    def lines(self) -> list[str]:
        """The lines of standard output."""
        return self.stdout.splitlines()

    @property
    def output(self) -> str:
        """Standard output without the white space around it."""
        return self.stdout.strip()

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0

    def json(self) -> Any:
        """Standard output read as JSON.

        Raises:
            EvidenceError: it is not JSON.
        """
        try:
            return json.loads(self.stdout)
        except json.JSONDecodeError as error:
            raise EvidenceError(
                self.command,
                f"its output is not JSON ({error}); exit code {self.exit_code}, it began {self.stdout[:80]!r}",
                "look at step.stdout and step.stderr; most commands need --format json or --format '{{json .}}'",
            ) from None

    def __repr__(self) -> str:
        return "\n".join(
            [
                *_notes(self.recorded, self.simulated),
                f"{self.place}$ {self.command}",
                *_shown(self.stdout, ""),
                *_shown(self.stderr, "stderr: "),
                f"exit code {self.exit_code} · {self.seconds:.2f} s",
            ]
        )


@dataclass(frozen=True, repr=False)
class Observation:
    """A JSON value read from an API in a trial. `observation["Cmd"]` reads inside `value`."""

    experiment: str
    name: str
    value: Any = field(hash=False)
    recorded: Recording | None = None
    simulated: tuple[str, ...] = ()

    def __getitem__(self, key: Any) -> Any:
        return self.value[key]

    def __contains__(self, item: object) -> bool:
        return item in self.value

    def __iter__(self) -> Iterator[Any]:
        return iter(self.value)

    def __len__(self) -> int:
        return len(self.value)

    @property
    def text(self) -> str:
        """The value as people read it: a text as it is, anything else as JSON."""
        return self.value if isinstance(self.value, str) else json.dumps(self.value, indent=2, ensure_ascii=False)

    def __repr__(self) -> str:
        return "\n".join([*_notes(self.recorded, self.simulated), f"{self.name}:", *_shown(self.text, "")])


def pasteable(argv: Sequence[str]) -> str:
    """Join words for a shell: like shlex.join, but with double quotes around single ones where they change nothing."""
    plainly = [f'"{word}"' if "'" in word and not SPECIAL & set(word) else shlex.quote(word) for word in argv]
    return " ".join(plainly)


def plain(seen: object) -> object:
    """The value inside an observation; anything else as it is."""
    return seen.value if isinstance(seen, Observation) else seen


def _notes(recorded: Recording | None, simulated: tuple[str, ...]) -> list[str]:
    notes = [recorded.banner] if recorded else []
    return [*notes, f"SIMULATED here: {', '.join(simulated)}"] if simulated else notes


def _shown(text: str, prefix: str) -> list[str]:
    lines = text.splitlines()
    shown = [prefix + line for line in lines[:SHOWN_LINES]]
    hidden = len(lines) - len(shown)
    return [*shown, f"… {hidden} more lines"] if hidden else shown
