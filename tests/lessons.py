"""Exercises of notebooks for tests: their solutions, as a learner would have them, and their files in a folder."""

import shutil
from pathlib import Path

from labsupport.notebooks import solution_in
from labsupport.project import this_project


def solution(slug: str) -> str:
    """The solution in a notebook's source, its comment marks taken off."""
    found = solution_in((this_project().sources / f"{slug}.py").read_text(encoding="utf-8"))
    assert found, f"the source of {slug} has no solution"
    return found


def copy_assets(slug: str, into: Path) -> None:
    """Have a notebook's files where its commands look for them, if they run in `into`."""
    shutil.copytree(this_project().assets / slug, into / "assets" / slug)
