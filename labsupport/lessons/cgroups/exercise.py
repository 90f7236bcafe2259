"""The exercise: write a daemon.json that does five things. Looks at the engine that starts with it, not at the text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labsupport.errors import EngineError
from labsupport.experiments.exercises import Exercise, Requirement, fault_by_seed
from labsupport.lessons.answers import SeedAnswer
from labsupport.lessons.workbench import Workbench
from labsupport.process.commands import Invocation

ANSWER = Path("assets/01-cgroup-drivers/my-daemon.json")
PLACE = "exercise"
UNITS = {"k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


@dataclass(frozen=True)
class Wanted:
    """What the engine must do: where it keeps its data, what one container's log may take, whom it trusts."""

    data_root: str
    most_bytes: int
    registry: str


VARIATIONS = (
    Wanted("/var/lib/elsewhere", 1_000_000, "10.200.0.1:5000"),
    Wanted("/var/lib/engine", 400_000, "10.200.0.1:5443"),
    Wanted("/var/lib/more-room", 6_000_000, "10.200.0.7:5000"),
)


@dataclass(frozen=True)
class Seen:
    """What came of the learner's file: `refused` when no engine starts with it; the rest is empty then."""

    text: str
    refused: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)
    log_config: Mapping[str, Any] = field(default_factory=dict)
    chatter: str = ""

    @property
    def log_bytes(self) -> int | None:
        """The most that one container's log can take; None without a bound, or where the bound is no number."""
        options = self.log_config.get("Config") or {}
        size = str(options.get("max-size", "")).lower().removesuffix("b")
        number, unit = (size[:-1], UNITS[size[-1]]) if size[-1:] in UNITS else (size, 1)
        files = str(options.get("max-file", "1"))
        return int(number) * unit * int(files) if number.isdigit() and files.isdigit() else None

    def trusts(self, registry: str) -> bool:
        """Whether the engine would speak plain HTTP to a registry."""
        known = self.info.get("RegistryConfig", {}).get("IndexConfigs", {})
        return registry in known and not known[registry].get("Secure", True)


def write_daemon_json(bench: Workbench, seed: int = 0) -> Exercise[Seen]:
    """Make the exercise; it starts an engine with the answer on `bench`. The seed chooses what the five ask for."""
    wanted = fault_by_seed(VARIATIONS, seed)
    return Exercise(
        "daemon-json",
        f"Write {ANSWER.name}. The engine that starts with it must (1) store everything below `{wanted.data_root}`; "
        f"(2) give new containers the log driver `local`, and one container's log at most {_megabytes(wanted)}; "
        "(3) let containers go on while the daemon is away; "
        f"(4) pull from `{wanted.registry}` in plain HTTP; (5) write only warnings and worse itself.",
        lambda: _look(bench),
        lambda seen: bool(seen.text),
        requirements_of(wanted),
        hints=HINTS,
        praise="The engine starts, and does all five. `dockerd --validate` alone could not have told you.",
    )


def requirements_of(wanted: Wanted) -> tuple[Requirement[Seen], ...]:
    """What the engine must do, in the order in which a learner meets it."""
    return (
        Requirement(
            "the engine starts",
            lambda seen: not seen.refused,
            lambda seen: f"No engine starts with your file yet. The daemon says: {seen.refused}",
            "The daemon names the key. A text takes quotes, true takes none, a list stands in [ ]; the last entry has "
            "no comma after it.",
        ),
        Requirement(
            "data elsewhere",
            lambda seen: seen.info.get("DockerRootDir") == wanted.data_root,
            lambda seen: (
                f"The engine starts, and keeps its data in {_data_root(seen)}; it should be {wanted.data_root}. "
                "Which key is that?"
            ),
            f'"data-root": "{wanted.data_root}"',
        ),
        Requirement(
            "logs of the local driver, bounded",
            lambda seen: (
                seen.log_config.get("Type") == "local"
                and seen.log_bytes is not None
                and seen.log_bytes <= wanted.most_bytes
            ),
            lambda seen: (
                f"A new container logs with {seen.log_config.get('Type')} and the options "
                f"{json.dumps(seen.log_config.get('Config') or {})}. It should be local, "
                f"and size times files at most {_megabytes(wanted)}."
            ),
            'log-driver is "local"; max-size and max-file belong into log-opts, and both are texts: "100k", "2".',
        ),
        Requirement(
            "containers outlive the daemon",
            lambda seen: bool(seen.info.get("LiveRestoreEnabled")),
            lambda seen: "`docker info` says Live Restore Enabled: false. Ending this daemon would end its containers.",
            'live-restore is true, not "true".',
        ),
        Requirement(
            "the registry in plain HTTP",
            lambda seen: seen.trusts(wanted.registry),
            lambda seen: (
                f"The engine would speak HTTPS only to {wanted.registry}: `docker info` does not list it below "
                "Insecure Registries. Name it with its port, and without a scheme."
            ),
            "insecure-registries is a list of HOST:PORT.",
        ),
        Requirement(
            "a quiet daemon",
            lambda seen: "level=info" not in seen.chatter,
            lambda seen: (
                f"The daemon wrote {seen.chatter.count('level=info')} lines of level info. Warnings and worse are "
                "enough."
            ),
            'log-level is "warn".',
        ),
    )


def answer_to(wanted: Wanted) -> dict[str, Any]:
    """A daemon.json that does all five."""
    return {
        "data-root": wanted.data_root,
        "log-driver": "local",
        "log-opts": {"max-size": f"{wanted.most_bytes // 2000}k", "max-file": "2"},
        "live-restore": True,
        "insecure-registries": [wanted.registry],
        "log-level": "warn",
    }


def _asked_and_answered(wanted: Wanted) -> SeedAnswer:
    asked = f"all below `{wanted.data_root}`; a log of at most {_megabytes(wanted)}; plain HTTP to `{wanted.registry}`"
    return SeedAnswer(asked, f"`{json.dumps(answer_to(wanted))}`")


HINTS = (
    "All keys that you need are in the table of the sample file above; values differ.",
    "One key at a time: check() tells of the first requirement that is not met, and of none below it.",
)


def _look(bench: Workbench) -> Seen:
    text = _answer()
    if not text:
        return Seen("")
    try:
        bench.start_engine(PLACE, ANSWER, images=("lab/toolbox",))
    except EngineError as error:
        return Seen(text, refused=error.happened)
    info = bench.run(["docker", "info", "--format", "{{json .}}"], invocation=Invocation(place=PLACE)).or_raise()
    bench.run(["docker", "create", "--name", "new", "lab/toolbox", "true"], invocation=Invocation(place=PLACE))
    asked = ["docker", "inspect", "--format", "{{json .HostConfig.LogConfig}}", "new"]
    created = bench.run(asked, invocation=Invocation(place=PLACE)).or_raise()
    log = ["sh", "-c", "cat /proc/$(pidof dockerd)/fd/2"]
    chatter = bench.run(log, invocation=Invocation(folder=Path("/"), place=f"{PLACE}-machine")).or_raise()
    return Seen(text, "", json.loads(info.stdout), json.loads(created.stdout), chatter.stdout)


def _answer() -> str:
    """The answer; nothing when there is none, or only the cell's invitation or an empty object."""
    lines = ANSWER.read_text(encoding="utf-8").splitlines() if ANSWER.exists() else []
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return text if text.strip().strip("{}").strip() else ""


def _megabytes(wanted: Wanted) -> str:
    return f"{wanted.most_bytes / 1_000_000:g} MB"


def _data_root(seen: Seen) -> str:
    root = str(seen.info.get("DockerRootDir"))
    return "the folder that the lab chose for it" if root.endswith("/engine/docker") else root


ANSWERS = tuple(_asked_and_answered(wanted) for wanted in VARIATIONS)
