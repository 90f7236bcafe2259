"""Work on several things at the same time."""

import sys
from threading import Barrier

import pytest

from labsupport.process.at_once import each_at_once
from labsupport.process.commands import LocalRunner

AT_THE_END = """
import atexit
from concurrent.futures import ThreadPoolExecutor
from labsupport.process.at_once import each_at_once
atexit.register(lambda: print(each_at_once(str, [1, 2])))
"""


def test_it_is_done_at_the_same_time_and_answered_in_order() -> None:
    together = Barrier(3)

    def wait_for_the_others(number: int) -> int:
        together.wait(20)
        return number

    assert each_at_once(wait_for_the_others, [3, 1, 2]) == [3, 1, 2]
    with pytest.raises(ZeroDivisionError):
        each_at_once(lambda number: 1 / number, [1, 0])


def test_a_process_that_ends_does_one_after_the_other() -> None:
    said = LocalRunner().run([sys.executable, "-c", AT_THE_END]).or_raise()
    assert (said.stdout, said.stderr) == ("['1', '2']\n", "")
