"""What a cluster still does without one of its components: how far a new pod gets, and what goes on as before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labsupport.display.style import Mark
from labsupport.display.tables import Cell, Table, table
from labsupport.display.timeline import Record, look_of
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step
from labsupport.lessons.statefulset.story import Story

# From the request to the name, in the order in which each waits for the one before.
FLOW = ("set scaled", "pod made", "pod gets its node", "pod running", "pod ready", "name answered")
BEFORE, MEANWHILE, LATER, NEVER = (
    Mark("·", "before", "plain"),
    Mark("✓", "meanwhile", "good"),
    Mark("↷", "later", "careful"),
    Mark("✗", "no", "bad"),
)
GOES_ON = {"container": "started again", "by address": "served", "by name": "served"}
_IN_WORDS = {
    "container": "a container that ends is started again",
    "by address": "a client reaches the old pod by address",
    "by name": "a client reaches the old pod by name",
}


@dataclass(frozen=True)
class Ablation:
    """One component stopped on the way of one pod: at its beginning, or when it had come some steps.

    Args:
        before: the steps of FLOW that the pod had come when the component stopped.
        meanwhile: those that came while it stood still.
        later: those that came once it was back.
        still: what without.sh found of what ran before: container, by address, by name.
    """

    component: str
    before: tuple[str, ...]
    meanwhile: tuple[str, ...]
    later: tuple[str, ...]
    still: Mapping[str, str]

    @property
    def halted_before(self) -> str:
        """The first step that had not come before and did not come meanwhile; empty when all did."""
        return next((step for step in FLOW if step not in self.before + self.meanwhile), "")

    @property
    def resumed(self) -> bool:
        """Whether every step came in the end."""
        return {*self.before, *self.meanwhile, *self.later} == set(FLOW)

    @property
    def title(self) -> str:
        """The component, and after which step it stopped, where the pod had begun."""
        return f"{self.component}, after “{self.before[-1]}”" if self.before else self.component

    @property
    def fails(self) -> list[str]:
        """What of the old did not go on."""
        return [name for name, good in GOES_ON.items() if self.still.get(name) != good]


def read_ablations(story: Story, pods: Mapping[str, str], said: Mapping[str, Step]) -> list[Ablation]:
    """Read from a timeline how far each pod got while its component stood still.

    Args:
        pods: component → the pod that was asked for meanwhile.
        said: component → what `without.sh` printed meanwhile.

    Raises:
        EvidenceError: a component was not stopped and started while this was recorded.
    """
    return [_ablation(story.records, component, pod, said[component]) for component, pod in pods.items()]


def ablation_table(ablations: Sequence[Ablation]) -> Table:
    """A column for each component: which steps came while it stood still, and what of the old went on."""
    rows: list[list[Cell]] = [[step, *(_when(step, each) for each in ablations)] for step in FLOW]
    rows += [[words, *(_goes_on(name, each) for each in ablations)] for name, words in _IN_WORDS.items()]
    return table("While this stands still …", ["", *(each.title for each in ablations)], rows)


def _when(step: str, one: Ablation) -> Mark:
    if step in one.before:
        return BEFORE
    if step in one.meanwhile:
        return MEANWHILE
    return LATER if step in one.later else NEVER


def _goes_on(name: str, one: Ablation) -> Mark:
    return NEVER if name in one.fails else MEANWHILE


def _ablation(records: Sequence[Record], component: str, pod: str, said: Step) -> Ablation:
    begin, end = _place(records, component, "broken"), _place(records, component, "mended")
    before = _before(records[:begin], pod)
    meanwhile = [step for step in _steps(records[begin:end], pod) if step not in before]
    later = [step for step in _steps(records[end:], pod) if step not in before + meanwhile]
    still = dict(line.split(": ", 1) for line in said.lines if ": " in line)
    return Ablation(component, tuple(before), tuple(meanwhile), tuple(later), still)


def _before(records: Sequence[Record], pod: str) -> list[str]:
    """What had come already: nothing where the pod was not there, since its set was scaled for others before."""
    found = _steps([record for record in records if record["pod"] == pod], pod)
    return [FLOW[0], *found] if found else []


def _place(records: Sequence[Record], component: str, tag: str) -> int:
    for place, record in enumerate(records):
        if record["kind"] == "component" and record["name"] == component and tag in record["tags"]:
            return place
    raise EvidenceError(
        f"find when {component} was {tag} in the timeline",
        f"it is not among {len(records)} events",
        "record the timeline from before lab.fault until after its end",
    )


def _steps(records: Sequence[Record], pod: str) -> list[str]:
    found = []
    for record in records:
        if record["kind"] == "set" and "scaled" in record["tags"]:
            found.append("set scaled")
        elif record["pod"] == pod:
            found.append(look_of(record).name)
    if "pod ready" in found:
        found.append("pod running")  # a kubelet may tell of both in one write
    return [step for step in FLOW if step in found]
