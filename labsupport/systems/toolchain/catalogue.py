"""What toolchain/versions.toml says, as records. Reads that folder; runs, fetches and writes nothing."""

import hashlib
import platform
import sys
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from labsupport.errors import ToolchainError, UsageError
from labsupport.project import this_project

System = Literal["linux", "darwin"]
ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Platform:
    """An operating system and processor in Go's words: linux or darwin, amd64 or arm64."""

    os: str
    arch: str

    def __str__(self) -> str:
        return f"{self.os}-{self.arch}"

    @classmethod
    def here(cls) -> "Platform":
        machine = platform.machine().lower()
        return cls(sys.platform, ARCHITECTURES.get(machine, machine))


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GoVersion(_Entry):
    version: str
    download_megabytes: int
    disk_megabytes: int


class BuildCost(_Entry):
    """What building everything in one module folder costs; `packages` is how many the compiler goes through."""

    minutes: float
    download_megabytes: int
    disk_megabytes: int
    packages: int


class ReleaseLocation(_Entry):
    """Where a project publishes a release and its checksums; `member` is the tool's name inside an archive."""

    url: str
    checksums: str
    member: str | None = None


class _ToolEntry(_Entry):
    groups: tuple[str, ...]
    package: str
    command: str | None = None
    says: tuple[str, ...] = ()
    systems: tuple[System, ...] | None = None
    released: bool = True
    program: str | None = None
    beside: tuple[str, ...] = ()


class _Project(_Entry):
    version: str
    module: str
    folder: str
    tools: dict[str, _ToolEntry]
    cgo: bool = False
    tags: str = ""
    ldflags: str = ""
    gcflags: str = ""
    systems: tuple[System, ...] = ("linux",)
    release: ReleaseLocation | None = None


class DebianSet(_Entry):
    """Debian packages unpacked into one folder; `always` means even where PATH has their programs."""

    packages: tuple[str, ...]
    megabytes: int
    always: bool = False
    tools: dict[str, _ToolEntry]


class PublishedFile(_Entry):
    """A file that is no program, as its project publishes it; `sha256` is what it was when it was noted here."""

    version: str
    url: str
    sha256: str


class _File(_Entry):
    go: GoVersion
    builds: dict[str, BuildCost]
    projects: dict[str, _Project]
    debian: dict[str, DebianSet]
    files: dict[str, PublishedFile] = {}


@dataclass(frozen=True)
class GoPackage:
    """How a tool is built: a main package of `module` (path@version), in the folder that requires it."""

    folder: str
    module: str
    package: str
    cgo: bool
    tags: str
    ldflags: str
    gcflags: str


@dataclass(frozen=True)
class DebianProgram:
    """Which file of which Debian package a tool is."""

    set: str
    package: str
    program: str
    always: bool


@dataclass(frozen=True)
class Tool:
    """One program a lab runs. Exactly one of `go` and `debian` is there; `version` is None for Debian's own.

    `beside` are folders of the tool's module that it needs in its own folder, by their paths in the module.
    """

    name: str
    command: str
    groups: tuple[str, ...]
    version: str | None
    says: tuple[str, ...]
    systems: tuple[System, ...]
    go: GoPackage | None = None
    release: ReleaseLocation | None = None
    debian: DebianProgram | None = None
    beside: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Pin:
    """What has one version in versions.toml: a project with all its tools, a published file, or Go itself.

    `section` is its heading there. `module` (path@version) and `module_folder` are empty for what no go.mod requires.
    """

    name: str
    section: str
    version: str
    tools: tuple[str, ...] = ()
    module: str = ""
    module_folder: str = ""


@dataclass(frozen=True)
class Catalogue:
    """All tools by name, the folder with the module each is built in, and what has which version, by name."""

    folder: Path
    go: GoVersion
    builds: dict[str, BuildCost]
    tools: dict[str, Tool]
    debian: dict[str, DebianSet]
    files: dict[str, PublishedFile]
    pins: dict[str, Pin]

    def expand(self, names: tuple[str, ...]) -> list[Tool]:
        """Return the tools that `names`, of tools and groups, stand for; each once.

        Raises:
            UsageError: neither a tool nor a group has such a name.
        """
        found: dict[str, Tool] = {}
        for name in names:
            members = {key: tool for key, tool in self.tools.items() if name == key or name in tool.groups}
            if not members:
                groups = sorted({group for tool in self.tools.values() for group in tool.groups})
                raise UsageError(
                    f"look up {name!r} in {self.folder / 'versions.toml'}",
                    "no tool and no group has that name",
                    f"use one of the groups {', '.join(groups)}, or a tool's name from that file",
                )
            found |= members
        return list(found.values())

    def key(self, tool: Tool) -> str:
        """Return the name of a tool's folder in the cache: other versions, modules or flags give another one."""
        assert tool.go is not None
        beside = f" {tool.beside}" if tool.beside else ""
        recipe = f"{self._module_digests[tool.go.folder]} {tool.version} {tool.go}{beside}"
        return f"{tool.name}-{tool.version}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"

    @cached_property
    def _module_digests(self) -> dict[str, str]:
        digests = {}
        for name in {tool.go.folder for tool in self.tools.values() if tool.go}:
            digest = hashlib.sha256()
            for path in sorted((self.folder / name).rglob("*")):
                if path.is_file():
                    digest.update(f"{path.relative_to(self.folder)}\0".encode() + path.read_bytes())
            digests[name] = digest.hexdigest()
        return digests

    def oldest_go(self, folder: str) -> str:
        """Return the Go version that the go.mod in `folder` asks for."""
        lines = (self.folder / folder / "go.mod").read_text().splitlines()
        return next(line.split()[1] for line in lines if line.startswith("go "))


def read_catalogue(folder: Path | None = None) -> Catalogue:
    """Read versions.toml in `folder`, the project's own toolchain folder unless given.

    Raises:
        ToolchainError: the file is malformed; the message names the entry.
    """
    folder = folder or this_project().root / "toolchain"
    path = folder / "versions.toml"
    try:
        content = _File.model_validate(tomllib.loads(path.read_text()))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise ToolchainError(f"read {path}", str(error), "correct the entry named above") from error
    tools = [tool for project in content.projects.values() for tool in _tools_of_project(project)]
    tools += [tool for name, debian_set in content.debian.items() for tool in _tools_of_set(name, debian_set)]
    by_name = {tool.name: tool for tool in tools}
    return Catalogue(folder, content.go, content.builds, by_name, content.debian, content.files, _pins_of(content))


def _pins_of(content: _File) -> dict[str, Pin]:
    pins = [Pin("go", "go", content.go.version)]
    pins += [Pin(name, f"files.{name}", file.version) for name, file in content.files.items()]
    for name, project in content.projects.items():
        module, folder = (project.module, project.folder) if "@" in project.module else ("", "")
        pins.append(Pin(name, f"projects.{name}", project.version, tuple(project.tools), module, folder))
    return {pin.name: pin for pin in pins}


def _tools_of_project(project: _Project) -> list[Tool]:
    path = project.module.partition("@")[0]
    major, minor = (*project.version.split("."), "")[:2]
    return [
        Tool(
            name=name,
            command=entry.command or name,
            groups=entry.groups,
            version=project.version,
            says=entry.says,
            systems=entry.systems or project.systems,
            go=GoPackage(
                folder=project.folder,
                module=project.module,
                package=f"{path}/{entry.package}".rstrip("/"),
                cgo=project.cgo,
                tags=project.tags,
                ldflags=project.ldflags.format(version=project.version, major=major, minor=minor),
                gcflags=project.gcflags,
            ),
            release=project.release if entry.released else None,
            beside=entry.beside,
        )
        for name, entry in project.tools.items()
    ]


def _tools_of_set(name: str, debian_set: DebianSet) -> list[Tool]:
    return [
        Tool(
            name=tool,
            command=entry.command or tool,
            groups=entry.groups,
            version=None,
            says=entry.says,
            systems=("linux",),
            debian=DebianProgram(name, entry.package, entry.program or tool, debian_set.always),
        )
        for tool, entry in debian_set.tools.items()
    ]
