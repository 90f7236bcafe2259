"""Reads the real directories behind a container, as `show_layers.py` lists them, and works out what each layer does.

Owns the rules of the overlay file system as far as a reader needs them; looks at no directory itself.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

WHITEOUT, OPAQUE, FOLDER, FILE = "whiteout", "opaque folder", "folder", "file"
ADDS, REPLACES, HIDES = "adds", "replaces", "hides"
CONTAINER, ENGINES_OWN, MERGED = "container", "the engine's own", "merged"


@dataclass(frozen=True)
class Entry:
    """One name in one directory, and the bytes it takes on disk there."""

    path: str
    kind: str
    size_bytes: int


@dataclass(frozen=True)
class Layer:
    """One real directory of the stack."""

    name: str
    directory: str
    size_bytes: int
    entries: tuple[Entry, ...]

    def entry(self, path: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.path == path), None)

    def bytes_of(self, path: str) -> int:
        """The bytes that a name takes in this directory; 0 where the directory does not have it."""
        found = self.entry(path)
        return found.size_bytes if found else 0


@dataclass(frozen=True)
class Effect:
    """What a layer does to one name; `below` is the layer whose entry it replaces or hides."""

    path: str
    does: str
    below: str
    size_bytes: int


@dataclass(frozen=True)
class Stack:
    """The layers of a container, lowest first, its own last, and the names that it sees."""

    container: str
    mount: str
    work: str
    layers: tuple[Layer, ...]
    merged: tuple[Entry, ...]
    origin: Origin = LIVE

    def __getitem__(self, name: str) -> Layer:
        return next(layer for layer in self.layers if layer.name == name)

    @property
    def upper(self) -> Layer:
        """The only layer that the container writes to."""
        return self.layers[-1]

    @property
    def lower(self) -> tuple[Layer, ...]:
        return self.layers[:-1]

    @property
    def of_image(self) -> tuple[Layer, ...]:
        """The layers that come from the image; the engine puts one of its own above them."""
        return tuple(layer for layer in self.lower if layer.name != ENGINES_OWN)

    @property
    def sees(self) -> list[str]:
        """The names in the mount itself, as the container sees them."""
        return [entry.path for entry in self.merged]

    def effects(self, name: str) -> list[Effect]:
        """What the layer of that name does to what the layers below it make."""
        for layer, effects, _ in self._built():
            if layer.name == name:
                return effects
        raise EvidenceError(f"look at the layer {name}", "there is none", f"one of: {', '.join(self.names)}")

    def deeds(self, name: str) -> list[str]:
        """The same in words, such as "hides large"."""
        return [f"{effect.does} {short(effect.path)}" for effect in self.effects(name)]

    def view(self, name: str = CONTAINER) -> dict[str, str]:
        """By the rules, each name that is to be seen when this layer is the top one, and the layer it comes from."""
        return next(view for layer, _, view in self._built() if layer.name == name)

    @property
    def names(self) -> list[str]:
        return [layer.name for layer in self.layers]

    def table(self) -> Shown:
        """Every directory, lowest first, and what it does; the mount itself is the last row."""
        parent = os.path.commonpath([layer.directory for layer in self.layers])
        rows: list[list[Cell]] = [
            [layer.name, f"{layer.size_bytes:,}", _sentence(self.effects(layer.name)),
             f"…{layer.directory.removeprefix(parent)}"]
            for layer in self.layers
        ]  # fmt: skip
        rows.append([MERGED, None, f"shows {', '.join(map(short, self.sees))}", f"type {self.mount}"])
        columns: list[str | Column] = ["layer", Column("bytes", "number"), Column("below /data it", "prose"),
                                       Column("directory", "code")]  # fmt: skip
        note = f"lowest first; … is {parent}"
        made = table(f"The layers of the container {self.container}", columns, rows, note=note)
        return self.origin.above(made.shown())

    def _built(self) -> Iterator[tuple[Layer, list[Effect], dict[str, str]]]:
        """Lay layer upon layer: each with its effects, and with what is to be seen then."""
        view: dict[str, str] = {}
        for layer in self.layers:
            effects, view = _laid_upon(view, layer)
            yield layer, effects, view


def read_stack(step: Step) -> Stack:
    """Read the output of `show_layers.py`.

    Raises:
        EvidenceError: something else was printed.
    """
    try:
        found = step.json()
        lower = [_layer(record) for record in found["lower"]]
        upper = _layer(found["upper"], CONTAINER)
        merged = tuple(_entry(record) for record in found["merged"])
        return Stack(
            found["container"], found["mount"], found["work"], (*_numbered(lower), upper), merged, Origin.of(step)
        )
    except (KeyError, TypeError) as error:
        raise EvidenceError(
            step.command, f"this is no list of layers: {error!r}", "run the cell that starts the container again"
        ) from None


def short(path: str) -> str:
    """A name below /data without that folder."""
    return path.removeprefix("/data/")


def counted(effects: list[Effect]) -> str:
    """How many names a layer adds, replaces and hides, in words that a prediction can be compared with."""
    return ", ".join(f"{does} {sum(effect.does == does for effect in effects)}" for does in (ADDS, REPLACES, HIDES))


def _laid_upon(view: dict[str, str], layer: Layer) -> tuple[list[Effect], dict[str, str]]:
    above = dict(view)
    effects = []
    for entry in layer.entries:
        if entry.kind == OPAQUE:
            # Nothing of the folder below shows through; its own names follow as entries.
            for path in [known for known in above if known.startswith(f"{entry.path}/")]:
                effects.append(Effect(path, HIDES, above.pop(path), 0))
        if entry.kind == WHITEOUT:
            gone = [known for known in above if known == entry.path or known.startswith(f"{entry.path}/")]
            effects += [Effect(path, HIDES, above.pop(path), entry.size_bytes) for path in gone]
        elif entry.path not in above:
            effects.append(Effect(entry.path, ADDS, "", entry.size_bytes))
            above[entry.path] = layer.name
        elif entry.kind == FILE:
            effects.append(Effect(entry.path, REPLACES, above[entry.path], entry.size_bytes))
            above[entry.path] = layer.name
    return effects, above


def _numbered(lower: list[Layer]) -> list[Layer]:
    """Name the layers of the image by their place."""
    numbers = iter(range(1, len(lower) + 1))
    return [layer if layer.name == ENGINES_OWN else Layer(f"layer {next(numbers)}", *_rest(layer)) for layer in lower]


def _rest(layer: Layer) -> tuple[str, int, tuple[Entry, ...]]:
    return layer.directory, layer.size_bytes, layer.entries


def _layer(record: dict[str, object], name: str = "") -> Layer:
    name = name or (ENGINES_OWN if record["engines_own"] else "")
    entries = tuple(_entry(each) for each in record["entries"])  # type: ignore[attr-defined]
    return Layer(name, str(record["directory"]), int(str(record["bytes"])), entries)


def _entry(record: dict[str, object]) -> Entry:
    return Entry(str(record["path"]), str(record["kind"]), int(str(record["bytes"])))


def _sentence(effects: list[Effect]) -> str:
    parts = []
    for does in (ADDS, REPLACES, HIDES):
        names = [short(effect.path) for effect in effects if effect.does == does]
        parts += [f"{does} {', '.join(names)}"] if names else []
    return "; ".join(parts) or "does nothing"
