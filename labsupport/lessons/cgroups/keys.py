"""The widget: one key of daemon.json in three files, one right, two wrong: how far each gets, and what the key does."""

import json
from pathlib import Path
from typing import Any, Protocol

from labsupport.display.explorer import Explorer, Played, Position, Question
from labsupport.display.markup import Shown, stack
from labsupport.display.origin import Origin
from labsupport.display.tables import Column, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Observation, Step, pasteable
from labsupport.experiments.trial import Trial
from labsupport.lessons.cgroups.daemon_json import Judged, judged_table, read_judged

FOLDER = Path("assets/01-cgroup-drivers/keys")
# What shows each key's effect, and what to know beside it.
EFFECTS = {
    "log-opts": (
        "sh -c 'docker inspect --format \"{{json .HostConfig.LogConfig}}\" $(docker create lab/toolbox true)'",
        "A new container has the options. `docker info` does not show them.",
    ),
    "exec-opts": (
        "docker info --format '{{.CgroupDriver}}'",
        "`docker info` says so. Without systemd an engine chooses cgroupfs without the key too.",
    ),
    "storage-driver": (
        "docker info --format '{{.Driver}}'",
        "`docker info` says so. Without the key a new engine says overlayfs: containerd's store for images.",
    ),
}
# What can be wrong, and how that is called in the names of the files, and of the engines that start with them.
WRONG = {"nothing": "right", "the form": "form", "the value": "value"}
# The fault of this one is that dockerd is told the same in two ways.
FLAGS = {"storage-form": ("--storage-driver=vfs",)}
REFUSED, NO_ENGINE = "dockerd --validate refuses it", "it is valid, and no engine starts"
NO_CONTAINER = "an engine starts, and no container"
NO_EFFECT, EFFECT = "a container runs, and the key does nothing", "a container runs, and the key has its effect"


class Lab(Protocol):
    """The part of a lab that the widget needs."""

    def start_engine(self, trial: Trial, name: str, daemon_json: str, **how: Any) -> Observation: ...


def keys_explorer(trial: Trial, lab: Lab) -> Explorer:
    """Make the widget; each position has an engine of its own in `trial`."""

    def play(position: Position) -> Played:
        name, key = _name(position), position["key"]
        validated = trial.run(_validate(position), repeatable=True)
        started = lab.start_engine(
            trial, name, str(_file(position)), flags=FLAGS.get(name, ()), images=("lab/toolbox",), repeatable=True
        ).value
        ran = trial.run("docker run --rm lab/toolbox true", on=name, repeatable=True) if started["started"] else None
        judged = read_judged(name, validated, started, ran, folder=FOLDER)
        seen = trial.run(EFFECTS[key][0], on=name, repeatable=True) if judged.runs else None
        came = outcome(judged, has_effect=seen is not None and _has_effect(_file(position), seen))
        return Played(_shown(judged, seen), came, explanation(came, key))

    return Explorer(
        "How far does this daemon.json get?",
        {"key": tuple(EFFECTS), "what is wrong": tuple(WRONG)},
        play,
        question=Question("How far does it get?", (REFUSED, NO_ENGINE, NO_CONTAINER, NO_EFFECT, EFFECT)),
        preview=lambda position: f"{pasteable(_validate(position))}\n\n{_file(position).read_text(encoding='utf-8')}",
        origin=Origin.of_trial(trial),
    )


def outcome(judged: Judged, *, has_effect: bool) -> str:
    """How far a file got, in the words of the question."""
    if not judged.is_valid:
        return REFUSED
    if not judged.starts:
        return NO_ENGINE
    if not judged.runs:
        return NO_CONTAINER
    return EFFECT if has_effect else NO_EFFECT


def explanation(came: str, key: str) -> str:
    """Say who found the fault, and why nobody before."""
    return {
        REFUSED: "`--validate` reads the form: the names of keys, the types of values, and that nothing is given "
        "twice. An engine reads the file in the same way, and does not start.",
        NO_ENGINE: "The form is right, and `--validate` looks at nothing else. The engine goes by the value as it "
        "starts, and finds nothing of that name.",
        NO_CONTAINER: "The form is right, and an engine that starts keeps the value without trying it. The first to "
        "need it is a container.",
        NO_EFFECT: f"`{key.removesuffix('s')}` is the flag's name. `--validate` lets it pass, but no key is called so, "
        f"and nobody acts on it: the key is `{key}`.",
        EFFECT: EFFECTS[key][1],
    }[came]


def _name(position: Position) -> str:
    return f"{position['key'].partition('-')[0]}-{WRONG[position['what is wrong']]}"


def _file(position: Position) -> Path:
    return FOLDER / f"{_name(position)}.json"


def _validate(position: Position) -> list[str]:
    return ["dockerd", "--validate", f"--config-file={_file(position)}", *FLAGS.get(_name(position), ())]


def _has_effect(file: Path, seen: Step) -> bool:
    """Whether all that the file asks for is in what was seen.

    Raises:
        EvidenceError: nothing was seen.
    """
    if not seen.succeeded:
        raise EvidenceError(seen.command, seen.stderr.strip()[-300:], "run it again")
    value = next(iter(json.loads(file.read_text(encoding="utf-8")).values()))
    asked = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return all(str(each).rpartition("=")[2] in seen.output for each in asked)


def _shown(judged: Judged, seen: Step | None) -> Shown:
    said = judged_table([judged])
    if seen is None:
        return said
    columns = [Column("asked", "prose"), Column("seen", "prose")]
    return stack(said, table("What the key does", columns, [[seen.command, seen.output]]).shown())
