"""What a receiver got and what it refused, one JSON object a line, in a file that `cat` and `grep` can read."""

import json
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LONGEST_REASON = 200


class NotUnderstood(ValueError):
    """What arrived is not what the protocol allows; the message says what is wrong with it."""


class Records:
    """The file of one receiver; each line is on disk before the sender is answered."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", errors="replace")
        self._alone = threading.Lock()

    def got(self, record: Mapping[str, Any]) -> None:
        self._write(record)

    def refused(self, why: object) -> None:
        """Note what was thrown away, and why."""
        self._write({"refused": str(why)[:LONGEST_REASON]})

    def _write(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record, ensure_ascii=False, default=_as_text) + "\n"
        with self._alone:
            self._file.write(line)
            self._file.flush()


def arguments(usage: str) -> list[str]:
    """Return the words a receiver was started with.

    Raises:
        SystemExit: their number is not that of `usage`.
    """
    if len(sys.argv) - 1 != len(usage.split()):
        sys.exit(f"usage: python -m labsupport.systems.receivers.NAME {usage}")
    return sys.argv[1:]


def _as_text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
