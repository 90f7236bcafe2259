"""Runs a command in a guest container as if it ran here: its output, this terminal, Ctrl-C and the exit code."""

import os
import shutil
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from labsupport.errors import MachineError
from labsupport.process.passing import passing_on
from labsupport.systems.guests import inside
from labsupport.systems.guests.container import Guest
from labsupport.systems.guests.environment import environment_there
from labsupport.systems.machines.connections import STDERR, Upgraded, post_upgraded

PID_FILE = "/run/command-"
_WITH_PID = 'echo $$ >"$0"; exec "$@"'
Watcher = Callable[[bytes], None]


def environment_in(guest: Guest) -> dict[str, str]:
    """Return what `./lab` needs to know of where it is."""
    return environment_there(guest.name, guest.user, guest.group, cache=inside.CACHE_FOLDER)


def run_in(guest: Guest, argv: Sequence[str], *, as_user: bool = False, watch: Watcher = lambda content: None) -> int:
    """Run a command in the clone there, to its end; return its exit code.

    Args:
        as_user: as whose files the clone has, instead of root; it also reads what comes to this process's stdin.
        watch: gets a copy of what it prints.
    """
    from docker.errors import NotFound

    api = guest.engine.client.api
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    pid_file = f"{PID_FILE}{os.getpid()}"
    made = api.exec_create(
        guest.container,
        ["sh", "-c", _WITH_PID, pid_file if not as_user else "/dev/null", *argv],
        stdin=terminal or as_user,
        tty=terminal,
        environment=environment_in(guest) | ({"HOME": inside.HOME} if as_user and guest.user else {}),
        workdir=str(guest.project.root),
        user=f"{guest.user}:{guest.group}" if as_user else "0",
    )
    stream = post_upgraded(guest.engine.host, f"/exec/{made['Id']}/start", {"Detach": False, "Tty": terminal})
    try:
        with passing_on(lambda: _interrupt(guest, pid_file)):
            if terminal or as_user:
                threading.Thread(target=_type_into, args=(stream,), daemon=True).start()
            if terminal:
                with _this_terminal(lambda rows, columns: api.exec_resize(made["Id"], rows, columns)):
                    _show(((1, content) for content in stream.chunks()), watch)
            else:
                _show(stream.frames(), watch)
        return int(api.exec_inspect(made["Id"])["ExitCode"])
    except (NotFound, TypeError) as error:
        happened = f"its container {guest.name} has ended meanwhile"
        raise MachineError(" ".join(argv), happened, "run the same command again") from error
    finally:
        stream.close()


def _show(frames: Iterator[tuple[int, bytes]], watch: Watcher) -> None:
    for number, content in frames:
        target = sys.stderr if number == STDERR else sys.stdout
        target.buffer.write(content)
        target.flush()
        watch(content)


def _interrupt(guest: Guest, pid_file: str) -> None:
    api = guest.engine.client.api
    made = api.exec_create(guest.container, ["sh", "-c", 'kill -s INT -- "-$(cat "$0")"', pid_file])
    api.exec_start(made["Id"])


def _type_into(stream: Upgraded) -> None:
    with suppress(OSError):
        while typed := os.read(sys.stdin.fileno(), 4096):
            stream.send(typed)
        stream.end_input()


@contextmanager
def _this_terminal(resize: Callable[[int, int], Any]) -> Iterator[None]:
    """Hand every key to the command, Ctrl-C too, and tell it this terminal's size."""

    def tell_size(*_: object) -> None:
        size = shutil.get_terminal_size()
        with suppress(Exception):  # the command has ended, or not begun
            resize(size.lines, size.columns)

    before = termios.tcgetattr(sys.stdin)
    earlier = signal.signal(signal.SIGWINCH, tell_size)
    tty.setraw(sys.stdin)
    try:
        tell_size()
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, earlier)
