"""What a round starts and measures, one after the other. The table, and choosing from it by name."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labsupport.backends.choosing import KIND
from labsupport.benchmark.clusters import measure_beside, measure_cluster, measure_flannel, measure_floor
from labsupport.benchmark.course import measure_course
from labsupport.benchmark.engines import measure_engine
from labsupport.benchmark.equipment import TOOLBOX, Equipment, Seen
from labsupport.benchmark.kind import measure_kind
from labsupport.benchmark.measures import MEASURES
from labsupport.benchmark.pods import measure_pods
from labsupport.benchmark.sizes import measure_cache
from labsupport.benchmark.virtual import measure_virtual
from labsupport.errors import RequirementMissing, UsageError
from labsupport.keeping import needs_of
from labsupport.lessons.needs import Needs

if TYPE_CHECKING:
    from labsupport.systems.capabilities import Capability

ROUNDS = 5
NOTHING = Needs()


def _kind_cluster() -> "Capability":
    from labsupport.systems.capabilities import kind_cluster

    return kind_cluster()


def _virtual_machine() -> "Capability":
    from labsupport.systems.capabilities import virtual_machine

    return virtual_machine()


@dataclass(frozen=True)
class Subject:
    """Something that is started and measured once a round.

    Attributes:
        starts: what that is, in words.
        seconds: about how long it takes, on 2 cores.
        needs: what must have been made ready before the first clock starts.
        rounds: in how many rounds, unless somebody says how many.
        by_default: whether it takes part where nobody names it.
        possible: whether it can be had here, beside a machine; None where every machine has it.
    """

    name: str
    starts: str
    seconds: float
    measure: Callable[[Equipment], Seen]
    needs: Needs = NOTHING
    rounds: int = ROUNDS
    by_default: bool = True
    possible: "Callable[[], Capability] | None" = None


_CLUSTER = Needs(nodes=1, images=(TOOLBOX,))
_KIND = _CLUSTER | Needs(engine=True, tools=(KIND,))

# Those that a ratio compares stand side by side: between them nothing else heats or fills the computer.
SUBJECTS = (
    Subject("kind", "an engine, kind on it, and a StatefulSet", 20, measure_kind, _KIND, possible=_kind_cluster),
    Subject("cluster", "a cluster of one node, and a StatefulSet on it", 7, measure_cluster, _CLUSTER),
    Subject("floor", "etcd and an API server alone", 4, measure_floor, Needs(nodes=1)),
    Subject(
        "flannel", "two nodes with flannel", 6, measure_flannel, Needs(nodes=2, images=(TOOLBOX,), tools=("flannel",))
    ),
    Subject("engine", "an engine and one container", 2, measure_engine, Needs(engine=True, images=(TOOLBOX,))),
    Subject("beside", "five clusters, one after the other", 20, measure_beside, _CLUSTER),
    Subject("pods", "a cluster and 100 pods", 30, measure_pods, _CLUSTER, rounds=2),
    Subject("disk", "nothing: it weighs the cache", 1, measure_cache, rounds=1),
    Subject(
        "vm",
        "a virtual machine, and in it an engine and a cluster",
        240,
        measure_virtual,
        _CLUSTER | Needs(engine=True),
        rounds=1,
        by_default=False,
        possible=_virtual_machine,
    ),
    Subject("notebooks", "every notebook", 240, measure_course, needs_of(), rounds=1, by_default=False),
)


def choose(names: Sequence[str], *, notebooks: bool = False) -> list[Subject]:
    """Return the subjects that `names`, of subjects and measures, stand for; those by default where none is given.

    Args:
        notebooks: also the course, which is not among those by default.

    Raises:
        UsageError: nothing has such a name; the message lists what there is.
    """
    if not names:
        return [each for each in SUBJECTS if each.by_default or (notebooks and each.name == "notebooks")]
    wanted = {subject for name in names for subject in _subjects_of(name)} | ({"notebooks"} if notebooks else set())
    return [each for each in SUBJECTS if each.name in wanted]


def impossible_here(subjects: Sequence[Subject], *, named: bool) -> Mapping[str, str]:
    """Return which of them cannot be had here, by name, and why.

    Args:
        named: whether somebody asked for just these.

    Raises:
        RequirementMissing: somebody did, and one of them cannot be had.
    """
    found = {}
    for subject in subjects:
        answer = subject.possible() if subject.possible else None
        if answer and not answer.available:
            if named:
                raise RequirementMissing(f"./lab bench {subject.name}", answer.because, answer.change_it)
            found[subject.name] = answer.because
    return found


def _subjects_of(name: str) -> set[str]:
    if name in {each.name for each in SUBJECTS}:
        return {name}
    measures = {each.name: each for each in MEASURES}
    if name not in measures:
        near = difflib.get_close_matches(name, [*(each.name for each in SUBJECTS), *measures], n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        known = ", ".join(each.name for each in SUBJECTS)
        raise UsageError(f"measure {name!r}", "nothing has that name", f"{hint}Name one of: {known}, or a measure")
    of = measures[name].ratio or (name,)
    return {measures[each].subject for each in of}
