"""The only place that sleeps. A wait has a deadline, and an expired deadline raises."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

from labsupport.errors import WaitExpired

Found = TypeVar("Found")
# How many times longer than usual things may take here, such as 5 where a processor is emulated.
PATIENCE_VARIABLE = "LAB_PATIENCE"
# For what ends when somebody wants it to.
FOREVER_SECONDS = 10 * 365 * 24 * 3600.0


def patiently(seconds: float) -> float:
    """Return what `seconds`, which do for a computer of today, are on this one."""
    return seconds * float(os.environ.get(PATIENCE_VARIABLE) or 1)


def wait_until(
    look: Callable[[], Found | None],
    what: str,
    *,
    within_seconds: float,
    every_seconds: float = 0.02,
    do: str = "look at the log named above, then run `./lab doctor`",
    last_seen: Callable[[], str] = lambda: "it had not happened yet",
) -> Found:
    """Call `look` until it returns something true, and return that.

    Args:
        look: returns the awaited thing, or None/False while it is not there. Its exceptions pass through.
        what: the awaited thing as a noun phrase, for the error.
        within_seconds: what does for a computer of today; it is longer where this one is slow.
        every_seconds: pause between looks; grows by half each time up to ten times this.
        last_seen: asked once when the deadline passes, to say what was there instead.

    Raises:
        WaitExpired: the deadline passed.
    """
    within_seconds = patiently(within_seconds)
    deadline = time.monotonic() + within_seconds
    pause = every_seconds
    while not (found := look()):
        left = deadline - time.monotonic()
        if left <= 0:
            raise WaitExpired(f"wait for {what}, at most {within_seconds:g} s", last_seen(), do)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, every_seconds * 10)
    return found
