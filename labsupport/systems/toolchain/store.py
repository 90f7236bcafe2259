"""The cache folder. Owns its layout; what is in it is whole or not there. Knows nothing of where tools come from.

tools/linux-amd64/dockerd-29.8.1-3f9a2c…/    one tool and its provenance.json
files/calico-3.32.1-a1df919d9721/            a manifest or chart, as its project publishes it
product-images/linux-amd64/node-v3.32.1-…/   an image that a manifest names, and which digest it had
debian/bookworm-amd64/machine-81d0…/         unpacked packages, wrappers, packages.json
bin/linux-amd64/engine-77c1…/                symbolic links: what goes on PATH
partial/                                     under way; moved to its place when whole, swept when its maker is gone
build/                                       Go's own caches and, where needed, Go: removed after a build succeeds
lock                                         held by whoever adds to the cache
"""

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from labsupport.errors import RequirementMissing, ToolchainError
from labsupport.process.progress import Listener, Progress
from labsupport.process.waiting import wait_until

CACHE_VARIABLE = "LAB_CACHE"
KEEP_VARIABLE = "LAB_KEEP_GO_CACHE"
LONGEST_BUILD_SECONDS = 60 * 60
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

Source = Literal["path", "release", "built here", "Debian package"]


@dataclass(frozen=True)
class Provenance:
    """Where a tool is from: the Go module (path@version), release URL or Debian package it was made of."""

    name: str
    version: str
    module: str
    source: Source


def cache_folder() -> Path:
    """Return what LAB_CACHE says, else this user's cache folder; under sudo, the one all users can read.

    With sudo the machine belongs to root and the notebooks to the caller, who has no way into root's home.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    under_sudo = os.geteuid() == 0 and "SUDO_UID" in os.environ
    return platformdirs.site_cache_path("labsupport") if under_sudo else platformdirs.user_cache_path("labsupport")


class Store:
    """The cache at `root`. Reading needs no lock; whoever adds holds `alone`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def build(self) -> Path:
        return self.root / "build"

    def find(self, area: str, key: str) -> Path | None:
        """Return the published folder `key`, or None."""
        folder = self.root / area / key
        return folder if folder.is_dir() else None

    @contextmanager
    def alone(self, listener: Listener) -> Iterator[None]:
        """Hold the cache's lock, waiting for another lab that adds, and sweep what a killed one left half-made."""
        with self.told("prepare the cache folder"):
            self.root.mkdir(parents=True, exist_ok=True)
            lock = (self.root / "lock").open("a+")
        with lock:
            self._wait_for(lock.fileno(), listener)
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            shutil.rmtree(self.root / "partial", ignore_errors=True)
            yield

    def _wait_for(self, lock: int, listener: Listener) -> None:
        def taken() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if taken():
            return
        holder = (self.root / "lock").read_text() or "unknown"
        listener(Progress(f"Another lab (process {holder}) is adding to {self.root}; waiting for it."))
        wait_until(
            taken,
            f"the lock {self.root / 'lock'}",
            within_seconds=LONGEST_BUILD_SECONDS,
            every_seconds=0.05,
            do=f"see what process {holder} is doing; end it if it hangs, then run the same command again",
            last_seen=lambda: f"process {holder} still holds it",
        )

    @contextmanager
    def publishing(self, area: str, key: str) -> Iterator[Path]:
        """Give an empty folder to fill; when the block ends well it becomes area/key at once, else it is removed."""
        with self.told(f"write {area}/{key}"):
            (self.root / "partial").mkdir(exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=self.root / "partial"))
            try:
                yield folder
                folder.chmod(0o755)
                target = self.root / area / key
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.exists():  # whoever made it first made the same
                    return
                folder.rename(target)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Give a folder for files on their way; removed with all in it when the block ends, however it ends."""
        with self.told("make room for new tools"):
            (self.root / "partial").mkdir(exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=self.root / "partial"))
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def publish_tool(
        self,
        area: str,
        key: str,
        program: Path,
        provenance: Provenance,
        command: str,
        *,
        beside: Sequence[Path] = (),
    ) -> Path:
        """Move `program`, a file in `partial`, to its place as `command`, with its provenance; copy folders there."""
        with self.publishing(area, key) as folder:
            program.replace(folder / command)
            for each in beside:
                shutil.copytree(each, folder / each.name)
            (folder / command).chmod(0o755)
            (folder / "provenance.json").write_text(json.dumps(asdict(provenance), indent=2) + "\n")
        return self.root / area / key / command

    def read_provenance(self, folder: Path) -> Provenance:
        return Provenance(**json.loads((folder / "provenance.json").read_text()))

    def links(self, area: str, key: str, targets: Mapping[str, Path]) -> Path:
        """Return a folder with exactly these links. Needs no lock: same links, same key."""
        folder = self.root / area / key
        if folder.is_dir():
            return folder
        with self.told(f"link tools in {folder}"):
            folder.parent.mkdir(parents=True, exist_ok=True)
            half_made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".half-made-"))
            half_made.chmod(0o755)
            for name, target in targets.items():
                (half_made / name).symlink_to(target)
            try:
                half_made.rename(folder)
            except OSError:  # another process was first
                shutil.rmtree(half_made, ignore_errors=True)
                if not folder.is_dir():
                    raise
        return folder

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        """Turn a full disk or a folder that is not ours into one clear message, leaving nothing half-made behind."""
        try:
            yield
        except OSError as error:
            if error.errno in DISK_FULL:
                raise self.disk_full(what) from error
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise RequirementMissing(
                    f"{what} ({self.root})",
                    str(error),
                    f"choose a folder of your own: {CACHE_VARIABLE}=FOLDER, then run the same command again",
                ) from error
            raise

    def disk_full(self, what: str) -> ToolchainError:
        """Return the error to raise; whoever raises it removes what it had half-made."""
        return ToolchainError(
            f"{what} in {self.root}",
            "the disk is full; what was half-made is removed",
            f"free some space, or choose another disk: {CACHE_VARIABLE}=FOLDER; then run the same command again",
        )

    def require_space(self, megabytes: int, what: str) -> None:
        """Refuse work that this disk has no room for.

        Raises:
            ToolchainError: less than `megabytes` are free; nothing was begun.
        """
        free = shutil.disk_usage(self.root).free // 1_000_000
        if free < megabytes:
            raise ToolchainError(
                f"{what} in {self.root}",
                f"that needs {megabytes} MB of disk for a while, and {free} MB are free; nothing was begun",
                f"free some space, or choose another disk: {CACHE_VARIABLE}=FOLDER; then run the same command again",
            )

    def remove_build_area(self) -> None:
        shutil.rmtree(self.build, ignore_errors=True)
