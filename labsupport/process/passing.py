"""Signals to this process, handed on to a command that runs elsewhere."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def passing_on(interrupt: Callable[[], None]) -> Iterator[None]:
    """Pass Ctrl-C, or a polite kill, on to the command, and wait for its end; a second one ends this at once."""
    seen: list[int] = []

    def pass_on(number: int, _: object) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)
        threading.Thread(target=interrupt, daemon=True).start()

    earlier = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
