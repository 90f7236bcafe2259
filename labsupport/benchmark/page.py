"""The benchmark's result as a person reads it: a table in the terminal, a page with figures. Measures nothing."""

import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from labsupport.benchmark.result import Curve, MeasureRecord, Result
from labsupport.display import tables
from labsupport.display.figures import Figure, Line, Measure, dots, lines
from labsupport.display.markup import Markup, element, join
from labsupport.display.pages import write_page
from labsupport.display.style import Mark
from labsupport.display.tables import Cell, Column, Table, table

PAGE, DATA = "index.html", "result.json"
MET = {True: Mark("✓", "met", "good"), False: Mark("✗", "missed", "bad")}
AXES = {"s": "seconds", "MB": "megabytes", "times": "multiple"}
LABEL_LETTERS = 28
NUMBERS = [Column(name, "number") for name in ("rounds", "median", "least", "most")]
TITLES = {
    "kind": "A cluster of kind",
    "cluster": "The embedded cluster",
    "floor": "Bare etcd and API server",
    "flannel": "Two nodes with Flannel",
    "engine": "The private engine",
    "beside": "Labs beside each other",
    "pods": "From one pod to a hundred",
    "disk": "The cache on disk",
    "vm": "The virtual machine",
    "notebooks": "The notebooks",
}


def write(folder: Path, result: Result) -> Path:
    """Write the result as JSON and as a page into `folder`; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DATA).write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    write_page(folder / PAGE, "Lab benchmark", _body(result), ((PAGE, "Benchmark"), (DATA, "JSON")))
    return folder / PAGE


def summary(result: Result) -> Table:
    """Every measure by its name, with median, range and target: narrow enough for a terminal."""
    columns: list[str | Column] = [Column("name", "code"), *NUMBERS, "unit", "target", "outcome"]
    return table("Medians and ranges", columns, [_row(one) for one in result.measures])


def _row(one: MeasureRecord) -> list[Cell]:
    target: list[Cell] = [one.target.in_words, MET[one.target.met]] if one.target else ["", ""]
    return [one.name, len(one.values), one.median, one.least, one.most, one.unit, *target]


def absences(result: Result) -> Table | None:
    """What could not be measured here, and why; None where nothing was missing."""
    rows = [[one.title, one.target, one.because, one.name] for one in result.not_measured]
    columns: list[str | Column] = [Column("measure", "prose"), "target", Column("why", "prose"), Column("name", "code")]
    return table("Not measurable here", columns, rows) if rows else None


def _body(result: Result) -> Markup:
    absent = absences(result)
    return join(
        [
            element("h1", "Lab benchmark"),
            element("p", outcome(result)),
            *(
                element(
                    "div", element("pre", f"⚠ {remark}", class_="message"), class_="lab-panel lab-edge lab-hue-careful"
                )
                for remark in remarks(result)
            ),
            tables.facts(_facts(result)).html,
            element("h2", "Results", id="results"),
            _summary_with_titles(result).html,
            absent.html if absent else None,
            *(section for subject, title in TITLES.items() for section in _section(result, subject, title)),
            element("h2", "What was measured, and how", id="how"),
            _explanations(result).html,
            element("h2", "Every round", id="rounds"),
            _rounds(result).html,
        ]
    )


def outcome(result: Result) -> str:
    """Say in one line how many targets were met, and name those that were not."""
    with_target = sum(one.target is not None for one in result.measures)
    if not with_target:
        return "Nothing that was measured has a target."
    missed = ", ".join(one.name for one in result.missed)
    said = f"{with_target - len(result.missed)} of {with_target} targets met by the median."
    return f"{said} Missed: {missed}." if missed else said


def remarks(result: Result) -> Iterator[str]:
    """Yield what a reader must know before believing the numbers."""
    if result.warning:
        yield result.warning
    if result.stopped:
        yield "stopped with Ctrl-C before the last round: the numbers are of fewer rounds"
    for failure in result.failures:
        yield f"{failure.subject} failed in round {failure.round}: {failure.error}"


def _facts(result: Result) -> dict[str, Cell]:
    computer = result.computer
    return {
        "Version": result.version,
        "Started": result.started,
        "Took": f"{result.seconds:.0f} s",
        "Processor": f"{computer.processor}, {computer.cores} cores used",
        "Memory": f"{computer.memory_megabytes} MB",
        "Kernel": f"Linux {computer.kernel}, {computer.architecture}, cgroup v{computer.cgroup_version}",
        "Load": f"{computer.load:.2f} at the start, {computer.busy_percent:.0f}% busy; "
        f"before each round: {', '.join(f'{load:.1f}' for load in result.loads)}",
        "Python": computer.python,
        "Tools": ", ".join(f"{name} {version}" for name, version in computer.tools.items()),
    }


def _section(result: Result, subject: str, title: str) -> Iterator[Markup]:
    measures = [one for one in result.measures if one.subject == subject]
    if measures:
        yield element("h2", title, id=subject)
    for unit, of_unit in groupby(sorted(measures, key=lambda one: list(AXES).index(one.unit)), lambda one: one.unit):
        yield _figure(title, unit, list(of_unit)).shown().html
    for one in measures:
        if one.parts:
            yield _parts(one).shown().html
    if curves := [curve for curve in result.curves if curve.subject == subject]:
        yield _curves(curves).shown().html


def _figure(title: str, unit: str, measures: list[MeasureRecord]) -> Figure:
    rows = [Measure(one.label, one.values, target=one.target.value if one.target else None) for one in measures]
    named = f"{title}: {AXES[unit]}"
    alt = f"One dot a round, the median as a bar. {'; '.join(map(_in_words, measures))}."
    return dots(named, rows, alt=alt, axis=AXES[unit], unit=unit)


def _parts(measure: MeasureRecord) -> Figure:
    rows = [Measure(textwrap.fill(part.name, LABEL_LETTERS), part.values) for part in measure.parts]
    most = max(measure.parts, key=lambda part: max(part.values))
    alt = f"One dot a round for each part of {measure.name}. The largest is {most.name} with {max(most.values):.1f}."
    return dots(f"{measure.title}, by part", rows, alt=alt, axis=AXES[measure.unit], unit=measure.unit)


def _curves(curves: list[Curve]) -> Figure:
    drawn = [Line(f"round {curve.round}", curve.points) for curve in curves]
    last = "; ".join(
        f"round {curve.round} reaches {curve.points[-1][1]:.0f} after {curve.points[-1][0]:.1f} s" for curve in curves
    )
    rows: list[list[Cell]] = [
        [f"round {curve.round}", count, next(at for at, pods in curve.points if pods >= count)]
        for curve in curves
        for count in (10, 25, 50, 75, 100)
        if curve.points[-1][1] >= count
    ]
    twin = table("Pods ready", ["round", Column("pods", "number"), Column("after (s)", "number")], rows)
    return lines(
        "Pods ready, over time since scaling",
        drawn,
        alt=f"Rising curves of pods that are ready. {last}.",
        x="seconds since scaling",
        y="pods ready",
        twin=twin,
    )


def _summary_with_titles(result: Result) -> Table:
    columns: list[str | Column] = [Column("measure", "prose"), *NUMBERS, "unit", "target", "outcome"]
    return table("Medians and ranges", columns, [[one.title, *_row(one)[1:]] for one in result.measures])


def _explanations(result: Result) -> Table:
    columns = [Column("measure", "prose"), Column("name", "code"), Column("from where to where, by what", "prose")]
    return table("What each number is", columns, [[one.title, one.name, one.how] for one in result.measures])


def _rounds(result: Result) -> Table:
    """Every value, a column for each round; subjects of fewer rounds have dashes."""
    rounds = range(1, 1 + max((number for one in result.measures for number in one.rounds), default=0))
    columns: list[str | Column] = [Column("name", "code"), "unit", *(Column(f"round {n}", "number") for n in rounds)]
    rows = [
        [one.name, one.unit, *(dict(zip(one.rounds, one.values, strict=True)).get(number) for number in rounds)]
        for one in result.measures
    ]
    return table("Every value", columns, rows, note="Even rounds ran in reverse order.")


def _in_words(one: MeasureRecord) -> str:
    target = f", target {one.target.in_words}, {MET[one.target.met].word}" if one.target else ""
    return f"{one.title}: median {one.median:.2f} {one.unit}, {one.least:.2f} to {one.most:.2f}{target}"
