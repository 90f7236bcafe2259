"""Notebooks with a cluster in them give the same verdicts on kind: minutes, so only with `./lab test --parity`."""

import pytest

from labsupport.backends import LabOptions, plan
from labsupport.console import execute
from labsupport.lessons.catalog import LESSONS
from labsupport.project import Project
from labsupport.recording import live_there, verify

pytestmark = [pytest.mark.needs("kind"), pytest.mark.timeout(1800)]


def test_kind_gives_the_verdicts_that_are_recorded(project: Project, request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--parity"):
        pytest.skip("only with --parity: it takes minutes")
    options = LabOptions(cluster="kind")
    with_cluster = [one.slug for one in LESSONS if one.needs.nodes]
    live, _ = live_there(project, with_cluster, plan(options))
    results = execute(project, live, options, recording=True)
    assert not {one.slug: one.error for one in results if one.outcome != "passed"}
    found = verify(project, live)
    assert found.verdicts
    assert found.agrees, found.as_text()
