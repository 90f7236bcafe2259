"""One at a time in a folder: a lock that names who holds it. Refuses instead of waiting."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labsupport.errors import UsageError


@contextmanager
def alone(lock: Path, tried: str, do: str = "wait for it, or use a second clone") -> Iterator[int]:
    """Hold a lock for this process and those that get its descriptor; the kernel gives it back when all have ended.

    Args:
        tried: what nobody else may do meanwhile, for the error.
        do: what who is refused can do.

    Yields:
        The lock's file descriptor.

    Raises:
        UsageError: another process holds it.
        OSError: the file can't be written.
    """
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            happened = f"another command does so already: process {file.read().strip()}"
            raise UsageError(tried, happened, do) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file.fileno()
