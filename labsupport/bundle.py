"""A bundle: one file with what a room without a network needs. Owns its format; decides nothing of what is in it.

It is a zip file: `manifest.json`, Python wheels below `wheels/`, and each folder of the cache as `cache/AREA/KEY.tar`.
The manifest has the SHA-256 of all the others, so that whatever comes out of a bundle is what went in, or an error.

Runs before anything is installed, so it imports the standard library and this package's plainest modules only.
"""

import hashlib
import json
import os
import platform
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from labsupport.errors import ToolchainError, UsageError

SCHEMA = "labsupport-bundle-1"
MANIFEST = "manifest.json"
WHEELS = "wheels/"
CACHE, TAR = "cache/", ".tar"
CHUNK_BYTES = 1 << 20
# A higher one takes four times as long to make, and saves a tenth.
COMPRESSION = 1
# How the library says that what a file holds, or what it says of itself, cannot be.
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Member:
    """One file of a bundle, not compressed: its SHA-256 and how many bytes it has."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """What a bundle is for. `lock` is the SHA-256 of requirements.lock; `owner` the number of the user who made it."""

    version: str
    platform: str
    python: str
    lock: str
    made: str
    owner: int
    notebooks: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    schema: str = SCHEMA

    def why_not_here(self, project: Path) -> str:
        """Why it is of no use to this clone on this computer; empty where it is."""
        here = {"platform": platform_here(), "python": python_here(), "lock": digest_of_lock(project)}
        said = {"platform": "it is for {0}, and this is {1}", "python": "it is for Python {0}, and this is {1}"}
        said["lock"] = "it was made for another edition of this project, whose requirements.lock is another"
        found = (said[name].format(getattr(self, name), value) for name, value in here.items())
        return next((why for why, name in zip(found, here, strict=True) if getattr(self, name) != here[name]), "")


def platform_here() -> str:
    return f"{sys.platform}-{platform.machine().lower()}"


def python_here() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def digest_of_lock(project: Path) -> str:
    return hashlib.sha256((project / "requirements.lock").read_bytes()).hexdigest()


class BundleWriter:
    """Writes a bundle; `advance` is told of bytes that were read. It is one only after `finish`."""

    def __init__(self, path: Path, advance: Advance) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION)
        self._advance = advance
        self._members: dict[str, Member] = {}

    def __enter__(self) -> "BundleWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def add_wheel(self, wheel: Path) -> None:
        with self._member(WHEELS + wheel.name, zipfile.ZIP_STORED) as target, wheel.open("rb") as source:
            while chunk := source.read(CHUNK_BYTES):
                target.write(chunk)

    def add_folder(self, area: str, folder: Path, *, leaving_out: str = "") -> None:
        """Add a folder of the cache, with owners, links and rights; `leaving_out` names an entry of it to leave out."""
        with (
            self._member(f"{CACHE}{area}/{folder.name}{TAR}") as target,
            tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as tar,  # type: ignore[call-overload]
        ):
            for path in sorted(folder.iterdir()):
                if path.name != leaving_out:
                    tar.add(path, path.name)

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, with all that was added."""
        described = {**asdict(manifest), "members": {name: asdict(each) for name, each in self._members.items()}}
        self._zip.writestr(MANIFEST, json.dumps(described, indent=1))

    @contextmanager
    def _member(self, name: str, compression: int = zipfile.ZIP_DEFLATED) -> Iterator["_Digesting"]:
        entry = zipfile.ZipInfo(name)
        entry.compress_type = compression
        # Of its own accord only writestr would take the file's level.
        entry._compresslevel = COMPRESSION  # type: ignore[attr-defined]
        with self._zip.open(entry, "w", force_zip64=True) as stream:
            digesting = _Digesting(stream, self._advance)
            yield digesting
        self._members[name] = digesting.member


class BundleReader:
    """A bundle that is whole as far as its table of contents says; each member is checked as it is read.

    Raises:
        UsageError: the file is not there, or is no bundle.
        ToolchainError: it is cut off, or its contents are not what its manifest says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Told of bytes that were read.
        self.advance: Advance = lambda more: None
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as problem:
            raise UsageError(f"read {path}", problem.strerror or str(problem), "name the file of a bundle") from None
        except UNREADABLE as problem:
            raise self._broken(f"it is no bundle, or only the beginning of one ({problem})") from None
        self.manifest = self._read_manifest()
        if {*self._zip.namelist()} != {*self.manifest.members, MANIFEST}:
            raise self._broken("what is in it is not what its manifest lists")

    def __enter__(self) -> "BundleReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def require_useful(self, project: Path) -> None:
        """Refuse a bundle for another computer, Python or edition.

        Raises:
            UsageError: it is for another; nothing was begun.
        """
        if because := self.manifest.why_not_here(project):
            do = "make one where all three are as here: `./lab bundle` in a clone of the same edition"
            raise UsageError(f"use the bundle {self.path}", f"{because}; nothing was begun", do)

    def folders(self) -> dict[str, tuple[str, str]]:
        """The member of each folder of the cache, with the folder's area and key."""
        found = {}
        for name in self.manifest.members:
            if name.startswith(CACHE) and name.endswith(TAR):
                area, _, key = name.removeprefix(CACHE).removesuffix(TAR).rpartition("/")
                if not area or {"", ".", ".."} & {*area.split("/"), key}:
                    raise self._broken(f"{name} would be outside the cache folder")
                found[name] = (area, key)
        return found

    def take_wheels(self, into: Path) -> None:
        """Write all wheels into a folder."""
        into.mkdir()
        for name in self.manifest.members:
            if name.startswith(WHEELS):
                with self._read(name) as source, (into / PurePosixPath(name).name).open("wb") as target:
                    while chunk := source.read(CHUNK_BYTES):
                        target.write(chunk)

    def take_folder(self, name: str, into: Path) -> None:
        """Unpack a folder of the cache; what was its maker's becomes this user's."""

        def checked(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
            for entry in tar:
                if (
                    not (into / entry.name).parent.resolve().is_relative_to(into.resolve())
                    or ".." in Path(entry.name).parts
                ):
                    raise self._broken(f"{name} would write to {entry.name}, outside its folder")
                entry.uid = os.geteuid() if entry.uid == self.manifest.owner else entry.uid
                yield entry

        with self._read(name) as source:
            try:
                with tarfile.open(fileobj=source, mode="r|") as tar:  # type: ignore[call-overload]
                    # Trees of whole systems have setuid programs and devices, which the ordinary filters drop.
                    tar.extraction_filter = lambda member, path: member
                    tar.extractall(into, members=checked(tar), numeric_owner=True)
            except tarfile.TarError as problem:
                raise self._broken(f"{name}: {problem}") from None
            while source.read(CHUNK_BYTES):
                pass  # what follows a tar's end counts too

    @contextmanager
    def _read(self, name: str) -> Iterator["_Digesting"]:
        try:
            with self._opened(name) as stream:
                digesting = _Digesting(stream, self.advance)
                yield digesting
        except UNREADABLE as problem:
            raise self._broken(f"{name}: {problem}") from None
        if digesting.member != self.manifest.members[name]:
            raise self._broken(f"{name} is not what its manifest says")

    def _opened(self, name: str) -> IO[bytes]:
        try:
            return self._zip.open(name)
        except OSError as problem:  # it is said to begin where no file can
            raise self._broken(f"{name}: {problem}") from None

    def _read_manifest(self) -> Manifest:
        try:
            said: dict[str, Any] = json.loads(self._zip.read(MANIFEST))
            if said["schema"] != SCHEMA:
                raise ValueError(f"it is a {said['schema']}, and this edition reads {SCHEMA}")
            said["members"] = {name: Member(**each) for name, each in said["members"].items()}
            return Manifest(**{**said, "notebooks": tuple(said["notebooks"])})
        except (KeyError, TypeError, ValueError, AttributeError, OSError, *UNREADABLE) as problem:
            self._zip.close()
            raise UsageError(
                f"read {self.path}", f"it is no bundle of this project: {problem}", "name one that `./lab bundle` made"
            ) from None

    def _broken(self, happened: str) -> ToolchainError:
        return ToolchainError(
            f"read {self.path}", happened, "copy it again, and compare with its .sha256; then run this again"
        )


class _Digesting:
    """A stream whose bytes are counted and digested on their way."""

    def __init__(self, stream: IO[bytes], advance: Advance) -> None:
        self._stream = stream
        self._advance = advance
        self._digest = hashlib.sha256()
        self._size = 0

    @property
    def member(self) -> Member:
        return Member(self._digest.hexdigest(), self._size)

    def write(self, content: bytes) -> int:
        self._note(content)
        return self._stream.write(content)

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._note(content)
        return content

    def _note(self, content: bytes) -> None:
        self._digest.update(content)
        self._size += len(content)
        self._advance(len(content))
