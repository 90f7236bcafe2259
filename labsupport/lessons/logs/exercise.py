"""The exercise: a container that will not start, for a reason that the seed chooses. Looks at what comes up."""

import contextlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labsupport.errors import WaitExpired
from labsupport.experiments.exercises import Exercise, Requirement, fault_by_seed
from labsupport.lessons.answers import Change, SeedAnswer
from labsupport.process.commands import CommandResult, Invocation, Runner
from labsupport.process.waiting import wait_until

FOLDER = Path("assets/02-log-drivers/exercise")
ANSWER = FOLDER / "mended.sh"
CONTAINER, SAID = "shop", "the shop is open"
ARRIVES_WITHIN_SECONDS = 20.0


@dataclass(frozen=True)
class Fault:
    """A script whose container does not start: why, what mends it, what must stay, where its line should arrive."""

    script: str
    wrong: str
    mended: Change
    driver: str
    kept: Mapping[str, str] = field(hash=False)
    avoided: tuple[str, ...]
    where: str
    find: str


# `find` prints the container's line; {id} is the short id.
IN_RECORDS = "grep {id} /var/log/receivers/%s.jsonl"
FAULTS = (
    Fault(
        "shop-0.sh",
        "nobody listens at that port: the Fluentd collector has another",
        Change("127.0.0.1:24225", "127.0.0.1:24224"),
        "fluentd",
        {},
        ("fluentd-async",),
        "the Fluentd collector",
        IN_RECORDS % "fluentd",
    ),
    Fault(
        "shop-1.sh",
        "a spelling mistake: the driver knows no such option",
        Change("max-sise", "max-size"),
        "json-file",
        {"max-size": "10m"},
        (),
        "the engine's own file",
        "",
    ),
    Fault(
        "shop-2.sh",
        "`compress` is for files that were rotated away, and without `max-file` there are none",
        Change("--log-opt compress=true", "--log-opt max-file=2 --log-opt compress=true"),
        "json-file",
        {"max-size": "10m", "compress": "true"},
        (),
        "the engine's own file",
        "",
    ),
    Fault(
        "shop-3.sh",
        "the driver asks for a token",
        Change(
            "--log-opt splunk-url", "--log-opt splunk-token=11111111-2222-3333-4444-555555555555 --log-opt splunk-url"
        ),
        "splunk",
        {"splunk-url": "http://127.0.0.1:8088"},
        ("splunk-verify-connection",),
        "the Splunk collector",
        IN_RECORDS % "splunk",
    ),
    Fault(
        "shop-4.sh",
        "there is no group `shop`, and nobody makes it",
        Change("--log-opt awslogs-group", "--log-opt awslogs-create-group=true --log-opt awslogs-group"),
        "awslogs",
        {"awslogs-group": "shop"},
        (),
        "the group `shop` of CloudWatch Logs",
        "sh -c 'python3 assets/02-log-drivers/read_cloudwatch.py shop | grep {id}'",
    ),
)
ANSWERS = tuple(SeedAnswer(fault.wrong, fault.mended.told()) for fault in FAULTS)


@dataclass(frozen=True)
class Attempt:
    """What came of the answer; `said` is what it printed where no container started, and the rest is empty then."""

    text: str
    fault: Fault
    said: str = ""
    driver: str = ""
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    arrived: bool = False

    @property
    def changed(self) -> list[str]:
        """What had to stay and did not, or came and should not have."""
        lacking = [f"{name}={value}" for name, value in self.fault.kept.items() if self.options.get(name, "") != value]
        return [
            *(f"{each} is gone" for each in lacking),
            *(f"{name} has come" for name in self.fault.avoided if name in self.options),
        ]


def will_not_start(runner: Runner, seed: int = 0) -> Exercise[Attempt]:
    """Make the exercise; its commands go through `runner`."""
    fault = fault_by_seed(FAULTS, seed)
    trying = _Trying(runner, fault)
    return Exercise(
        "will-not-start",
        f"The container of {fault.script} does not start. Find out why, and write {ANSWER.name} so that it does.",
        trying.look,
        lambda seen: bool(seen.text),
        REQUIREMENTS,
        hints=HINTS,
        praise="It starts, with the driver and the options it should have, and its line is where it belongs. The "
        "engine's message named the cause all along: read what stands after the last “logging driver:”.",
        remove=trying.remove,
    )


REQUIREMENTS: tuple[Requirement[Attempt], ...] = (
    Requirement(
        "it starts",
        lambda seen: not seen.said,
        lambda seen: (
            f"It does not start. The engine says: {seen.said} Options are compared with what the driver knows; a "
            "collector is asked whether it is there."
        ),
        "`unknown log opt`: a name the driver does not know. `connection refused`: nobody listens at that address; "
        "collectors of this notebook: Fluentd 24224, GELF 12201, Splunk 8088, CloudWatch Logs 5000.",
    ),
    Requirement(
        "the driver is the same",
        lambda seen: seen.driver == seen.fault.driver,
        lambda seen: (
            f"It starts with the driver {seen.driver}. Its lines should go to {seen.fault.where}: that takes "
            f"{seen.fault.driver}."
        ),
        "The driver was right: keep the script's --log-driver, and look at its --log-opt.",
    ),
    Requirement(
        "the options it needs are there",
        lambda seen: not seen.changed,
        lambda seen: f"It starts, but {' and '.join(seen.changed)}. Mend the one fault, and keep the rest as it was.",
        "Begin with a copy of the script, and change one line of it.",
    ),
    Requirement(
        "its line arrives",
        lambda seen: seen.arrived,
        lambda seen: (
            f"It starts, and says {SAID!r}, but {seen.fault.where} has no such line of this container. Does the "
            "address lead there? Does the program still say it?"
        ),
        "The last line of the script, with what the container runs, stays as it was.",
    ),
)

HINTS = (
    "Run the script yourself and read the whole message. Is it about an option, or about a collector?",
    "Compare with everywhere.sh, where every driver works: which option has yours that it lacks, or lacks that it has?",
)


class _Trying:
    """Runs the answer in the place of whatever container is there, and looks what comes of it."""

    def __init__(self, runner: Runner, fault: Fault) -> None:
        self._runner = runner
        self._fault = fault
        self._made = False

    def look(self) -> Attempt:
        text = _without_comments(ANSWER)
        if not text or text == _without_comments(FOLDER / self._fault.script):
            return Attempt("", self._fault)
        self._made = True
        self._run(f"docker rm --force {CONTAINER}")
        ran = self._run(f"sh {ANSWER}")
        inspected = self._run(f"docker inspect {CONTAINER}")
        if not inspected.succeeded:
            said = ran.stderr.strip()[-400:] or f"nothing; there is no container called {CONTAINER}."
            return Attempt(text, self._fault, said=said)
        container = json.loads(inspected.stdout)[0]
        if container["State"]["StartedAt"].startswith("0001"):
            return Attempt(text, self._fault, said=container["State"]["Error"] or ran.stderr.strip()[-400:])
        config = container["HostConfig"]["LogConfig"]
        arrived = self._arrives(container["Id"][:12])
        return Attempt(text, self._fault, driver=config["Type"], options=config["Config"] or {}, arrived=arrived)

    def remove(self) -> None:
        if self._made:
            self._run(f"docker rm --force {CONTAINER}")
            self._made = False

    def _arrives(self, identity: str) -> bool:
        def is_there() -> bool:
            if not self._fault.find:
                return SAID in self._run(f"docker logs {CONTAINER}").stdout
            return SAID in self._run(self._fault.find.format(id=identity), place="machine").stdout

        with contextlib.suppress(WaitExpired):
            wait_until(is_there, f"the line of {CONTAINER}", within_seconds=ARRIVES_WITHIN_SECONDS, every_seconds=0.1)
            return True
        return False

    def _run(self, command: str, *, place: str = "") -> CommandResult:
        return self._runner.run(shlex.split(command), invocation=Invocation(place=place))


def _without_comments(path: Path) -> str:
    if not path.exists():
        return ""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))
