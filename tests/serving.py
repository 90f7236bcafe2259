"""Servers on this computer for tests: files of a folder over HTTP, and a registry of images."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from labsupport.process.waiting import wait_until
from labsupport.systems.toolchain.releases import answers
from tests.engines import toolchain


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def files_served(folder: Path) -> Iterator[str]:
    """Serve a folder; give its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def registry_served(folder: Path) -> Iterator[str]:
    """Run a registry that keeps its images in a folder; give its place, as image names begin with it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
    (folder / "registry.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/images}}}}\n"
        f"http: {{addr: '{place}'}}\n"
    )
    argv = [str(toolchain().path("registry")), "serve", str(folder / "registry.yml")]
    with (folder / "registry.log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as registry:
        try:
            wait_until(
                lambda: answers(f"http://{place}/v2/"),
                "the registry to answer",
                within_seconds=60,
                last_seen=lambda: (folder / "registry.log").read_text()[-500:],
            )
            yield place
        finally:
            registry.terminate()
