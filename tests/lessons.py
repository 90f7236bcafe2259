"""Exercises of notebooks for tests: their solutions, as a learner would have them, and their files in a folder."""

import re
import shutil
from pathlib import Path

from labsupport.project import this_project


def solution(slug: str) -> str:
    """The solution in a notebook's source, its comment marks taken off."""
    source = (this_project().sources / f"{slug}.py").read_text(encoding="utf-8")
    found = re.search(r"### BEGIN SOLUTION\n(.*?)^# ### END SOLUTION", source, re.DOTALL | re.MULTILINE)
    assert found, f"the source of {slug} has no solution"
    return "".join(f"{line.removeprefix('# ')}\n" for line in found[1].splitlines())


def copy_assets(slug: str, into: Path) -> None:
    """Have a notebook's files where its commands look for them, if they run in `into`."""
    shutil.copytree(this_project().assets / slug, into / "assets" / slug)
