"""Locks Python packages with uv: this computer's, else one that pip fetches, its hash checked, into a given folder."""

import os
import re
import shutil
import sys
from pathlib import Path

from labsupport.errors import LabError, RequirementMissing, ToolchainError, UsageError
from labsupport.process.commands import CommandResult, Invocation, Runner
from labsupport.project import Project

NO_NETWORK = re.compile(r"dns error|error sending request|Connection refused|timed out|Network is unreachable", re.I)
UNKNOWN = re.compile(r"No solution found|there is no version of|not found in the package registry", re.I)
# Without these lines a lock says neither where it was made nor where packages come from.
PLAIN = ("--generate-hashes", "--no-header", "--no-annotate", "--quiet")
WITHIN_SECONDS = 600


class Locker:
    """Writes files of requirements with the hash of every package, for all systems at once."""

    def __init__(self, project: Project, runner: Runner, workspace: Path) -> None:
        self._project = project
        self._runner = runner
        self._workspace = workspace

    def lock(self, asked: Path, out: Path, *options: str) -> None:
        """Lock what `asked` lists into `out`; what is locked there stays where it may.

        Raises:
            UsageError: no versions satisfy it.
            RequirementMissing: no network.
            ToolchainError: uv refused for another reason.
        """
        oldest = re.search(r'requires-python = ">=([\d.]+)', (self._project.root / "pyproject.toml").read_text())
        python = ("--python-version", oldest.group(1)) if oldest else ()
        argv = [self._uv(), "pip", "compile", "--universal", *python, *PLAIN, *options, str(asked), "-o", str(out)]
        result = self._runner.run(
            argv, within_seconds=WITHIN_SECONDS, invocation=Invocation(folder=asked.parent, environment=_index())
        )
        if not result.succeeded:
            raise _explain(result)

    def _uv(self) -> str:
        found = shutil.which("uv")
        if found:
            return found
        target = self._workspace / "uv"
        requirements = self._project.root / "toolchain" / "uv-requirements.txt"
        argv = [sys.executable, "-m", "pip", "install", "--no-deps", "--require-hashes", "--no-input", "--quiet"]
        argv += ["--target", str(target), "--requirement", str(requirements)]
        result = self._runner.run(argv, within_seconds=WITHIN_SECONDS)
        if not result.succeeded:
            raise RequirementMissing(
                result.command, result.stderr.strip()[-600:], "connect to the network, or install uv"
            )
        return str(target / "bin" / "uv")


def _index() -> dict[str, str]:
    """Whoever has set a mirror for pip wants it for uv too, which does not read pip's settings."""
    mirror = os.environ.get("PIP_INDEX_URL")
    return {"UV_DEFAULT_INDEX": mirror} if mirror and "UV_DEFAULT_INDEX" not in os.environ else {}


def _explain(result: CommandResult) -> LabError:
    said = result.stderr.strip()[-1500:]
    if NO_NETWORK.search(said):
        return RequirementMissing("uv pip compile", said, "connect to the network; nothing was changed")
    if UNKNOWN.search(said):
        return UsageError("uv pip compile", said, "choose a version that pyproject.toml allows and that is published")
    return ToolchainError("uv pip compile", said, "correct what uv names; nothing was changed")
