"""Runs a command in a virtual machine as if it ran here: its output, this terminal, Ctrl-C and the exit code."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence

from labsupport.errors import MachineError, WaitExpired
from labsupport.process.commands import CommandResult, Invocation, LocalRunner, run_watched
from labsupport.process.ownership import GUEST_KIND_VARIABLE, VIRTUAL_KIND, caller
from labsupport.process.passing import passing_on
from labsupport.process.waiting import PATIENCE_VARIABLE
from labsupport.systems.guests.environment import environment_there
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.virtual.computer import VirtualComputer

HOME = "/home/learner"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NO_CONNECTION = 255
# The emulator answers for a machine that hangs, which then says nothing. An emulated one with much to do takes seconds.
CONNECTS_WITHIN_SECONDS = 60
_WITH_PID = 'echo $$ >"$0"; exec "$@"'


class Sessions:
    """The way into one virtual machine: each command is a session of its own."""

    def __init__(self, computer: VirtualComputer, toolchain: Toolchain) -> None:
        self.computer = computer
        self.cache = toolchain.cache
        self._ssh = [
            *(str(toolchain.path("ssh")), "-F", "none", "-i", str(computer.key), "-o", "BatchMode=yes"),
            *("-o", f"UserKnownHostsFile={computer.known_hosts}", "-o", "StrictHostKeyChecking=yes"),
            *("-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-o", "ServerAliveInterval=30"),
            *("-o", f"ConnectTimeout={CONNECTS_WITHIN_SECONDS}"),
        ]

    def run(
        self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = Invocation()
    ) -> CommandResult:
        """Run one command as root and return what it left, whatever its exit code: a Runner's promise."""
        words = ["env", *(["-C", str(invocation.folder)] if invocation.folder else [])]
        words += [f"{key}={value}" for key, value in invocation.environment.items()]
        whole = [*self._ssh, self._who, shlex.join([*words, *argv])]
        result = LocalRunner().run(
            whole, within_seconds=within_seconds, invocation=Invocation(stdin=invocation.stdin or "")
        )
        return CommandResult(tuple(argv), result.exit_code, result.stdout, result.stderr, result.seconds)

    def run_in_front(
        self,
        argv: Sequence[str],
        *,
        as_user: bool = False,
        port: int = 0,
        watch: Callable[[bytes], None] = lambda content: None,
    ) -> int:
        """Run a command in the clone there, to its end; return its exit code.

        Args:
            as_user: as who typed the command, instead of root; it also reads what comes to this process's stdin.
            port: one of the machine's that is to be reached on 127.0.0.1 here, where it is not 0.
            watch: gets a copy of what it prints.

        Raises:
            MachineError: the virtual machine has ended meanwhile, does not answer, or its disk could not be written to.
        """
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        typed = terminal or as_user
        pid_file = f"/run/command-{os.getpid()}"
        forward = ["-L", f"127.0.0.1:{port}:127.0.0.1:{port}", "-o", "ExitOnForwardFailure=yes"] if port else []
        words = [*self._ssh, *(["-tt"] if terminal else []), *([] if typed else ["-n"]), *forward, self._who]
        with passing_on(lambda: self._interrupt(pid_file)):
            told = shlex.join(self._words(argv, as_user, pid_file))
            code = run_watched([*words, told], watch, typed=typed, apart=not terminal)
        if code == NO_CONNECTION and not self._is_answered():
            raise self._lost(argv)
        if self.computer.has_lost_writes():
            free = f"{self.computer.free_megabytes()} MB were free on this computer's disk"
            happened = f"the virtual machine {self.computer.name} could not write to its disk: {free}"
            do = "if it is up, end it: ./lab down. Free some space; then run the same command again"
            raise MachineError(shlex.join(argv), happened, do)
        return code

    def _is_answered(self) -> bool:
        try:
            return self.run(["true"], within_seconds=CONNECTS_WITHIN_SECONDS).exit_code != NO_CONNECTION
        except WaitExpired:
            return False

    def _lost(self, argv: Sequence[str]) -> MachineError:
        name = self.computer.name
        if self.computer.is_alive():
            happened = f"the virtual machine {name} runs, and nobody in it answers within {CONNECTS_WITHIN_SECONDS} s"
            do = "if it is up, end it: ./lab down. It ends with the command that started it; run that again"
            return MachineError(shlex.join(argv), happened, do)
        happened = f"the virtual machine {name} has ended meanwhile"
        return MachineError(shlex.join(argv), happened, "run the same command again")

    @property
    def _who(self) -> str:
        return f"root@{self.computer.address}"

    @property
    def settings(self) -> dict[str, str]:
        """The environment by which `./lab` knows in there where it runs, for whom, and how patient it has to be."""
        person = caller()
        known = environment_there(self.computer.name, person.uid, person.gid, cache=str(self.cache))
        known |= {"PATH": SYSTEM_PATH, GUEST_KIND_VARIABLE: VIRTUAL_KIND}
        return known | {PATIENCE_VARIABLE: str(self.computer.patience)}

    def _words(self, argv: Sequence[str], as_user: bool, pid_file: str) -> list[str]:
        person, known = caller(), self.settings
        other: list[str] = []
        if as_user and person.uid:
            known["HOME"] = HOME
            other = ["setpriv", f"--reuid={person.uid}", f"--regid={person.gid}", "--clear-groups", "--"]
        settings = [f"{key}={value}" for key, value in known.items()]
        return ["env", "-C", str(self.computer.project.root), *settings, "sh", "-c", _WITH_PID, pid_file, *other, *argv]

    def _interrupt(self, pid_file: str) -> None:
        self.run(["sh", "-c", 'kill -s INT -- "-$(cat "$0")"', pid_file])
