"""Python packages with another version: the lock, and where one is asked for by name, the least that is asked for.

The lock is for ./lab, and the hub's image has one of its own, which agrees with it. Conda and Binder have none: what
they install goes by the least version that is asked for.
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
HUB_ASKING = Path("deploy/jupyterhub/requirements.in")
HUB_LOCK = HUB_ASKING.with_suffix(".lock")
ASKING = (PYPROJECT, Path("environment.yml"), Path("binder/environment.yml"))


def locked_version(project: Project, name: str) -> str | None:
    """Return the version of a Python package in the lock, else in the hub's; None where there is no such package."""
    return _version_in(project.root / LOCK, name) or _version_in(project.root / HUB_LOCK, name)


def _version_in(lock: Path, name: str) -> str | None:
    found = re.search(rf"^{_spelt(name)}==([^\s;]+)", lock.read_text(), re.MULTILINE | re.IGNORECASE)
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
        (workspace / HUB_LOCK.parent).mkdir(parents=True)
        for path in (LOCK, HUB_ASKING, HUB_LOCK):
            shutil.copy(root / path, workspace / path)
        (workspace / PYPROJECT).write_text(texts[PYPROJECT])
        change.listener(Progress(f"Locking {name} {version}"))
        _lock(Locker(Project(root), change.runner, workspace), workspace, name, version)
        texts |= {path: (workspace / path).read_text() for path in (LOCK, HUB_LOCK)}
        if locked_version(Project(workspace), name) != version:
            raise UsageError(
                f"lock {name} {version}",
                f"the lock has {locked_version(Project(workspace), name)}; nothing was changed",
                "see what pyproject.toml and other packages ask for, and write the version as its project does",
            )
    return {path: text.encode() for path, text in texts.items() if text != (root / path).read_text()}


def _lock(locker: Locker, workspace: Path, name: str, version: str) -> None:
    """Lock anew what has the package; the hub has all packages but the tests', at the same versions, and its own."""
    asked, upgrade = workspace / PYPROJECT, ("--upgrade-package", f"{name}=={version}")
    if _version_in(workspace / LOCK, name):
        locker.lock(asked, workspace / LOCK, "--all-extras", *upgrade)
    locker.lock(asked, workspace / HUB_LOCK, str(HUB_ASKING), "--constraint", str(LOCK), *upgrade)


def asking_for(name: str, version: str, text: str) -> str:
    """Return pyproject.toml or environment.yml, asking for no less than `version` where it asks for the package."""
    line = re.compile(
        rf'^(\s*(?:"|- ){_spelt(name)}(?:\[[^\]]*\])?(?:[^"#\n]*,)?>=)[^,"\s]+', re.MULTILINE | re.IGNORECASE
    )
    return line.sub(rf"\g<1>{version}", text)


def _spelt(name: str) -> str:
    """All spellings of a package's name: PyYAML and pyyaml, types-PyYAML and types_pyyaml."""
    return re.sub(r"[-_.]+", "[-_.]", re.sub(r"[^\w.-]", "", name))
