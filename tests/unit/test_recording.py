"""What `./lab verify` holds a run against: recorded evidence, the ledger, and that settled claims have evidence."""

import shutil
from pathlib import Path

import pytest

from labsupport.experiments.evidence import live_path, read_folder, write
from labsupport.project import Project, this_project
from labsupport.recording import verify


@pytest.fixture
def course(tmp_path: Path) -> Project:
    """This project's ledger and recorded evidence, and a live run that saw the same."""
    original, copy = this_project(), Project(tmp_path)
    shutil.copytree(original.recorded_evidence, copy.recorded_evidence)
    shutil.copyfile(original.claims, copy.claims)
    for one in read_folder(copy.recorded_evidence):
        write(one, live_path(copy.live_evidence, one.experiment))
    return copy


def notebooks(course: Project) -> list[str]:
    return sorted(path.name for path in course.recorded_evidence.iterdir())


def test_every_settled_claim_has_recorded_evidence_that_agrees(course: Project) -> None:
    found = verify(course, notebooks(course))
    assert found.agrees, found.as_text()
    assert found.verdicts


def test_a_settled_claim_without_evidence_is_named(course: Project) -> None:
    for folder in (course.recorded_evidence, course.live_evidence):
        for path in folder.rglob("override*.json"):
            path.unlink()
    found = verify(course, notebooks(course))
    assert not found.agrees
    assert "without evidence: df-08" in found.as_text()
    assert [one for one in found.as_data()["unsupported"] if one.startswith("df-08")]


def test_a_verdict_that_is_not_the_ledgers_is_named(course: Project) -> None:
    text = course.claims.read_text()
    before, _, after = text.partition("- id: df-08\n")
    course.claims.write_text(f"{before}- id: df-08\n{after.replace('verdict: refuted', 'verdict: confirmed', 1)}")
    found = verify(course, notebooks(course))
    assert not found.agrees
    assert "against the ledger: df-08" in found.as_text()
