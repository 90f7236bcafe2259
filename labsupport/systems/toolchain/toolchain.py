"""Gets the programs a lab needs: PATH → cache → official release → Go build, and Debian's unpacked packages."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from labsupport.errors import RequirementMissing, ToolchainError, UsageError, WaitExpired
from labsupport.process.commands import LocalRunner
from labsupport.process.progress import Listener, Progress, silent
from labsupport.systems.toolchain.builds import BuildRunner, GoBuilds
from labsupport.systems.toolchain.catalogue import Catalogue, Platform, Tool, read_catalogue
from labsupport.systems.toolchain.debian import AptGet, environment_for, program_in, write_wrappers
from labsupport.systems.toolchain.releases import Releases, ReleaseUnusableError
from labsupport.systems.toolchain.store import KEEP_VARIABLE, Provenance, Store, cache_folder

# Where programs are that an ordinary user's PATH does not list.
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True)
class DirectAccess:
    """Programs without wrappers: a folder of links to the files themselves, and the environment they need."""

    folder: Path
    environment: dict[str, str]


class Toolchain:
    """Finds and gets tools. Names are those of tools and groups in toolchain/versions.toml.

    Every call that needs a tool gets it first where it is missing, so `ensure` is only for doing that at a chosen time.
    Unless it `uses_path`, what PATH has counts for nothing: all is in the cache.
    """

    def __init__(
        self,
        cache: Path | None = None,
        runner: BuildRunner | None = None,
        listener: Listener = silent,
        *,
        catalogue: Catalogue | None = None,
        uses_path: bool = True,
    ) -> None:
        self.cache = cache or cache_folder()
        self._runner = runner or LocalRunner()
        self._listener = listener
        self._catalogue = catalogue or read_catalogue()
        self._uses_path = uses_path
        self.store = Store(self.cache)
        self._platform = Platform.here()
        self._found: dict[str, Path] = {}

    def ensure(self, *names: str) -> None:
        """Have all tools of `names`; return at once where they are there.

        Raises:
            UsageError: no tool and no group has such a name.
            RequirementMissing: something only the user can provide; the message says how.
            ToolchainError: a tool could be had in none of the ways there are.
        """
        if not self._missing(names):
            return
        with self.store.alone(self._listener), self.store.workspace() as workspace:
            missing = self._missing(names)  # again: while we waited, another lab may have added them
            self._require_platform(missing)
            self._unpack({tool.debian.set for tool in missing if tool.debian})
            self._build(self._download([tool for tool in missing if tool.go], workspace), workspace)

    def missing(self, *names: str) -> list[str]:
        """Return the tools of `names` that `ensure` would have to get."""
        return [tool.name for tool in self._missing(names)]

    def path(self, name: str) -> Path:
        """Return the file of one tool."""
        self.ensure(name)
        tool = self._catalogue.tools.get(name)
        if tool is None:
            raise UsageError(f"path of {name!r}", "that is a group of tools", f"bin_folder({name!r}) has them all")
        return self._found[name]

    def bin_folder(self, *names: str) -> Path:
        """Return a folder, for PATH, with exactly the tools of `names` under the names of their commands."""
        self.ensure(*names)
        tools = self._catalogue.expand(names)
        return self._links(names, {tool: self._found[tool.name] for tool in tools})

    def direct(self, *names: str) -> DirectAccess:
        """Return the tools of `names` without the wrappers that unpacked ones have, as they start faster."""
        self.ensure(*names)
        targets: dict[Tool, Path] = {}
        environment: dict[str, str] = {}
        for tool in self._catalogue.expand(names):
            targets[tool] = self._found[tool.name]
            if tool.debian and (folder := self._unpacked_folder(tool.debian.set)) in self._found[tool.name].parents:
                targets[tool] = program_in(folder / "root", tool.debian.program)
                environment |= environment_for(folder / "root")
        return DirectAccess(self._links((*names, "direct"), targets), environment)

    def debian_root(self, debian_set: str) -> Path:
        """Return the folder that a set of Debian packages is unpacked in, laid out as it would be under /."""
        if debian_set not in self._catalogue.debian:
            known = ", ".join(self._catalogue.debian)
            raise UsageError(f"unpack the set {debian_set!r}", "there is no such set", f"use one of {known}")
        if not self._unpacked_folder(debian_set).is_dir():
            with self.store.alone(self._listener):
                self._unpack({debian_set})
        return self._unpacked_folder(debian_set) / "root"

    def published_file(self, name: str) -> Path:
        """Return a file of versions.toml that is no program, such as a manifest; downloaded and verified once.

        Raises:
            RequirementMissing: it cannot be downloaded, or what is there now is not what was noted.
        """
        file, target = self._catalogue.files[name], self._place_of_file(name)
        if not target.exists():
            with self.store.alone(self._listener), self.store.publishing("files", target.parent.name) as half_made:
                try:
                    Releases(self._platform, self._listener).fetch_file(file, half_made / target.name)
                except ReleaseUnusableError as error:
                    raise RequirementMissing(
                        f"download {name} {file.version}",
                        str(error),
                        "try again where the internet can be reached; a file that changed needs a new version here",
                    ) from error
        return target

    def version_of_file(self, name: str) -> str:
        """Return the version of a file that `published_file` gets."""
        return self._catalogue.files[name].version

    def url_of_missing_file(self, name: str) -> str:
        """Return where `published_file` would download a file from; empty where it is in the cache."""
        file = self._catalogue.files[name]
        return "" if self._place_of_file(name).exists() else file.url.format(version=file.version)

    def debian_versions(self, debian_set: str) -> dict[str, str]:
        """Return the version of each package that a set was unpacked from, libraries included."""
        versions = (self.debian_root(debian_set).parent / "packages.json").read_text()
        return {str(name): str(version) for name, version in json.loads(versions).items()}

    def folders(self, *names: str) -> list[Path]:
        """Return the folders of the cache that the tools of `names` are in, without those that PATH has."""
        self.ensure(*names)
        tools = [tool for tool in self._catalogue.expand(names) if self.cache in self._found[tool.name].parents]
        unpacked = {self._unpacked_folder(tool.debian.set) for tool in tools if tool.debian}
        return sorted({*unpacked, *(self._found[tool.name].parent for tool in tools if tool.go)})

    def renew_wrappers(self, area: str, key: str, half_made: Path) -> None:
        """Write anew the wrappers in a set of Debian packages that came from another cache; others have none."""
        sets = {self._unpacked_folder(name).name: name for name in self._catalogue.debian}
        if area == self._debian_area() and key in sets:
            write_wrappers(half_made, self._tools_of(sets[key]), published=self.cache / area / key)

    def provenance(self, name: str) -> Provenance:
        """Return which version of a tool this is, and where it is from."""
        path = self.path(name)
        tool = self._catalogue.tools[name]
        if self.cache not in path.parents:
            return Provenance(name, tool.version or self._own_version(path), str(path), "path")
        if tool.debian:
            version = self.debian_versions(tool.debian.set)[tool.debian.package]
            return Provenance(name, version, tool.debian.package, "Debian package")
        return self.store.read_provenance(path.parent)

    def _place_of_file(self, name: str) -> Path:
        file = self._catalogue.files[name]
        key = f"{name}-{file.version}-{file.sha256[:12]}"
        return self.cache / "files" / key / Path(file.url).name.format(version=file.version)

    def _missing(self, names: tuple[str, ...]) -> list[Tool]:
        missing = []
        for tool in self._catalogue.expand(names):
            path = self._found.get(tool.name) or self._on_path(tool) or self._in_cache(tool)
            if path and path.is_file():
                self._found[tool.name] = path
            else:
                missing.append(tool)
        return missing

    def _on_path(self, tool: Tool) -> Path | None:
        if not self._uses_path or (tool.debian and tool.debian.always) or (tool.go and not tool.says):
            return None
        folders = [*os.environ.get("PATH", "").split(":"), *SYSTEM_FOLDERS]
        # `./lab shell` has our own folders on PATH: what is found there is no find.
        others = [folder for folder in folders if not Path(folder).is_relative_to(self.cache)]
        found = shutil.which(tool.command, path=":".join(others))
        if found is None or tool.version is None:
            return Path(found) if found else None
        try:
            answer = self._runner.run([found, *tool.says], within_seconds=60)
        except WaitExpired:
            return None  # it does not say which it is: ours, then
        same = re.search(rf"(?<![\d.]){re.escape(tool.version)}(?![\w.+-])", answer.stdout + answer.stderr)
        return Path(found) if answer.succeeded and same else None

    def _in_cache(self, tool: Tool) -> Path:
        if tool.debian:
            return self._unpacked_folder(tool.debian.set) / "bin" / tool.command
        return self.cache / self._area() / self._catalogue.key(tool) / tool.command

    def _area(self) -> str:
        return f"tools/{self._platform}"

    def _require_platform(self, tools: Sequence[Tool]) -> None:
        elsewhere = [tool.name for tool in tools if self._platform.os not in tool.systems]
        if elsewhere:
            raise RequirementMissing(
                f"get {', '.join(elsewhere)} for {self._platform}",
                "they run on Linux only",
                "start Docker Desktop, then run the same command with --machine container",
            )

    def _unpack(self, sets: set[str]) -> None:
        for name in sorted(sets):
            folder = self._unpacked_folder(name)
            if folder.is_dir():
                continue
            debian_set = self._catalogue.debian[name]
            self.store.require_space(debian_set.megabytes, f"unpack {', '.join(debian_set.packages)}")
            tools = self._tools_of(name)
            with self.store.publishing(self._debian_area(), folder.name) as half_made:
                versions = AptGet(self._runner, self._listener).unpack(debian_set, half_made)
                write_wrappers(half_made, tools, published=folder)
                (half_made / "packages.json").write_text(json.dumps(versions, indent=2) + "\n")
            for tool in tools:
                self._found.setdefault(tool.name, folder / "bin" / tool.command)

    def _unpacked_folder(self, name: str) -> Path:
        tools = self._tools_of(name)
        digest = hashlib.sha256(f"{self._catalogue.debian[name].packages} {tools}".encode()).hexdigest()
        return self.cache / self._debian_area() / f"{name}-{digest[:12]}"

    def _tools_of(self, debian_set: str) -> list[Tool]:
        return [tool for tool in self._catalogue.tools.values() if tool.debian and tool.debian.set == debian_set]

    def _debian_area(self) -> str:
        release = Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""
        codename = re.search(r"^VERSION_CODENAME=(\w+)$", release, re.MULTILINE)
        return f"debian/{codename.group(1) if codename else 'unknown'}-{self._platform.arch}"

    def _download(self, tools: list[Tool], workspace: Path) -> list[Tool]:
        """Take from official releases what is there; return the rest."""
        releases = Releases(self._platform, self._listener)
        rest = []
        for tool in tools:
            fetched = releases.fetch(tool, workspace)
            if fetched:
                self._publish(tool, fetched[0], Provenance(tool.name, tool.version or "", fetched[1], "release"))
            else:
                rest.append(tool)
        return rest

    def _build(self, tools: list[Tool], workspace: Path) -> None:
        if not tools:
            return
        tools = self._with_those_beside(tools)
        builds = GoBuilds(self._catalogue, self.store, self._runner, self._listener)
        builds.prepare(tools)
        for folder, members in groupby(sorted(tools, key=_folder), key=_folder):
            of_folder = list(members)
            programs = builds.build(folder, of_folder, workspace)
            for tool in of_folder:
                assert tool.go is not None
                made = Provenance(tool.name, tool.version or "", tool.go.module, "built here")
                sources = builds.folder_of_module(tool.go)
                self._publish(tool, programs[tool.go.package], made, [sources / name for name in tool.beside])
        if not os.environ.get(KEEP_VARIABLE):
            self.store.remove_build_area()

    def _with_those_beside(self, tools: Sequence[Tool]) -> list[Tool]:
        """Add what is built in the same folders: little work beside them, all of it again at a later time."""
        folders = {tool.go.folder for tool in tools if tool.go}
        built_there = (tool for tool in self._catalogue.tools.values() if tool.go and tool.go.folder in folders)
        here = [tool for tool in built_there if self._platform.os in tool.systems]
        return [tool for tool in here if tool in tools or not self._in_cache(tool).is_file()]

    def _publish(self, tool: Tool, program: Path, provenance: Provenance, beside: Sequence[Path] = ()) -> None:
        if not program.is_file():
            raise ToolchainError(
                f"build {tool.name}", f"{program.name} was not made", "correct `package` in versions.toml"
            )
        key = self._catalogue.key(tool)
        self._found[tool.name] = self.store.publish_tool(
            self._area(), key, program, provenance, tool.command, beside=beside
        )
        self._listener(Progress(f"{tool.name} {tool.version} is in the cache ({provenance.source}).", 1.0))

    def _links(self, names: tuple[str, ...], targets: dict[Tool, Path]) -> Path:
        commands: dict[str, Path] = {}
        for tool, path in targets.items():
            if tool.command in commands:
                raise UsageError(
                    f"put {', '.join(names)} on one PATH",
                    f"two of them are called {tool.command}",
                    "use a folder for each",
                )
            commands[tool.command] = path
        digest = hashlib.sha256(repr(sorted(commands.items())).encode()).hexdigest()
        return self.store.links(f"bin/{self._platform}", f"{'-'.join(names)}-{digest[:12]}", commands)

    def _own_version(self, path: Path) -> str:
        for option in ("--version", "-V"):
            answer = self._runner.run([str(path), option], within_seconds=60)
            if answer.succeeded and (found := re.search(r"\d+(\.\d+)+", answer.stdout + answer.stderr)):
                return found.group()
        return "unknown"


def _folder(tool: Tool) -> str:
    assert tool.go is not None
    return tool.go.folder
