"""Says of a lab what is live, what is recorded, and what is missing and why: the content of its card."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from labsupport.backends import Backends
from labsupport.display.cards import Card, Part
from labsupport.display.origin import LIVE, Origin
from labsupport.experiments.evidence import Evidence
from labsupport.experiments.logbook import not_asked_for
from labsupport.experiments.runners import recording_of_all
from labsupport.lessons.catalog import Lesson

if TYPE_CHECKING:
    from labsupport.systems.engines.engine import Engine

ENGINE = "Docker engine"
CLUSTER = "Kubernetes cluster"


ALL_OTHERS = "all others"


def replayed_trials(about: Lesson, backends: Backends) -> dict[str, str]:
    """The trials of a notebook that cannot be live in a lab that is, each with the reason."""
    reasons = ((about.served_here, backends.why_not_served), (about.on_a_machine, backends.why_no_machine))
    found = {trial: because for trials, because in reasons for trial in trials if because}
    return {**found, **(about.real_nodes if backends.simulated else {})}


def card_of_live(about: Lesson, backends: Backends, seconds: float | None) -> Card:
    """The card of a lab that runs; `seconds` is what opening it took."""
    assert backends.home is not None
    facts, environment = backends.provenance(), backends.environment
    nodes = f"{about.needs.nodes} node{'s' if about.needs.nodes > 1 else ''}"
    of_kind = backends.cluster.kind if backends.cluster else ""
    parts = (
        Part(ENGINE, "live", f"{_whose(backends.engine)}, {facts['engine']}")
        if "engine" in facts
        else Part(ENGINE, "unneeded"),
        Part(CLUSTER, "live", f"{of_kind}, {facts['cluster']}, {nodes}")
        if "cluster" in facts and about.needs.nodes
        else Part(CLUSTER, "unneeded"),
        *_parts_simulated(backends),
        *_parts_replayed(about, backends),
        Part("Machine", "live", f"{facts['machine']}, {facts['kernel']} {facts['architecture']}")
        if backends.machine is not None
        else Part("Machine", "unneeded"),
    )
    versions = tuple((tool["name"], f"{tool['version']} ({tool['source']})") for tool in facts["tools"])
    addresses = [("Published ports", backends.machine.address)] if backends.machine is not None else []
    addresses += [("Label on what commands make", mark)] if (mark := _mark_of(backends.engine)) else []
    live = {"DOCKER_HOST": backends.engine, "KUBECONFIG": backends.cluster}
    addresses += [(name, environment[name]) for name, part in live.items() if part is not None]
    return Card(
        backends.home.name, about.slug, parts, tuple(addresses), versions, Origin(simulated=backends.simulated), seconds
    )


def _parts_simulated(backends: Backends) -> list[Part]:
    return [Part(name.capitalize(), "simulated", because=backends.plan.no_nodes) for name in backends.simulated]


def _parts_replayed(about: Lesson, backends: Backends) -> list[Part]:
    """A row for each reason why experiments of a live lab are shown from recorded evidence all the same."""
    trials = dict(replayed_trials(about, backends))
    if about.asked:
        trials = {name: because for name, because in trials.items() if name in about.asked}
        trials[ALL_OTHERS] = not_asked_for(ALL_OTHERS, about.asked)
    return [
        Part(f"Experiments {', '.join(name for name in trials if trials[name] == reason)}", "recorded", because=reason)
        for reason in dict.fromkeys(trials.values())
    ]


def _whose(engine: "Engine | None") -> str:
    return "your own engine" if _mark_of(engine) else "private engine"


def _mark_of(engine: "Engine | None") -> str:
    """The label that the lab's commands put on what they make; empty where the engine is the lab's alone."""
    return str(getattr(engine, "mark", ""))


def card_of_replay(about: Lesson, reason: str, recorded: Sequence[Evidence], seconds: float | None) -> Card:
    """The card of a lab that shows `recorded` evidence, or has none to show, because of `reason`."""
    origin = Origin(recording_of_all(recorded, reason)) if recorded else LIVE
    state, what = ("recorded", "outputs below are recorded evidence") if recorded else ("unavailable", "")
    parts = tuple(
        Part(name, state, what, reason) if needed else Part(name, "unneeded")
        for name, needed in ((ENGINE, about.needs.engine), (CLUSTER, about.needs.nodes > 0))
    )
    return Card("", about.slug, parts, origin=origin, seconds=seconds)
