"""Checks are sentences that can fail; those that cannot are refused where they are written."""

import math
import re
from collections.abc import Callable

import pytest

from labsupport.errors import UsageError
from labsupport.experiments.checks import (
    Check,
    all_of,
    any_of,
    contains,
    differs,
    equals,
    error_contains,
    exit_code_is,
    lacks,
    less_than,
    more_than,
    output_contains,
    output_is,
    output_lacks,
    output_matches,
)
from labsupport.experiments.steps import Observation, Step


def step(stdout: str = "", *, exit_code: int = 0, stderr: str = "") -> Step:
    return Step("00-x/y", 1, ("docker", "run", "x"), exit_code, stdout, stderr, 0.5)


PID = Observation("00-x/y", "pid 1", {"argv": ["sh", "-c", "x"], "pid": 1, "on": True})

HOLD_OR_NOT: dict[str, tuple[Callable[[], Check], bool]] = {
    "output is": (lambda: output_is(step(" a\n"), "a"), True),
    "output is not": (lambda: output_is(step("b"), "a"), False),
    "output contains": (lambda: output_contains(step("one two"), "two"), True),
    "output contains not": (lambda: output_contains(step("one"), "two"), False),
    "output lacks": (lambda: output_lacks(step("one"), "two"), True),
    "output lacks not": (lambda: output_lacks(step("two"), "two"), False),
    "silence of a failure proves nothing": (lambda: output_lacks(step("", exit_code=1), "two"), False),
    "output matches": (lambda: output_matches(step("a\npid 17\n"), r"^pid \d+$"), True),
    "output matches not": (lambda: output_matches(step("pid x"), r"^pid \d+$"), False),
    "error contains": (lambda: error_contains(step(stderr="no such file"), "no such"), True),
    "error contains not": (lambda: error_contains(step("no such file"), "no such"), False),
    "exit code": (lambda: exit_code_is(step(exit_code=137), 137), True),
    "exit code not": (lambda: exit_code_is(step(exit_code=137), 143), False),
    "equals": (lambda: equals(PID["argv"], ["sh", "-c", "x"], "argv of PID 1"), True),
    "equals a tuple": (lambda: equals(PID["argv"], ("sh", "-c", "x"), "argv of PID 1"), True),
    "equals not": (lambda: equals(PID["argv"], ["x"], "argv of PID 1"), False),
    "one is not true": (lambda: equals(PID["on"], 1, "the flag"), False),
    "differs": (lambda: differs(PID["pid"], 7, "the pid"), True),
    "differs not": (lambda: differs(PID["pid"], 1, "the pid"), False),
    "contains": (lambda: contains(PID, "argv", "the process"), True),
    "contains not": (lambda: contains(PID["argv"], "y", "argv"), False),
    "lacks": (lambda: lacks(PID["argv"], "y", "argv"), True),
    "lacks not": (lambda: lacks(PID["argv"], "x", "argv"), False),
    "an empty list lacks everything, which proves nothing": (lambda: lacks([], "x", "argv"), False),
    "less": (lambda: less_than(0.4, 3, "the stop time", "s"), True),
    "less not": (lambda: less_than(3, 3, "the stop time", "s"), False),
    "more": (lambda: more_than(10.2, 9, "the stop time", "s"), True),
    "more not": (lambda: more_than(math.nan, 9, "the stop time", "s"), False),
    "all": (lambda: all_of(output_is(step("a"), "a"), exit_code_is(step(), 0)), True),
    "all not": (lambda: all_of(output_is(step("a"), "a"), exit_code_is(step(), 1)), False),
    "any": (lambda: any_of(output_is(step("a"), "a"), output_is(step("a"), "b")), True),
    "any not": (lambda: any_of(output_is(step("c"), "a"), output_is(step("c"), "b")), False),
}


@pytest.mark.parametrize("name", HOLD_OR_NOT)
def test_a_check_says_what_was_expected_and_seen(name: str) -> None:
    make, passes = HOLD_OR_NOT[name]
    check = make()
    assert check.passed is passes
    assert check.sentence and check.expected
    assert str(check).startswith("✓ holds: " if passes else "✗ does not hold: ")


LIST = ["a"]
CANNOT_FAIL: dict[str, Callable[[], Check]] = {
    "empty text": lambda: output_contains(step("x"), ""),
    "white space": lambda: output_contains(step("x"), " \n"),
    "nothing lacked": lambda: output_lacks(step("x"), ""),
    "empty error": lambda: error_contains(step(), ""),
    "any pattern": lambda: output_matches(step("x"), ".*"),
    "any pattern, longer": lambda: output_matches(step("x"), "(pid )?[0-9]*"),
    "empty item": lambda: contains("text", "", "the text"),
    "itself": lambda: equals(LIST, LIST, "the list"),
    "the same observation": lambda: equals(PID, PID, "the process"),
    "not itself": lambda: differs(LIST, LIST, "the list"),
    "below infinity": lambda: less_than(1, math.inf, "the time"),
    "above minus infinity": lambda: more_than(1, -math.inf, "the time"),
    "below nothing": lambda: less_than(1, math.nan, "the time"),
    "a thing or its opposite": lambda: any_of(equals(1, 2, "the number"), differs(1, 2, "the number")),
}


@pytest.mark.parametrize("name", CANNOT_FAIL)
def test_a_check_that_cannot_fail_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot fail"):
        CANNOT_FAIL[name]()


MISUSED: dict[str, Callable[[], object]] = {
    "and": lambda: equals(1, 2, "a") and equals(1, 1, "b"),
    "if": lambda: bool(equals(1, 2, "a")),
    "one alone": lambda: all_of(equals(1, 2, "a")),
    "none": lambda: any_of(),
    "no number": lambda: less_than("3", 4, "the time"),  # type: ignore[arg-type]
    "a flag is no number": lambda: less_than(True, 4, "the time"),
    "no container": lambda: contains(3, 4, "the number"),
    "no pattern": lambda: output_matches(step("x"), "("),
}


@pytest.mark.parametrize("name", MISUSED)
def test_misuse_has_a_clear_message(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        MISUSED[name]()
    assert caught.value.tried and caught.value.happened and caught.value.do


def test_a_check_knows_its_opposite_and_its_twin() -> None:
    is_a, is_b, not_a = equals(1, 1, "n"), equals(1, 2, "n"), differs(1, 1, "n")
    assert is_a.is_opposite_of(not_a) and not_a.is_opposite_of(is_a)
    assert not is_a.is_opposite_of(is_b)
    assert is_a.is_same_as(equals(1, 1, "n")) and not is_a.is_same_as(is_b)


def test_long_output_is_shown_in_part() -> None:
    check = output_is(step("x" * 5000), "y")
    assert len(check.seen) < 500
    assert re.search(r"5000 characters", check.seen)


def test_steps_and_observations_read_well_in_a_terminal() -> None:
    assert repr(step("hello\n", stderr="oops\n", exit_code=3)).splitlines() == [
        "$ docker run x",
        "hello",
        "stderr: oops",
        "exit code 3 · 0.50 s",
    ]
    assert "… 60 more lines" in repr(step("x\n" * 100))
    assert repr(PID).startswith("pid 1:\n{")
    assert (PID["pid"], "pid" in PID, list(PID), len(PID)) == (1, True, ["argv", "pid", "on"], 3)
