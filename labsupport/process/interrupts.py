"""Ctrl-C, a closed terminal and a polite kill while something ends: they wait, so that nothing is left half ended."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interrupts_later() -> Iterator[list[int]]:
    """Have signals that would end the block end what comes after it; gives the numbers of those that came.

    What is ignored, or ends this process without Python's doing, stays as it is; so does all in threads, which are
    told of no signal.

    Raises:
        KeyboardInterrupt: after the block, if a signal came meanwhile.
    """
    came: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: found for number in INTERRUPTS if callable(found := signal.getsignal(number))}
    for number in before:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt
