"""A computer as an ordinary user has it: a plain engine whose socket belongs to a group of theirs.

It is a namespaces machine: an engine of its own, and an account that is not root.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from labsupport.process.commands import CommandResult, Invocation
from labsupport.process.ownership import Owner
from labsupport.project import this_project
from labsupport.systems.clusters.kind.startup import HAVE_MODULES
from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.private import start_private_engine
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.namespaces import start_namespaces_machine
from tests.engines import toolchain, tools

USER, GROUP = "4242", "4243"
HOME = "/tmp/user"
# root's own folders hold the interpreter and the cache where tests run as root: this user may see these two.
SET_UP = """
set -e
socket=$1; shift
for each in "$@"; do mkdir -p "/run/kept$each"; mount --bind "$each" "/run/kept$each"; done
mount -t tmpfs -o mode=755 none /root
for each in "$@"; do [ -d "$each" ] || { mkdir -p "$each"; mount --bind "/run/kept$each" "$each"; }; done
cp /etc/passwd /run/passwd; echo "user:x:$USER:$USER::$HOME:/bin/sh" >>/run/passwd
mount --bind /run/passwd /etc/passwd
mkdir "$HOME"; chown $USER:$USER "$HOME"
chgrp $GROUP "$socket"; chmod 660 "$socket"
"""


@dataclass(frozen=True)
class Computer:
    """A computer with an engine, and a user of it who is not root."""

    machine: Machine
    engine: Engine

    def clone(self) -> str:
        """Give that user a clone of the project, and return its folder."""
        listed, folder = f"{HOME}/listed", f"{HOME}/clone"
        copy = (
            f'mkdir {folder} && git -C "$0" ls-files -z >{listed} && tar -C "$0" --null -cT {listed} | tar -xC {folder}'
        )
        self.machine.runner.run(["sh", "-c", copy, str(this_project().root)]).or_raise()
        self.machine.runner.run(["chown", "-R", f"{USER}:{USER}", folder]).or_raise()
        return folder

    def run(self, *argv: str, within_seconds: float = 1000, **environment: str) -> CommandResult:
        """Run Python as that user, in the clone."""
        project = this_project().root
        settings = {
            "DOCKER_HOST": self.engine.host,
            "LAB_CACHE": str(toolchain().cache),
            "HOME": HOME,
            "TMPDIR": HOME,
            "LAB_RUN_ROOT": f"{HOME}/labs",
            "PYTHONPATH": str(project),
        }
        become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", f"--groups={GROUP}", "--", "sh", "-c"]
        # In a file: what it started may go on for a moment.
        words = [*become, 'exec "$@" >$HOME/said 2>&1', "sh", sys.executable, *argv]
        invocation = Invocation(environment={**settings, **environment}, folder=project)
        result = self.machine.runner.run(words, within_seconds=within_seconds, invocation=invocation)
        said = self.machine.runner.run(["cat", f"{HOME}/said"]).stdout
        return CommandResult(result.argv, result.exit_code, said, result.stderr, result.seconds)

    def objects(self) -> set[str]:
        client = self.engine.client
        found = [*client.containers.list(all=True, ignore_removed=True), *client.volumes.list()]
        return {f"{type(each).__name__} {each.id}" for each in [*found, *client.networks.list()]}


@contextmanager
def computer_of_a_user() -> Iterator[Computer]:
    """Give one, with an engine that has nothing on it."""
    folders = [tools().programs, toolchain().bin_folder("machine")]
    machine = start_namespaces_machine(owner=Owner.this_process(), tools=folders, visible=[this_project().root])
    try:
        machine.folder.chmod(0o711)
        engine = start_private_engine(machine, tools())
        environment = {"HOME": HOME, "USER": USER, "GROUP": GROUP}
        socket = engine.host.removeprefix("unix://")
        shown = [str(toolchain().cache), sys.base_prefix]
        words = ["sh", "-c", SET_UP, "sh", socket, *shown]
        machine.runner.run(words, invocation=Invocation(environment=environment)).or_raise()
        machine.runner.run(["sh", "-c", HAVE_MODULES]).or_raise()  # as computers have
        yield Computer(machine, engine)
        engine.close()
    finally:
        machine.close()
