"""Makes a bundle of all that notebooks take, and brings one into a cache. Owns what is in it; bundle.py has the format.

Seeds of engines and nodes stay out: they are as large as all the rest, and made of it in seconds where they are wanted.
"""

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from packaging.markers import Marker

from labsupport import keeping
from labsupport.backends import LabOptions, make_toolchain, plan, tool_groups
from labsupport.backends.choosing import KIND
from labsupport.backends.places import SYSTEMD
from labsupport.bundle import BundleReader, BundleWriter, Manifest, digest_of_lock, platform_here, python_here
from labsupport.errors import RequirementMissing, ToolchainError
from labsupport.installation import DOWNLOAD_MEGABYTES, Collecting, packages_of
from labsupport.lessons.catalog import lesson
from labsupport.lessons.needs import Needs
from labsupport.process.commands import Invocation, LocalRunner
from labsupport.process.progress import Listener, Progress, silent
from labsupport.project import Project
from labsupport.systems.toolchain import Toolchain

CHECKSUM_ENDING = ".sha256"
WRAPPERS = "bin"
BYTES = 1_000_000


@dataclass(frozen=True)
class Bundled:
    """A bundle that was made: the file, its SHA-256, and how many megabytes it has, packed and unpacked.

    `recorded` has, by reason, the numbers of the notebooks for which it brings recorded evidence only.
    """

    path: Path
    sha256: str
    megabytes: int
    unpacked_megabytes: int
    recorded: dict[str, list[str]]


@dataclass(frozen=True)
class Arrived:
    """What a bundle brought: folders that came into the cache, and those that were there before."""

    came: int
    were_there: int
    cache: Path
    notebooks: tuple[str, ...]


def bundle(
    project: Project, notebooks: Sequence[str], options: LabOptions, target: Path, listener: Listener = silent
) -> Bundled:
    """Write to `target` all that the notebooks take where there is no network; nothing half-made stays.

    Raises:
        RequirementMissing, ToolchainError: something cannot be had here, or the disk has no room.
    """
    needs = keeping.needs_of(notebooks)
    keeping.prepare(options, needs, listener)
    toolchain = Toolchain(listener=listener, uses_path=False)
    folders = _folders(toolchain, options, needs, listener)
    listener(
        Progress(
            f"Getting the Python packages of requirements.lock, for Python {python_here()} "
            f"(about {DOWNLOAD_MEGABYTES} MB to download)"
        )
    )
    with _half_made(target) as work:
        wheels = _get_wheels(project, work / "wheels", listener)
        size = sum(map(_bytes_in, [*folders, *wheels]))
        _require_space(target, size)
        listener(
            Progress(f"Packing {len(folders)} folders and {len(wheels)} wheels, {size // BYTES} MB, into {target}")
        )
        packed = work / target.name
        with BundleWriter(packed, _told(listener, "packing", size)) as writer:
            for wheel in wheels:
                writer.add_wheel(wheel)
            for folder in folders:
                area = str(folder.parent.relative_to(toolchain.cache))
                writer.add_folder(area, folder, leaving_out=WRAPPERS if area.startswith("debian/") else "")
            writer.finish(_manifest(project, notebooks, options))
        with packed.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        megabytes = packed.stat().st_size // BYTES
        packed.replace(target)
        target.with_name(target.name + CHECKSUM_ENDING).write_text(f"{digest}  {target.name}\n")
    return Bundled(target, digest, megabytes, size // BYTES, why_recorded(notebooks, options))


def unbundle(project: Project, source: Path, listener: Listener = silent) -> Arrived:
    """Bring what a bundle has into the cache, folder by folder, each whole or not at all; run again, it goes on.

    Raises:
        UsageError: it is no bundle, or one for another computer, Python or edition.
        ToolchainError: it is damaged, or the disk has no room.
    """
    toolchain = make_toolchain(listener)
    store = toolchain.store
    _compare_with_checksum(source, listener)
    with BundleReader(source) as reader:
        reader.require_useful(project.root)
        folders = reader.folders()
        missing = {name: place for name, place in folders.items() if not store.find(*place)}
        size = sum(reader.manifest.members[name].size for name in missing)
        listener(Progress(f"Bringing {len(missing)} folders, {size // BYTES} MB, to {toolchain.cache}"))
        reader.advance = _told(listener, "unpacking", size)
        with store.alone(listener):
            store.require_space(size // BYTES, f"unpack {source}")
            for name, (area, key) in missing.items():
                with store.publishing(area, key) as half_made:
                    reader.take_folder(name, half_made)
                    toolchain.renew_wrappers(area, key, half_made)
        return Arrived(len(missing), len(folders) - len(missing), toolchain.cache, reader.manifest.notebooks)


def _folders(toolchain: Toolchain, options: LabOptions, needs: Needs, listener: Listener) -> list[Path]:
    """Return the folders of the cache that it takes to have `needs` live, as far as they can be here; all are there."""
    from labsupport.systems.clusters.kind import have_node_image
    from labsupport.systems.images import archives_of
    from labsupport.systems.images.recipes import recipe_of, tools_of
    from labsupport.systems.machines.container_image import prepare_image
    from labsupport.systems.machines.systemd_tree import ensure_tree

    chosen = plan(options.or_from_environment())
    wanted = chosen.within(needs)
    of_images = [tool for name in wanted.images for tool in tools_of(recipe_of(name))]
    found = toolchain.folders(*tool_groups(wanted), *of_images)
    # An image's key has where its programs are from, which may be PATH.
    found += [archive.parent for archive in archives_of(make_toolchain(), *wanted.images)]
    if SYSTEMD in wanted.engines:
        found.append(ensure_tree(toolchain.store, listener).parent)
    if KIND in wanted.tools:
        found.append(have_node_image(toolchain, listener).archive.parent)
    if chosen.machine == "container":
        found.append(prepare_image(toolchain.store, listener).parent)
    return found


def why_recorded(notebooks: Sequence[str], options: LabOptions) -> dict[str, list[str]]:
    """Return, by reason, the numbers of the notebooks that cannot be live here, so that nothing was packed for them."""
    chosen = plan(options.or_from_environment())
    found: dict[str, list[str]] = {}
    for each in map(lesson, notebooks):
        if reason := chosen.why_not(each.needs):
            found.setdefault(reason, []).append(each.slug[:2])
    return found


def _manifest(project: Project, notebooks: Sequence[str], options: LabOptions) -> Manifest:
    return Manifest(
        project.version,
        platform_here(),
        python_here(),
        digest_of_lock(project.root),
        datetime.now(UTC).date().isoformat(),
        os.geteuid(),
        tuple(notebooks),
        options.as_environment(),
    )


def _get_wheels(project: Project, folder: Path, listener: Listener) -> list[Path]:
    """Have the wheels of requirements.lock in a folder, and pip's own: a bare Debian cannot make an environment.

    Those too that the lock has for other patch releases of this Python, such as 3.11.2 where this is 3.11.7.
    """
    locked = project.root / "requirements.lock"
    wanted = [(["pip"], 1), (["--require-hashes", "--requirement", str(locked)], len(packages_of(project.root)))]
    for release in (f"{python_here()}.0", f"{python_here()}.99"):
        if other := entries_of_release(locked.read_text(), release):
            file = folder.with_name(f"{release}.lock")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(other))
            words = ["--python-version", release, "--require-hashes", "--requirement", str(file)]
            wanted.append((words, len(other)))
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    pip += ["--disable-pip-version-check", "--progress-bar=off", "--dest", str(folder)]
    for what, total in wanted:
        follow = Collecting(total, listener, 1.0)
        result = LocalRunner().stream([*pip, *what], follow, invocation=Invocation(folder=project.root))
        if not result.succeeded:
            raise RequirementMissing(
                result.command,
                (result.stdout.strip() or "it printed nothing")[-600:],
                "connect to the network (or set pip's index or proxy for it), then run the same command again",
            )
    return sorted(folder.glob("*.whl"))


def entries_of_release(lock: str, release: str) -> list[str]:
    """Return the entries of a lock that hold for a release of Python and not for this one, without their condition."""
    found = []
    for entry in re.findall(r"^\S.*\\\n(?: .*\n)+", lock, re.MULTILINE):
        condition = entry.partition("\n")[0].removesuffix("\\").partition(";")[2]
        if not condition:
            continue
        holds = Marker(condition)
        if holds.evaluate({"python_full_version": release}) and not holds.evaluate():
            found.append(entry.replace(f" ;{condition}", " ", 1))
    return found


@contextmanager
def _half_made(target: Path) -> Iterator[Path]:
    """Give a folder beside `target`, on the same disk; gone with all in it at the end. A killed one's goes first."""
    folder = target.parent / f".{target.name}.half-made"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _compare_with_checksum(source: Path, listener: Listener) -> None:
    beside = source.with_name(source.name + CHECKSUM_ENDING)
    if not (source.is_file() and beside.is_file()):
        return
    listener(Progress(f"Comparing {source.name} with {beside.name}"))
    with source.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != (wanted := beside.read_text().split()[0]):
        raise ToolchainError(
            f"sha256sum --check {beside}", f"it is {found}, and should be {wanted}", "copy both files again"
        )


def _require_space(target: Path, size: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < size:
        raise ToolchainError(
            f"write {target}",
            f"it may take {size // BYTES} MB, and {free // BYTES} MB are free; nothing was written",
            "free some space, or choose another disk with --to",
        )


def _told(listener: Listener, doing: str, size: int) -> "_Meter":
    return _Meter(listener, doing, max(size, 1))


class _Meter:
    """Tells how much of so many bytes is done, once per hundredth."""

    def __init__(self, listener: Listener, doing: str, size: int) -> None:
        self._listener = listener
        self._doing = doing
        self._size = size
        self._done = 0

    def __call__(self, more: int) -> None:
        before, self._done = self._done, self._done + more
        if before * 100 // self._size < self._done * 100 // self._size:
            text = f"{self._doing}: {self._done // BYTES} of {self._size // BYTES} MB"
            self._listener(Progress(text, min(self._done / self._size, 1.0)))


def _bytes_in(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(each.lstat().st_size for each in files if each.is_file() and not each.is_symlink())
