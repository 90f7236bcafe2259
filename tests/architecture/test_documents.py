"""What the documents point at exists, and they name no command that the command line lacks."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from labsupport.cli import app
from labsupport.documents import documents
from labsupport.project import Project, this_project

DOCUMENTS = sorted([*this_project().root.glob("*.md"), *(this_project().root / "docs").rglob("*.md")])
LINK = re.compile(r"!?\[([^\]]*)\]\(([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = [target for _, target in LINK.findall(document.read_text()) if "://" not in target]
    assert not [target for target in targets if not (document.parent / target).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_pictures_have_a_description(document: Path) -> None:
    assert not re.findall(r"!\[\s*\]\(", document.read_text())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist(document: Path) -> None:
    known = set(get_command(app).commands)
    named = set(re.findall(r"\./lab ([a-z]+)", document.read_text()))
    assert named <= known


def test_generated_pages_are_up_to_date(project: Project) -> None:
    outdated = [path.name for path, text in documents(project).items() if path.read_text(encoding="utf-8") != text]
    assert not outdated, "run ./lab generate"


def test_the_readme_gives_the_commands_that_ci_runs(project: Project) -> None:
    readme = (project.root / "README.md").read_text()
    assert "\n./lab run " in readme
    assert "\n./lab test " in readme
    assert (project.root / ".ci/run").read_text().splitlines()[-1] == "./lab test"


def test_the_changelog_and_licence_are_there(project: Project) -> None:
    assert "BSD 3-Clause" in (project.root / "LICENSE").read_text()
