"""Notebooks elsewhere than on the lab's own engine and cluster: minutes, so only with `./lab test --parity`."""

import pytest

from labsupport.backends import LabOptions, plan
from labsupport.console import execute
from labsupport.lessons.catalog import LESSONS
from labsupport.project import Project
from labsupport.recording import live_there, verify
from labsupport.systems.clusters.kind import have_node_image
from tests.computers import computer_of_a_user
from tests.engines import toolchain

pytestmark = [pytest.mark.needs("kind"), pytest.mark.timeout(3600)]
# What an engine or a cluster may leave on a computer: rules, routes, mounts, settings of its network.
LOOK = """
iptables-save | grep '^-A' | sort
ip route
cut -d' ' -f2,3 /proc/mounts
sysctl net.ipv4.ip_forward net.bridge
"""


@pytest.fixture(autouse=True)
def only_where_asked_for(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--parity"):
        pytest.skip("only with --parity: it takes minutes")


def test_kind_gives_the_verdicts_that_are_recorded(project: Project) -> None:
    options = LabOptions(cluster="kind")
    with_cluster = [one.slug for one in LESSONS if one.needs.nodes]
    live, _ = live_there(project, with_cluster, plan(options))
    results = execute(project, live, options, recording=True)
    assert not {one.slug: one.error for one in results if one.outcome != "passed"}
    found = verify(project, live)
    assert found.verdicts
    assert found.agrees, found.as_text()


@pytest.mark.needs("root", "machine", "engine")
def test_every_notebook_passes_on_an_engine_of_the_users_with_kind_and_leaves_it_as_it_was() -> None:
    """The user is not root; what cannot be live there is shown from recorded evidence."""
    have_node_image(toolchain())  # the computer's user may not write in this cache
    with computer_of_a_user() as computer:
        clone = computer.clone()
        look = ["sh", "-c", LOOK]
        before, seen = computer.engine.snapshot(), computer.machine.runner.run(look).or_raise().stdout
        words = ("-P", "-m", "labsupport.cli", "run", "--engine", "own", "--cluster", "kind")
        result = computer.run(*words, within_seconds=3000, PYTHONPATH=clone)
        assert result.succeeded, result.stdout
        assert f"{len(LESSONS)} of {len(LESSONS)} notebooks passed" in result.stdout
        assert computer.engine.snapshot() == before
        assert computer.machine.runner.run(look).or_raise().stdout == seen
