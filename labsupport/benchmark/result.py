"""What the benchmark found, as a record that is written as JSON (build/bench/result.json), and what met its target."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict

from labsupport.benchmark.computer import Computer
from labsupport.benchmark.equipment import Seen
from labsupport.benchmark.measures import MEASURES, Absent, Measure, absent
from labsupport.benchmark.rounds import Failure, Log
from labsupport.benchmark.spread import paired, spread_of


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class TargetRecord(_Record):
    value: float
    at_least: bool
    in_words: str
    met: bool


class Part(_Record):
    """What a measure is made of, in its unit; one value a round."""

    name: str
    values: tuple[float, ...]


class MeasureRecord(_Record):
    """One measure: a value for each of `rounds`, their median and range, and what the median is to be."""

    name: str
    subject: str
    title: str
    label: str
    unit: str
    how: str
    rounds: tuple[int, ...]
    values: tuple[float, ...]
    median: float
    least: float
    most: float
    target: TargetRecord | None
    parts: tuple[Part, ...]


class Curve(_Record):
    """The points of one subject in one round."""

    subject: str
    round: int
    points: tuple[tuple[float, float], ...]


class Result(_Record):
    """Everything that `./lab bench` found."""

    schema_version: Literal[1] = 1
    version: str
    started: str
    seconds: float
    stopped: bool
    computer: Computer
    warning: str
    loads: tuple[float, ...]
    measures: tuple[MeasureRecord, ...]
    curves: tuple[Curve, ...]
    not_measured: tuple[Absent, ...]
    failures: tuple[Failure, ...]

    @property
    def missed(self) -> list[MeasureRecord]:
        """The measures whose median is not within their target."""
        return [each for each in self.measures if each.target is not None and not each.target.met]


def result_of(
    log: Log,
    computer: Computer,
    *,
    version: str,
    started: str,
    seconds: float,
    impossible: Mapping[str, str] = MappingProxyType({}),
) -> Result:
    """Put together what rounds gave.

    Args:
        impossible: subjects that were left out, as they cannot be had here: name → why.
    """
    found = {measure.name: _values(measure.name, log.seen.get(measure.subject, {})) for measure in MEASURES}
    for measure in MEASURES:
        if measure.ratio:
            found[measure.name] = paired(found[measure.ratio[0]], found[measure.ratio[1]])
    left_out = [absent(each, impossible[each.subject]) for each in MEASURES if each.subject in impossible]
    uncounted = [
        absent(measure, "this kernel keeps no such count")
        for measure in MEASURES
        if log.seen.get(measure.subject) and not found[measure.name] and not measure.ratio
    ]
    return Result(
        version=version,
        started=started,
        seconds=seconds,
        stopped=log.stopped,
        computer=computer,
        warning=computer.warning,
        loads=tuple(log.loads),
        measures=tuple(_record(each, found[each.name], log) for each in MEASURES if found[each.name]),
        curves=tuple(
            Curve(subject=subject, round=number, points=seen.curve)
            for subject, rounds in log.seen.items()
            for number, seen in sorted(rounds.items())
            if seen.curve
        ),
        not_measured=(*left_out, *uncounted),
        failures=tuple(log.failures),
    )


def _values(name: str, rounds: Mapping[int, Seen]) -> dict[int, float]:
    """Return what a measure was in each round that has it."""
    values = {number: seen.values.get(name) for number, seen in sorted(rounds.items())}
    return {number: value for number, value in values.items() if value is not None}


def _record(measure: Measure, values: Mapping[int, float], log: Log) -> MeasureRecord:
    spread = spread_of(list(values.values()))
    target = measure.target
    return MeasureRecord(
        name=measure.name,
        subject=measure.subject,
        title=measure.title,
        label=measure.label,
        unit=measure.unit,
        how=measure.how,
        rounds=tuple(values),
        values=tuple(values.values()),
        median=spread.median,
        least=spread.least,
        most=spread.most,
        target=None
        if target is None
        else TargetRecord(
            value=target.value,
            at_least=target.at_least,
            in_words=target.in_words(measure.unit),
            met=target.is_met(spread.median),
        ),
        parts=_parts(measure, log.seen.get(measure.subject, {})),
    )


def _parts(measure: Measure, rounds: Mapping[int, Seen]) -> tuple[Part, ...]:
    found: dict[str, list[float]] = {}
    for _, seen in sorted(rounds.items()):
        for name, value in seen.parts.get(measure.name, {}).items():
            found.setdefault(name, []).append(value)
    return tuple(Part(name=name, values=tuple(values)) for name, values in found.items())
