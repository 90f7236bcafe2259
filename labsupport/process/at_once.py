"""The same work on several things at the same time; also by a process that ends, which may start no thread any more."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")


def each_at_once(work: Callable[[Item], Done], items: Iterable[Item], *, most: int | None = None) -> list[Done]:
    """Return what `work` gives for each item, in their order; at most so many at a time.

    Whatever the work raises for the first item that fails passes through, when all have ended.
    """
    wanted = list(items)
    with ThreadPoolExecutor(max_workers=most) as pool:
        try:
            begun = [pool.submit(work, item) for item in wanted]
        except RuntimeError:  # functions of atexit run after the end of all pools: one after the other, then
            return [work(item) for item in wanted]
        return [each.result() for each in begun]
