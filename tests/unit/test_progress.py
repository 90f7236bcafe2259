"""Progress is small, survives, and has nothing personal in it."""

import json
from pathlib import Path

import pytest

from labsupport.errors import EvidenceError
from labsupport.experiments.progress import Progress, ProgressFile


@pytest.fixture
def file(tmp_path: Path) -> ProgressFile:
    return ProgressFile(tmp_path / "deep" / "progress.json")


def test_nothing_yet(file: ProgressFile) -> None:
    assert file.read() == Progress()
    assert not file.path.exists()


def test_predictions_and_attempts_are_kept(file: ProgressFile) -> None:
    file.predicted("06-dockerfile/override")
    file.predicted("06-dockerfile/last-cmd")
    file.predicted("06-dockerfile/override")
    file.attempted("06-dockerfile", "rewrite", unmet="small")
    file.attempted("06-dockerfile", "rewrite", unmet=None)
    file.attempted("06-dockerfile", "rewrite", unmet="no secret")
    for right in (True, False, False):
        file.judged("06-dockerfile", "CMD: exec", right=right)
    kept = ProgressFile(file.path).read().notebook("06-dockerfile")
    assert kept.predictions == ("last-cmd", "override")
    assert kept.exercises["rewrite"].model_dump() == {"attempts": 3, "passed": True, "unmet": "no secret"}
    assert kept.judged["CMD: exec"].model_dump() == {"right": 1, "wrong": 2}


def test_the_file_holds_names_and_counts_only(file: ProgressFile) -> None:
    file.predicted("06-dockerfile/override")
    file.attempted("06-dockerfile", "rewrite", unmet=None)
    file.judged("06-dockerfile", "CMD: exec", right=True)
    assert json.loads(file.path.read_text()) == {
        "schema_version": 1,
        "notebooks": {
            "06-dockerfile": {
                "predictions": ["override"],
                "judged": {"CMD: exec": {"right": 1, "wrong": 0}},
                "exercises": {"rewrite": {"attempts": 1, "passed": True, "unmet": ""}},
            }
        },
    }


def test_one_notebook_or_all_can_be_forgotten(file: ProgressFile) -> None:
    file.predicted("06-a/x")
    file.predicted("07-b/y")
    file.forget("06-a")
    assert (file.read().notebook("06-a").predictions, file.read().notebook("07-b").predictions) == ((), ("y",))
    file.forget()
    assert file.read() == Progress()


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 2}', '{"who": "ann"}', "\udcff"])
def test_a_broken_file_is_named_and_left_alone(file: ProgressFile, text: str) -> None:
    file.path.parent.mkdir()
    file.path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(EvidenceError, match="move the file away"):
        file.predicted("06-a/x")
    assert file.path.read_bytes() == text.encode(errors="surrogateescape")
