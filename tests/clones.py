"""Clones of the project as it is now, changes that nobody has committed included."""

import shutil
from pathlib import Path

from labsupport.project import Project

LEFT_OUT = (".git", ".venv", "build", "work", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache")


def copy_clone(project: Project, target: Path) -> Project:
    """Copy what a fresh clone has, and return it."""
    shutil.copytree(project.root, target, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    return Project(target)
