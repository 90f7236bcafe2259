"""How tools are got for real: compiled, downloaded from a server here, interrupted, by two at once, on a full disk."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from labsupport.errors import RequirementMissing, ToolchainError
from labsupport.process.commands import LocalRunner
from labsupport.process.progress import Progress
from labsupport.process.waiting import wait_until
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.toolchain.store import KEEP_VARIABLE
from tests.tiny_toolchain import tiny_toolchain

PROGRAM = b"#!/bin/sh\necho tiny version 1.0.0\n" + b"#" * 5_000_000

MANIFEST = b"kind: Namespace\napiVersion: v1\nmetadata: {name: net}\n"

# A stand-in for Go that leaves half a program, says so, and goes on when the file `go-on` is there.
SLOW_GO = """\
#!/bin/sh
here=$(dirname "$0")
case "$*" in *GOVERSION*) echo go1.99.0; exit 0;; esac
while [ "$1" != -o ]; do shift; done
echo half > "$2/tiny"
echo $$ >> "$here/building"
while ! [ -e "$here/go-on" ]; do sleep 0.05; done
printf '#!/bin/sh\\necho tiny version 1.0.0\\n' > "$2/tiny"
"""

# What a lab does, in a process that a test can kill.
ENSURE = """\
import sys
from pathlib import Path
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.toolchain.catalogue import read_catalogue
folder = Path(sys.argv[1])
show = lambda progress: print(progress.text, flush=True)
print("path", Toolchain(folder / "cache", listener=show, catalogue=read_catalogue(folder)).path("tiny"), flush=True)
"""


@dataclass
class Published:
    """What the server has: file by path; those in `cut` end in the middle; requests as they came."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)

    def release(self, *, member: str | None = None) -> str:
        """Return versions.toml's words for the release of the tiny tool on this server."""
        inside = f'member = "{member}"\n' if member else ""
        return (
            f'[projects.tiny.release]\nurl = "{self.url}/v{{version}}/tiny"\n'
            f'checksums = "{self.url}/v{{version}}/SHA256SUMS"\n{inside}'
        )

    def manifest(self, content: bytes) -> str:
        """Return versions.toml's words for a manifest on this server that had this content when it was noted."""
        digest = hashlib.sha256(content).hexdigest()
        return f'[files.net]\nversion = "1.0"\nurl = "{self.url}/v{{version}}/net.yaml"\nsha256 = "{digest}"\n'

    def publish(self, content: bytes, *, checksum_of: bytes | None = None) -> None:
        digest = hashlib.sha256(content if checksum_of is None else checksum_of).hexdigest()
        self.files = {"/v1.0.0/tiny": content, "/v1.0.0/SHA256SUMS": f"{digest}  tiny\n".encode()}


@pytest.fixture
def published() -> Iterator[Published]:
    content = Published()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            content.requests.append(self.path)
            body = content.files.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if self.path in content.cut else body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    content.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield content
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def go_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Go keeps of a build: its own library, compiled, which takes it half a minute."""
    folder = tmp_path_factory.mktemp("compiled")
    toolchain = Toolchain(folder / "cache", catalogue=tiny_toolchain(folder))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(KEEP_VARIABLE, "1")
        toolchain.ensure("tiny")
    return toolchain.store.build / "go-cache"


@pytest.fixture
def cache(tmp_path: Path, go_cache: Path) -> Path:
    """A cache that has nothing but what Go keeps."""
    (tmp_path / "cache" / "build").mkdir(parents=True)
    (tmp_path / "cache" / "build" / "go-cache").symlink_to(go_cache)
    return tmp_path / "cache"


@pytest.fixture
def slow_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a Go that waits for the file `go-on`; first on PATH."""
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "go").write_text(SLOW_GO)
    (folder / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def quick_go(slow_go: Path) -> None:
    """A Go that takes no time, for tests of what comes before the build."""
    (slow_go / "go-on").touch()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "cache"
    folder.mkdir()
    runner = LocalRunner()
    runner.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]).or_raise()
    yield folder
    runner.run(["umount", str(folder)]).or_raise()


def test_a_tool_is_compiled_once_and_says_where_it_is_from(tmp_path: Path, cache: Path) -> None:
    catalogue = tiny_toolchain(tmp_path)
    told: list[Progress] = []
    toolchain = Toolchain(cache, listener=told.append, catalogue=catalogue)
    program = toolchain.path("tiny")
    assert LocalRunner().run([str(program)]).stdout == "tiny version 1.0.0\n"
    made = toolchain.provenance("tiny")
    assert (made.version, made.module, made.source) == ("1.0.0", "example.com/tiny", "built here")
    assert "about 2 min" in told[0].text
    assert not (cache / "build").exists()
    assert not list((cache / "partial").iterdir())

    told.clear()
    again = Toolchain(cache, listener=told.append, catalogue=catalogue)
    folder = again.bin_folder("small")
    assert (folder / "tiny").resolve() == program
    assert again.bin_folder("small") == folder
    assert told == []


def test_what_does_not_compile_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    catalogue = tiny_toolchain(tmp_path)
    (tmp_path / "tiny" / "main.go").write_text("package main\n\nfunc main( {\n")
    with pytest.raises(ToolchainError, match="syntax error"):
        Toolchain(cache, catalogue=catalogue).ensure("tiny")
    _assert_nothing_half_made(cache)


def test_a_release_with_the_right_checksum_is_used(tmp_path: Path, published: Published) -> None:
    published.publish(PROGRAM)
    toolchain = Toolchain(tmp_path / "cache", catalogue=tiny_toolchain(tmp_path, release=published.release()))
    assert LocalRunner().run([str(toolchain.path("tiny"))]).stdout == "tiny version 1.0.0\n"
    assert toolchain.provenance("tiny").source == "release"
    assert toolchain.provenance("tiny").module == f"{published.url}/v1.0.0/tiny"


def test_a_release_in_an_archive_is_unpacked(tmp_path: Path, published: Published) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        entry = tarfile.TarInfo("./bin/tiny")
        entry.size = len(PROGRAM)
        tar.addfile(entry, io.BytesIO(PROGRAM))
    published.publish(archive.getvalue())
    catalogue = tiny_toolchain(tmp_path, release=published.release(member="./bin/{tool}"))
    assert Toolchain(tmp_path / "cache", catalogue=catalogue).path("tiny").read_bytes() == PROGRAM


@pytest.mark.parametrize("fault", ["wrong checksum", "404", "no checksums", "cut", "no member"])
def test_a_release_that_cannot_be_used_is_told_and_the_tool_is_built(
    tmp_path: Path, published: Published, quick_go: None, fault: str
) -> None:
    published.publish(PROGRAM, checksum_of=b"something else" if fault == "wrong checksum" else None)
    if fault == "404":
        del published.files["/v1.0.0/tiny"]
    if fault == "no checksums":
        del published.files["/v1.0.0/SHA256SUMS"]
    if fault == "cut":
        published.cut.add("/v1.0.0/tiny")
    told: list[Progress] = []
    release = published.release(member="bin/tiny" if fault == "no member" else None)
    catalogue = tiny_toolchain(tmp_path, release=release)
    toolchain = Toolchain(tmp_path / "cache", listener=told.append, catalogue=catalogue)
    toolchain.ensure("tiny")
    assert toolchain.provenance("tiny").source == "built here"
    reason = {
        "wrong checksum": "the file was deleted",
        "404": "answered 404",
        "no checksums": "answered 404",
        "cut": "cut off 3 times",
        "no member": "has no bin/tiny inside",
    }[fault]
    assert any(reason in progress.text for progress in told)
    assert published.requests.count("/v1.0.0/tiny") == {"cut": 3, "no checksums": 0}.get(fault, 1)


def test_without_network_releases_are_given_up_at_once_and_said_so(tmp_path: Path, quick_go: None) -> None:
    told: list[Progress] = []
    nobody = Published(url="http://127.0.0.1:9")
    catalogue = tiny_toolchain(tmp_path, release=nobody.release())
    Toolchain(tmp_path / "cache", listener=told.append, catalogue=catalogue).ensure("tiny")
    assert told[0].text == "No official release is tried: 127.0.0.1 cannot be reached from here."


def test_a_file_is_downloaded_once_and_kept(tmp_path: Path, published: Published) -> None:
    published.files = {"/v1.0/net.yaml": MANIFEST}
    catalogue = tiny_toolchain(tmp_path, release=published.manifest(MANIFEST))
    file = Toolchain(tmp_path / "cache", catalogue=catalogue).published_file("net")
    assert (file.name, file.read_bytes()) == ("net.yaml", MANIFEST)
    assert Toolchain(tmp_path / "cache", catalogue=catalogue).published_file("net") == file
    assert published.requests == ["/v1.0/net.yaml"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [("changed", "the file was deleted"), ("gone", "answered 404"), ("cut", "cut off 3 times"), ("offline", "reached")],
)
def test_a_file_that_cannot_be_had_is_one_clear_error(
    tmp_path: Path, published: Published, fault: str, said: str
) -> None:
    if fault != "gone":
        published.files = {"/v1.0/net.yaml": MANIFEST + (b"# more" if fault == "changed" else b"")}
    if fault == "cut":
        published.cut.add("/v1.0/net.yaml")
    if fault == "offline":
        published.url = "http://127.0.0.1:9"
    toolchain = Toolchain(tmp_path / "cache", catalogue=tiny_toolchain(tmp_path, release=published.manifest(MANIFEST)))
    with pytest.raises(RequirementMissing, match=rf"download net 1.0(.|\n)*{said}"):
        toolchain.published_file("net")
    assert not (tmp_path / "cache" / "files").exists()
    _assert_nothing_half_made(tmp_path / "cache")


def test_a_killed_build_leaves_nothing_half_made_and_the_next_one_begins_anew(tmp_path: Path, slow_go: Path) -> None:
    catalogue = tiny_toolchain(tmp_path)
    with _lab(tmp_path) as lab:
        compiler = _wait_for_compiler(slow_go)
        lab.send_signal(signal.SIGKILL)
    assert not (tmp_path / "cache" / "tools").exists()
    wait_until(lambda: not _runs(compiler), "the compiler to end with its lab", within_seconds=30)
    (slow_go / "go-on").touch()
    toolchain = Toolchain(tmp_path / "cache", catalogue=catalogue)
    assert LocalRunner().run([str(toolchain.path("tiny"))]).stdout == "tiny version 1.0.0\n"
    assert not list((tmp_path / "cache" / "partial").iterdir())


def test_a_build_stopped_by_the_user_cleans_up_by_itself(tmp_path: Path, slow_go: Path) -> None:
    tiny_toolchain(tmp_path)
    with _lab(tmp_path) as lab:
        _wait_for_compiler(slow_go)
        lab.send_signal(signal.SIGINT)
        lab.wait(60)
    _assert_nothing_half_made(tmp_path / "cache")


def test_two_at_once_build_once_and_the_second_says_what_it_waits_for(tmp_path: Path, slow_go: Path) -> None:
    tiny_toolchain(tmp_path)
    with _lab(tmp_path) as first:
        _wait_for_compiler(slow_go)
        with _lab(tmp_path) as second:
            assert second.stdout is not None
            assert f"Another lab (process {first.pid})" in second.stdout.readline()
            (slow_go / "go-on").touch()
            outputs = [first.communicate(timeout=60)[0], second.communicate(timeout=60)[0]]
    assert [lab.returncode for lab in (first, second)] == [0, 0]
    assert outputs[0].splitlines()[-1] == outputs[1].splitlines()[-1]
    assert len((slow_go / "building").read_text().splitlines()) == 1


@pytest.mark.needs("root")
def test_a_disk_that_fills_while_downloading_is_one_clear_error(
    tmp_path: Path, small_disk: Path, published: Published
) -> None:
    published.publish(PROGRAM)
    catalogue = tiny_toolchain(tmp_path, release=published.release(), disk_megabytes=1)
    with pytest.raises(ToolchainError, match=r"the disk is full(.|\n)*LAB_CACHE=FOLDER"):
        Toolchain(small_disk, catalogue=catalogue).ensure("tiny")
    _assert_nothing_half_made(small_disk)


@pytest.mark.needs("root")
def test_a_disk_that_fills_while_building_is_one_clear_error(tmp_path: Path, small_disk: Path) -> None:
    catalogue = tiny_toolchain(tmp_path, disk_megabytes=1)
    with pytest.raises(ToolchainError, match=r"the disk is full(.|\n)*LAB_CACHE=FOLDER"):
        Toolchain(small_disk, catalogue=catalogue).ensure("tiny")
    _assert_nothing_half_made(small_disk)
    assert not (small_disk / "build").exists()


def _lab(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", ENSURE, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def _wait_for_compiler(slow_go: Path) -> int:
    started = slow_go / "building"
    wait_until(lambda: started.exists() and started.read_text(), "the compiler to start", within_seconds=60)
    return int(started.read_text().split()[-1])


def _runs(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _assert_nothing_half_made(cache: Path) -> None:
    assert not (cache / "tools").exists()
    assert not (cache / "partial").exists() or not list((cache / "partial").iterdir())
