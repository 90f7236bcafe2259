"""All notebooks, live, once: every cell passes, the ledger holds, evidence agrees, the report shows it."""

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labsupport.console import execute
from labsupport.notebooks import all_notebooks
from labsupport.project import Project
from labsupport.recording import Verification, verify
from labsupport.running import write_report

if TYPE_CHECKING:
    from labsupport.display.report import ExecutedNotebook

pytestmark = [pytest.mark.needs("engine", "cluster"), pytest.mark.timeout(5400)]


@dataclass(frozen=True)
class LiveRun:
    results: "Sequence[ExecutedNotebook]"
    verification: Verification
    page: Path


@pytest.fixture(scope="session")
def live(project: Project) -> LiveRun:
    """Run all notebooks as `./lab verify` does. Nothing else in the suite executes them live.

    One after the other, as other tests run meanwhile. A notebook that failed is run again, and what failed first
    becomes a warning.
    """
    from labsupport.backends import LabOptions

    options = LabOptions(engine="private")
    results = execute(project, [], options, jobs=1, recording=True)
    for failed in [one for one in results if one.outcome != "passed"]:
        warnings.warn(f"{failed.slug} failed, and is run again: {failed.error}", stacklevel=1)
        (again,) = execute(project, [failed.slug], options, jobs=1, recording=True)
        results = [again if one is failed else one for one in results]
    verification = verify(project, [one.slug for one in results])
    return LiveRun(results, verification, write_report(project, results))


def test_every_notebook_passes(live: LiveRun, project: Project) -> None:
    assert [one.slug for one in live.results] == [one.slug for one in all_notebooks(project)]
    errors = [f"{one.slug}:\n{one.error}" for one in live.results if one.outcome != "passed"]
    assert not errors, "\n\n".join(errors)
    assert all(one.cells_done == one.cells > 0 for one in live.results)


def test_what_was_seen_agrees_with_what_is_recorded_and_with_the_ledger(live: LiveRun) -> None:
    assert live.verification.agrees, live.verification.as_text()


def test_a_recorded_verdict_changed_by_hand_is_found(live: LiveRun, project: Project, tmp_path: Path) -> None:
    """The control: the comparison above can fail."""
    from labsupport.experiments.comparison import compare_folders
    from labsupport.experiments.evidence import read_folder, recorded_path, write

    changed = tmp_path / "evidence"
    shutil.copytree(project.recorded_evidence, changed)
    evidence = next(one for one in read_folder(changed) if one.verdicts)
    other = "refuted" if evidence.verdicts[0].verdict == "confirmed" else "confirmed"
    verdicts = (evidence.verdicts[0].model_copy(update={"verdict": other}), *evidence.verdicts[1:])
    path = recorded_path(changed, evidence.experiment, evidence.backend)
    write(evidence.model_copy(update={"verdicts": verdicts}), path)
    found = [one for one in compare_folders(changed, project.live_evidence, [evidence.notebook]) if one.matters]
    assert evidence.verdicts[0].claim in {one.where for one in found}


def test_the_report_shows_every_notebook_and_verdict(live: LiveRun) -> None:
    pages = "\n".join(page.read_text() for page in live.page.parent.glob("*.html"))
    for one in live.results:
        assert one.slug in pages
    for claim in live.verification.ledger.claims:
        if claim.verdict:
            assert claim.id in pages
