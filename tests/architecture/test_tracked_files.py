"""What is committed: no registry addresses, no paths of somebody's computer, line ends that a shell can read."""

import re
from pathlib import Path

import pytest

from labsupport.process.commands import LocalRunner
from labsupport.project import Project

# Built from parts, so that this file does not name what it forbids.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
        ("crates", "io"),
        ("repo", "maven", "apache", "org"),
    )
]
# A learner is nobody: the account that the course's own images have.
SOMEBODYS_PATH = re.compile(r"/(?:home|Users)/(?!learner/)[a-z]\w+/|/root/\.(?:cache|pyenv|local|config)")


@pytest.fixture(scope="module")
def tracked(project: Project) -> list[Path]:
    if not (project.root / ".git").exists():
        pytest.skip("not a git clone: nothing is tracked here")
    listed = LocalRunner().run(["git", "-C", str(project.root), "ls-files", "-z"]).or_raise()
    return [path for name in listed.stdout.split("\0") if name and (path := project.root / name).is_file()]


def text_of(path: Path) -> str:
    content = path.read_bytes()
    return "" if b"\0" in content[:8000] else content.decode("utf-8", errors="replace")


def test_no_registry_is_named(tracked: list[Path], project: Project) -> None:
    named = [
        f"{path.relative_to(project.root)}: {host}"
        for path in tracked
        for host in REGISTRY_HOSTS
        if host in text_of(path)
    ]
    assert not named


def test_no_path_of_somebodys_computer(tracked: list[Path], project: Project) -> None:
    found = [
        f"{path.relative_to(project.root)}: {match.group()}"
        for path in tracked
        # Unit tests make up homes on purpose, to see them scrubbed.
        if "unit" not in path.parts
        and path.name != Path(__file__).name
        and (match := SOMEBODYS_PATH.search(text_of(path)))
    ]
    assert not found


def test_no_windows_line_ends(tracked: list[Path], project: Project) -> None:
    assert not [path.relative_to(project.root) for path in tracked if "\r\n" in text_of(path)]
    assert "eol=lf" in (project.root / ".gitattributes").read_text()


def test_what_is_started_is_executable(project: Project) -> None:
    for name in ("lab", ".ci/run"):
        assert (project.root / name).stat().st_mode & 0o111 == 0o111, name


def test_nothing_generated_is_tracked(tracked: list[Path], project: Project) -> None:
    relative = [path.relative_to(project.root) for path in tracked]
    assert not {path.parts[0] for path in relative} & {".venv", "build", "work"}
    assert not {part for path in relative for part in path.parts} & {"__pycache__", ".ipynb_checkpoints"}
