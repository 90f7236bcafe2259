"""The exercise: a StatefulSet that never becomes ready, for a reason that the seed chooses. Looks at what comes up."""

import contextlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labsupport.errors import WaitExpired
from labsupport.experiments.exercises import Exercise, Requirement, fault_by_seed
from labsupport.lessons.answers import Change, SeedAnswer
from labsupport.process.commands import CommandResult, Runner
from labsupport.process.waiting import wait_until

FOLDER = Path("assets/08-statefulset/exercise")
ANSWER = FOLDER / "mended.yaml"
SET, REPLICAS = "db", 2
FAULTS = tuple(f"stuck-{number}.yaml" for number in range(5))
# For each, what is wrong, and what mends it.
MENDED = (
    ("the probe asks at a port at which nobody listens", Change("port: 80,", "port: 5432,")),
    (
        "no storage class is called `fast`: the claim stays Pending",
        Change("storageClassName: fast", "storageClassName: standard"),
    ),
    ("no node has the label: the scheduler finds none", Change("nodeSelector: {disk: ssd}")),
    ("no image is called so, and nothing is pulled", Change("image: lab/toolbx", "image: lab/toolbox")),
    ("the command writes into a folder that is not there; the claim is at /data", Change("/date", "/data")),
)
ANSWERS = tuple(SeedAnswer(wrong, mended.told()) for wrong, mended in MENDED)
READY_WITHIN_SECONDS = 15.0
IMAGE_TROUBLE = ("ErrImage", "ImagePull", "InvalidImage")

Thing = Mapping[str, Any]


@dataclass(frozen=True)
class Attempt:
    """What came of the learner's manifest; `said` is kubectl's refusal, the rest is empty then."""

    text: str
    said: str = ""
    the_set: Thing = field(default_factory=dict, hash=False)
    pods: tuple[Thing, ...] = field(default=(), hash=False)
    claims: tuple[Thing, ...] = field(default=(), hash=False)

    @property
    def pending_claims(self) -> list[Thing]:
        return [claim for claim in self.claims if claim["status"].get("phase") != "Bound"]

    @property
    def unplaced(self) -> list[str]:
        """What the scheduler says of pods it finds no node for."""
        return [
            f"{pod['metadata']['name']}: {each.get('message', '')}"
            for pod in self.pods
            for each in pod["status"].get("conditions", ())
            if each["type"] == "PodScheduled" and each["status"] == "False"
        ]

    @property
    def waiting(self) -> list[tuple[str, str, str]]:
        """Containers that wait: pod, reason, message."""
        return [
            (pod["metadata"]["name"], state["reason"], state.get("message", ""))
            for pod in self.pods
            for status in pod["status"].get("containerStatuses", ())
            if (state := status.get("state", {}).get("waiting")) and state.get("reason")
        ]

    @property
    def without_image(self) -> list[tuple[str, str, str]]:
        return [each for each in self.waiting if each[1].startswith(IMAGE_TROUBLE)]

    @property
    def ended(self) -> list[str]:
        """Pods whose container ended, with its exit code."""
        found = []
        for pod in self.pods:
            for status in pod["status"].get("containerStatuses", ()):
                past = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
                if past:
                    found.append(f"{pod['metadata']['name']} ended with exit code {past.get('exitCode')}")
        return found

    @property
    def ready(self) -> int:
        return int(self.the_set.get("status", {}).get("readyReplicas", 0))

    @property
    def taken_away(self) -> list[str]:
        """What the set had to keep and no longer has."""
        spec = self.the_set.get("spec", {})
        container = spec.get("template", {}).get("spec", {}).get("containers", [{}])[0]
        kept = {
            f"{REPLICAS} replicas": spec.get("replicas") == REPLICAS,
            "the readiness probe": "readinessProbe" in container,
            "the claim `data`": bool(spec.get("volumeClaimTemplates")),
            "its place /data": any(mount["mountPath"] == "/data" for mount in container.get("volumeMounts", ())),
        }
        return [name for name, there in kept.items() if not there]


def stuck(runner: Runner, seed: int = 0, *, within_seconds: float = READY_WITHIN_SECONDS) -> Exercise[Attempt]:
    """Make the exercise; its commands go through `runner`."""
    fault = FOLDER / fault_by_seed(FAULTS, seed)
    trying = _Trying(runner, fault, within_seconds)
    return Exercise(
        "stuck",
        f"The set `{SET}` of {fault.name} never becomes ready. Find out why, and write {ANSWER.name} so that it does.",
        trying.look,
        lambda seen: bool(seen.text),
        REQUIREMENTS,
        hints=HINTS,
        praise="Both pods are ready, and nothing was taken away. In what order did you look? Claim, node, image, "
        "container, probe: that is the order in which a pod comes up, and each place tells of its own trouble.",
        remove=trying.remove,
    )


REQUIREMENTS: tuple[Requirement[Attempt], ...] = (
    Requirement(
        "the API server takes it",
        lambda seen: not seen.said,
        lambda seen: f"The manifest is refused: {seen.said}",
        "Begin with a copy of the stuck manifest, and change one line of it.",
    ),
    Requirement(
        "the claims are bound",
        lambda seen: not seen.pending_claims,
        lambda seen: f"{_pending(seen.pending_claims[0])} `kubectl get storageclass` shows what there is.",
        "`storageClassName: standard` is the class of this cluster.",
    ),
    Requirement(
        "the pods have a node",
        lambda seen: not seen.unplaced,
        lambda seen: f"The scheduler finds no node. {seen.unplaced[0]} `kubectl get nodes --show-labels` helps.",
        "Take the nodeSelector out, or label a node as it asks.",
    ),
    Requirement(
        "the image is there",
        lambda seen: not seen.without_image,
        lambda seen: "{}: {}. {} This lab's nodes have lab/toolbox and pull nothing.".format(*seen.without_image[0]),
        "`image: lab/toolbox`, letter by letter.",
    ),
    Requirement(
        "the containers stay up",
        lambda seen: not seen.ended,
        lambda seen: f"{seen.ended[0]}. What did it say last? Apply it yourself, and `kubectl logs {SET}-0`.",
        "The container writes where its claim is mounted, at /data, and its last command goes on running.",
    ),
    Requirement(
        "the pods are ready",
        lambda seen: bool(seen.the_set) and seen.ready == seen.the_set["spec"]["replicas"],
        lambda seen: (
            f"{seen.ready} of {seen.the_set.get('spec', {}).get('replicas', '?')} pods are ready after "
            f"{READY_WITHIN_SECONDS:g} s, though the container of {SET}-0 runs. Who decides that it is not ready? "
            f"`kubectl describe pod {SET}-0`, at the end."
        ),
        "The probe must ask where the program listens: both ports in the manifest should be the same.",
    ),
    Requirement(
        "nothing was taken away",
        lambda seen: not seen.taken_away,
        lambda seen: f"It is ready, but at a price: {', '.join(seen.taken_away)} is gone. Keep what it had.",
        "Put it back as the stuck manifest has it, and mend the one line that was wrong.",
    ),
)

HINTS = (
    f"Begin with `kubectl get pods,pvc`. A pod comes up in a fixed order: claim, node, image, container, readiness. "
    f"Where does {SET}-0 stop?",
    f"`kubectl describe pod {SET}-0` ends with what each component reported; the last lines name the place.",
    "Compare with web.yaml, which works: storage class, node selector, image, command, port of the probe.",
)


class _Trying:
    """Puts the answer in the place of whatever set is there, and looks what comes of it."""

    def __init__(self, runner: Runner, fault: Path, within_seconds: float) -> None:
        self._runner = runner
        self._fault = fault
        self._within_seconds = within_seconds
        self._made = False

    def look(self) -> Attempt:
        text = _without_comments(ANSWER)
        if not text or text == _without_comments(self._fault):
            return Attempt("")
        self.remove(also_others=True)
        self._made = True
        applied = self._run(f"kubectl apply -f {ANSWER}")
        if not applied.succeeded:
            return Attempt(text, said=applied.stderr.strip()[-600:])
        seen: list[Attempt] = []

        def is_settled() -> bool:
            seen[:] = [self._state(text)]
            wanted = seen[0].the_set.get("spec", {}).get("replicas")
            # No image, or a container that ended: time does not mend it.
            return (bool(wanted) and seen[0].ready == wanted) or bool(seen[0].without_image or seen[0].ended)

        with contextlib.suppress(WaitExpired):
            wait_until(is_settled, f"the set {SET}", within_seconds=self._within_seconds, every_seconds=0.2)
        return seen[0]

    def remove(self, *, also_others: bool = False) -> None:
        """Remove the set, its pods and claims; `also_others`: the stuck one too."""
        if self._made or also_others:
            self._run(f"kubectl delete statefulset,service {SET} --ignore-not-found --cascade=foreground")
            self._run(f"kubectl delete persistentvolumeclaims --selector app={SET} --ignore-not-found")
            self._made = False

    def _state(self, text: str) -> Attempt:
        found = [self._read(f"kubectl get {what} --selector app={SET}") for what in ("statefulsets", "pods", "pvc")]
        the_set = next((each for each in found[0] if each["metadata"]["name"] == SET), {})
        return Attempt(text, the_set=the_set, pods=tuple(found[1]), claims=tuple(found[2]))

    def _read(self, command: str) -> Sequence[Thing]:
        items: Sequence[Thing] = json.loads(self._run(f"{command} --output json").or_raise().stdout)["items"]
        return items

    def _run(self, command: str) -> CommandResult:
        return self._runner.run(shlex.split(command), within_seconds=60)


def _pending(claim: Thing) -> str:
    wanted = claim["spec"].get("storageClassName", "")
    return f"The claim {claim['metadata']['name']} waits for a volume of class {wanted!r}."


def _without_comments(path: Path) -> str:
    if not path.exists():
        return ""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line.rstrip() for line in lines if line.strip() and not line.strip().startswith("#"))
