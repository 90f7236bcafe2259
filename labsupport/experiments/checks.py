"""Checks: sentences about what a trial saw, each of which can fail. They judge values; they run nothing.

Every function returns a `Check`. A check that could not fail (an empty text to look for, a pattern that matches
anything, a limit of infinity, a value compared with itself) is refused with a UsageError when it is written.
"""

import json
import math
import re
from collections.abc import Container
from dataclasses import dataclass, field

from labsupport.errors import UsageError
from labsupport.experiments.steps import Step, pasteable, plain

LONGEST_SHOWN = 400
NONSENSE = ("", "\x00 nonsense that no program prints \x00", "0", "7\nzq")


@dataclass(frozen=True)
class Check:
    """One expectation held against what was seen.

    `about` and `negated` say what is compared, so that a check and its exact opposite can be recognised. `what` is what
    was looked at, uncut: it is shown above `expected` and `seen`; `sentence` is for where one line must do. `parts` are
    the checks that were joined into this one, and `what` then says how many of them must hold. `prediction` is what the
    learner had written down, where it is to be shown above.
    """

    sentence: str
    expected: str
    seen: str
    passed: bool
    about: str = field(default="", repr=False)
    negated: bool = field(default=False, repr=False)
    what: str = field(default="", repr=False)
    parts: tuple["Check", ...] = field(default=(), repr=False)
    prediction: str | None = field(default=None, repr=False)

    @property
    def is_met_exactly(self) -> bool:
        """Whether what was seen is, letter by letter, what was expected."""
        return self.passed and self.expected == self.seen

    def is_opposite_of(self, other: "Check") -> bool:
        """Whether exactly one of the two passes, whatever is seen."""
        return bool(self.about) and self.about == other.about and self.negated != other.negated

    def is_same_as(self, other: "Check") -> bool:
        """Whether both ask the same of the same thing, whatever they call it."""
        if self.about:
            return self.about == other.about and self.negated == other.negated
        return (self.sentence, self.expected, self.seen) == (other.sentence, other.expected, other.seen)

    def __bool__(self) -> bool:
        raise UsageError(
            f"use the check “{self.sentence}” as true or false",
            "a check is not a truth value, so `and`, `or`, `not` would drop parts of it",
            "combine checks with all_of(…) or any_of(…); read check.passed for the result",
        )

    def __str__(self) -> str:
        return "\n".join([*([f"you predicted: {self.prediction}"] if self.prediction else []), *self.lines()])

    def lines(self, before: str = "") -> list[str]:
        """As text: whether it holds, `before`, what was looked at; below that what was expected and seen, or parts."""
        mark = "✓ holds" if self.passed else "✗ does not hold"
        first = f"{mark}: {before}{self.what or self.sentence}"
        if self.parts:
            return [first, *(f"  {line}" for part in self.parts for line in part.lines())]
        if self.is_met_exactly:
            return [first, *_told("seen, as expected:", self.seen)]
        return [first, *_told("expected:", self.expected), *_told("seen:    ", self.seen)]


def exit_code_is(step: Step, code: int) -> Check:
    """The command ended with this exit code."""
    return _comparison(f"`{_brief(step.command)}` ends with exit code {code}", step.exit_code, code, "exit code", step)


def output_is(step: Step, text: str) -> Check:
    """Standard output is this text, white space around both left aside."""
    return _comparison(
        f"`{_brief(step.command)}` prints {_brief(repr(text.strip()))}", step.output, text.strip(), "output", step
    )


def output_contains(step: Step, text: str) -> Check:
    """Standard output has this text somewhere."""
    return _search(step, step.stdout, "output", text, negated=False)


def output_lacks(step: Step, text: str) -> Check:
    """The command succeeded and its output has this text nowhere: silence of a failed command proves nothing."""
    return _search(step, step.stdout, "output", text, negated=True)


def error_contains(step: Step, text: str) -> Check:
    """Standard error has this text somewhere."""
    return _search(step, step.stderr, "error output", text, negated=False)


def output_matches(step: Step, pattern: str) -> Check:
    """The regular expression is found in standard output."""
    try:
        compiled = re.compile(pattern, re.MULTILINE)
    except re.error as error:
        raise UsageError(
            f"output_matches(…, {pattern!r})", f"not a regular expression: {error}", "correct it"
        ) from None
    if all(compiled.search(text) for text in NONSENSE):
        raise _cannot_fail(f"output_matches(…, {pattern!r})", "the pattern matches any text")
    return Check(
        f"the output of `{_brief(step.command)}` matches {pattern}",
        f"a match of {pattern}",
        _shown(step.stdout),
        bool(compiled.search(step.stdout)),
        what=_of(step, "output"),
    )


def equals(seen: object, expected: object, what: str) -> Check:
    """`what` (a noun phrase) is exactly `expected`."""
    _refuse_same_object(seen, expected, what)
    return _comparison(f"{what} is {_brief(_shown(expected))}", seen, expected, what)


def differs(seen: object, other: object, what: str) -> Check:
    """`what` (a noun phrase) is anything but `other`."""
    _refuse_same_object(seen, other, what)
    return _comparison(f"{what} is not {_brief(_shown(other))}", seen, other, what, negated=True)


def contains(seen: object, item: object, what: str) -> Check:
    """`what`, a list, mapping or text, has `item` in it."""
    return _membership(seen, item, what, negated=False)


def lacks(seen: object, item: object, what: str) -> Check:
    """`what`, a list, mapping or text that is not empty, does not have `item` in it."""
    return _membership(seen, item, what, negated=True)


def less_than(seen: float, limit: float, what: str, unit: str = "") -> Check:
    """`what` is a number below `limit`."""
    return _bound(seen, limit, what, unit, below=True)


def more_than(seen: float, limit: float, what: str, unit: str = "") -> Check:
    """`what` is a number above `limit`."""
    return _bound(seen, limit, what, unit, below=False)


def all_of(*checks: Check) -> Check:
    """Every one of at least two checks holds."""
    _refuse_few(checks, "all_of")
    return _joined(checks, " and ", all(check.passed for check in checks), "all of these")


def any_of(*checks: Check) -> Check:
    """At least one of at least two checks holds; a check beside its own opposite could not fail and is refused."""
    _refuse_few(checks, "any_of")
    for number, check in enumerate(checks):
        if any(check.is_opposite_of(other) for other in checks[number + 1 :]):
            raise _cannot_fail(f"any_of(…) with “{check.sentence}”", "it stands beside its own opposite")
    return _joined(checks, " or ", any(check.passed for check in checks), "at least one of these")


def _comparison(
    sentence: str, seen: object, expected: object, what: str, step: Step | None = None, *, negated: bool = False
) -> Check:
    seen, expected = _as_json(plain(seen)), _as_json(plain(expected))
    where = f"{step.experiment} {step.number} " if step else ""
    return Check(
        sentence,
        f"anything but {_shown(expected)}" if negated else _shown(expected),
        _shown(seen),
        (_same(seen, expected)) != negated,
        about=f"{where}{what}: {_full(seen)} = {_full(expected)}",
        negated=negated,
        what=_of(step, what) if step else what,
    )


def _search(step: Step, stream: str, name: str, text: str, *, negated: bool) -> Check:
    if not text.strip():
        raise _cannot_fail(f"look for {text!r} in the {name} of `{_brief(step.command)}`", "any output has that")
    has = text in stream
    seen = _shown(stream) if step.succeeded or not negated else f"exit code {step.exit_code}: {_shown(stream)}"
    return Check(
        f"the {name} of `{_brief(step.command)}` {'lacks' if negated else 'contains'} {_brief(repr(text))}",
        f"success, and nowhere {text!r}" if negated else f"somewhere {text!r}",
        seen,
        step.succeeded and not has if negated else has,
        what=_of(step, name),
    )


def _membership(seen: object, item: object, what: str, *, negated: bool) -> Check:
    inside, item = plain(seen), plain(item)
    if not isinstance(inside, Container):
        raise UsageError(
            f"look for {item!r} in {what}", f"it holds nothing: {inside!r}", "pass a list, mapping or text"
        )
    if item == "":
        raise _cannot_fail(f"look for '' in {what}", "any text has that")
    has = item in inside
    return Check(
        f"{what} {'lacks' if negated else 'contains'} {_brief(_shown(item))}",
        f"{'not empty, and without' if negated else 'something with'} {_shown(item)}",
        _shown(inside),
        bool(inside) and not has if negated else has,
        what=what,
    )


def _bound(seen: float, limit: float, what: str, unit: str, *, below: bool) -> Check:
    number = plain(seen)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise UsageError(f"compare {what} with {limit:g}", f"it is not a number: {number!r}", "pass a number")
    if not math.isfinite(limit):
        raise _cannot_fail(f"compare {what} with {limit}", "every number, or none, is on that side of it")
    word, tail = ("below" if below else "above"), f" {unit}" if unit else ""
    return Check(
        f"{what} is {word} {limit:g}{tail}",
        f"{word} {limit:g}{tail}",
        f"{number:g}{tail}",
        number < limit if below else number > limit,
        what=what,
    )


def _joined(checks: tuple[Check, ...], word: str, passed: bool, needed: str) -> Check:
    marked = (f"[{'holds' if check.passed else 'no'}] {check.seen}" for check in checks)
    return Check(
        word.join(check.sentence for check in checks),
        word.join(check.expected for check in checks),
        "; ".join(marked),
        passed,
        what=needed,
        parts=checks,
    )


def _of(step: Step, name: str) -> str:
    return f"{name} of `{pasteable(step.argv)}`" + (f" on `{step.place}`" if step.place else "")


def _told(name: str, value: str) -> list[str]:
    """A value beside its name; its further lines stand below its first."""
    first, *rest = value.splitlines() or ["nothing"]
    return [f"    {name} {first}", *((" " * (len(name) + 5) + line).rstrip() for line in rest)]


def _refuse_few(checks: tuple[Check, ...], name: str) -> None:
    if len(checks) < 2:
        raise UsageError(f"{name}(…)", f"{len(checks)} checks given", "give at least two, or use the one alone")


def _refuse_same_object(seen: object, expected: object, what: str) -> None:
    # Small immutable values are shared by Python itself; sharing a list or a step is a value compared with itself.
    if seen is expected and not isinstance(seen, str | int | float | tuple | None):
        raise _cannot_fail(f"compare {what}", "it is compared with itself")


def _cannot_fail(tried: str, because: str) -> UsageError:
    return UsageError(tried, f"this check cannot fail: {because}", "say what would be seen if the claim were false")


def _same(seen: object, expected: object) -> bool:
    # True == 1 in Python; a flag and a count are not the same observation.
    return seen == expected and isinstance(seen, bool) == isinstance(expected, bool)


def _as_json(value: object) -> object:
    # What is read back from evidence has lists where Python had tuples; both must compare alike.
    return [_as_json(item) for item in value] if isinstance(value, tuple | list) else value


def _full(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=repr)


def _shown(value: object) -> str:
    text = _full(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({len(text)} characters)"


def _brief(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}…"
