"""What `./lab verify` holds a run against: recorded evidence, the ledger, and that settled claims have evidence."""

import shutil
from pathlib import Path

import pytest

from labsupport.backends import Plan
from labsupport.errors import EvidenceError, RequirementMissing, UsageError
from labsupport.experiments.evidence import live_path, read, read_folder, write
from labsupport.notebooks import generate_all
from labsupport.project import Project, this_project
from labsupport.recording import live_there, require_generated, require_recorded, verify


@pytest.fixture(scope="module")
def seen_again(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """This project's ledger and recorded evidence, and a live run that saw the same."""
    original, copy = this_project(), Project(tmp_path_factory.mktemp("seen-again"))
    shutil.copytree(original.recorded_evidence, copy.recorded_evidence)
    shutil.copyfile(original.claims, copy.claims)
    for one in read_folder(copy.recorded_evidence):
        write(one, live_path(copy.live_evidence, one.experiment))
    return copy


@pytest.fixture
def course(seen_again: Project, tmp_path: Path) -> Project:
    """A copy of that, for a test to change."""
    shutil.copytree(seen_again.root, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


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


def test_a_recorded_verdict_changed_by_hand_is_refused_and_its_claim_named(course: Project) -> None:
    path = course.recorded_evidence / "06-dockerfile-instructions" / "override@private.json"
    path.write_text(path.read_text().replace('"verdict": "refuted"', '"verdict": "confirmed"', 1))
    for refuse in (require_recorded, lambda course: verify(course, notebooks(course))):
        with pytest.raises(EvidenceError) as caught:
            refuse(course)
        assert "changed after it was recorded" in caught.value.happened and "df-08" in caught.value.happened
        assert str(path) in caught.value.tried


def test_evidence_of_an_old_schema_is_refused_before_anything_runs(course: Project) -> None:
    path = course.recorded_evidence / "06-dockerfile-instructions" / "override@private.json"
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 0', 1))
    with pytest.raises(EvidenceError, match="schema_version 0, and this program reads 1"):
        require_recorded(course)


def test_a_recorded_verdict_that_a_live_run_does_not_give_again_is_named(course: Project) -> None:
    """Changed with its digest, so that the file looks whole: the run shows it."""
    path = course.recorded_evidence / "06-dockerfile-instructions" / "override@private.json"
    evidence = read(path)
    changed = [record.model_copy(update={"verdict": "confirmed"}) for record in evidence.verdicts]
    write(evidence.model_copy(update={"verdicts": tuple(changed)}), path)
    found = verify(course, notebooks(course))
    assert not found.agrees
    assert "verdict of df-08: recorded confirmed, live refuted" in found.as_text()


def test_what_this_project_recorded_is_as_it_was_recorded(project: Project) -> None:
    require_recorded(project)


def test_notebooks_that_cannot_be_live_there_are_left_out_with_the_reason(project: Project) -> None:
    on_kind = Plan("namespaces", cluster="kind")
    live, others = live_there(project, [], on_kind)
    assert {"07-pv-reclaim", "08-statefulset", "09-claims"} <= set(live)
    assert others.keys() == {"01-cgroup-drivers", "05-cni-plugins"} and all("kind" in why for why in others.values())
    assert live_there(project, ["8"], on_kind) == (["08-statefulset"], {})
    with pytest.raises(RequirementMissing, match="tried on the embedded"):
        live_there(project, ["05"], on_kind)


def test_what_is_recorded_is_what_the_sources_say(tmp_path: Path) -> None:
    course = Project(tmp_path)
    course.sources.mkdir(parents=True)
    source = course.sources / "42-answer.py"
    source.write_text("# %% [markdown]\n# # Answer\n\n# %%\n6 * 7\n")
    generate_all(course)
    require_generated(course)
    source.write_text(source.read_text().replace("6 * 7", "6 * 9"))
    with pytest.raises(UsageError, match=r"42-answer(.|\n)*\./lab generate"):
        require_generated(course)
