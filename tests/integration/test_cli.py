"""The command line as a person meets it: help that teaches, exit codes, one clear message, a clean stop."""

import json
from pathlib import Path

import pytest

from labsupport.process.commands import CommandResult, LocalRunner
from labsupport.process.ownership import RUN_ROOT_VARIABLE
from labsupport.project import Project

COMMANDS = (
    "start",
    "run",
    "test",
    "doctor",
    "up",
    "status",
    "shell",
    "down",
    "reset",
    "clean",
    "record",
    "verify",
    "bench",
    "bundle",
    "unbundle",
    "class",
    "room",
    "generate",
)


def lab(project: Project, *words: str, within_seconds: float = 150) -> CommandResult:
    return LocalRunner({"COLUMNS": "100"}).run([str(project.root / "lab"), *words], within_seconds=within_seconds)


def test_version_imports_nothing_that_takes_long(project: Project) -> None:
    argv = [str(project.python), "-P", "-X", "importtime", "-m", "labsupport.cli", "--version"]
    result = LocalRunner().run(argv)
    assert result.stdout == f"lab {project.version}\n"
    imported = {line.rsplit("|", 1)[1].strip().partition(".")[0] for line in result.stderr.splitlines() if "|" in line}
    assert "typer" in imported
    assert not imported & {"docker", "IPython", "jsonschema", "kubernetes", "matplotlib", "papermill", "pydantic"}


def test_help_teaches(project: Project) -> None:
    said = lab(project, "--help").stdout
    for word in ("./lab doctor", "./lab start", "work/", "build/report/", "Exit codes", *COMMANDS):
        assert word in said, word


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(project: Project, command: str) -> None:
    result = lab(project, command, "--help")
    assert result.exit_code == 0
    assert "Usage: ./lab" in result.stdout


def test_no_words_show_the_help(project: Project) -> None:
    assert "Commands" in lab(project).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rnu"], "Did you mean 'run'"),
        (["run", "--engine", "podman"], "'replay'"),
        (["run", "--jobs", "0"], "--jobs"),
        (["run", "06", "--nonsense"], "--nonsense"),
        (["run", "dokerfile-instructions"], "did you mean 06-dockerfile-instructions?"),
        (["reset", "nothing-like-it"], "There are: "),
        (["bench", "enigne"], "did you mean engine?"),
        (["bench", "--rounds", "0"], "--rounds"),
        (["class", "/nowhere"], "there is no such folder"),
        (["unbundle", "/nowhere"], "No such file"),
    ],
)
def test_words_it_does_not_know_end_with_2(project: Project, words: list[str], said: str) -> None:
    result = lab(project, *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("words", [["run", "--machine", "vm", "--engine", "own"], ["up", "--engine", "own"]])
def test_what_cannot_be_had_ends_with_3_says_so_and_leaves_nothing(
    project: Project, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setenv(RUN_ROOT_VARIABLE, str(tmp_path))
    result = lab(project, *words)
    assert result.exit_code == 3
    assert [each.name for each in tmp_path.iterdir() if each.name.removeprefix(".gone-").startswith("lab-")] == []
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["Tried", "What happened", "What to do"]


def test_doctor_says_why_for_people_and_programs(project: Project) -> None:
    rows = json.loads(lab(project, "doctor", "--json").stdout)
    assert rows
    for row in rows:
        assert row["because"], row
        assert row["available"] or row["change_it"], row
    assert rows[0]["name"].split()[0] in lab(project, "doctor").stdout


def test_before_a_class_it_says_what_is_live_and_how_many_fit(project: Project) -> None:
    said = lab(project, "doctor", "--class")
    assert said.exit_code == 0, said.stderr
    assert "What is live here" in said.stdout and "To get before class" in said.stdout
    found = json.loads(lab(project, "doctor", "--class", "--json").stdout)
    assert {"notebooks", "missing", "rooms", "labs", "minutes"} <= found.keys()
    assert len(found["notebooks"]) == 10


def test_a_class_has_one_page(project: Project, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff")
    made = lab(project, "class", str(tmp_path))
    assert made.exit_code == 0, made.stderr
    assert "skipped  photo.jpg" in made.stdout and "Learners: 0. Files skipped: 1." in made.stdout
    assert (project.root / "build/class/index.html").exists()


def test_status_is_json_for_programs(project: Project) -> None:
    assert isinstance(json.loads(lab(project, "status", "--json").stdout), list)


def test_generated_notebooks_are_up_to_date(project: Project) -> None:
    assert lab(project, "generate").stdout == "All was up to date.\n"
