"""The widget: from which network, to which, by what; the way by the rules, and the way the packet was seen to take."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from labsupport.display.explorer import Explorer, Played, Position, Question
from labsupport.display.origin import Origin
from labsupport.display.tables import Cell, Table, table
from labsupport.experiments.steps import Observation, Step
from labsupport.experiments.trial import Trial
from labsupport.lessons.network.paths import ENGINE, Way, predicted, seen

KINDS = ("bridge", "mine", "host", "none", "macvlan", "overlay")
BY = ("address", "name", "published port")
NO_ADDRESS = "-"
SECONDS = 1


class Lab(Protocol):
    """The part of a lab that the widget needs."""

    @property
    def path(self) -> Callable[[Trial, str, Sequence[str], str], Observation]: ...


def path_explorer(lab: Lab, trial: Trial, targets: Step) -> Explorer:
    """Make the widget; the containers of start.sh run in `trial`, and `targets` is what targets.sh said of them."""
    known = {words[0].removesuffix("-a"): tuple(words[1:]) for line in targets.lines if len(words := line.split()) == 3}

    def play(position: Position) -> Played:
        source, target, by = (position[name] for name in ("from", "to", "by"))
        observed = lab.path(trial, ENGINE, (f"{source}-b", f"{target}-a"), command(position, known))
        answered = observed["said"].strip() == f"{target}-a"
        way = predicted(source, target, by)
        return Played(compared(way, seen(observed["passages"]), answered), "yes" if answered else "no", way.because)

    return Explorer(
        "Which way does a packet take, and does an answer come?",
        {"from": KINDS, "to": KINDS, "by": BY},
        play,
        question=Question("Does the container you ask for answer?", answers=("yes", "no")),
        preview=lambda position: command(position, known),
        origin=Origin.of_trial(trial),
    )


def command(position: Position, known: Mapping[str, tuple[str, ...]]) -> str:
    """What a position means, as one would type it; `known` has the address and the published port of each target."""
    source, target, by = (position[name] for name in ("from", "to", "by"))
    address, port = known[target]
    machine = known["host"][0]
    if by == "address" and address == NO_ADDRESS:
        return f"docker inspect --format {{{{.NetworkSettings.Networks.{target}.MacAddress}}}} {target}-a"
    where = {"address": f"{address}:8080", "name": f"{target}-a:8080", "published port": f"{machine}:{port}"}[by]
    return f"docker exec {source}-b timeout {SECONDS} wget -q -O - http://{where}/"


def compared(way: Way, stations: Sequence[str], answered: bool) -> Table:
    """By the rules, and as it was seen: the stations, and whether an answer came."""
    rows: list[list[Cell]] = [
        ["by the rules", way.shown, way.answered, None],
        ["as it was seen", Way(tuple(stations), answered, "").shown, answered, is_as_ruled(way, stations, answered)],
    ]
    return table("The first packet's way", ["", "interfaces it passes", "answer", "as ruled"], rows)


def is_as_ruled(way: Way, stations: Sequence[str], answered: bool) -> bool:
    """Whether what was seen is what the rules say."""
    return (way.stations, way.answered) == (tuple(stations), answered)
