"""The widget: reclaim policy, kind of volume, and step; the states by the rules, and as the cluster has them."""

from contextlib import suppress
from dataclasses import dataclass

from labsupport.display.explorer import Explorer, Played, Position, Question
from labsupport.display.origin import Origin
from labsupport.display.tables import Cell, Table, table
from labsupport.errors import LabError
from labsupport.experiments.steps import Step, pasteable
from labsupport.experiments.trial import Trial

ASSETS = "assets/07-pv-reclaim"
RETAIN, RECYCLE, DELETE = "Retain", "Recycle", "Delete"
IN_TMP, ELSEWHERE, LOCAL, DYNAMIC = "hostPath in /tmp", "hostPath elsewhere", "local", "made for the claim"
FILES = {IN_TMP: "in-tmp", ELSEWHERE: "elsewhere", LOCAL: "local", DYNAMIC: "dynamic"}
BOUND, DELETED, AGAIN = "claim bound", "claim deleted", "same claim again"
STEPS = {BOUND: "bound", DELETED: "deleted", AGAIN: "again"}
NODE = "node-1"
GONE = "gone"


@dataclass(frozen=True)
class States:
    """The volume's phase, the claim's phase, and whether the file that was written is still in the volume's folder."""

    volume: str
    claim: str
    file_there: bool


def reclaim_explorer(trial: Trial) -> Explorer:
    """Make the widget; each position makes a volume and a claim of its own in `trial`, and removes them."""
    return Explorer(
        "What becomes of the volume?",
        {"policy": (RETAIN, RECYCLE, DELETE), "volume": tuple(FILES), "step": tuple(STEPS)},
        lambda position: _Playing(trial, position).play(),
        question=Question(
            "The volume's phase after this step:", answers=("Available", "Bound", "Released", "Failed", GONE)
        ),
        preview=apply_command,
        origin=Origin.of_trial(trial),
    )


def name_of(position: Position) -> str:
    """The name of a position's volume and claim: its own, so that its commands are recorded for it alone."""
    return f"{position['policy'].lower()}-{FILES[position['volume']]}-{STEPS[position['step']]}"


def apply_command(position: Position) -> str:
    """What makes a position's volume and claim, as one would type it."""
    words = f"s/NAME/{name_of(position)}/; s/POLICY/{position['policy']}/"
    manifest = f"{ASSETS}/try-{FILES[position['volume']]}.yaml"
    return pasteable(["sh", "-c", f"sed '{words}' {manifest} | kubectl apply -f -"])


def by_the_rules(position: Position) -> States:
    """What the rules say comes of it."""
    policy, kind, step = position["policy"], position["volume"], position["step"]
    if step == BOUND:
        return States("Bound", "Bound", True)
    released = _released(policy, kind)
    if step == DELETED:
        return States(released, GONE, released in ("Released", "Failed"))
    if released == "Available":
        return States("Bound", "Bound", False)
    # A claim that asks a class gets another volume; one that asks for this volume waits.
    return States(released, "Bound" if kind == DYNAMIC else "Pending", released != GONE)


def _released(policy: str, kind: str) -> str:
    """The phase that a volume comes to rest in once its claim is gone."""
    if policy == RETAIN:
        return "Released"
    if kind == LOCAL or (policy == DELETE and kind == ELSEWHERE):
        return "Failed"
    return "Available" if policy == RECYCLE else GONE


def explanation(position: Position) -> str:
    """Say why it comes out so."""
    policy, kind, step = position["policy"], position["volume"], position["step"]
    if step == BOUND:
        return "As long as the claim is there, the policy does nothing."
    released = _released(policy, kind)
    because = {
        "Released": "Retain: nobody touches the volume or its data; it still names the claim it had.",
        "Available": "Recycle on a hostPath: a pod empties the folder, and the volume is offered to any claim.",
        GONE: "Delete: the controller-manager removes the folder, which is below /tmp, and then the volume.",
        "Failed": f"{policy} needs a plugin that can do it for this volume, and there is none: nothing is touched.",
    }[released]
    if step == DELETED:
        return because
    if released == "Available":
        return f"{because} The new claim takes it, and finds it empty."
    if kind == DYNAMIC:
        return f"{because} The class makes another, empty volume for the new claim."
    waits = "that it asks for is not there any more" if released == GONE else "still belongs to the claim that is gone"
    return f"{because} The new claim waits: the volume {waits}, and a name is not enough."


class _Playing:
    """One position, played with commands that are its own."""

    def __init__(self, trial: Trial, position: Position) -> None:
        self._trial = trial
        self._position = position
        self._name = name_of(position)

    def play(self) -> Played:
        try:
            return self._play()
        except BaseException:
            # Stopped, or failed: what is left would be in the way of the next run. In replay there is nothing.
            with suppress(LabError):
                self._remove(self._name, "")
            raise

    def _play(self) -> Played:
        ruled = by_the_rules(self._position)
        volume, folder = self._make()
        if self._position["step"] != BOUND:
            self._run(f"kubectl delete persistentvolumeclaim {self._name}")
            resting = _released(self._position["policy"], self._position["volume"])
            wanted = "delete" if resting == GONE else f"jsonpath={{.status.phase}}={resting}"
            self._run(f"kubectl wait --for={wanted} persistentvolume/{volume} --timeout=20s")
        if self._position["step"] == AGAIN:
            self._run(apply_claim(self._position))
            # It expires where the claim goes on waiting.
            self._run(
                f"kubectl wait --for=jsonpath={{.status.phase}}=Bound persistentvolumeclaim/{self._name} --timeout=2s"
            )
        found = self._look(volume, folder)
        self._remove(volume, folder)
        return Played(_compared(ruled, found), found.volume, explanation(self._position))

    def _make(self) -> tuple[str, str]:
        """Make volume and claim, and write a file; return the volume's name and folder."""
        self._run(apply_command(self._position))
        self._run(
            f"kubectl wait --for=jsonpath={{.status.phase}}=Bound persistentvolumeclaim/{self._name} --timeout=20s"
        )
        claim = self._run(f"kubectl get persistentvolumeclaim {self._name} --output json").json()
        volume = claim["spec"]["volumeName"]
        spec = self._run(f"kubectl get persistentvolume {volume} --output json").json()["spec"]
        folder = str((spec.get("hostPath") or spec.get("local"))["path"])
        if spec["persistentVolumeReclaimPolicy"] != self._position["policy"]:
            policy = f'{{"spec":{{"persistentVolumeReclaimPolicy":"{self._position["policy"]}"}}}}'
            self._run(f"kubectl patch persistentvolume {volume} --patch '{policy}'")
        self._run(f"sh -c 'mkdir -p {folder} && echo written >{folder}/file'", on=NODE)
        return volume, folder

    def _look(self, volume: str, folder: str) -> States:
        phases = [
            self._run(f"kubectl get {each} --ignore-not-found --output jsonpath={{.status.phase}}").output or GONE
            for each in (f"persistentvolume {volume}", f"persistentvolumeclaim {self._name}")
        ]
        return States(phases[0], phases[1], self._run(f"test -e {folder}/file", on=NODE).succeeded)

    def _remove(self, volume: str, folder: str) -> None:
        self._run(f"kubectl delete persistentvolumeclaim {self._name} --ignore-not-found")
        self._run(f"kubectl delete persistentvolume {volume} --ignore-not-found")
        if folder:
            self._run(f"rm -rf {folder}", on=NODE)

    def _run(self, command: str, *, on: str = "") -> Step:
        return self._trial.run(command, on=on, repeatable=True)


def apply_claim(position: Position) -> str:
    """What makes the claim again, and not the volume: the file's last document."""
    manifest = f"{ASSETS}/try-{FILES[position['volume']]}.yaml"
    words = f"s/NAME/{name_of(position)}/; 1,/^---/{{/^---/!d}}" if position["volume"] != DYNAMIC else ""
    words = words or f"s/NAME/{name_of(position)}/"
    return pasteable(["sh", "-c", f"sed '{words}' {manifest} | kubectl apply -f -"])


def _compared(ruled: States, found: States) -> Table:
    rows: list[list[Cell]] = [
        ["the volume", ruled.volume, found.volume, ruled.volume == found.volume],
        ["the claim", ruled.claim, found.claim, ruled.claim == found.claim],
        ["the file is there", ruled.file_there, found.file_there, ruled.file_there == found.file_there],
    ]
    return table("Rules and cluster", ["", "by the rules", "on the cluster", "as ruled?"], rows)
