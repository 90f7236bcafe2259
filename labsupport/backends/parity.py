"""Where each notebook is live, and where it is shown from recorded evidence and why, as a Markdown page.

Every cell is what choosing.py says of the notebook's needs. Looks at no computer, and starts nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from labsupport.backends.choosing import KIND, NO_MACHINE_FOR_A_TRIAL, OWN, SIMULATED, LabOptions, Plan, plan
from labsupport.experiments.claims import Ledger
from labsupport.lessons.catalog import LESSONS, Lesson
from labsupport.lessons.needs import Needs
from labsupport.systems.capabilities import Capability

HEAD = """# What runs where

Each notebook in each place that a lab can have: live, or from recorded evidence and for which of the reasons below.
Made by `./lab generate` from the reasons that labs themselves give; a test compares it. Claims that take what not every
kernel has ([the ledger](ledger.md) says which and what) are counted for the virtual machine alone, whose kernel has it.
"""
ROOT_ON_LINUX = Capability("namespaces machine", True, "root, and a kernel with all namespaces")
NEITHER_ROOT_NOR_DOCKER = Capability("namespaces machine", False, "it takes root")
SIMULATION_AT_HAND = Capability("simulated nodes", True, "its programs are here")
SERVES = "live; `{}` recorded where this computer cannot serve that engine"


@dataclass(frozen=True)
class Place:
    """A column: what somebody asks for, in words and as options, and what can be live then.

    `has_all`: its kernel is known to have all that claims take.
    """

    title: str
    options: str
    plan: Plan
    has_all: bool = False


def places_of_labs() -> tuple[Place, ...]:
    """Return every place that a lab of this edition can have."""
    return (
        Place("private engine, embedded cluster", "as root on Linux", plan(LabOptions(), ROOT_ON_LINUX)),
        Place("private engine, kind on it", f"`--cluster {KIND}`", plan(LabOptions(cluster=KIND), ROOT_ON_LINUX)),
        Place("the first, in a container of your engine", "`--machine container`", Plan("container")),
        Place("your own engine", f"`--engine {OWN}`", plan(LabOptions(engine=OWN))),
        Place(
            "your own engine, kind on it",
            f"`--engine {OWN} --cluster {KIND}`",
            plan(LabOptions(engine=OWN, cluster=KIND)),
        ),
        Place("your own cluster", f"`--cluster {OWN}`", plan(LabOptions(cluster=OWN))),
        Place(
            "your own processes, simulated nodes",
            f"`--cluster {SIMULATED}`, or without root or Docker",
            plan(LabOptions(), NEITHER_ROOT_NOR_DOCKER, SIMULATION_AT_HAND),
        ),
        Place("the first, in a virtual machine", "`--machine vm`", plan(LabOptions(), ROOT_ON_LINUX), has_all=True),
        Place("nothing live", "`--engine replay`", plan(LabOptions(engine="replay"), ROOT_ON_LINUX)),
    )


def parity_document(ledger: Ledger, lessons: Sequence[Lesson] = LESSONS) -> str:
    """Return the page: a row a notebook, a row of how many claims are settled live, and the reasons."""
    places = places_of_labs()
    numbers = _numbered(lessons, places)
    all_claims = sum(_settled(ledger, each) for each in lessons)
    rows = [
        ["Notebook", "Claims", *(f"{place.title} ({place.options})" for place in places)],
        ["---"] * (2 + len(places)),
        *(
            [_link(each), str(_settled(ledger, each)), *(_cell(each, at.plan, numbers) for at in places)]
            for each in lessons
        ),
        ["**Claims settled live**", f"**{all_claims}**", *(_settled_live(ledger, lessons, at) for at in places)],
    ]
    reasons = [f"{number}. {reason}" for reason, number in numbers.items()]
    return "\n".join([HEAD, *(f"| {' | '.join(row)} |" for row in rows), "", "## Reasons", "", *reasons]) + "\n"


def _numbered(lessons: Sequence[Lesson], places: Sequence[Place]) -> Mapping[str, int]:
    """Number the reasons, from 1, in the order in which they are met."""
    reasons = [at.plan.why_not(each.needs) for at in places for each in lessons]
    reasons += [reason for at in places for each in lessons for reason in _replayed(each, at.plan).values()]
    return {reason: number for number, reason in enumerate(dict.fromkeys(filter(None, reasons)), start=1)}


def _cell(about: Lesson, chosen: Plan, numbers: Mapping[str, int]) -> str:
    if about.needs == Needs():
        return "live: it reads evidence"
    if reason := chosen.why_not(about.needs):
        return f"recorded: reason {numbers[reason]}"
    if chosen.own_engine and about.served_here:
        return SERVES.format("`, `".join(about.served_here))
    if replayed := _replayed(about, chosen):
        of_reason = {reason: [one for one, why in replayed.items() if why == reason] for reason in replayed.values()}
        said = (f"`{'`, `'.join(trials)}` recorded: reason {numbers[why]}" for why, trials in of_reason.items())
        return "; ".join(["live", *said])
    return "live" if about.needs.nodes or chosen.cluster != KIND else "live, no cluster in it"


def _replayed(about: Lesson, chosen: Plan) -> Mapping[str, str]:
    """Return why which trials are replayed alone in a notebook that is live."""
    if chosen.why_not(about.needs):
        return {}
    if chosen.simulates:
        return about.real_nodes
    return dict.fromkeys(about.on_a_machine, NO_MACHINE_FOR_A_TRIAL) if chosen.own_engine else {}


def _settled(ledger: Ledger, about: Lesson, but_by: Iterable[str] = (), *, has_all: bool = True) -> int:
    """Count the claims that a notebook's trials settle, those of some trials left out."""
    left_out = [f"{about.slug}/{trial}" for trial in but_by]
    settled = (one for one in ledger.of_notebook(about.slug) if one.verdict is not None and (has_all or not one.takes))
    return sum(one.experiment not in left_out for one in settled)


def _settled_live(ledger: Ledger, lessons: Sequence[Lesson], at: Place) -> str:
    live = [each for each in lessons if not at.plan.why_not(each.needs)]
    return f"**{sum(_settled(ledger, each, _replayed(each, at.plan), has_all=at.has_all) for each in live)}**"


def _link(about: Lesson) -> str:
    return f"[{about.slug}](../notebooks/{about.slug}.ipynb)"
