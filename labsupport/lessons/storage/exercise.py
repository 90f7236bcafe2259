"""The exercise: predict how `docker system df` grows in five steps. Takes them, and compares."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import yaml

from labsupport.errors import EvidenceError
from labsupport.experiments.exercises import Exercise, Requirement, fault_by_seed
from labsupport.lessons.answers import SeedAnswer
from labsupport.process.commands import CommandResult, Runner

FOLDER = Path("assets/03-storage-drivers/exercise")
ANSWER = FOLDER / "prediction.yaml"
STEPS = FOLDER / "five-steps.sh"
CLOSE_ENOUGH_MB = 0.6
KEYS = (
    "images_total", "images_active", "containers_total", "containers_active", "containers_mb",
    "containers_reclaimable_mb", "volumes_mb",
)  # fmt: skip
_SIZE = re.compile(r"([\d.]+)\s*([kMGT]?B)")
_MEGABYTES = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3, "TB": 1e6}


@dataclass(frozen=True)
class Steps:
    """What five-steps.sh writes, in MB, where it is told the seed: a new file, one in the volume; and what it stops."""

    new: int
    cache: int
    stopped: str

    def grows(self) -> dict[str, int]:
        """By how much `docker system df` grows: the second container has copied the image's file, of 10 MB."""
        own = {"steps-a": self.new, "steps-b": 10}
        return dict(zip(KEYS, (1, 1, 2, 1, sum(own.values()), own[self.stopped], self.cache), strict=True))


VARIATIONS = (Steps(3, 5, "steps-a"), Steps(2, 7, "steps-b"), Steps(6, 1, "steps-a"))


@dataclass(frozen=True)
class Usage:
    """A prediction, why it can't be read if so, and by how much `docker system df` grew."""

    predicted: dict[str, float]
    unreadable: str = ""
    said: dict[str, float] | None = None

    def agrees(self, key: str) -> bool:
        """Whether one number is as predicted; sizes may be off by what folders and their entries take."""
        if self.said is None or key not in self.predicted:
            return False
        margin = CLOSE_ENOUGH_MB if key.endswith("_mb") else 0.0
        return abs(self.predicted[key] - self.said[key]) <= margin


def predict_usage(runner: Runner, seed: int = 0) -> Exercise[Usage]:
    """Make the exercise; it takes the five steps through `runner`, with the numbers that the seed chooses."""
    number = VARIATIONS.index(fault_by_seed(VARIATIONS, seed))
    attempt = _Attempt(runner, f"sh {STEPS} {number}")
    return Exercise(
        "predict-usage",
        f"Write {ANSWER.name}: by how much `docker system df` grows by `sh {STEPS.name} {number}`.",
        attempt.look,
        lambda seen: bool(seen.predicted or seen.unreadable),
        REQUIREMENTS,
        hints=HINTS,
        praise="Every number is as you said. You know what is counted once, what twice, and what a container owns.",
        after_each_check=attempt.remove,
        remove=attempt.remove,
    )


def _is(key: str, what: str, why: str, hint: str) -> Requirement[Usage]:
    def next_step(seen: Usage) -> str:
        return f"{what} is not {seen.predicted.get(key, 0):g}. {why}"

    return Requirement(what, lambda seen: seen.agrees(key), next_step, hint)


REQUIREMENTS: tuple[Requirement[Usage], ...] = (
    Requirement(
        "it can be read",
        lambda seen: not seen.unreadable,
        lambda seen: (
            f"The prediction can't be read: {seen.unreadable}. It has a line `key: number` for each of "
            f"{', '.join(KEYS)}."
        ),
        "`images_total: 0` is such a line: the key, a colon, a blank, a number without its unit.",
    ),
    Requirement(
        "the steps ran",
        lambda seen: seen.said is not None,
        lambda seen: "The five steps did not run to their end, so nothing can be compared. Try again.",
        f"`!sh {STEPS} {{seed % 3}}` in a cell of your own shows where; `lab.reset()` removes what they made.",
    ),
    _is(
        "images_total",
        "the number of new images",
        "Is a second name a second image?",
        "An image is its layers and its configuration. A name only points to it.",
    ),
    _is(
        "images_active",
        "the number of images that became active",
        "An image is active when a container was made from it, running or not. Is lab/toolbox, which step 1 builds on, "
        "such an image?",
        "Both containers of the steps are made from one image, and no step makes one from lab/toolbox.",
    ),
    _is(
        "containers_total",
        "the number of new containers",
        "A stopped container is still a container.",
        "`docker ps --all` would list them: one that sleeps, one that ended.",
    ),
    _is(
        "containers_active",
        "the number of active containers",
        "For containers, active means running.",
        "Only the one that sleeps still runs after step 5.",
    ),
    _is(
        "containers_mb",
        "the size of the containers in MB",
        "Count what is in their own layers. What did the one byte of step 4 bring along? And is the volume in a layer?",
        "What the first wrote into its own file, and the whole file that the second changed, of 10 MB.",
    ),
    _is(
        "containers_reclaimable_mb",
        "what is reclaimable of the containers",
        "`docker container prune` removes stopped ones only. Which layer would go, and how much is in it?",
        "The own layer of the one that has ended; the one that runs keeps its layer.",
    ),
    _is(
        "volumes_mb",
        "the size of the volumes in MB",
        "Only step 3 writes into a volume.",
        "A volume is a folder outside every layer: what is written there is in no container's size.",
    ),
)

ANSWERS = tuple(
    SeedAnswer(
        f"{each.new} MB into a new file, {each.cache} MB into the volume; `{each.stopped}` is stopped",
        ", ".join(f"`{key}: {number}`" for key, number in each.grows().items()),
    )
    for each in VARIATIONS
)

HINTS = (
    "Take the five steps on paper: which of them makes an image, a container, a volume, and what lies in each?",
    "Experiment 3 measured what the first write to a file of the image costs, however little is written.",
)


class _Attempt:
    """Takes the steps, asks for the usage, and removes what that made."""

    def __init__(self, runner: Runner, steps: str) -> None:
        self._runner = runner
        self._steps = steps
        self._made = False

    def look(self) -> Usage:
        predicted, unreadable = read_prediction(ANSWER.read_text(encoding="utf-8") if ANSWER.exists() else "")
        if unreadable or not predicted:
            return Usage(predicted, unreadable)
        self._made = True
        before = self._usage()
        if not self._run(self._steps).succeeded:
            return Usage(predicted)
        after = self._usage()
        return Usage(predicted, said={key: after[key] - before[key] for key in KEYS})

    def remove(self) -> None:
        if self._made:
            self._run("docker rm --force steps-a steps-b")
            self._run("docker volume rm --force steps")
            self._run("docker image rm --force steps:one steps:two")
            self._made = False

    def _usage(self) -> dict[str, float]:
        return read_usage(self._run("docker system df --format json").or_raise().stdout)

    def _run(self, command: str) -> CommandResult:
        return self._runner.run(shlex.split(command))


def read_prediction(text: str) -> tuple[dict[str, float], str]:
    """Return the numbers of a prediction, and why it can't be read, if so; neither for one that is not written yet."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return {}, f"{error}".splitlines()[0]
    if found is None:
        return {}, ""
    if not isinstance(found, dict):
        return {}, "it is no list of keys and numbers"
    if lacking := [key for key in KEYS if found.get(key) is None]:
        return {}, f"it lacks {', '.join(lacking)}"
    wrong = [key for key in KEYS if isinstance(found[key], bool) or not isinstance(found[key], int | float)]
    if wrong:
        return {}, f"{wrong[0]} is no number: {found[wrong[0]]!r}"
    return {key: float(found[key]) for key in KEYS}, ""


def read_usage(printed: str) -> dict[str, float]:
    """Read `docker system df --format json`, a line for each kind of thing.

    Raises:
        EvidenceError: it printed something else.
    """
    try:
        rows = {row["Type"]: row for row in map(json.loads, printed.splitlines())}
        return {
            "images_total": float(rows["Images"]["TotalCount"]),
            "images_active": float(rows["Images"]["Active"]),
            "containers_total": float(rows["Containers"]["TotalCount"]),
            "containers_active": float(rows["Containers"]["Active"]),
            "containers_mb": megabytes(rows["Containers"]["Size"]),
            "containers_reclaimable_mb": megabytes(rows["Containers"]["Reclaimable"]),
            "volumes_mb": megabytes(rows["Local Volumes"]["Size"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(
            "docker system df --format json", f"it can't be read: {error!r}: {printed[:200]!r}", "run check() again"
        ) from None


def megabytes(text: str) -> float:
    """Read a size such as "13.1MB (23%)"."""
    found = _SIZE.match(text)
    if not found:
        raise ValueError(f"no size: {text!r}")
    return float(found[1]) * _MEGABYTES[found[2]]
