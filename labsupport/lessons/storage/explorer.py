"""The widget: click a layer of a real container, predict what it adds, replaces and hides, and see."""

from collections.abc import Mapping

from labsupport.display.explorer import Explorer, Played, Position, Question
from labsupport.display.markup import Shown, element
from labsupport.display.markup import stack as below_each_other
from labsupport.display.origin import Origin
from labsupport.display.tables import Cell, Column, table
from labsupport.experiments.trial import Trial
from labsupport.lessons.storage.drawing import layers_figure
from labsupport.lessons.storage.stack import CONTAINER, ENGINES_OWN, Stack, counted, read_stack, short

LAYERS = (CONTAINER, ENGINES_OWN, "layer 4", "layer 3", "layer 2", "layer 1")
SCRIPT = "assets/03-storage-drivers/show_layers.py"
WHY = {
    CONTAINER: "What a container changes lands in its own directory, and nowhere else.",
    ENGINES_OWN: "The engine keeps the places ready where it mounts /etc/hosts, /etc/hostname and the like; "
    "nothing of it is below /data.",
    "layer 1": "This is lab/toolbox, which has no /data.",
    "layer 2": "The first RUN: nothing is below it that it could replace or hide.",
    "layer 3": "The second RUN: it wrote `changed` anew and removed `removed`, for which it holds a whiteout.",
    "layer 4": "The third RUN: `folder` was removed and made anew, so it is opaque, and hides what the one below held.",
}


def layers_explorer(trial: Trial, engines: Mapping[str, str]) -> Explorer:
    """Make the widget.

    Args:
        trial: runs a container called `layers` on each engine.
        engines: what the control calls an engine → the place where its machine is.
    """

    def play(position: Position) -> Played:
        step = trial.run(command, on=engines[position["engine"]], repeatable=True)
        found, name = read_stack(step), position["layer"]
        return Played(
            below_each_other(layers_figure(found, chosen=name), _does(found, name)),
            counted(found.effects(name)),
            WHY[name],
        )

    command = f"python3 {SCRIPT} layers"
    return Explorer(
        "What does this layer do?",
        {"layer": LAYERS, "engine": tuple(engines)},
        play,
        question=Question(
            "How many names below /data does it add, replace and hide?", example="adds 1, replaces 1, hides 1"
        ),
        preview=lambda position: f"{engines[position['engine']]}# {command}",
        origin=Origin.of_trial(trial),
        stacked=("layer",),
    )


def _does(found: Stack, name: str) -> Shown:
    layer, view = found[name], found.view()
    rows: list[list[Cell]] = []
    for effect in found.effects(name):
        entry = layer.entry(effect.path)
        above = view.get(effect.path)
        fate = "yes" if above == name else f"no: {above} has another" if above else "no"
        rows.append(
            [short(effect.path), effect.does, effect.below or None, entry.kind if entry else "in an opaque folder",
             effect.size_bytes, fate]
        )  # fmt: skip
    columns: list[str | Column] = [
        Column("name", "code"),
        "the layer",
        "of",
        "as a",
        Column("bytes", "number"),
        "seen in the container",
    ]
    caption = f"{name}: {layer.directory}"
    if not rows:
        said = f"{caption} has nothing below /data."
        return Shown(element("p", said), said)
    return table(caption, columns, rows).shown()
