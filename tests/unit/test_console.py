"""What a run says at its end: how much of it was live, and what would have more of it live."""

import shutil
from datetime import date
from pathlib import Path

import pytest

from labsupport.backends import LabOptions
from labsupport.console import in_numbers, summarise
from labsupport.display.report import ExecutedNotebook
from labsupport.experiments.evidence import Evidence, Provenance, VerdictRecord, live_path, recorded_path, write
from labsupport.outlook import how_to_have_more_live
from labsupport.project import Project


def evidence(experiment: str) -> Evidence:
    seen_on = Provenance(kernel="Linux 6.18", engine="Docker 29.0.1")
    verdicts = (VerdictRecord(claim="df-08", verdict="refuted", alternatives={}),)
    day = date(2026, 11, 23)
    return Evidence(
        experiment=experiment,
        backend="private",
        recorded=day,
        provenance=seen_on,
        settles=("df-08",),
        verdicts=verdicts,
    )


def ran(project: Project, slug: str) -> ExecutedNotebook:
    path = project.build / f"{slug}.ipynb"
    return ExecutedNotebook(slug, slug, path, "passed", seconds=1.0, cells=3, cells_done=3)


@pytest.fixture
def mixed(tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A clone where 00 ran live, 04 in part, and 06 from recorded evidence."""
    made = Project(tmp_path)
    (tmp_path / "labsupport").mkdir()
    made.notebooks.mkdir()
    shutil.copy(project.root / "labsupport/VERSION", tmp_path / "labsupport")
    shutil.copy(project.claims, made.claims)
    for experiment in ("00-a/one", "04-b/one"):
        write(evidence(experiment), live_path(made.live_evidence, experiment))
    for experiment in ("04-b/two", "06-c/one"):
        write(evidence(experiment), recorded_path(made.recorded_evidence, experiment, "private"))
    monkeypatch.setenv("PATH", str(tmp_path))  # as on no Debian, where no user can have a machine
    return made


def test_each_notebook_says_whether_it_was_live_and_the_last_line_how_many_were(
    mixed: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [ran(mixed, slug) for slug in ("00-a", "04-b", "06-c", "09-d")]
    assert summarise(mixed, results, LabOptions()) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.partition("1.0 s")[2] for line in said[:4]] == ["  live", "  live, recorded", "  recorded", ""]
    assert (
        "4 of 4 notebooks passed: 1 live, 1 partly from recorded evidence, 1 from recorded evidence, "
        "1 needing no lab. Report: " in said[4]
    )
    assert "To have more of it live: use Debian or Ubuntu" in said[5]


def test_nothing_is_said_of_more_where_all_was_live(mixed: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert summarise(mixed, [ran(mixed, "00-a")], LabOptions()) == 0
    assert "more of it live" not in capsys.readouterr().out


def test_what_was_asked_for_needs_no_advice(mixed: Project) -> None:
    assert how_to_have_more_live(LabOptions(engine="replay")) == ""
    assert "recorded evidence" not in how_to_have_more_live(LabOptions())


def test_where_nothing_passed_nothing_is_counted() -> None:
    assert in_numbers([]) == ""
