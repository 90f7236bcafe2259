"""How an exercise, a check of it, and a learner's progress look. Checks nothing and keeps nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from labsupport.display.markup import Markup, Shown, element, join, prose, stack
from labsupport.display.style import Mark, chip
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.experiments.exercises import Exercise, Outcome, Standing
from labsupport.experiments.progress import ExerciseProgress, Progress

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
    """Show, per notebook, how many predictions were made, how those of its widget came out, and its exercises."""
    numbers = [Column(name, "number") for name in ("predictions in words", "in the widget: right", "wrong")]
    columns: list[str | Column] = ["notebook", *numbers, Column("exercises", "prose")]
    rows: list[list[Cell]] = []
    for notebook, kept in progress.notebooks.items():
        exercises = [join([exercise_chip(name, each), f" {times(each)}"]) for name, each in kept.exercises.items()]
        right = sum(each.right for each in kept.judged.values())
        wrong = sum(each.wrong for each in kept.judged.values())
        rows.append([notebook, len(kept.predictions), right, wrong, join(exercises, ", ") or None])
    return table("Your progress", columns, rows)


def progress_shown(progress: Progress, handed_in: Path | None = None) -> Shown:
    """Show a learner's progress, and the file that they hand in or how to have one."""
    how = (
        f"Hand in this file: {handed_in.name}, in the folder work/ of the course. "
        "On Binder download it before you leave: nothing stays there."
        if handed_in
        else 'For your class: lab.progress("your name") writes a file to hand in, with this and that name in it.'
    )
    shown = (
        progress_table(progress).shown() if progress.notebooks else _paragraph("Nothing was predicted or tried yet.")
    )
    return stack(replace(shown, tells_origin=True), _paragraph(how))


def exercise_chip(name: str, kept: ExerciseProgress) -> Markup:
    """Name an exercise, with the mark of how it stands."""
    return chip(STANDINGS[Standing.PASSED if kept.passed else Standing.NOT_YET], name)


def times(kept: ExerciseProgress) -> str:
    return f"{kept.attempts} attempt{'' if kept.attempts == 1 else 's'}"


def _paragraph(text: str) -> Shown:
    return Shown(element("p", text), text)
