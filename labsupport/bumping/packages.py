"""Python packages with another version: the lock, and where one is asked for by name, the least that is asked for.

The lock is for ./lab. Conda and Binder have none: what they install goes by the least version that is asked for.
"""

import re
import shutil
from pathlib import Path

from labsupport.bumping.locking import Locker
from labsupport.bumping.tools import Change
from labsupport.errors import UsageError
from labsupport.process.progress import Progress
from labsupport.project import Project

LOCK = Path("requirements.lock")
PYPROJECT = Path("pyproject.toml")
ASKING = (PYPROJECT, Path("environment.yml"), Path("binder/environment.yml"))


def locked_version(project: Project, name: str) -> str | None:
    """Return the version of a Python package in the lock; None where there is no such package."""
    found = re.search(rf"^{_spelt(name)}==([^\s;]+)", (project.root / LOCK).read_text(), re.MULTILINE | re.IGNORECASE)
    return found.group(1) if found else None


def changed(change: Change, name: str, version: str) -> dict[Path, bytes]:
    """Return the new content of each file that says the version of a package, by its path in the clone.

    Raises:
        UsageError: there is no such version, or pyproject.toml does not allow it.
        RequirementMissing: no network.
        ToolchainError: uv refused.
    """
    root = change.project.root
    with change.workspace() as workspace:
        texts = {path: asking_for(name, version, (root / path).read_text()) for path in ASKING}
        (workspace / PYPROJECT).write_text(texts[PYPROJECT])
        shutil.copy(root / LOCK, workspace / LOCK)
        change.listener(Progress(f"Locking {name} {version}"))
        locker = Locker(Project(root), change.runner, workspace)
        locker.lock(workspace / PYPROJECT, workspace / LOCK, "--all-extras", "--upgrade-package", f"{name}=={version}")
        texts[LOCK] = (workspace / LOCK).read_text()
        if locked_version(Project(workspace), name) != version:
            raise UsageError(
                f"lock {name} {version}",
                f"the lock has {locked_version(Project(workspace), name)}; nothing was changed",
                "see what pyproject.toml and other packages ask for, and write the version as its project does",
            )
    return {path: text.encode() for path, text in texts.items() if text != (root / path).read_text()}


def asking_for(name: str, version: str, text: str) -> str:
    """Return pyproject.toml or environment.yml, asking for no less than `version` where it asks for the package."""
    line = re.compile(
        rf'^(\s*(?:"|- ){_spelt(name)}(?:\[[^\]]*\])?(?:[^"#\n]*,)?>=)[^,"\s]+', re.MULTILINE | re.IGNORECASE
    )
    return line.sub(rf"\g<1>{version}", text)


def _spelt(name: str) -> str:
    """All spellings of a package's name: PyYAML and pyyaml, types-PyYAML and types_pyyaml."""
    return re.sub(r"[-_.]+", "[-_.]", re.sub(r"[^\w.-]", "", name))
