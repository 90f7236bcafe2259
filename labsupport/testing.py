"""Runs the project's own checks: style, types, layers, then the tests. Owns their order and what they need."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from labsupport.backends import LabOptions
from labsupport.errors import RequirementMissing
from labsupport.keeping import needs_of, prepare
from labsupport.lessons.needs import Needs
from labsupport.process.commands import Invocation, LocalRunner
from labsupport.process.progress import Listener, Progress
from labsupport.project import Project

CHROMIUM_MEGABYTES = 400
# What tests run on beside what the notebooks need, where this user can have it.
TESTED = Needs(
    engine=True,
    nodes=1,
    images=("lab/toolbox", "lab/agnhost", "lab/debian"),
    engines=("old", "systemd"),
    tools=("kind", "checks"),
)
TESTED_IN_A_VIRTUAL_MACHINE = Needs(engine=True, nodes=1, images=("lab/toolbox", "lab/agnhost"))
# A test file waits as often as it computes: three at once, in the order that tests/conftest.py gives them.
FILES_AT_ONCE = ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")


@dataclass(frozen=True)
class Check:
    """One step of `./lab test`: what it proves and the command that does."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True)
class CheckResult:
    name: str
    seconds: float
    exit_code: int


def run_checks(
    project: Project, pytest_arguments: Sequence[str], *, show: Callable[[str], None], listener: Listener
) -> list[CheckResult]:
    """Run every check and return what each left; with arguments for pytest, run only pytest with them.

    Args:
        show: gets the checks' output line by line.
    """
    if not pytest_arguments:
        ensure_browser(listener)
        # Here, where it is told and may take minutes; a test would run out of time.
        prepare(LabOptions(), TESTED | needs_of(), listener)
    elif "--vm" in pytest_arguments:  # in there nothing can be got
        prepare(LabOptions(machine="namespaces"), TESTED_IN_A_VIRTUAL_MACHINE, listener)
    results = []
    for check in _checks(project, pytest_arguments):
        listener(Progress(f"{check.name}: {' '.join(check.argv[1:])}"))
        result = LocalRunner(_environment(project)).stream(check.argv, show, invocation=Invocation(folder=project.root))
        results.append(CheckResult(check.name, result.seconds, result.exit_code))
    return results


def ensure_browser(listener: Listener) -> None:
    """Install Debian's Chromium for the browser tests when we may; without it they skip and say so.

    Raises:
        RequirementMissing: LAB_REQUIRE lists the browser and it can't be had.
    """
    if shutil.which("chromium"):
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        size = f"about {CHROMIUM_MEGABYTES} MB on disk, 1 minute"
        listener(Progress(f"Installing Debian's chromium for the browser tests ({size}): {' '.join(command)}"))
        runner = LocalRunner({"DEBIAN_FRONTEND": "noninteractive"})
        if runner.run(command, within_seconds=900).succeeded:
            return
        runner.run(["apt-get", "update"], within_seconds=300)
        if runner.run(command, within_seconds=900).succeeded:
            return
    if "browser" in os.environ.get("LAB_REQUIRE", "").split(","):
        raise RequirementMissing("find chromium on PATH", "it is not installed", f"sudo {' '.join(command)}")


def _checks(project: Project, pytest_arguments: Sequence[str]) -> list[Check]:
    programs = project.python.parent
    root = str(project.root)
    words = pytest_arguments or [*FILES_AT_ONCE, root]
    tests = Check("tests", (str(project.python), "-P", "-m", "pytest", "--rootdir", root, *words))
    if pytest_arguments:
        return [tests]
    return [
        Check("lint", (str(programs / "ruff"), "check", root)),
        Check("format", (str(programs / "ruff"), "format", "--check", root)),
        Check("types", (str(programs / "mypy"), "--config-file", f"{root}/pyproject.toml")),
        Check("layers", (str(programs / "lint-imports"), "--config", f"{root}/pyproject.toml")),
        tests,
    ]


def _environment(project: Project) -> Mapping[str, str]:
    return {"PATH": f"{project.python.parent}{os.pathsep}{os.environ.get('PATH', '')}", "PYTHONUNBUFFERED": "1"}
