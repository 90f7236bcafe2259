"""Why a daemon did not start, told in its own words."""

import pytest

from labsupport.systems.engines.refusals import refusal_in

INFO = 'time="2026-01-02T03:04:05Z" level=info msg="Starting up"'

LOGS = {
    "the plain line at the end": (
        f'{INFO}\ntime="…" level=info msg="Daemon shutdown complete" error="failed to start daemon: no room"\n'
        "failed to start daemon: no room\n\n",
        "failed to start daemon: no room",
    ),
    "several plain lines": (
        f"{INFO}\nStatus: unknown flag: --oops\nSee 'dockerd --help'., Code: 125\n",
        "Status: unknown flag: --oops\nSee 'dockerd --help'., Code: 125",
    ),
    "a file it cannot read": (
        "unable to configure the Docker daemon with file /x: invalid JSON\n",
        "unable to configure the Docker daemon with file /x: invalid JSON",
    ),
    "killed after an error": (
        f'{INFO}\ntime="…" level=error msg="failed to mount" error="a \\"bad\\" disk\\nfor sure"\n{INFO}\n',
        'failed to mount: a "bad" disk\nfor sure',
    ),
    "an error on a line of another level": (f'{INFO}\ntime="…" level=warning msg="odd" error="why"', "odd: why"),
    "killed without a word": (f"{INFO}\n{INFO}", f"{INFO}\n{INFO}"),
    "an empty log": ("", "the daemon said nothing"),
}


@pytest.mark.parametrize(("log", "words"), LOGS.values(), ids=LOGS.keys())
def test_refusal_is_what_the_daemon_said_last(log: str, words: str) -> None:
    assert refusal_in(log) == words
