"""The processes that PID 1 starts on request: how they begin, and how they ended."""

import errno
import fcntl
import os
import signal

from labsupport.systems.machines.inside import kernel

NO_SUCH_COMMAND = 127


class Child:
    """One started process; `pid` as the machine counts, `exit_code` None while it runs (128 + N after signal N)."""

    def __init__(self, name: str, pid: int) -> None:
        self.name = name
        self.pid = pid
        self.exit_code: int | None = None


def spawn(
    argv: list[str], environment: dict[str, str], folder: str, streams: tuple[int, int, int], files: str = ""
) -> int:
    """Start a process in a session of its own and return its pid; `files` is the mount namespace it goes to, if any.

    Raises:
        OSError: it cannot be executed.
    """
    failed, tell = os.pipe()  # closed by exec; carries the error number when exec fails
    pid = os.fork()
    if pid == 0:
        _become(argv, environment, folder, streams, tell, files)
    os.close(tell)
    with os.fdopen(failed, "rb") as reader:
        said = reader.read()
    if said:
        os.waitpid(pid, 0)
        number = int(said)
        raise OSError(number, f"cannot run {argv[0]}: {os.strerror(number)}")
    return pid


def _become(
    argv: list[str], environment: dict[str, str], folder: str, streams: tuple[int, int, int], tell: int, files: str
) -> None:
    try:
        os.setsid()
        # Moved above the standard three first, so that none overwrites another.
        high = [fcntl.fcntl(stream, fcntl.F_DUPFD, 10) for stream in streams]
        for number, stream in enumerate(high):
            os.dup2(stream, number)
        os.closerange(3, tell)
        os.closerange(tell + 1, 4096)
        for number in range(1, signal.NSIG):
            if number not in (signal.SIGKILL, signal.SIGSTOP):
                try:
                    signal.signal(number, signal.SIG_DFL)
                except (OSError, ValueError):
                    pass
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if files:
            kernel.enter_mounts(files)
        os.chdir(folder)
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        os.write(tell, str(error.errno or errno.EIO).encode())
    finally:
        os._exit(NO_SUCH_COMMAND)


def reap(children: list[Child]) -> list[Child]:
    """Collect every process that has ended, also those that lost their parent; return the known ones."""
    by_pid = {child.pid: child for child in children if child.exit_code is None}
    ended: list[Child] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        if pid in by_pid:
            code = os.waitstatus_to_exitcode(status)
            by_pid[pid].exit_code = code if code >= 0 else 128 - code
            ended.append(by_pid[pid])
