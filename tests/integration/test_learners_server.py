"""What deploy/jupyterhub runs for a learner whose volume is full; in the place of JupyterHub's server, JupyterLab."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from labsupport.process.commands import Invocation, LocalRunner
from labsupport.process.waiting import wait_until
from labsupport.project import Project
from tests.clones import copy_clone

pytestmark = [pytest.mark.needs("root"), pytest.mark.timeout(120)]

OF_THE_OWNER = {"Authorization": "token of-this-test"}
FILL = 'mount -t tmpfs -o size=256k tmpfs "$HOME"; mkdir "$HOME/work"; yes > "$HOME/work/big" 2> /dev/null || exec "$@"'
IN_ITS_PLACE = """#!/bin/sh
exec {python} -m jupyterlab --no-browser --allow-root --ServerApp.root_dir="$HOME/work" \\
    --IdentityProvider.token=of-this-test "$@"
"""


@dataclass(frozen=True)
class Server:
    """A learner's server that runs on a full volume: its address, and what it has said."""

    url: str
    log: Path

    def delete(self, name: str) -> int:
        return requests.delete(f"{self.url}/api/contents/{name}", headers=OF_THE_OWNER, timeout=20).status_code

    def write(self, name: str) -> int:
        file = {"type": "file", "format": "text", "content": 100_000 * "x"}
        return requests.put(f"{self.url}/api/contents/{name}", headers=OF_THE_OWNER, json=file, timeout=20).status_code


@pytest.fixture
def server(project: Project, tmp_path: Path) -> Iterator[Server]:
    copy, home, log = copy_clone(project, tmp_path / "labs"), tmp_path / "home", tmp_path / "log"
    home.mkdir()
    for name in ("work", "build"):
        (copy.root / name).symlink_to(home / name)
    stand_in = tmp_path / "jupyterhub-singleuser"
    stand_in.write_text(IN_ITS_PLACE.format(python=project.python))
    stand_in.chmod(0o755)
    words = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        FILL,
        "sh",
        "env",
        f"PATH={tmp_path}:/usr/bin:/bin",
        f"PYTHONPATH={copy.root}",
    ]
    words += [str(project.python), "-P", str(copy.root / "deploy/jupyterhub/serve.py")]
    started = LocalRunner().start(
        words, log=log, invocation=Invocation(environment={"HOME": str(home), "TMPDIR": str(tmp_path)})
    )
    try:
        found = wait_until(
            lambda: re.search(r"http://127\.0\.0\.1:\d+", log.read_text()), "the server", within_seconds=60
        )
        yield Server(found[0], log)
    finally:
        started.close()


def test_who_has_filled_their_volume_comes_in_and_makes_room(server: Server) -> None:
    assert "No space left on device" in server.log.read_text()
    assert server.write("more") >= requests.codes.server_error
    assert server.delete("big") == requests.codes.no_content
    assert server.write("as-much") == requests.codes.created
