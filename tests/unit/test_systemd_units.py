"""Units of a systemd machine: words reach the daemon as they are, and its end is read from what it left."""

import shlex
from pathlib import Path

import pytest

from labsupport.systems.machines.units import quoted, read_exit, unit_file

LOG, EXITED = Path("/run/folder/log/a.log"), Path("/run/folder/log/a.exit")


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("plain", '"plain"'),
        ("two words", '"two words"'),
        ('a "b"', '"a \\"b\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("$HOME", '"$$HOME"'),
        ("100%", '"100%%"'),
        ("two\nlines", '"two\\nlines"'),
        ("", '""'),
    ],
)
def test_a_word_is_read_as_it_is(word: str, written: str) -> None:
    assert quoted(word) == written


def test_dollars_stay_where_systemd_puts_in_no_variables() -> None:
    assert quoted("PRICE=$5", dollars=False) == '"PRICE=$5"'


def test_a_unit_has_the_daemons_words_environment_and_log() -> None:
    lines = unit_file(["/bin/a", "--x=$y"], {"WORD": "one two"}, LOG, EXITED).splitlines()
    assert 'ExecStart="/bin/a" "--x=$$y"' in lines
    assert 'Environment="WORD=one two"' in lines
    assert f"StandardOutput=append:{LOG}" in lines


def test_a_unit_tells_how_it_ended_and_forgets_it_when_it_starts_again() -> None:
    lines = dict(line.split("=", 1) for line in unit_file(["/bin/a"], {}, LOG, EXITED).splitlines() if "=" in line)
    told = shlex.split(lines["ExecStopPost"])
    assert told[:2] == ["/bin/sh", "-c"]
    assert "$$EXIT_CODE $$EXIT_STATUS" in told[2]
    assert told[3] == str(EXITED)
    assert shlex.split(lines["ExecStartPre"]) == ["/bin/rm", "-f", str(EXITED)]


@pytest.mark.parametrize(
    ("left", "code"),
    [
        ("exited 0\n", 0),
        ("exited 5", 5),
        ("killed TERM\n", 143),
        ("killed KILL", 137),
        ("dumped ABRT", 134),
        (" \n", 255),
    ],
)
def test_how_it_ended_is_read_as_a_shell_would_say(left: str, code: int) -> None:
    assert read_exit(left) == code
