"""Official releases: downloaded, checked against the checksums their project publishes, unpacked. Publishes nothing.

A release that cannot be used is never an error here: the tool can still be built. Why it was not used is said.
"""

import hashlib
import tarfile
import threading
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import requests

from labsupport.process.progress import Listener, Progress
from labsupport.systems.toolchain.catalogue import Platform, PublishedFile, Tool

PROBE_SECONDS = 2.0
CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0
ATTEMPTS = 3
CHUNK_BYTES = 1 << 20


class ReleaseUnusableError(Exception):
    """This release is of no use, because …"""


class Releases:
    """Fetches releases for one platform. The first host that does not answer ends all tries: there is no network."""

    def __init__(self, platform: Platform, listener: Listener) -> None:
        self._platform = platform
        self._listener = listener
        self._session = requests.Session()
        self._no_network: str | None = None
        self._archives: dict[str, Path] = {}

    def fetch(self, tool: Tool, into: Path) -> tuple[Path, str] | None:
        """Return the verified program, in `into`, and the URL it is from; None where that cannot be had."""
        if tool.release is None:
            return None
        url = self._fill(tool.release.url, tool)
        try:
            self._probe(url)
            archive = self._archives.get(url)
            if archive is None:
                checksums = self._text(self._fill(tool.release.checksums, tool))
                name = url.rpartition("/")[2]
                target = into / f"download-{len(self._archives)}-{name}"
                archive = self._archives[url] = self._download(url, checksum_of(name, checksums), target)
            if tool.release.member is None:
                return archive, url
            return _unpack(archive, self._fill(tool.release.member, tool), into / tool.command), url
        except ReleaseUnusableError as reason:
            if not self._no_network:
                self._listener(Progress(f"The release of {tool.name} {tool.version} is not used: {reason}."))
            return None

    def fetch_file(self, file: PublishedFile, target: Path) -> None:
        """Download a file to `target`, verified.

        Raises:
            ReleaseUnusableError: it could not be had, or is not what it was.
        """
        url = file.url.format(version=file.version)
        self._probe(url)
        self._download(url, file.sha256, target)

    def note_file(self, url: str, target: Path) -> str:
        """Download a file that nobody has noted yet; return its SHA-256.

        Raises:
            ReleaseUnusableError: it could not be had.
        """
        self._probe(url)
        return self._get(url, target)

    def _fill(self, template: str, tool: Tool) -> str:
        return template.format(version=tool.version, tool=tool.name, os=self._platform.os, arch=self._platform.arch)

    def _probe(self, url: str) -> None:
        if self._no_network:
            raise ReleaseUnusableError(self._no_network)
        parts = urlsplit(url)
        if not answers(f"{parts.scheme}://{parts.netloc}/"):
            self._no_network = f"{parts.hostname} cannot be reached from here"
            self._listener(Progress(f"No official release is tried: {self._no_network}."))
            raise ReleaseUnusableError(self._no_network)

    def _download(self, url: str, expected: str, target: Path) -> Path:
        found = self._get(url, target)
        if found != expected:
            target.unlink()
            raise ReleaseUnusableError(f"{url} has SHA-256 {found} and should have {expected}; the file was deleted")
        return target

    def _get(self, url: str, target: Path) -> str:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._stream(url, target)
            except (requests.RequestException, OSError) as error:
                target.unlink(missing_ok=True)
                if not isinstance(error, requests.RequestException):
                    raise  # the disk, not the network
                if attempt == ATTEMPTS:
                    raise ReleaseUnusableError(f"{url} was cut off {ATTEMPTS} times ({_brief(error)})") from error
                self._listener(Progress(f"{url} was cut off; trying again ({attempt} of {ATTEMPTS})."))
        raise AssertionError("the last attempt returns or raises")

    def _text(self, url: str) -> str:
        try:
            answer = self._session.get(url, timeout=(CONNECT_SECONDS, READ_SECONDS))
        except requests.RequestException as error:
            raise ReleaseUnusableError(f"{url} could not be read ({_brief(error)})") from error
        if answer.status_code != requests.codes.ok:
            raise ReleaseUnusableError(f"{url} answered {answer.status_code}")
        return answer.text

    def _stream(self, url: str, target: Path) -> str:
        with self._session.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as answer:
            if answer.status_code != requests.codes.ok:
                raise ReleaseUnusableError(f"{url} answered {answer.status_code}")
            total = int(answer.headers.get("Content-Length", 0))
            self._listener(Progress(f"Downloading {url} ({total / 1e6:.0f} MB)", 0.0))
            digest = hashlib.sha256()
            received = 0
            with target.open("wb") as file:
                for chunk in _chunks(answer):
                    file.write(chunk)
                    digest.update(chunk)
                    received += len(chunk)
                    if total:
                        self._listener(Progress(f"Downloading {url}", min(received / total, 1.0)))
            if received < total:  # servers may close early without an error reaching us
                raise requests.ConnectionError(f"{received} of {total} bytes came")
            return digest.hexdigest()


def answers(url: str) -> bool:
    """Whether something answers there, whatever it says; known within three seconds."""
    answered = threading.Event()

    def ask() -> None:
        try:
            requests.head(url, timeout=PROBE_SECONDS, allow_redirects=False)
        except requests.RequestException:
            return
        answered.set()

    # In a thread: looking a name up in DNS has no time-out of its own, and offline it may hang for half a minute.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS + 1)
    return answered.is_set()


def _chunks(answer: requests.Response) -> Iterable[bytes]:
    # Raw, not decoded: the checksum is of the bytes as published.
    answer.raw.decode_content = False
    try:
        while chunk := answer.raw.read(CHUNK_BYTES):
            yield chunk
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
            raise requests.ConnectionError(str(error)) from error
        raise requests.ConnectionError(_brief(error)) from error


def checksum_of(file: str, published: str) -> str:
    """Find a file's SHA-256 in a checksum file: lines `HASH  NAME` or `HASH *NAME`, or one bare hash."""
    lines = [line.split() for line in published.splitlines() if line.strip()]
    for words in lines:
        if len(words) == 2 and words[1].lstrip("*").rpartition("/")[2] == file:
            return words[0].lower()
    if len(lines) == 1 and len(lines[0]) == 1:
        return lines[0][0].lower()
    raise ReleaseUnusableError(f"the checksums its project publishes do not name {file}")


def _unpack(archive: Path, member: str, target: Path) -> Path:
    try:
        with tarfile.open(archive) as tar:
            source = tar.extractfile(member)
            if source is None:
                raise KeyError(member)
            with target.open("wb") as file:
                while chunk := source.read(CHUNK_BYTES):
                    file.write(chunk)
    except (tarfile.TarError, KeyError) as error:
        raise ReleaseUnusableError(f"{archive.name} has no {member} inside ({error})") from error
    return target


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
