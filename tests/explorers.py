"""The widgets of the course on recorded evidence: each is played in every position once, for all tests that ask."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from labsupport.display.explorer import Attempt, Explorer
from labsupport.experiments.claims import load_ledger
from labsupport.experiments.evidence import read_folder
from labsupport.experiments.logbook import Logbook, Recorded
from labsupport.experiments.steps import Observation, Step
from labsupport.experiments.trial import Trial
from labsupport.lessons import cgroups, cni, dockerfile, ledger, logs, network, reclaim, statefulset, storage
from labsupport.observing.engines import engine_started
from labsupport.observing.network import path_seen
from labsupport.project import this_project

TARGETS = "targets.sh"
FRAMES = re.compile(r"frames: (?P<dataplane>[\w-]+), (?P<place>.+)")


class NothingLive:
    """A lab as it is on recorded evidence; whatever else a widget asks it for fails the test."""

    def path(self, trial: Trial, engine: str, containers: Any, command: str) -> Observation:
        return path_seen(trial, None, engine, containers, command)  # type: ignore[arg-type]

    def start_engine(self, trial: Trial, name: str, daemon_json: str, **how: Any) -> Observation:
        return engine_started(trial, name, lambda: None, repeatable=how["repeatable"])  # type: ignore[arg-type, return-value]

    def start(self, *names: str) -> None:
        """Collectors are asked to start; there are none."""


def recorded(experiment: str) -> Trial:
    slug, _, name = experiment.partition("/")
    source = Recorded(this_project().recorded_evidence, "this is a test")
    return Logbook(slug, load_ledger(this_project().claims), source).trial(name)


def of_networks() -> Explorer:
    trial = recorded("04-network-drivers/grid")
    listed = next(step for step in trial.source.evidence.steps if TARGETS in step.key)  # type: ignore[attr-defined]
    targets = Step(trial.experiment, 1, (TARGETS,), 0, listed.stdout, "", 0.0)
    return network.path_explorer(NothingLive(), trial, targets)


def of_packets() -> Explorer:
    paths: dict[str, dict[str, Any]] = {}
    for evidence in read_folder(this_project().recorded_evidence / "05-cni-plugins"):
        for seen in evidence.observations:
            if found := FRAMES.fullmatch(seen.name):
                paths.setdefault(found["dataplane"], {})[found["place"]] = seen.value
    return cni.path_explorer(recorded("05-cni-plugins/mesh"), paths)


# By the notebook's name; of a second widget there, with the function that makes it.
EXPLORERS: Mapping[str, Callable[[], Explorer]] = {
    "01-cgroup-drivers": lambda: cgroups.limits_explorer(
        recorded("01-cgroup-drivers/limits-by-hand"),
        NothingLive(),  # type: ignore[arg-type]
    ),
    "01-cgroup-drivers.keys_explorer": lambda: cgroups.keys_explorer(
        recorded("01-cgroup-drivers/keys-by-hand"), NothingLive()
    ),
    "02-log-drivers": lambda: logs.fate_explorer(recorded("02-log-drivers/try"), NothingLive()),
    "03-storage-drivers": lambda: storage.layers_explorer(
        recorded("03-storage-drivers/layers-by-hand"),
        {"Docker 29, overlayfs": "machine", "Docker 20.10, overlay2": "old-machine"},
    ),
    "04-network-drivers": of_networks,
    "05-cni-plugins": of_packets,
    "06-dockerfile-instructions": lambda: dockerfile.argv_explorer(
        recorded("06-dockerfile-instructions/matrix-by-hand")
    ),
    "07-pv-reclaim": lambda: reclaim.reclaim_explorer(recorded("07-pv-reclaim/by-hand")),
    "08-statefulset": lambda: statefulset.order_explorer(
        NothingLive(),  # type: ignore[arg-type]
        recorded("08-statefulset/order-by-hand"),
    ),
    "09-claims": lambda: ledger.claims_explorer(ledger.read_book()),
}


def notebook_of(widget: str) -> str:
    return widget.partition(".")[0]


def cell_of(widget: str) -> str:
    """What stands in the cell that shows it, and in none before."""
    function = widget.partition(".")[2]
    return f".{function}(" if function else "lab.explore("


@cache
def swept(widget: str) -> tuple[Explorer, list[Attempt]]:
    """The widget of a notebook, and an attempt at each of its positions."""
    explorer = EXPLORERS[widget]()
    return explorer, explorer.play_all()
