"""Clones of the project as it is now, changes that nobody has committed included."""

import shutil
from pathlib import Path

from labsupport.project import Project

LEFT_OUT = (".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache")
# Folders of this name further down are the project's own.
LEFT_OUT_AT_THE_TOP = ("build", "work")


def copy_clone(project: Project, target: Path) -> Project:
    """Copy what a fresh clone has, and return it."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        here = LEFT_OUT_AT_THE_TOP if Path(folder) == project.root else ()
        return {name for name in names if name in (*LEFT_OUT, *here)}

    shutil.copytree(project.root, target, ignore=left_out, symlinks=True)
    return Project(target)
