"""A git repository that a machine serves: builds can fetch from it, and it goes with the trial or the machine."""

import pytest

from labsupport.errors import CommandFailed, LabError
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.repositories import Served, serve_repository
from tests.leaks import leak_checked_machine

pytestmark = pytest.mark.needs("root")

ADDRESS = "127.0.0.1"


def fetched(machine: Machine, served: Served) -> str:
    command = f"rm -rf /tmp/clone && git clone --quiet --depth 1 {served.url} /tmp/clone && cat /tmp/clone/notes.txt"
    return machine.runner.run(["sh", "-ec", command]).or_raise().stdout


def test_it_can_be_fetched_and_is_gone_at_the_end() -> None:
    with leak_checked_machine() as machine:
        served = serve_repository(machine, "notes", ADDRESS)
        assert fetched(machine, served) == "from git\n"
        served.end()
        assert not served.daemon.is_running()
        assert not served.folder.exists()
        with pytest.raises(CommandFailed):
            fetched(machine, served)


def test_serving_again_takes_the_place_of_what_somebody_left() -> None:
    with leak_checked_machine() as machine:
        serve_repository(machine, "notes", ADDRESS)
        again = serve_repository(machine, "notes", ADDRESS)
        assert fetched(machine, again) == "from git\n"


def test_an_address_that_is_not_there_is_an_error() -> None:
    with leak_checked_machine() as machine, pytest.raises(LabError):
        serve_repository(machine, "notes", "192.0.2.1")
