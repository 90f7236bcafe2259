"""The exercise: bring back the data of a claim that somebody deleted; the seed chooses what the volume is like."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labsupport.experiments.exercises import Exercise, Requirement, fault_by_seed
from labsupport.lessons.answers import SeedAnswer
from labsupport.process.commands import CommandResult, Runner

FOLDER = Path("assets/07-pv-reclaim/exercise")
NAME = "ledger"
DATA = "42 crates of oranges"
# How the volume was made: kept, kept because it cannot be deleted, and doomed once its pod ends.
LOSSES = {
    "lost-0.yaml": "the policy is Retain: the volume is Released, and all is there. Its policy is right already",
    "lost-1.yaml": "the policy is Delete, and nobody can delete that folder: the volume is Failed, the data there. The "
    "policy first all the same: what cannot delete it today may be able to tomorrow",
    "lost-2.yaml": "the policy is Delete, and it would work: only the cashier, which still runs, holds the claim, and "
    "the claim the volume. Whoever ends the pod before the policy is Retain has lost the data",
}
ANSWERS = tuple(SeedAnswer(wrong) for wrong in LOSSES.values())
OBJECTS = "pod/cashier pod/reader persistentvolumeclaim/ledger persistentvolume/ledger"

Thing = Mapping[str, Any]


@dataclass(frozen=True)
class Rescue:
    """How it stands: the volume and the claim, each empty where it is not there; what a pod could read by the claim."""

    doomed: bool
    volume: Thing = field(default_factory=dict, hash=False)
    claim: Thing = field(default_factory=dict, hash=False)
    read: str = ""

    @property
    def policy(self) -> str:
        return str(self.volume["spec"]["persistentVolumeReclaimPolicy"]) if self.volume else ""

    @property
    def claim_is_ending(self) -> bool:
        return "deletionTimestamp" in self.claim.get("metadata", {})

    @property
    def claim_is_bound(self) -> bool:
        return bool(self.claim) and not self.claim_is_ending and self.claim["status"].get("phase") == "Bound"

    @property
    def owner(self) -> Thing:
        """The claim that the volume says it belongs to."""
        found: Thing = (self.volume.get("spec") or {}).get("claimRef") or {}
        return found

    @property
    def belongs_to_the_old_claim(self) -> bool:
        return bool(self.owner) and self.owner.get("uid") != self.claim.get("metadata", {}).get("uid")

    @property
    def touched(self) -> bool:
        """Whether anything is other than the accident left it."""
        as_left = "Delete" if self.doomed else None
        return (
            not self.volume
            or (bool(self.claim) and not self.claim_is_ending)
            or not self.owner
            or (as_left is not None and self.policy != as_left)
        )


def rescue(runner: Runner, seed: int = 0) -> Exercise[Rescue]:
    """Make the exercise; its commands go through `runner`."""
    loss = fault_by_seed(list(LOSSES), seed)
    looking = _Looking(runner, doomed=loss != "lost-0.yaml")
    return Exercise(
        "rescue",
        f"Somebody deleted the claim `{NAME}`. Bring it back, bound to the volume `{NAME}` and with the data that is "
        "in it, so that the same accident could not cost you the data.",
        looking.look,
        lambda seen: seen.touched,
        REQUIREMENTS,
        hints=HINTS,
        praise="A pod reads the ledger by its claim again. In what order did you go? First the policy, so that nothing "
        "can be lost; then the claim that is gone, off the volume; then the new claim.",
        remove=looking.remove,
    )


REQUIREMENTS: tuple[Requirement[Rescue], ...] = (
    Requirement(
        "the volume is there",
        lambda seen: bool(seen.volume),
        lambda seen: (
            f"The volume `{NAME}` is gone. Where its policy was Delete, so is the data: begin again with the cell "
            "above. What must be changed before the last pod ends?"
        ),
        "The policy first, while the cashier still runs: it holds the claim, and the claim holds the volume.",
    ),
    Requirement(
        "nothing can be lost",
        lambda seen: seen.policy == "Retain",
        lambda seen: (
            f"The policy of the volume is {seen.policy}: it may be gone any moment, now or after the next accident. "
            "A policy can be patched, whatever phase the volume is in."
        ),
        f"`kubectl patch persistentvolume {NAME} --patch "
        """'{"spec": {"persistentVolumeReclaimPolicy": "Retain"}}'`""",
    ),
    Requirement(
        "the old claim is gone",
        lambda seen: not seen.claim_is_ending,
        lambda seen: (
            f"The claim `{NAME}` is still Terminating: it cannot come back to life, and holds the name until it is "
            f"gone. What does it wait for? `kubectl describe persistentvolumeclaim {NAME}`"
        ),
        "A claim in use waits for its last pod: `kubectl delete pod cashier`.",
    ),
    Requirement(
        "the volume is free for the claim",
        lambda seen: not seen.belongs_to_the_old_claim or seen.claim_is_bound,
        lambda seen: (
            "The volume still says that it belongs to the claim that is gone: `kubectl get persistentvolume "
            f"{NAME} --output jsonpath={{.spec.claimRef}}`. A new claim has the same name and another unique id."
        ),
        f"`kubectl patch persistentvolume {NAME} --type json --patch "
        """'[{"op": "remove", "path": "/spec/claimRef"}]'`""",
    ),
    Requirement(
        "the claim is bound",
        lambda seen: seen.claim_is_bound,
        lambda seen: (
            f"There is no claim `{NAME}`. claim.yaml, beside lose.sh, is the one that was deleted."
            if not seen.claim
            else f"The claim `{NAME}` is {seen.claim['status'].get('phase')}: does it ask for what the volume offers "
            "(class, access mode, size), and for the volume by name?"
        ),
        f"`kubectl apply -f {FOLDER}/claim.yaml`, once the volume is free.",
    ),
    Requirement(
        "to that volume",
        lambda seen: seen.claim["spec"].get("volumeName") == NAME,
        lambda seen: (
            f"The claim is bound to another volume, {seen.claim['spec'].get('volumeName')}: a new and empty one. Ask "
            f"for the class of the volume `{NAME}`, and for the volume by name."
        ),
        f"`volumeName: {NAME}`, as claim.yaml has it. Delete the claim that is there, and apply that one.",
    ),
    Requirement(
        "the data is as it was",
        lambda seen: seen.read == DATA,
        lambda seen: f"By the claim a pod reads {seen.read!r}; the cashier had written {DATA!r}.",
        "Something has written over it. Begin again with the cell above, and let nothing write before the check.",
    ),
)

HINTS = (
    f"Look first, and change nothing: `kubectl get persistentvolume,persistentvolumeclaim,pods`. What is the policy of "
    f"the volume `{NAME}`, and what would make it act?",
    "Three steps, in this order: the policy to Retain; `claimRef` off the volume, once the old claim is gone; the "
    "claim again, from claim.yaml.",
)


class _Looking:
    """Looks how it stands, and reads by the claim as a pod would."""

    def __init__(self, runner: Runner, *, doomed: bool) -> None:
        self._runner = runner
        self._doomed = doomed
        self._looked = False

    def look(self) -> Rescue:
        seen = Rescue(self._doomed, self._find("persistentvolume"), self._find("persistentvolumeclaim"))
        self._looked = True
        if not seen.claim_is_bound:
            return seen
        self._run(f"kubectl apply -f {FOLDER}/reader.yaml").or_raise()
        try:
            self._run("kubectl wait --for=jsonpath={.status.phase}=Succeeded pod/reader --timeout=30s").or_raise()
            read = self._run("kubectl logs reader").stdout.strip()
        finally:
            self._run("kubectl delete pod reader --ignore-not-found")
        return Rescue(self._doomed, seen.volume, seen.claim, read)

    def remove(self) -> None:
        """Remove what the accident and the rescue made, where there is a cluster."""
        if self._looked:
            self._run(f"kubectl delete {OBJECTS} --ignore-not-found --timeout=30s")

    def _find(self, kind: str) -> Thing:
        found = self._run(f"kubectl get {kind} {NAME} --ignore-not-found --output json").or_raise().stdout
        thing: Thing = json.loads(found) if found.strip() else {}
        return thing

    def _run(self, command: str) -> CommandResult:
        return self._runner.run(shlex.split(command), within_seconds=60)
