"""The container machine, as an ordinary user has it: a plain engine whose socket belongs to a group of theirs.

The computer of that user is a namespaces machine: an engine of its own, and an account that is not root.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labsupport.process.commands import CommandResult, Invocation
from labsupport.process.ownership import Owner
from labsupport.process.waiting import wait_until
from labsupport.project import this_project
from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.private import start_private_engine
from labsupport.systems.machines.container_image import prepare_image
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.namespaces import start_namespaces_machine
from tests import clusters
from tests.engines import toolchain, tools

pytestmark = pytest.mark.needs("root", "machine", "engine")

USER, GROUP = "4242", "4243"
HOME = "/tmp/user"
# root's own folders hold the interpreter and the cache where tests run as root: this user may see these two.
SET_UP = """
set -e
socket=$1; shift
for each in "$@"; do mkdir -p "/run/kept$each"; mount --bind "$each" "/run/kept$each"; done
mount -t tmpfs -o mode=755 none /root
for each in "$@"; do [ -d "$each" ] || { mkdir -p "$each"; mount --bind "/run/kept$each" "$each"; }; done
mkdir "$HOME"; chown $USER:$USER "$HOME"
chgrp $GROUP "$socket"; chmod 660 "$socket"
"""
LAB = """
import os, sys
from labsupport.backends import LabOptions, end_and_look, plan, start_backends
from labsupport.lessons.needs import Needs
from labsupport.process.ownership import Owner
chosen = plan(LabOptions(machine=sys.argv[1]))
assert chosen.machine == "container", chosen
lab = start_backends(chosen, Needs(engine=True, images=("lab/toolbox",)), owner=Owner.this_process())
print(lab.runner.run(["docker", "run", "--rm", "lab/toolbox", "echo", "hello"]).stdout, flush=True)
if sys.argv[2] == "die":
    os.kill(os.getpid(), 9)
assert not (left := end_and_look(lab)), left
"""


@dataclass(frozen=True)
class Computer:
    """A computer with an engine, and a user of it who is not root."""

    machine: Machine
    engine: Engine

    def run(self, *argv: str, **environment: str) -> CommandResult:
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
        result = self.machine.runner.run(words, within_seconds=500, invocation=invocation)
        said = self.machine.runner.run(["cat", f"{HOME}/said"]).stdout
        return CommandResult(result.argv, result.exit_code, said, result.stderr, result.seconds)

    def objects(self) -> set[str]:
        client = self.engine.client
        found = [*client.containers.list(all=True, ignore_removed=True), *client.volumes.list()]
        return {f"{type(each).__name__} {each.id}" for each in [*found, *client.networks.list()]}


@pytest.fixture(scope="module")
def computer() -> Iterator[Computer]:
    prepare_image(toolchain().store)
    clusters.archives()  # this user cannot add to the cache
    clusters.tools()
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
        yield Computer(machine, engine)
        engine.close()
    finally:
        machine.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("suite", ["test_machine.py", "test_clusters.py"])
def test_it_keeps_the_promises_of_every_machine_and_cluster(computer: Computer, suite: str) -> None:
    before = computer.objects()
    tests = str(Path(__file__).parents[1] / "contract" / suite)
    result = computer.run("-m", "pytest", "-q", "-p", "no:cacheprovider", tests, LAB_MACHINE="container")
    assert result.succeeded, result.stdout[-3000:]
    assert " passed" in result.stdout
    assert "skipped" not in result.stdout
    assert computer.objects() == before


def test_a_user_without_root_gets_an_engine_by_asking_for_nothing(computer: Computer) -> None:
    before = computer.objects()
    result = computer.run("-c", LAB, "auto", "end")
    assert (result.exit_code, result.stdout.strip()) == (0, "hello")
    assert computer.objects() == before
    assert _run_folders(computer) == []


def test_its_container_ends_with_its_killed_owner(computer: Computer) -> None:
    before = computer.objects()
    result = computer.run("-c", LAB, "container", "die")
    assert (result.exit_code, result.stdout.strip()) == (128 + 9, "hello")
    wait_until(lambda: computer.objects() == before, "the container to be gone", within_seconds=15)
    # What is left of it, its record, goes with the next sweep.
    assert len(_run_folders(computer)) == 1
    sweep = "from labsupport.keeping import clean; print(clean(caches=False))"
    assert "had left" in computer.run("-c", sweep).stdout
    assert _run_folders(computer) == []


def test_an_engine_that_does_not_answer_is_one_clear_message(computer: Computer) -> None:
    asked = "from labsupport.backends import LabOptions, plan; plan(LabOptions(machine='container'))"
    said = computer.run("-c", asked, DOCKER_HOST="unix:///tmp/none.sock").stdout
    assert "nothing answers at /tmp/none.sock" in said
    assert "start Docker" in said


def _run_folders(computer: Computer) -> list[str]:
    names = computer.machine.runner.run(["ls", "-A", f"{HOME}/labs"]).stdout.split()
    return [name for name in names if "lab-" in name]
