"""Reads what `search_layers.py` found in an image's bytes, and tables it. Searches nothing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Column, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

CONFIGURATION = "(configuration)"


@dataclass(frozen=True)
class Layer:
    """One layer: what made it, how many bytes its files have, and what was found in it or hidden by it."""

    instruction: str
    size_bytes: int
    places: tuple[str, ...]

    @property
    def found(self) -> tuple[str, ...]:
        """The files that hold what was looked for."""
        return tuple(place.removeprefix("found in ") for place in self.places if place.startswith("found in "))


@dataclass(frozen=True)
class Layers:
    """All layers of one image, oldest first, and whether its configuration holds what was looked for."""

    layers: tuple[Layer, ...]
    in_history: bool
    origin: Origin = LIVE

    @property
    def of_run(self) -> list[str]:
        """The layers that RUN made, by their instruction."""
        return [layer.instruction for layer in self.layers if layer.instruction.startswith("RUN ")]

    @property
    def found(self) -> list[str]:
        """Where it is, in words: "/root/session, in the layer of RUN login"; empty when nowhere."""
        in_layers = [f"{file}, in the layer of {layer.instruction}" for layer in self.layers for file in layer.found]
        return [*in_layers, "the history, in the configuration"] if self.in_history else in_layers

    @property
    def size_bytes(self) -> int:
        return sum(layer.size_bytes for layer in self.layers)

    def table(self) -> Shown:
        rows = [[number, *_cells(layer)] for number, layer in enumerate(self.layers, 1)]
        rows.append([None, CONFIGURATION, None, "found in the history" if self.in_history else None])
        columns: list[str | Column] = [
            Column("layer", "number"),
            Column("made by", "code"),
            Column("bytes", "number"),
            "what is in it",
        ]
        return self.origin.above(table("The image, layer by layer", columns, rows).shown())


def read_layers(step: Step) -> Layers:
    """Read a step that ran `docker save IMAGE | python3 search_layers.py PATTERN`.

    Raises:
        EvidenceError: the command failed, or printed something else.
    """
    return replace(layers_of_output(step.stdout, step.command), origin=Origin.of(step))


def layers_of_output(stdout: str, command: str) -> Layers:
    """Read what search_layers.py printed; `command` is for the error, which is as in `read_layers`."""
    rows = [line.split("\t") for line in stdout.splitlines()]
    if not rows or any(len(row) != 3 for row in rows) or rows[-1][1] != CONFIGURATION:
        raise EvidenceError(
            command,
            f"no list of layers in what it printed: {stdout[-300:]!r}",
            "run the cell that builds the image, then this one again",
        )
    *of_layers, configuration = rows
    layers = [Layer(made_by, int(size), tuple(filter(None, places.split("; ")))) for size, made_by, places in of_layers]
    return Layers(tuple(layers), bool(configuration[2]))


def ways_table(ways: Mapping[str, Layers]) -> Shown:
    """One row for each way to use a secret: how many layers, and where the secret still is."""
    rows = [
        [way, len(layers.of_run), "yes" if any(layer.found for layer in layers.layers) else "no",
         "yes" if layers.in_history else "no", "; ".join(layers.found) or "nowhere"]
        for way, layers in ways.items()
    ]  # fmt: skip
    columns: list[str | Column] = [
        Column("stage", "code"),
        Column("layers of RUN", "number"),
        "in a layer?",
        "in the history?",
        "where",
    ]
    made = table("Five ways to use a credential in a build", columns, rows)
    return next(iter(ways.values())).origin.above(made.shown())


def _cells(layer: Layer) -> Sequence[str | int | None]:
    return [layer.instruction, layer.size_bytes, "; ".join(layer.places) or None]
