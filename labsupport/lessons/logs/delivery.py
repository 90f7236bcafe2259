"""Where each driver put the two lines of a container, and what it added: read from what the collectors wrote."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

DRIVERS = ("json-file", "local", "syslog", "journald", "fluentd", "gelf", "splunk", "awslogs", "none")
SAID = {"stdout": "to stdout", "stderr": "to stderr"}
# Where the lines of each driver are looked for.
PLACES: Mapping[str, str] = {
    "json-file": "a file of the engine's, JSON", "local": "a file of the engine's, binary",
    "syslog": "/var/log/syslog of the machine", "journald": "the journal of the machine",
    "fluentd": "the lab's Fluentd collector", "gelf": "the lab's GELF collector",
    "splunk": "the lab's collector in the place of Splunk's", "awslogs": "a stream of moto's CloudWatch Logs",
}  # fmt: skip
NOT_READABLE = "configured logging driver does not support reading"
LABEL_AND_VARIABLE = {"app": "shop", "STAGE": "test"}
# As the syslog driver writes them: severity, then tag and process, then the line.
_SYSLOG = re.compile(r"daemon\.(?P<severity>\w+) (?P<tag>\S+?)\[\d+\]: (?P<line>.*)")
_BY_SEVERITY = {"info": "stdout", "err": "stderr"}
_BY_LEVEL = {6: "stdout", 3: "stderr", "6": "stdout", "3": "stderr"}

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Delivery:
    """What arrived of one container: each stream's line; what tells the streams apart; the names that were added."""

    driver: str
    lines: Mapping[str, str] = field(default_factory=dict, hash=False)
    told_apart_by: str = ""
    added: tuple[str, ...] = ()
    has_label_and_variable: bool = False

    @property
    def texts(self) -> list[str]:
        return sorted(self.lines.values())

    @property
    def is_complete(self) -> bool:
        return self.texts == sorted(SAID.values())


@dataclass(frozen=True)
class Deliveries:
    """Every driver's delivery, and what `docker logs` says with and without the engine's own copy."""

    by_driver: Mapping[str, Delivery] = field(hash=False)
    readable: tuple[str, ...]
    readable_without_copy: tuple[str, ...]
    origin: Origin = LIVE

    @property
    def with_label_and_variable(self) -> list[str]:
        """The drivers under which both came along."""
        return [driver for driver, found in self.by_driver.items() if found.has_label_and_variable]

    def texts(self, driver: str) -> list[str]:
        """The lines that arrived under a driver."""
        return self.by_driver[driver].texts

    def table(self) -> Shown:
        columns: list[str | Column] = [
            Column("driver", "code"), "found in", "both lines?", "docker logs", "docker logs, cache-disabled",
            Column("streams by", "code"), "label, variable?", Column("what it adds", "prose"),
        ]  # fmt: skip
        made = table("Where the lines went", columns, [self._row(driver) for driver in self.by_driver])
        return self.origin.above(made.shown())

    def _row(self, driver: str) -> list[Cell]:
        found = self.by_driver[driver]
        return [
            driver,
            PLACES[driver] if found.lines else "nowhere",
            found.is_complete,
            "shows them" if driver in self.readable else "refuses",
            "shows them" if driver in self.readable_without_copy else "refuses",
            found.told_apart_by or "nothing",
            found.has_label_and_variable,
            ", ".join(found.added) or None,
        ]


def read_deliveries(logs: Sequence[Step], bare: Sequence[Step], seen: Mapping[str, Step]) -> Deliveries:
    """Put together what was found at each collector.

    Args:
        logs, bare: of read_back.sh, for containers with the engine's own copy and without; and of `docker logs` of
            the journald container.
        seen: what a collector wrote, by driver; only these drivers are in the table.

    Raises:
        EvidenceError: a collector's file is not what it should be.
    """
    by_driver = {driver: delivery_of(driver, step) for driver, step in seen.items()}
    readable, without = _readable(*logs), _readable(*bare)
    ordered = {driver: by_driver[driver] for driver in DRIVERS if driver in by_driver}
    return Deliveries(ordered, readable, without, Origin.of(logs[0]))


def lines_of(driver: str, step: Step) -> dict[str, str]:
    """Read the lines of one container, by stream, from what its collector wrote."""
    return dict(delivery_of(driver, step).lines)


def delivery_of(driver: str, step: Step) -> Delivery:
    """Read what a collector wrote of one container.

    Raises:
        EvidenceError: it is in another form than that collector's.
    """
    try:
        return _READERS[driver](driver, step.lines)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EvidenceError(
            step.command,
            f"what it printed is not what {driver} writes ({type(error).__name__}: {error}): {step.stdout[:200]!r}",
            "run the cells of this experiment again, from the one that starts the containers",
        ) from None


def _of_records(
    stream: Callable[[Record], str], line: Callable[[Record], str], told_apart_by: str, parts: Sequence[str] = ()
) -> Callable[[str, Sequence[str]], Delivery]:
    """Make the reader of a collector that writes a JSON object for each line of the container."""

    def read(driver: str, lines: Sequence[str]) -> Delivery:
        records: list[Record] = [json.loads(each) for each in lines]
        names: dict[str, None] = {}
        for record in records:
            for name, value in record.items():
                names |= dict.fromkeys(value if name in parts and isinstance(value, dict) else [name])
        text = " ".join(lines)
        return Delivery(
            driver,
            {stream(record): line(record).rstrip("\n") for record in records},
            told_apart_by,
            tuple(name for name in names if name not in _OWN and not name.startswith("__")),
            all(f'"{value}"' in text for value in LABEL_AND_VARIABLE.values()),
        )

    return read


# The line itself, what our receivers add, and what the journal says of every line.
_OWN = ("log", "short_message", "line", "message", "MESSAGE", "_BOOT_ID", "over", "event")


def _syslog(driver: str, lines: Sequence[str]) -> Delivery:
    found = [match for match in map(_SYSLOG.search, lines) if match]
    streams = {_BY_SEVERITY[match["severity"]]: match["line"] for match in found}
    in_tags = [set(re.split(r"\W", match["tag"])) >= set(LABEL_AND_VARIABLE.values()) for match in found]
    return Delivery(driver, streams, "severity", ("time", "host", "facility", "tag") if found else (), any(in_tags))


def _none(driver: str, lines: Sequence[str]) -> Delivery:
    return Delivery(driver, {str(number): line for number, line in enumerate(lines)})


def _local(driver: str, lines: Sequence[str]) -> Delivery:
    """What `grep --text --only-matching` finds in the driver's own binary file: lines, and what goes with them."""
    streams = {name: f"to {name}" for line in lines for name in SAID if f"to {name}" in line}
    added = ("source", "time", *(name for name in LABEL_AND_VARIABLE if name in lines))
    came_along = all({name, value} <= set(lines) for name, value in LABEL_AND_VARIABLE.items())
    return Delivery(driver, streams, "source" if lines else "", added if lines else (), came_along)


def _cloudwatch(driver: str, lines: Sequence[str]) -> Delivery:
    records = [json.loads(each) for each in lines]
    found = {str(number): record["message"] for number, record in enumerate(records)}
    names = [set(re.split(r"\W", record["stream"])) >= set(LABEL_AND_VARIABLE.values()) for record in records]
    return Delivery(driver, found, "", ("group", "stream") if records else (), any(names))


_READERS: Mapping[str, Callable[[str, Sequence[str]], Delivery]] = {
    "json-file": _of_records(lambda each: str(each["stream"]), lambda each: str(each["log"]), "stream", ("attrs",)),
    "local": _local,
    "syslog": _syslog,
    "journald": _of_records(lambda each: _BY_LEVEL[each["PRIORITY"]], lambda each: str(each["MESSAGE"]), "PRIORITY"),
    "fluentd": _of_records(lambda each: str(each["source"]), lambda each: str(each["log"]), "source"),
    "gelf": _of_records(lambda each: _BY_LEVEL[each["level"]], lambda each: str(each["short_message"]), "level"),
    "splunk": _of_records(
        lambda each: str(each["event"]["source"]), lambda each: str(each["event"]["line"]), "source", ("event",)
    ),
    "awslogs": _cloudwatch,
    "none": _none,
}


def _readable(read_back: Step, journald: Step) -> tuple[str, ...]:
    """The drivers whose lines `docker logs` shows."""
    found = (line.partition(" | ") for line in read_back.lines)
    of_others = tuple(driver for driver, _, said in found if "to stdout" in said and NOT_READABLE not in said)
    return (*of_others, "journald") if "to stdout" in journald.stdout else of_others
