"""The widget: replicas, policy, partition, what stands still meanwhile; the order by the rules and the one recorded.

A position makes a set while a component stands still, lets it go on, then changes the set's template.
"""

import itertools
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from labsupport.display.explorer import Explorer, Played, Position, Question
from labsupport.display.markup import Shown, stack
from labsupport.display.origin import Origin
from labsupport.display.tables import Cell, Table, table
from labsupport.errors import LabError
from labsupport.experiments.steps import pasteable
from labsupport.experiments.trial import Trial
from labsupport.lessons.statefulset.story import Story, story_of

ASSETS = "assets/08-statefulset"
REPLICAS, PARTITIONS = ("1", "3"), ("0", "2")
ORDERED, PARALLEL = "OrderedReady", "Parallel"
NOTHING = "nothing"
SCHEDULER, CONTROLLERS = "kube-scheduler", "kube-controller-manager"
STOPPABLE = (NOTHING, SCHEDULER, CONTROLLERS)
PLENTY_SECONDS = 120
REMOVE = "kubectl delete statefulsets,pods --selector app=try --cascade=foreground"
PHASES = ("meanwhile", "then", "update")


class Watching(Protocol):
    """A timeline being recorded."""

    def records(self) -> list[dict[str, Any]]: ...


class Lab(Protocol):
    """The part of a lab that the widget needs."""

    @property
    def record_timeline(self) -> Callable[[Trial, str], Watching]: ...

    @property
    def fault(self) -> Callable[[Trial, str, str], Any]: ...


@dataclass(frozen=True)
class Choice:
    """One position, as numbers and words."""

    replicas: int
    policy: str
    partition: int
    stopped: str

    @classmethod
    def of(cls, position: Position) -> "Choice":
        return cls(
            int(position["replicas"]), position["policy"], int(position["partition"]), position["what stands still"]
        )

    @property
    def set_name(self) -> str:
        """A name of its own, so that sets of several positions can be there at once."""
        return f"{'ordered' if self.policy == ORDERED else 'parallel'}-{self.replicas}-{self.partition}"

    @property
    def pods(self) -> list[str]:
        return [f"{self.set_name}-{ordinal}" for ordinal in range(self.replicas)]


def order_explorer(lab: Lab, trial: Trial) -> Explorer:
    """Make the widget; each position makes its set anew in `trial`, and removes it."""
    done: dict[Choice, list[dict[str, Any]]] = {}

    def look(choice: Choice) -> list[dict[str, Any]]:
        if choice not in done:
            done.update(_run(lab, trial, [choice]))
        return done.pop(choice)

    def play(position: Position) -> Played:
        choice = Choice.of(position)
        seen = trial.observe(f"timeline: {' '.join(position.values())}", lambda: look(choice), repeatable=True)
        story = story_of(seen.value)
        return Played(_shown(story, choice), in_short(recorded_order(story), choice.policy), explanation(choice))

    def prepare(positions: Sequence[Position]) -> None:
        """Sets of one stop side by side: three turns instead of twenty-four."""
        choices = [Choice.of(position) for position in positions] if trial.is_live else []
        for _, together in itertools.groupby(sorted(choices, key=_stop), key=_stop):
            done.update(_run(lab, trial, list(together)))

    return Explorer(
        "Who waits for whom?",
        {"replicas": REPLICAS, "policy": (ORDERED, PARALLEL), "partition": PARTITIONS, "what stands still": STOPPABLE},
        play,
        question=Question(
            "Which pods are made, by number, while it stands still, then, and by the update?",
            example="meanwhile 0, then 1 2, update 2",
        ),
        preview=lambda position: apply_command([Choice.of(position)], "first"),
        origin=Origin.of_trial(trial),
        prepare=prepare,
    )


def apply_command(choices: Sequence[Choice], edition: str) -> str:
    """How the sets of some positions are made, or changed, as one would type it."""
    texts = "; ".join(f"sed '{_words(choice, edition)}' {ASSETS}/try.yaml" for choice in choices)
    return pasteable(
        ["sh", "-c", f"({texts}) | kubectl apply -f -" if len(choices) > 1 else f"{texts} | kubectl apply -f -"]
    )


def _words(choice: Choice, edition: str) -> str:
    values = {
        "NAME": choice.set_name, "REPLICAS": choice.replicas, "POLICY": choice.policy, "PARTITION": choice.partition,
        "value: EDITION": f"value: {edition}",
    }  # fmt: skip
    return "; ".join(f"s/{name}/{value}/" for name, value in values.items())


def _stop(choice: Choice) -> int:
    return STOPPABLE.index(choice.stopped)


def _run(lab: Lab, trial: Trial, choices: Sequence[Choice]) -> dict[Choice, list[dict[str, Any]]]:
    """Make the sets of these positions, which all stop the same, side by side; return the timeline of each."""
    try:
        return _make_and_change(lab, trial, choices)
    except BaseException:
        # Stopped, or failed: what is left would be in the way of the next run. In replay there is nothing.
        with suppress(LabError):
            trial.run(REMOVE, within_seconds=PLENTY_SECONDS)
        raise


def _make_and_change(lab: Lab, trial: Trial, choices: Sequence[Choice]) -> dict[Choice, list[dict[str, Any]]]:
    stopped = choices[0].stopped
    recording = lab.record_timeline(trial, f"sets, {stopped} stopped")
    with nullcontext() if stopped == NOTHING else lab.fault(trial, "stop", stopped):
        trial.run(shlex.split(apply_command(choices, "first")))
        _wait_for_halt(trial, choices)
    _wait_for_count(trial, "readyReplicas", {choice: choice.replicas for choice in choices})
    trial.run(shlex.split(apply_command(choices, "second")))
    for choice in choices:
        if choice.replicas > choice.partition:
            trial.run(
                f"kubectl rollout status statefulset/{choice.set_name} --timeout=90s", within_seconds=PLENTY_SECONDS
            )
    records = recording.records()
    trial.run(REMOVE, within_seconds=PLENTY_SECONDS)
    return {choice: of_set(records, choice.set_name) for choice in choices}


def _wait_for_halt(trial: Trial, choices: Sequence[Choice]) -> None:
    """Wait for what is ruled to come meanwhile, and until a pod that needs none of what is stopped is ready.

    By then, whatever else could come without it would have come too.
    """
    if choices[0].stopped == NOTHING:
        return
    trial.run(f"kubectl apply -f {ASSETS}/marker.yaml")
    ruled = {choice: len(by_the_rules(choice)["meanwhile"]) for choice in choices}
    _wait_for_count(trial, "replicas", {choice: count for choice, count in ruled.items() if count})
    trial.run("kubectl wait --for=condition=Ready pod/marker --timeout=30s")


def _wait_for_count(trial: Trial, field: str, counts: Mapping[Choice, int]) -> None:
    """Wait until the status of each set says so many."""
    for count in sorted(set(counts.values())):
        sets = " ".join(f"statefulset/{choice.set_name}" for choice, wanted in counts.items() if wanted == count)
        wait = f"kubectl wait --for=jsonpath={{.status.{field}}}={count} {sets} --timeout=90s"
        trial.run(wait, within_seconds=PLENTY_SECONDS)


def of_set(records: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The part of a timeline that is about one set, without bookkeeping, numbered anew."""
    kept = [
        record
        for record in records
        if record["kind"] == "component"
        or (record["kind"] == "set" and record["name"] == name)
        or (record["pod"].rpartition("-")[0] == name and not record["minor"])
    ]
    kept = [record for record in kept if not record["minor"]]
    number = {record["number"]: place for place, record in enumerate(kept, start=1)}
    return [{**record, "number": number[record["number"]], "because": number.get(record["because"])} for record in kept]


def by_the_rules(choice: Choice) -> dict[str, list[int]]:
    """Which pods are made, by ordinal and in order, while the component stands still, afterwards, by the update."""
    everyone = list(range(choice.replicas))
    meanwhile: list[int] = []
    if choice.stopped == SCHEDULER:
        # The controller needs no node to make a pod, but the first one never becomes ready.
        meanwhile = everyone[:1] if choice.policy == ORDERED else everyone
    updated = [each for each in reversed(everyone) if each >= choice.partition]
    return {"meanwhile": meanwhile, "then": everyone[len(meanwhile) :], "update": updated}


def recorded_order(story: Story) -> dict[str, list[int]]:
    """What happened, in the form of `by_the_rules`."""
    found: dict[str, list[int]] = {phase: [] for phase in PHASES}
    phase, made = "then", set()
    for record in story.records:
        if record["kind"] == "component":
            phase = "meanwhile" if "broken" in record["tags"] else "then"
        elif record["kind"] == "pod" and "made" in record["tags"]:
            ordinal = int(record["pod"].rpartition("-")[2])
            found["update" if ordinal in made else phase].append(ordinal)
            made.add(ordinal)
    return found


def is_as_ruled(ruled: dict[str, list[int]], recorded: dict[str, list[int]], policy: str) -> bool:
    """Whether the order recorded is one the rules allow: with Parallel, new pods come in any order."""
    free = ("meanwhile", "then") if policy == PARALLEL else ()
    return all(
        sorted(ruled[phase]) == sorted(recorded[phase]) if phase in free else ruled[phase] == recorded[phase]
        for phase in PHASES
    )


def in_short(order: dict[str, list[int]], policy: str) -> str:
    """An order as one would write a prediction; new pods by number where they come in any order."""
    told = {phase: sorted(made) if policy == PARALLEL and phase != "update" else made for phase, made in order.items()}
    return ", ".join(f"{phase} {' '.join(map(str, told[phase]))}" for phase in PHASES if told[phase])


def explanation(choice: Choice) -> str:
    """Say why it comes out so."""
    why = {
        NOTHING: "Nothing stands still.",
        CONTROLLERS: "The set is stored, and nobody acts on it: the StatefulSet controller stands still.",
        SCHEDULER: "Pods are made, and wait for a node.",
    }[choice.stopped]
    rule = (
        "OrderedReady, the default: the controller makes a pod when the one before it is ready."
        if choice.policy == ORDERED
        else "Parallel: the controller makes all pods at once and waits for none."
    )
    parts = [why, rule if choice.replicas > 1 else "One pod has none to wait for."]
    if choice.replicas <= choice.partition:
        parts.append("The update reaches only pods from number 2 on: there is none.")
    elif choice.partition:
        parts.append("The update reaches only pods from number 2 on.")
    else:
        parts.append("The update goes from the last pod to the first, one at a time, with either policy.")
    return " ".join(parts)


def _shown(story: Story, choice: Choice) -> Shown:
    ruled, recorded = by_the_rules(choice), recorded_order(story)
    return stack(
        story.figure(f"{choice.set_name}: {choice.stopped} stands still").shown(),
        _compared(ruled, recorded, choice.policy).shown(),
    )


def _compared(ruled: dict[str, list[int]], recorded: dict[str, list[int]], policy: str) -> Table:
    rows: list[list[Cell]] = [
        [phase, " ".join(map(str, ruled[phase])) or None, " ".join(map(str, recorded[phase])) or None]
        for phase in PHASES
    ]
    verdict = "as ruled" if is_as_ruled(ruled, recorded, policy) else "NOT as ruled"
    note = f"{verdict}; with Parallel, new pods come in any order" if policy == PARALLEL else verdict
    return table("Pods made, by number: rules and recording", ["", "by the rules", "recorded"], rows, note=note)
