"""The widget: one combination of ENTRYPOINT, CMD, arguments and --entrypoint, predicted, run, and told why."""

import json
import shlex

from labsupport.display.explorer import Explorer, Played, Position, Question
from labsupport.display.origin import Origin
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.experiments.trial import Trial
from labsupport.lessons.dockerfile.matrix import (
    ARGUMENTS,
    FORMS,
    OVERRIDE,
    WRITTEN,
    Combination,
    Outcome,
    read_outcome,
)

NOTHING = "(none)"


def argv_explorer(trial: Trial) -> Explorer:
    """Make the widget; its containers run in `trial`, which has built the nine images."""

    def play(position: Position) -> Played:
        combination = combination_at(position)
        step = trial.run(combination.command, repeatable=True)
        outcome = read_outcome(step.argv, [*step.lines, *step.stderr.splitlines()])
        return Played(_compared(outcome), outcome.refusal or as_list(outcome.pid_1), explanation(combination))

    return Explorer(
        "What will PID 1 be?",
        {
            "ENTRYPOINT": [WRITTEN["ENTRYPOINT"][form] for form in FORMS],
            "CMD": [WRITTEN["CMD"][form] for form in FORMS],
            "arguments": [NOTHING, " ".join(ARGUMENTS)],
            "--entrypoint": [NOTHING, OVERRIDE],
        },
        play,
        question=Question(
            "The argument vector of PID 1, or why there is none:", example='["entry", "e1", "cmd", "c1"]'
        ),
        preview=lambda position: combination_at(position).command,
        origin=Origin.of_trial(trial),
    )


def combination_at(position: Position) -> Combination:
    """Return the combination that the four controls stand for."""
    entrypoint, cmd = (
        next(form for form, written in WRITTEN[name].items() if written == position[name])
        for name in ("ENTRYPOINT", "CMD")
    )
    return Combination(entrypoint, cmd, position["arguments"] != NOTHING, position["--entrypoint"] != NOTHING)


def explanation(combination: Combination) -> str:
    """Say which rules made the argument vector, in the order they apply."""
    if combination.override:
        tail = "so only your arguments follow it" if combination.arguments else "so nothing follows it"
        dropped = "the image's ENTRYPOINT is replaced and its CMD ignored"
        return f"With --entrypoint, {dropped}, {tail}."
    said = []
    if combination.arguments and combination.cmd != "none":
        said.append("The arguments replace CMD.")
    elif combination.arguments:
        said.append("The arguments stand where CMD would.")
    if combination.entrypoint == "shell":
        said.append("ENTRYPOINT in shell form is three words: /bin/sh -c 'entry e1'.")
        if combination.arguments or combination.cmd != "none":
            said.append("All that follows goes to that shell, as $0, $1 …; entry never sees it.")
    elif combination.entrypoint == "exec" and (combination.arguments or combination.cmd != "none"):
        said.append("What follows ENTRYPOINT is appended to it, word by word.")
    if combination.cmd == "shell" and not combination.arguments:
        said.append("CMD in shell form is three words: /bin/sh -c 'cmd c1'.")
    if not combination.by_the_rules():
        return "Neither ENTRYPOINT, nor CMD, nor arguments: nothing to run, so the engine creates no container."
    return " ".join(said) or "Nothing is added and nothing replaced: the exec form runs as written."


def as_list(argv: tuple[str, ...]) -> str:
    """An argument vector as the exec form writes it."""
    return json.dumps(list(argv))


def _compared(outcome: Outcome) -> Table:
    rules = outcome.combination.by_the_rules()
    rows: list[tuple[Cell, ...]] = [("by the rules", shlex.join(rules) or "nothing to run", None)]
    if outcome.refusal:
        rows.append(("the engine", f"refused: {outcome.refusal}", not rules))
    else:
        rows.append(("PID 1, as the kernel has it", shlex.join(outcome.pid_1), outcome.as_ruled))
    if outcome.program != outcome.pid_1:
        rows.append(("its child", shlex.join(outcome.program), None))
    return table("Rules and kernel", ["", Column("argument vector", "code"), "as ruled?"], rows)
