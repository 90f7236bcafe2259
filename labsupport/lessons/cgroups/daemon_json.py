"""The keys of daemon.json that the notebook is about, as a model: what each is, and whether a file's values are fit.

The model judges only as `dockerd --validate` does, by form; whether an engine starts is found out by starting one.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from labsupport.display.markup import Shown, stack
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, table
from labsupport.experiments.steps import Observation, Step

WRONG = Path("assets/01-cgroup-drivers/wrong")
# In the order they are told about: those whose form is wrong, then those whose meaning is.
WRONG_FILES = (
    "unknown-key", "wrong-type", "bare-mirror", "flag-and-file",
    "unified", "gone-driver", "bad-max-size", "no-systemd",
)  # fmt: skip
LONGEST = 60
_PREAMBLE = re.compile(r"^(failed to start daemon: |unable to configure the Docker daemon with file \S+: )+")


def _with_dashes(name: str) -> str:
    return name.replace("_", "-")


class DaemonJson(BaseModel):
    """A daemon.json with any of these keys and no other."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=_with_dashes, use_attribute_docstrings=True
    )

    data_root: str | None = None
    """where the engine keeps images, containers and volumes"""
    exec_opts: list[str] | None = None
    """options of the runtime; native.cgroupdriver is one"""
    registry_mirrors: list[str] | None = None
    """asked before Docker Hub"""
    insecure_registries: list[str] | None = None
    """spoken to in plain HTTP, or without checking the certificate"""
    max_concurrent_downloads: int | None = Field(default=None, ge=0)
    """how many layers of one pull at once"""
    live_restore: bool | None = None
    """containers go on without the daemon"""
    log_driver: str | None = None
    """where a new container's output goes"""
    log_level: str | None = Field(default=None, pattern="^(debug|info|warn|error|fatal|panic|trace|warning)$")
    """from which level on the daemon itself writes"""
    log_opts: dict[str, str] | None = None
    """options of that log driver"""
    storage_driver: str | None = None
    """how images and containers lie on disk"""

    @field_validator("registry_mirrors")
    @classmethod
    def _mirrors_are_urls(cls, value: list[str] | None) -> list[str] | None:
        for mirror in value or ():
            if not mirror.startswith(("http://", "https://")):
                raise ValueError(f"the mirror {mirror!r} has no scheme: write http:// or https:// before it")
        return value

    @classmethod
    def meaning(cls, key: str) -> str:
        """What a key is for, in a few words."""
        return cls.model_fields[key.replace("-", "_")].description or ""


def faults_in(text: str) -> list[str]:
    """Say what is wrong with a file by the model, one sentence a fault; none when it is well formed."""
    try:
        content = json.loads(text)
    except ValueError as error:
        return [f"not JSON: {error}"]
    if not isinstance(content, dict):
        return ["not an object: it must begin with { and end with }"]
    try:
        DaemonJson.model_validate(content)
    except ValidationError as error:
        return [_told(problem) for problem in error.errors()]
    return []


def show_file(path: str) -> Shown:
    """Show a daemon.json, key by key, as it is now, with what each is for and what the model says of it."""
    text = Path(path).read_text(encoding="utf-8")
    faults = faults_in(text)
    rows: list[list[Cell]] = [
        [key, json.dumps(value), DaemonJson.meaning(key) if _is_known(key) else "unknown"]
        for key, value in json.loads(text).items()
    ]
    columns = [Column("key", "code"), Column("value", "code"), Column("what it is for", "prose")]
    made = table(path.rpartition("/")[2], columns, rows, note="; ".join(faults) or "well formed")
    return stack(LIVE.line(), made.shown())


@dataclass(frozen=True)
class Judged:
    """One file: what the model, `dockerd --validate`, a start and a first container made of it; empty words: fine."""

    name: str
    model_says: str
    validate_says: str
    start_says: str
    container_says: str

    @property
    def is_valid(self) -> bool:
        return not self.validate_says

    @property
    def starts(self) -> bool:
        return not self.start_says

    @property
    def runs(self) -> bool:
        """Whether a container ran on the engine that started."""
        return self.starts and not self.container_says

    @property
    def agrees(self) -> bool:
        """Whether model and `dockerd --validate` say the same."""
        return bool(self.model_says) != self.is_valid


def read_judged(
    name: str, validated: Step, started: Mapping[str, Any], ran: Step | None, *, folder: Path = WRONG
) -> Judged:
    """Put together the judgements on a file of a folder, without more said among the wrong ones.

    Args:
        name: of the file, without its ending.
        validated: of `dockerd --validate --config-file=… FLAGS`.
        started: of `lab.start_engines(…)`, for the engine with that file.
        ran: of a first container; None where the engine did not start.
    """
    text = (folder / f"{name}.json").read_text(encoding="utf-8")
    faults = faults_in(text) + [
        f"the key {key} is given as a flag too" for key in json.loads(text) if f"--{key}" in _flags(validated)
    ]
    return Judged(
        name,
        "; ".join(faults),
        "" if validated.succeeded else _daemons_words(validated.stderr),
        _daemons_words(str(started["says"])),
        last_words(ran) if ran is not None and not ran.succeeded else "",
    )


def judged_table(judged: Sequence[Judged]) -> Shown:
    columns: list[str | Column] = [Column("file", "code"), Column("our model", "prose"),
                                   Column("dockerd --validate", "prose"), Column("the engine", "prose"),
                                   Column("a container", "prose")]  # fmt: skip
    rows: list[list[Cell]] = [
        [
            each.name,
            each.model_says or "fine",
            each.validate_says or "configuration OK",
            each.start_says or "starts",
            (each.container_says or "runs") if each.starts else None,
        ]
        for each in judged
    ]
    return table("What each judge says", columns, rows).shown()


def refusals(started: Mapping[str, Observation]) -> Shown:
    """What each daemon said when it was asked to start."""
    rows: list[list[Cell]] = [
        [name, bool(one["started"]), _daemons_words(str(one["says"])) or None] for name, one in started.items()
    ]
    made = table("Started?", ["engine", "started", Column("its own words", "prose")], rows)
    return Origin.of(next(iter(started.values()))).above(made.shown())


def last_words(step: Step) -> str:
    """What a command said of its failure, without the hint at --help that follows."""
    lines = [line.strip() for line in step.stderr.splitlines() if line.strip() and not line.startswith("Run 'docker")]
    return lines[-1].partition("Error response from daemon: ")[2] or lines[-1] if lines else ""


@dataclass(frozen=True)
class Effect:
    """What one key changed: seen with it, and without it; `told` says what the latter is of, where that needs words."""

    key: str
    with_it: object
    without: object
    told: str = ""


def effects_table(effects: Sequence[Effect]) -> Shown:
    columns: list[str | Column] = [Column("key", "code"), Column("what it is for", "prose"),
                                   Column("with it", "prose"), Column("without it", "prose")]  # fmt: skip
    rows: list[list[Cell]] = [
        [
            each.key,
            DaemonJson.meaning(each.key),
            _briefly(each.with_it),
            _briefly(each.without) + (f" ({each.told})" if each.told else ""),
        ]
        for each in effects
    ]
    return table("Each key, with and without", columns, rows).shown()


def _briefly(seen: object) -> str:
    """A value as people say it; of a long message its end, which says what went wrong."""
    if isinstance(seen, Mapping):
        said = {name: f"{value} lines" if isinstance(value, int) else value for name, value in seen.items()}
        return ", ".join(f"{name}: {value}" for name, value in said.items()) or "none"
    text = str(seen)
    return text if len(text) <= LONGEST else f"… {text[-LONGEST:]}"


def _flags(step: Step) -> list[str]:
    return [word.partition("=")[0] for word in step.argv]


def _is_known(key: str) -> bool:
    return key.replace("-", "_") in DaemonJson.model_fields


def _told(problem: object) -> str:
    found = dict(problem)  # type: ignore[call-overload]
    where = ".".join(str(part) for part in found["loc"])
    if found["type"] == "extra_forbidden":
        return f"no key is called {where}"
    return f"{where}: {str(found['msg']).removeprefix('Value error, ')}"


def _daemons_words(said: str) -> str:
    """The daemon's message without what comes before it on every start."""
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()]
    return _PREAMBLE.sub("", lines[-1]) if lines else ""
