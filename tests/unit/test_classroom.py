"""What learners hand in, and the page that a class becomes: nothing else of a person, and no file that breaks it."""

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from labsupport.classroom import merge
from labsupport.display.classroom import stops, who_is_where
from labsupport.errors import UsageError
from labsupport.experiments.handing_in import ENDING, HandedIn, collect, hand_in
from labsupport.experiments.progress import ExerciseProgress, JudgedPredictions, NotebookProgress, Progress
from labsupport.project import Project

VERSIONS = {"labs": "0.1.0", "Python": "3.12.1"}
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def progress(*, attempts: int = 1, unmet: str = "", wrong: int = 0) -> Progress:
    rewrite = ExerciseProgress(attempts=attempts, passed=not unmet, unmet=unmet)
    judged = {"CMD: exec": JudgedPredictions(right=1, wrong=wrong)}
    kept = NotebookProgress(predictions=("override",), judged=judged, exercises={"rewrite": rewrite})
    return Progress(notebooks={"06-dockerfile-instructions": kept, "07-pv-reclaim": NotebookProgress()})


def of(learner: str, kept: Progress) -> HandedIn:
    return HandedIn(learner=learner, written=NOON, versions=VERSIONS, progress=kept)


def test_what_is_handed_in_has_the_typed_name_and_nothing_else_of_a_person(tmp_path: Path) -> None:
    file = hand_in(" Ann Ólafs/dóttir ", progress(), VERSIONS, tmp_path)
    assert file.name == f"ann-ólafs-dóttir{ENDING}"
    said = json.loads(file.read_text(encoding="utf-8"))
    assert said.pop("learner") == "Ann Ólafs/dóttir"
    assert {*said} == {"kind", "written", "versions", "progress"}
    text = json.dumps(said)
    assert not [word for word in (os.uname().nodename, str(Path.home()), str(tmp_path)) if word in text]


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "two\nlines", "\x1b[31mred"])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="type a name"):
        hand_in(name, progress(), VERSIONS, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_read_and_what_is_no_such_file_is_named(tmp_path: Path) -> None:
    hand_in("Ann", progress(), VERSIONS, tmp_path)
    whole = (tmp_path / f"ann{ENDING}").read_text()
    (tmp_path / "cut.json").write_text(whole[:100])
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "foreign.json").write_text('{"cells": []}')
    (tmp_path / "negative.json").write_text(whole.replace('"attempts": 1', '"attempts": -1'))
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "large.json").write_text(" " * 1_000_001)
    (tmp_path / "folder").mkdir()
    (tmp_path / "nowhere.json").symlink_to("nothing")
    (tmp_path / ".DS_Store").write_text("")
    found = collect(tmp_path)
    assert [each.learner for each in found.learners] == ["Ann"]
    names = ["cut.json", "empty.json", "folder", "foreign.json", "large.json", "negative.json", "nowhere.json"]
    assert sorted(found.skipped) == [*names, "photo.jpg"]
    assert "attempts" in found.skipped["negative.json"]
    assert all(found.skipped.values())


def test_of_each_learner_the_newest_counts(tmp_path: Path) -> None:
    for place, hours in enumerate((1, 3, 2)):
        made = of("Ann", progress(attempts=hours)).model_copy(update={"written": NOON + timedelta(hours=hours)})
        (tmp_path / f"{place}.json").write_text(made.model_dump_json())
    found = collect(tmp_path)
    (ann,) = found.learners
    assert ann.progress.notebook("06-dockerfile-instructions").exercises["rewrite"].attempts == 3
    assert found.skipped == dict.fromkeys(("0.json", "2.json"), "1.json is newer, and of Ann too")


def test_no_such_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        collect(tmp_path / "none")


def test_the_table_says_who_is_where() -> None:
    learners = [of("Ann", progress()), of("Bo", progress(attempts=4, unmet="small", wrong=2))]
    made = who_is_where(learners, ["06-dockerfile-instructions", "07-pv-reclaim"])
    ann, bo = made.text.splitlines()[-2:]
    assert ann.split()[:4] == ["Ann", "2026-11-26", "✓", "06"]
    assert "rewrite (4 attempts, small)" in bo
    assert bo.split()[-2:] == ["1", "2"]
    assert "07" not in made.text


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(("zone", "day"), [("UTC-8", "2026-11-27"), ("UTC+5", "2026-11-26")], indirect=["zone"])
@pytest.mark.usefixtures("zone")
def test_the_day_is_that_of_the_place_where_the_page_is_made(day: str) -> None:
    late = of("Ann", progress()).model_copy(update={"written": NOON + timedelta(hours=6)})
    early = of("Bo", progress()).model_copy(update={"written": NOON - timedelta(days=9)})
    rows = who_is_where([late, early], []).text.splitlines()[-2:]
    assert [row.split()[:2] for row in rows] == [["Ann", day], ["Bo", "2026-11-17"]]


def test_the_exercise_that_stops_most_people_comes_first() -> None:
    def kept(**exercises: ExerciseProgress) -> Progress:
        return Progress(notebooks={"06-a": NotebookProgress(exercises=exercises)})

    passed, waits = ExerciseProgress(attempts=9, passed=True), ExerciseProgress(attempts=1, unmet="x")
    found = stops([of("Ann", kept(easy=passed, hard=waits)), of("Bo", kept(easy=waits, hard=waits))])
    assert [(one.exercise, one.passed, len(one.waiting)) for one in found] == [("hard", 0, 2), ("easy", 1, 1)]


def test_the_page_has_all_of_it_and_escapes_what_others_wrote(tmp_path: Path) -> None:
    folder = tmp_path / "class"
    folder.mkdir()
    hand_in("<script>alert(1)</script>", progress(attempts=4, unmet="small", wrong=3), VERSIONS, folder)
    (folder / "<img src=x>.json").write_text("{")
    made = merge(Project(tmp_path), folder)
    page = made.path.read_text(encoding="utf-8")
    assert (made.learners, [*made.skipped]) == (1, ["<img src=x>.json"])
    assert "<script" not in page and "<img" not in page
    for part in ("alert(1)", "Who is where", "0 of 1", "small (1)", "3 of 4", "CMD: exec", "1 skipped", "labs 0.1.0"):
        assert part in page, part


def test_a_class_that_handed_in_nothing_has_a_page_too(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir()
    page = merge(Project(tmp_path), tmp_path / "class").path.read_text(encoding="utf-8")
    assert "Nobody has handed in anything yet." in page
