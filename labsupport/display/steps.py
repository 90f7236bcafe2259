"""How a step, an observation, a check and a verdict look. A step is a terminal block whose command can be copied."""

import signal
from collections.abc import Iterable, Sequence

from labsupport.display.markup import Markup, Shown, element, join, prose
from labsupport.display.origin import Origin
from labsupport.display.style import CHECKED, chip, verdict_mark
from labsupport.experiments.checks import Check
from labsupport.experiments.steps import Observation, Step, pasteable
from labsupport.experiments.trial import Judgement

NOTHING = "nothing"
LINES_AT_ONCE = 24


def step_shown(step: Step) -> Shown:
    """Show the command, both streams, exit code and seconds; what is not live or not real says so above all."""
    silent = None if step.stdout or step.stderr else element("p", "(no output)", class_="lab-stream-name")
    footer = element(
        "footer",
        element("span", exit_code_in_words(step.exit_code), class_="lab-exit"),
        element("span", f"{step.seconds:.2f} s"),
        element("span", "live") if step.recorded is None else None,
    )
    parts = [
        element("pre", pasteable(step.argv), class_="lab-command", data_place=step.place or None),
        _given(step.stdin),
        _stream("stdout", step.stdout),
        _stream("stderr", step.stderr),
        silent,
        footer,
    ]
    return Shown(_block(step, f"Command and its output: {step.command}", parts), repr(step), tells_origin=True)


def observation_shown(observation: Observation) -> Shown:
    """Show a value read from an API under its name: a text as it is, anything else as JSON."""
    parts = [element("p", observation.name, class_="lab-observed"), _stream("value", observation.text)]
    return Shown(_block(observation, f"Observed: {observation.name}", parts), repr(observation), tells_origin=True)


def checks_shown(checks: Sequence[Check]) -> Shown:
    """Show checks as a list, one a line: whether it holds, what was looked at, and what was expected and seen."""
    predicted = [_predicted(check.prediction) for check in checks]
    return Shown(join([*predicted, _list_of(map(_check_item, checks))]), "\n".join(str(check) for check in checks))


def judgement_shown(judgement: Judgement) -> Shown:
    """Show which of the alternatives stated beforehand held; the others stay visible, and the learner's prediction."""
    mark = verdict_mark(judgement.word)
    above = Origin.of(judgement).line_unless_plain()
    rows = [_check_item(check, f"{word} if") for word, check in judgement.stated]
    if judgement.otherwise:
        rows.append(element("li", element("strong", judgement.otherwise), " otherwise"))
    if judgement.given is not None:
        rows.append(_check_item(judgement.given, "given"))
    unclear = f"Unclear because {judgement.unclear_because}." if judgement.verdict is None else None
    claim = judgement.claim
    panel = element(
        "div",
        above.html if above else None,
        element("p", chip(mark), " ", element("code", claim.id), " ", prose(claim.sentence), class_="lab-heading"),
        _predicted(judgement.prediction),
        element("p", prose(unclear)) if unclear else None,
        _list_of(rows),
        class_=f"lab-panel lab-edge lab-hue-{mark.hue}",
    )
    return Shown(panel, repr(judgement), tells_origin=True)


def exit_code_in_words(code: int) -> str:
    """Say an exit code the way a shell means it: 137 is 128 + 9, SIGKILL."""
    known = {126: "found, but could not be run", 127: "command not found"}
    if code in known:
        return f"exit code {code} ({known[code]})"
    try:
        return f"exit code {code} (128 + {code - 128}: {signal.Signals(code - 128).name})"
    except ValueError:
        return f"exit code {code}"


def _block(seen: Step | Observation, name: str, parts: Sequence[Markup | None]) -> Markup:
    above = Origin.of(seen).line_unless_plain()
    return element("div", above.html if above else None, *parts, class_="lab-step", role="group", aria_label=name)


def _given(text: str) -> Markup | None:
    """What the command reads, such as the script of `sh -s`, folded away."""
    if not text:
        return None
    count = len(text.rstrip("\n").split("\n"))
    return _folded(f"given to read: {count} line{'' if count == 1 else 's'}", text.rstrip("\n"), class_="lab-given")


def _stream(name: str, text: str) -> Markup | None:
    lines = text.rstrip("\n").split("\n") if text else []
    if not lines:
        return None
    label = element("span", name, class_="lab-stream-name") if name == "stderr" else None
    shown = element("pre", "\n".join(lines[:LINES_AT_ONCE]))
    rest = None
    if len(lines) > LINES_AT_ONCE:
        rest = _folded(f"{len(lines) - LINES_AT_ONCE} more lines of {name}", "\n".join(lines[LINES_AT_ONCE:]))
    return join([element("div", label, shown, class_="lab-stream"), rest])


def _folded(summary: str, text: str, *, class_: str | None = None) -> Markup:
    """Fold text away; where it is long it scrolls by itself, so the keyboard must reach it."""
    shown = element("pre", text, role="region", tabindex="0", aria_label=summary)
    return element("details", element("summary", summary), shown, class_=class_)


def _predicted(prediction: str | None) -> Markup | None:
    return element("p", "You predicted: ", element("q", prediction)) if prediction else None


def _list_of(items: Iterable[Markup]) -> Markup:
    return element("ul", *items, class_="lab-checks")


def _check_item(check: Check, before: str = "") -> Markup:
    """One line: whether it holds, what was looked at; below it what was expected and seen, or the checks it joins."""
    mark = CHECKED[check.passed]
    said = element("span", element("span", mark.symbol, aria_hidden="true"), " ", mark.word, class_="lab-holds")
    below = _list_of(map(_check_item, check.parts)) if check.parts else _expected_and_seen(check)
    stated = [element("strong", before), " "] if before else []
    return element("li", said, " ", *stated, prose(check.what or check.sentence), below, class_=f"lab-hue-{mark.hue}")


def _expected_and_seen(check: Check) -> Markup:
    if check.is_met_exactly:
        values = {"seen, as expected": check.seen}
    else:
        values = {"expected": check.expected, "seen": check.seen}
    rows = ([element("dt", name), element("dd", value or NOTHING)] for name, value in values.items())
    return element("dl", *(part for row in rows for part in row), class_="lab-seen")
