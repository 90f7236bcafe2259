"""What a lab's commands did on an engine that is not its alone, where no label can say so. A file in its run folder.

Written before a command and after it: what happened in between, whatever ended the command, is the lab's. Standard
library only, as labelling.py.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labsupport.systems.engines.labelling import Command

JOURNAL = "made.jsonl"


@dataclass
class Entry:
    """One command.

    Args:
        words: after `docker`.
        was: what the image names in its words meant before, by name.
        names: what they, or those of its archive, meant afterwards; None while it runs, or where it was killed.
        images, containers, volumes, cache: identities of what else came, and could not be labelled.
    """

    words: tuple[str, ...]
    was: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] | None = None
    images: Sequence[str] = ()
    containers: Sequence[str] = ()
    volumes: Sequence[str] = ()
    cache: Sequence[str] = ()

    def took(self, tag: str, image: str, labelled: Collection[str] = ()) -> bool:
        """Whether that a name means this image is the doing of this command; `labelled` are images with its label."""
        if self.names is not None:
            return self.names.get(tag) == image and self.was.get(tag) != image
        command = Command.of(self.words)
        its_own = image in labelled if command.bakes else command.names(tag)
        return its_own and self.was.get(tag) != image


class Journal:
    """The journal in a run folder; a line each time, so that several commands can write at once."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / JOURNAL

    def begin(self, words: Sequence[str], **known: Any) -> str:
        """Note a command that is about to run; return what to end it by."""
        key = os.urandom(4).hex()
        self._write({"begin": key, "words": list(words), **known})
        return key

    def end(self, key: str, **known: Any) -> None:
        """Note what a command has done."""
        self._write({"end": key, **known})

    def entries(self) -> list[Entry]:
        """Return every command, the earliest first."""
        found: dict[str, Entry] = {}
        for line in self._lines():
            if key := line.pop("begin", ""):
                found[key] = Entry(tuple(line.pop("words")), **line)
            elif (key := line.pop("end", "")) in found:
                for name, value in line.items():
                    setattr(found[key], name, value)
        return list(found.values())

    def took(self, tag: str, image: str, labelled: Collection[str] = ()) -> bool:
        """Whether it is the lab's doing that a name means this image; `labelled` are images with the lab's label."""
        return any(entry.took(tag, image, labelled) for entry in self.entries())

    def meant_before(self, tag: str, image: str) -> str:
        """The image that a name meant before the lab had it mean this one; empty for none."""
        entries, seen = self.entries(), {""}
        while image not in seen:
            seen.add(image)
            taker = next((entry for entry in entries if entry.took(tag, image)), None)
            if taker is None:
                return image
            image = taker.was.get(tag, "")
        return ""

    def _lines(self) -> Iterator[dict[str, Any]]:
        try:
            text = self._file.read_text()
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue  # cut short by a full disk or a kill

    def _write(self, line: dict[str, Any]) -> None:
        with self._file.open("a") as file:
            file.write(json.dumps(line) + "\n")
