"""How an exercise, a check of it, and a learner's progress look. Checks nothing and keeps nothing."""

from typing import Any

from labsupport.display.markup import Shown, element, join, prose
from labsupport.display.style import Mark, chip
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.experiments.exercises import Exercise, Outcome, Standing
from labsupport.experiments.progress import Progress

STANDINGS = {
    Standing.NOT_STARTED: Mark("○", "not started", "plain"),
    Standing.NOT_YET: Mark("◔", "not yet", "careful"),
    Standing.PASSED: Mark("✓", "passed", "good"),
    Standing.UNAVAILABLE: Mark("○", "not available here", "plain"),
    Standing.COULD_NOT_LOOK: Mark("✗", "could not be checked", "bad"),
}


def outcome_shown(outcome: Outcome) -> Shown:
    """Show how far a check found the learner, and the one next step."""
    mark = STANDINGS[outcome.standing]
    counted = f" {outcome.met} of {outcome.of} requirements met" if outcome.of and outcome.met else ""
    bar = element("progress", value=outcome.met, max=outcome.of, aria_hidden="true") if counted else None
    unmet = element("p", "Next: ", element("strong", outcome.unmet)) if outcome.unmet else None
    lines = [element("p", prose(line)) for line in outcome.message.splitlines() if line.strip()]
    head = element("p", chip(mark), " ", outcome.exercise, counted, " ", bar, class_="lab-heading")
    html = element("div", head, unmet, *lines, class_=f"lab-panel lab-edge lab-hue-{mark.hue}", role="status")
    return Shown(html, repr(outcome), tells_origin=True)


def exercise_shown(exercise: Exercise[Any]) -> Shown:
    """Show the task, and how to have it checked."""
    how = "`check()` looks how far you are; `hint()` helps with what it found."
    html = element(
        "div",
        element("p", f"Exercise: {exercise.name}", class_="lab-heading"),
        element("p", prose(exercise.task)),
        element("p", prose(how), class_="lab-muted"),
        class_="lab-panel",
    )
    return Shown(html, repr(exercise), tells_origin=True)


def progress_table(progress: Progress) -> Table:
    """Show, per notebook, where predictions were made and how its exercises stand."""
    columns: list[str | Column] = ["notebook", Column("predictions", "number"), Column("exercises", "prose")]
    rows: list[list[Cell]] = []
    for notebook, kept in progress.notebooks.items():
        exercises = [
            join(
                [
                    chip(STANDINGS[Standing.PASSED if each.passed else Standing.NOT_YET], name),
                    f" {_times(each.attempts)}",
                ]
            )
            for name, each in kept.exercises.items()
        ]
        rows.append([notebook, len(kept.predictions), join(exercises, ", ") or None])
    return table("Your progress", columns, rows)


def _times(attempts: int) -> str:
    return f"{attempts} attempt{'' if attempts == 1 else 's'}"
