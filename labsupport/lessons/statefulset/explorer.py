"""The widget: how many replicas, which pod management policy; the order by the rules and the order recorded."""

import shlex
from collections.abc import Callable
from typing import Protocol

from labsupport.display.explorer import Explorer, Played, Position, Question
from labsupport.display.markup import Shown, stack
from labsupport.display.origin import Origin
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.experiments.trial import Trial
from labsupport.lessons.recording import Recording
from labsupport.lessons.statefulset.story import Story, read_story

ASSETS = "assets/08-statefulset"
REPLICAS = ("1", "3", "5")
ORDERED, PARALLEL = "OrderedReady", "Parallel"
PLENTY_SECONDS = 120


class Lab(Protocol):
    """The part of a lab that the widget needs."""

    @property
    def record_timeline(self) -> Callable[[Trial, str], Recording]: ...


def order_explorer(lab: Lab, trial: Trial) -> Explorer:
    """Make the widget; each position makes the set `try` anew in `trial`, and removes it."""

    def play(position: Position) -> Played:
        replicas, policy = int(position["replicas"]), position["policy"]
        recording = lab.record_timeline(trial, f"timeline of {replicas} {policy}")
        trial.run(shlex.split(apply_command(position)), repeatable=True)
        trial.run(
            "kubectl rollout status statefulset/try --timeout=90s", within_seconds=PLENTY_SECONDS, repeatable=True
        )
        story = read_story(recording)
        trial.run("kubectl delete statefulset try --cascade=foreground", within_seconds=PLENTY_SECONDS, repeatable=True)
        return Played(_shown(story, replicas, policy), str(story.most_on_their_way()), explanation(replicas, policy))

    return Explorer(
        "One after the other, or all at once?",
        {"replicas": REPLICAS, "policy": (ORDERED, PARALLEL)},
        play,
        question=Question("How many pods are on their way (made, not yet ready) at one time, at most?", example="2"),
        preview=apply_command,
        origin=Origin(trial.recorded, trial.simulated),
    )


def apply_command(position: Position) -> str:
    """What a position means, as one would type it."""
    words = f"s/REPLICAS/{position['replicas']}/; s/POLICY/{position['policy']}/"
    return shlex.join(["sh", "-c", f"sed '{words}' {ASSETS}/try.yaml | kubectl apply -f -"])


def by_the_rules(replicas: int, policy: str) -> list[str]:
    """What happens one after the other, as the manual has it; with Parallel each half comes in any order."""
    pods = [f"try-{ordinal}" for ordinal in range(replicas)]
    if policy == PARALLEL:
        return [*(f"{pod} made" for pod in pods), *(f"{pod} ready" for pod in pods)]
    return [f"{pod} {step}" for pod in pods for step in ("made", "ready")]


def recorded_order(story: Story) -> list[str]:
    """What happened, in the words of `by_the_rules`."""
    found = []
    for record in story.records:
        tag = next((tag for tag in record["tags"] if tag in ("made", "ready")), "")
        if record["kind"] == "pod" and tag:
            found.append(f"{record['pod']} {tag}")
    return found


def is_as_ruled(ruled: list[str], recorded: list[str], policy: str) -> bool:
    """Whether the order recorded is one the rules allow."""
    if policy == ORDERED:
        return ruled == recorded
    half = len(ruled) // 2
    return sorted(ruled[:half]) == sorted(recorded[:half]) and sorted(ruled[half:]) == sorted(recorded[half:])


def explanation(replicas: int, policy: str) -> str:
    """Say why it comes out so."""
    if replicas == 1:
        return "With one pod there is nothing to wait for: both policies do the same."
    if policy == PARALLEL:
        return (
            "Parallel: the controller makes all pods at once and waits for none. Their names and claims are the same."
        )
    return (
        "OrderedReady, the default: the controller makes a pod when the one before it is ready, so one is on its way."
    )


def _shown(story: Story, replicas: int, policy: str) -> Shown:
    ruled, recorded = by_the_rules(replicas, policy), recorded_order(story)
    return stack(story.figure(f"{replicas} replicas, {policy}").shown(), _compared(ruled, recorded, policy).shown())


def _compared(ruled: list[str], recorded: list[str], policy: str) -> Table:
    longest = max(len(ruled), len(recorded))
    padded = [each + [""] * (longest - len(each)) for each in (ruled, recorded)]
    rows: list[list[Cell]] = [
        [place + 1, rule or None, seen or None] for place, (rule, seen) in enumerate(zip(*padded, strict=True))
    ]
    verdict = "as ruled" if is_as_ruled(ruled, recorded, policy) else "NOT as ruled"
    note = f"{verdict}; with Parallel, each half comes in any order" if policy == PARALLEL else verdict
    return table("Rules and recording", [Column("step", "number"), "by the rules", "recorded"], rows, note=note)
