"""The exercise of notebook 02 on a real engine: takes the solution, and leads each wrong answer one step further."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from labsupport.experiments.exercises import Answer, Exercise, faults_of_exercise
from labsupport.lessons.logs import will_not_start
from labsupport.lessons.logs.exercise import ANSWER, FAULTS, FOLDER, Attempt
from labsupport.process.commands import CommandResult, Invocation
from labsupport.process.ownership import Owner
from labsupport.project import this_project
from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.private import start_private_engine
from labsupport.systems.images import Images
from labsupport.systems.inventory import leftovers, take_inventory
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.namespaces import start_namespaces_machine
from labsupport.systems.receivers.receivers import Receivers
from tests.engines import toolchain, tools
from tests.lessons import solution

pytestmark = [pytest.mark.needs("engine"), pytest.mark.timeout(600)]

SLUG = "02-log-drivers"


class AtPlaces:
    """Runs commands for the engine, or on its machine where they say so."""

    def __init__(self, engine: Engine, machine: Machine) -> None:
        self._engine = engine
        self._machine = machine

    def run(
        self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = Invocation()
    ) -> CommandResult:
        if invocation.place != "machine":
            return self._engine.runner.run(argv, within_seconds=within_seconds, invocation=invocation)
        folder = this_project().root / "notebooks"
        inside = replace(invocation, place="", folder=folder)
        return self._machine.runner.run(argv, within_seconds=within_seconds, invocation=inside)


@contextmanager
def machine_with_collectors() -> Iterator[Machine]:
    """A machine whose collectors listen; fails if it leaves anything behind."""
    found = toolchain()
    machine = start_namespaces_machine(
        owner=Owner.this_process(),
        tools=[found.bin_folder("engine"), found.bin_folder("machine"), found.bin_folder("syslog")],
        visible=[found.cache, this_project().root],
    )
    before = take_inventory(machine.name)
    try:
        receivers = Receivers(machine)
        receivers.start(*receivers.names)
        yield machine
    finally:
        machine.close()
    assert [str(thing) for thing in leftovers(machine.name, before)] == []


@pytest.fixture(scope="module")
def places() -> Iterator[AtPlaces]:
    with machine_with_collectors() as machine:
        engine = start_private_engine(machine, tools())
        Images(engine, toolchain()).ensure("lab/toolbox")
        yield AtPlaces(engine, machine)
        engine.close()


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(this_project().assets / SLUG, tmp_path / "assets" / SLUG)
    monkeypatch.chdir(tmp_path)


def write(text: str) -> Callable[[], None]:
    return lambda: ANSWER.write_text(text) and None  # type: ignore[func-returns-value]


@pytest.mark.usefixtures("assets")
def test_it_takes_the_solution_and_refuses_wrong_answers_with_a_step_each(places: AtPlaces) -> None:
    good = solution(SLUG)
    other_port = good.replace("24224", "24226")
    answers = [
        Answer("another wrong port", write(other_port), "it starts"),
        Answer("no container of that name", write(good.replace("--name shop", "--name stall --rm")), "it starts"),
        Answer("json-file instead", write("docker run --name shop lab/toolbox echo x"), "the driver is the same"),
        Answer(
            "connects later", write(other_port.replace(":24226", ":24226 --log-opt fluentd-async=true")),
            "the options it needs are there",
        ),
        Answer("says nothing", write(good.replace("echo the shop is open", "true")), "its line arrives"),
        Answer("the solution", write(good), None),
    ]  # fmt: skip
    exercise: Exercise[Attempt] = will_not_start(places, 0)
    assert faults_of_exercise(exercise, answers) == []
    left = places.run(["docker", "ps", "--all", "--quiet", "--filter", "name=shop"])
    assert left.stdout == ""


@pytest.mark.usefixtures("assets")
@pytest.mark.parametrize("seed", range(1, len(FAULTS)))
def test_every_fault_keeps_its_container_from_starting_and_can_be_mended(places: AtPlaces, seed: int) -> None:
    script = FOLDER / FAULTS[seed].script
    assert places.run(["sh", str(script)]).exit_code == 125
    places.run(["docker", "rm", "--force", "shop"])
    write(FAULTS[seed].mended.made_in(script.read_text()))()
    outcome = will_not_start(places, seed).check()
    assert outcome.passed, outcome
