"""Forked processes that start something and are killed: what they own must go with them."""

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

from labsupport.errors import MachineError
from labsupport.systems.machines.inside.kernel import die_with_parent

FAILED_TO_START = 3


@dataclass
class Child:
    """A forked process and our end of the pipe that it tells us things by."""

    pid: int
    said: BinaryIO
    exit_code: int | None = None

    def wait(self) -> int:
        if self.exit_code is None:
            self.exit_code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.exit_code


@contextmanager
def in_a_child(work: Callable[[int], None]) -> Iterator[Child]:
    """Run `work`, which gets a descriptor to write to, in a forked process; kill that when the block ends."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _work_and_exit(work, writer)
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as said:
        child = Child(pid, said)
        try:
            yield child
        finally:
            if child.exit_code is None:
                os.kill(pid, signal.SIGKILL)
                child.wait()


def _work_and_exit(work: Callable[[int], None], writer: int) -> NoReturn:
    code = 1
    try:
        die_with_parent(signal.SIGKILL)
        work(writer)
        code = 0
    except MachineError:
        code = FAILED_TO_START
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
