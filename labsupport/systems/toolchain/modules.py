"""Brings one module folder of the toolchain to another version: its go.mod and go.sum. Builds and publishes nothing.

It writes in the folder of its catalogue, so it is given a copy.
"""

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labsupport.errors import LabError, RequirementMissing, ToolchainError, UsageError
from labsupport.process.commands import CommandResult, Invocation
from labsupport.systems.toolchain.builds import NO_NETWORK, BuildRunner, GoBuilds
from labsupport.systems.toolchain.catalogue import Catalogue, Pin

# The last is what a module proxy in a folder says.
UNKNOWN_VERSION = re.compile(
    r"unknown revision|not available|no matching versions|invalid version|not found|40[34] |410 Gone|info: no such file"
)
TOO_OLD_GO = re.compile(r"requires go >= ([\d.]+)")
# What a module's go.mod asks for where its own repository has it, in folders that are also published as modules.
STAGED = "v0.0.0"
WITHIN_SECONDS = 900


class ModuleLock:
    """go.mod and go.sum of the folder that `pin` names, as its catalogue wants them."""

    def __init__(self, catalogue: Catalogue, pin: Pin, builds: GoBuilds, runner: BuildRunner, temporary: Path) -> None:
        self._catalogue = catalogue
        self._pin = pin
        self._runner = runner
        self._go = str(builds.go(pin.module_folder))
        self._folder = catalogue.folder / pin.module_folder
        self._environment = builds.environment(temporary, cgo=False)

    def renew(self, before: Pin) -> None:
        """Require the version that the catalogue names, instead of the one of `before`; complete go.sum.

        Raises:
            UsageError: there is no such version, or it brings another project of the folder along.
            RequirementMissing: no network, or a newer Go is needed.
            ToolchainError: Go refused for another reason.
        """
        self._replace_staged(before)
        self._run("get", self._pin.module)
        # `go get` of a module notes its own sum only; listing what the tools are made of notes the others'.
        tools = [tool.go for tool in self._catalogue.tools.values() if tool.go]
        packages = [tool.package for tool in tools if self._is_here(tool.folder)]
        self._run("list", "-mod=mod", "-deps", *packages)
        self._refuse_companions()

    def _is_here(self, folder: str) -> bool:
        return folder == self._pin.module_folder

    def _replace_staged(self, before: Pin) -> None:
        """Kubernetes' own parts are asked for at v0.0.0: take them at the version they are published with."""
        path, version = self._pin.module.split("@")
        # Outside the folder, whose own go.mod may not be readable any more with the new version.
        described = json.loads(self._run("list", "-m", "-json", self._pin.module, within=self._folder.parent))
        asked = re.findall(rf"^\s*(?:require )?(\S+) {STAGED}$", Path(described["GoMod"]).read_text(), re.MULTILINE)
        old = _published_as(before.module.split("@")[1])
        replaced: list[dict[str, Any]] = json.loads(self._run("mod", "edit", "-json"))["Replace"] or []
        dropped = [each["Old"]["Path"] for each in replaced if each["New"].get("Version") == old]
        edits = [f"-dropreplace={each}" for each in dropped if each not in asked]
        edits += [f"-replace={each}={each}@{_published_as(version)}" for each in asked if each != path]
        if edits:
            self._run("mod", "edit", *edits)

    def _refuse_companions(self) -> None:
        """A folder has one version of each module: raising one may raise another project's, which nobody asked for."""
        lines = self._run("list", "-m", "-f", "{{.Path}}@{{.Version}}", "all").split()
        for pin in self._catalogue.pins.values():
            if not self._is_here(pin.module_folder) or pin.module in lines:
                continue
            path, _, wanted = pin.module.partition("@")
            found = next((line.partition("@")[2] for line in lines if line.startswith(f"{path}@")), "none")
            raise UsageError(
                f"require {self._pin.module} in toolchain/{self._pin.module_folder}",
                f"it comes with {path} {found}, and versions.toml has {pin.name} at {wanted}",
                f"change that one first: ./lab bump {pin.name} {found.removeprefix('v').partition('+')[0]}",
            )

    def _run(self, *words: str, within: Path | None = None) -> str:
        argv = [self._go, *words]
        folder = within or self._folder
        result = self._runner.run(
            argv, within_seconds=WITHIN_SECONDS, invocation=Invocation(folder=folder, environment=self._environment)
        )
        if not result.succeeded:
            raise self._explain(argv, result)
        return result.stdout

    def _explain(self, argv: Sequence[str], result: CommandResult) -> LabError:
        said = f"{result.stderr}{result.stdout}".strip()[-1500:]
        command = f"cd toolchain/{self._pin.module_folder} && {shlex.join(['go', *argv[1:]])[:300]}"
        if NO_NETWORK.search(said):
            return RequirementMissing(
                command, said, "connect to the network (or set GOPROXY to a mirror you reach); nothing was changed"
            )
        if older := TOO_OLD_GO.search(said):
            return RequirementMissing(
                command, said, f"./lab bump go {older.group(1)}, or install that Go; nothing was changed"
            )
        if UNKNOWN_VERSION.search(said):
            return UsageError(
                command, said, f"choose a version that {self._pin.name} has published; nothing was changed"
            )
        return ToolchainError(command, said, "correct what Go names, then run the same command; nothing was changed")


def _published_as(version: str) -> str:
    """Kubernetes 1.37.2 has its parts published as v0.37.2."""
    return re.sub(r"^v\d+\.", "v0.", version)
