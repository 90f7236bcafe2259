"""A class on one page: who is where, which exercise stops people, which predictions go wrong. It judges nothing."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from labsupport.display import tables
from labsupport.display.exercises import exercise_chip, times
from labsupport.display.markup import Markup, element, join, prose
from labsupport.display.pages import write_page
from labsupport.display.style import Mark, chip
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.experiments.handing_in import Collection, HandedIn
from labsupport.experiments.progress import ExerciseProgress, NotebookProgress

PAGE = "index.html"
MOST_PREDICTIONS = 25
PASSED, BEGUN = Mark("✓", "passed", "good"), Mark("◔", "begun", "careful")
PROBLEM = Mark("✗", "skipped", "bad")


@dataclass
class Stop:
    """What a class did with one exercise."""

    notebook: str
    exercise: str
    tried: list[ExerciseProgress] = field(default_factory=list)

    @property
    def waiting(self) -> list[ExerciseProgress]:
        return [each for each in self.tried if not each.passed]

    @property
    def passed(self) -> int:
        return len(self.tried) - len(self.waiting)


def write_class_page(folder: Path, collection: Collection, notebooks: Sequence[str]) -> Path:
    """Write the page of a class into `folder`; `notebooks` are those of the course, in its order."""
    folder.mkdir(parents=True, exist_ok=True)
    write_page(folder / PAGE, "Class", _body(collection, notebooks), ((PAGE, "Class"),))
    return folder / PAGE


def _body(collection: Collection, notebooks: Sequence[str]) -> Markup:
    learners = collection.learners
    return join(
        [
            element("h1", "Class"),
            tables.facts(_facts(learners)).html,
            _skipped(collection.skipped) if collection.skipped else None,
            element("h2", "Who is where", id="who"),
            who_is_where(learners, notebooks).html if learners else element("p", "Nobody has handed in anything yet."),
            element("h2", "Which exercise stops people", id="exercises"),
            _exercises(learners),
            element("h2", "Which predictions go wrong", id="predictions"),
            _predictions(learners),
        ]
    )


def _facts(learners: Sequence[HandedIn]) -> dict[str, Cell]:
    dates = sorted(_day(each) for each in learners)
    versions = Counter(" · ".join(f"{name} {said}" for name, said in each.versions.items()) for each in learners)
    return {
        "Learners": len(learners),
        "Handed in": " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else "",
        "Versions": "; ".join(f"{said or 'not said'} ({count})" for said, count in versions.most_common()),
    }


def _day(learner: HandedIn) -> str:
    """The day on which it was written, where the page is made: files have the time in UTC."""
    return learner.written.astimezone().date().isoformat()


def who_is_where(learners: Sequence[HandedIn], notebooks: Sequence[str]) -> Table:
    """Return a row per learner: as of which day, how each notebook stands, and what they are in the middle of."""
    columns: list[str | Column] = [
        Column("learner", "prose"),
        "handed in",
        Column("exercises passed", "prose"),
        Column("begun", "prose"),
        Column("in the middle of", "prose"),
        Column("predicted right", "number"),
        Column("wrong", "number"),
    ]
    return table("Who is where", columns, [_row(each, notebooks) for each in learners])


def _row(learner: HandedIn, notebooks: Sequence[str]) -> list[Cell]:
    kept = learner.progress.notebooks
    order = [*notebooks, *sorted(set(kept) - set(notebooks))]
    standing = {slug: _standing(kept[slug]) for slug in order if slug in kept}
    middle = [
        join([exercise_chip(name, each), f" ({times(each)}{f', {each.unmet}' if each.unmet else ''})"])
        for slug in standing
        for name, each in kept[slug].exercises.items()
        if not each.passed
    ]
    judged = [each for one in kept.values() for each in one.judged.values()]
    return [
        learner.learner,
        element("span", _day(learner), class_="lab-whole"),
        *(_numbers([slug for slug, mark in standing.items() if mark is wanted], wanted) for wanted in (PASSED, BEGUN)),
        join(middle, ", ") or None,
        sum(each.right for each in judged),
        sum(each.wrong for each in judged),
    ]


def _standing(kept: NotebookProgress) -> Mark | None:
    """Passed with its last exercise; begun with anything at all."""
    if kept.exercises and all(each.passed for each in kept.exercises.values()):
        return PASSED
    return BEGUN if kept.exercises or kept.predictions or kept.judged else None


def _numbers(slugs: Sequence[str], mark: Mark) -> Markup | None:
    return join((chip(mark, slug[:2]) for slug in slugs), " ") or None


def stops(learners: Sequence[HandedIn]) -> list[Stop]:
    """Return the exercises that were tried; first those with the most people who have not passed, or tried longest."""
    found: dict[tuple[str, str], Stop] = {}
    for learner in learners:
        for slug, kept in learner.progress.notebooks.items():
            for name, each in kept.exercises.items():
                found.setdefault((slug, name), Stop(slug, name)).tried.append(each)
    return sorted(found.values(), key=lambda one: (-len(one.waiting), -_attempts(one), one.notebook))


def _attempts(stop: Stop) -> float:
    return float(median(each.attempts for each in stop.tried))


def _exercises(learners: Sequence[HandedIn]) -> Markup:
    rows: list[list[Cell]] = []
    for one in stops(learners):
        unmet = Counter(each.unmet for each in one.waiting if each.unmet).most_common()
        bar = element("progress", value=one.passed, max=len(one.tried), aria_hidden="true")
        rows.append(
            [
                f"{one.notebook[:2]} {one.exercise}",
                join([f"{one.passed} of {len(one.tried)} ", bar]),
                f"{_attempts(one):g}",
                ", ".join(f"{name} ({count})" for name, count in unmet) or None,
            ]
        )
    columns: list[str | Column] = [
        Column("exercise", "prose"),
        "passed",
        Column("attempts, median", "number"),
        Column("where the others stand", "prose"),
    ]
    return table("Exercises", columns, rows).html if rows else element("p", "Nobody has tried an exercise yet.")


def _wrong(learners: Sequence[HandedIn]) -> Iterator[tuple[str, str, int, int]]:
    """Yield notebook, position, and how many predictions of it were wrong, and how many there were."""
    counted: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for learner in learners:
        for slug, kept in learner.progress.notebooks.items():
            for position, each in kept.judged.items():
                counts = counted[slug, position]
                counts[0] += each.wrong
                counts[1] += each.right + each.wrong
    ordered = sorted(counted.items(), key=lambda item: (-item[1][0], -item[1][0] / max(item[1][1], 1), item[0]))
    yield from ((slug, position, wrong, both) for (slug, position), (wrong, both) in ordered if wrong)


def _predictions(learners: Sequence[HandedIn]) -> Markup:
    found = list(_wrong(learners))
    if not found:
        return element("p", "No prediction in a widget went wrong.")
    rows: list[list[Cell]] = [
        [
            slug[:2],
            position,
            join([f"{wrong} of {both} ", element("progress", value=wrong, max=both, aria_hidden="true")]),
        ]
        for slug, position, wrong, both in found[:MOST_PREDICTIONS]
    ]
    columns: list[str | Column] = ["notebook", Column("position of its widget", "prose"), "wrong"]
    more = f"the first {MOST_PREDICTIONS} of {len(found)}" if len(found) > MOST_PREDICTIONS else ""
    return table("Predictions that went wrong", columns, rows, note=more, header_columns=2).html


def _skipped(skipped: Mapping[str, str]) -> Markup:
    listed = [
        element("li", element("code", name), ": ", prose(why), style="overflow-wrap: anywhere")
        for name, why in skipped.items()
    ]
    head = element("p", chip(PROBLEM, f"{len(skipped)} skipped"), " Not counted below:", class_="lab-heading")
    return element("div", head, element("ul", *listed), class_="lab-panel lab-edge lab-hue-bad")
