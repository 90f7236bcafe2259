"""The container machine, as an ordinary user has it: a plain engine whose socket belongs to a group of theirs.

The computer of that user is a namespaces machine: an engine of its own, and an account that is not root.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labsupport.process.waiting import wait_until
from labsupport.systems.machines.container_image import prepare_image
from tests import clusters
from tests.computers import HOME, Computer, computer_of_a_user
from tests.engines import toolchain

pytestmark = pytest.mark.needs("root", "machine", "engine")

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


@pytest.fixture(scope="module")
def computer() -> Iterator[Computer]:
    prepare_image(toolchain().store)
    clusters.archives()  # this user cannot add to the cache
    clusters.tools()
    with computer_of_a_user() as found:
        yield found


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("suite", ["test_machine.py", "test_clusters.py"])
def test_it_keeps_the_promises_of_every_machine_and_cluster(
    computer: Computer, suite: str, request: pytest.FixtureRequest
) -> None:
    before = computer.objects()
    tests = str(Path(__file__).parents[1] / "contract" / suite)
    # kind's nodes need a machine of root's, simulated ones none.
    asked = "not kind and not simulated"
    if suite == "test_clusters.py" and not request.config.getoption("--parity"):
        asked += f" and ({' or '.join(clusters.SMOKE)})"
    words = ("-q", "-p", "no:cacheprovider", "-k", asked, tests)
    result = computer.run("-m", "pytest", *words, LAB_MACHINE="container")
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
    wait_until(lambda: computer.objects() == before, "the container to be gone", within_seconds=60)
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
