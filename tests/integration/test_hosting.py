"""./lab room for two accounts: each has a lab, a JupyterLab and kernels as themselves; all end together, killed too.

The accounts are there in the tests' own mount namespace only.
"""

import os
import re
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from jupyter_client import BlockingKernelClient

from labsupport.process.commands import Background, CommandResult, Invocation, LocalRunner
from labsupport.process.waiting import wait_until
from labsupport.project import Project
from tests.clones import copy_clone
from tests.engines import toolchain

pytestmark = [pytest.mark.needs("root", "machine", "engine"), pytest.mark.timeout(600)]

LEARNERS = {"ann": 4301, "ben": 4302}
FIRST_PORT = 18940
USE = """
import os
from labsupport import open_lab
ran = open_lab("06-dockerfile-instructions").trial("hello").run("docker run --rm lab/toolbox echo live")
print(os.getuid(), os.environ["LOGNAME"], os.environ.get("SECRET_OF_ROOT"), ran.stdout, end="")
"""


@dataclass(frozen=True)
class Server:
    """A server with accounts for learners, and a clone that they may read."""

    folder: Path
    clone: Project

    def lab(self, *words: str, cache: Path | None = None) -> CommandResult:
        return LocalRunner().run(self._argv(words), within_seconds=300, invocation=self._invocation(cache))

    def open_room(self, *before: str) -> Background:
        """Start `./lab room` for both, after some lines of shell, and return when all is said."""
        log = self.folder / "room.log"
        log.write_text("")
        words = ("room", "--port", str(FIRST_PORT), *LEARNERS)
        begun = LocalRunner().start(self._argv(words, before), log=log, invocation=self._invocation())
        wait_until(
            lambda: "Ctrl-C ends all labs" in log.read_text() or begun.exit_code is not None,
            "the room",
            within_seconds=200,
            last_seen=log.read_text,
        )
        assert begun.exit_code is None, log.read_text()
        return begun

    def address(self, learner: str) -> Path:
        return self.folder / "homes" / learner / "labs" / "address.txt"

    def processes(self) -> list[psutil.Process]:
        """All that runs from a seat."""
        seats = str(self.clone.build / "room")
        return [each for each in psutil.process_iter() if any(seats in word for word in _words(each))]

    def _argv(self, words: tuple[str, ...], before: tuple[str, ...] = ()) -> list[str]:
        return ["unshare", "--mount", "sh", "-ec", self._script(before), "sh", str(self.clone.root / "lab"), *words]

    def _invocation(self, cache: Path | None = None) -> Invocation:
        folders = {"LAB_CACHE": str(cache or toolchain().cache), "LAB_RUN_ROOT": str(self.folder / "labs")}
        # Beside other tests' labs there may be no room for two more clusters.
        more = {"LAB_CLUSTER": "replay", "SECRET_OF_ROOT": "yes"}
        return Invocation(environment={**folders, **more}, folder=self.clone.root)

    def _script(self, before: tuple[str, ...]) -> str:
        """A script that gives a command the accounts, and everybody a way to Python and the tools."""
        needed = [Path(sys.base_prefix), Path(sys.prefix), toolchain().cache]
        tops = {path: _topmost_shut(path) for path in needed if _topmost_shut(path)}
        kept = {path: self.folder / f"kept-{number}" for number, path in enumerate(tops)}
        lines = [f"mount --bind {self.folder}/passwd /etc/passwd"]
        lines += [f"mkdir -p {kept[path]} && mount --rbind {path} {kept[path]}" for path in tops]
        lines += [f"mount -t tmpfs -o mode=755 none {top}" for top in dict.fromkeys(tops.values())]
        lines += [f"mkdir -p {path} && mount --rbind {kept[path]} {path}" for path in tops]
        return "\n".join([*lines, *before, 'exec "$@"'])


@dataclass(frozen=True)
class Jupyter:
    """A learner's JupyterLab, by the address that they were given."""

    url: str
    token: str

    @classmethod
    def at(cls, address: str) -> "Jupyter":
        found = re.fullmatch(r"(http://\S+)/lab\?token=(\S+)\n", address)
        assert found, address
        return cls(found[1], found[2])

    def ask(self, method: str, path: str, token: str = "") -> requests.Response:
        said = {"Authorization": f"token {token or self.token}"}
        return requests.request(method, f"{self.url}/api/{path}", headers=said, timeout=30)


@pytest.fixture
def server(project: Project) -> Iterator[Server]:
    # Short, for sockets; and open to all, as pytest's own folders are not.
    with tempfile.TemporaryDirectory(prefix="r-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        clone = copy_clone(project, folder / "clone")
        (clone.root / ".venv").symlink_to(sys.prefix)
        accounts = Path("/etc/passwd").read_text()
        for learner, number in LEARNERS.items():
            home = folder / "homes" / learner
            home.mkdir(parents=True)
            os.chown(home, number, number)
            accounts += f"{learner}:x:{number}:{number}::{home}:/bin/sh\n"
        (folder / "passwd").write_text(accounts)
        yield Server(folder, clone)


def test_each_learner_has_a_lab_and_all_end_together(server: Server) -> None:
    room = server.open_room()
    try:
        for learner, number in LEARNERS.items():
            status = server.address(learner).stat()
            assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (number, 0o600)
        ann, ben = (Jupyter.at(server.address(learner).read_text()) for learner in LEARNERS)
        assert ann.ask("GET", "status", token=ben.token).status_code == requests.codes.forbidden
        for (learner, number), jupyter in zip(LEARNERS.items(), (ann, ben), strict=True):
            kernel = jupyter.ask("POST", "kernels").json()["id"]
            assert _run(server, learner, kernel, USE) == f"{number} {learner} None live\n"
        (notebook,) = server.folder.glob("homes/ann/labs/work/00-*.ipynb")
        assert notebook.stat().st_uid == LEARNERS["ann"]
        assert ann.ask("POST", "shutdown").ok
        wait_until(lambda: "The lab of ann has ended." in room.log.read_text(), "ann's end", within_seconds=60)
        assert ben.ask("GET", "status").ok
        assert "another command does so already" in server.lab("room", "ben").stderr
        room.signal(signal.SIGINT)
        assert room.wait(60) == 130
    finally:
        room.close()
    assert server.processes() == []
    assert not any(server.address(learner).exists() for learner in LEARNERS)
    assert not [*server.clone.build.glob("room/*")]
    assert notebook.exists()
    assert "seats" not in server.lab("clean").stdout


def test_with_a_killed_command_all_labs_end_and_clean_removes_the_seats(server: Server) -> None:
    room = server.open_room()
    try:
        os.kill(room.pid, signal.SIGKILL)
        # While the labs end, nobody takes their seats away.
        assert server.address("ann").exists()
        said = server.lab("clean").stdout
        assert server.address("ann").exists() or not server.processes()
        wait_until(lambda: not server.processes(), "the end of all labs", within_seconds=60)
    finally:
        room.close()
    said += server.lab("clean").stdout
    assert said.count(f"seats of ann, ben in {server.clone.build / 'room'}\n") == 1
    assert not server.address("ann").exists()
    assert "seats" not in server.lab("clean").stdout


def test_who_may_not_reach_the_tools_is_named_before_anything_starts(server: Server) -> None:
    cache = server.folder / "shut" / "cache"
    cache.mkdir(parents=True)
    for area in toolchain().cache.iterdir():
        (cache / area.name).symlink_to(area)
    cache.parent.chmod(0o700)
    refused = server.lab("room", *LEARNERS, cache=cache)
    assert refused.exit_code == 3
    assert f"ann, ben may not use the tools in {cache}" in refused.stderr
    assert not [*server.folder.glob("homes/*/*")]


FULL = """
mount -t tmpfs -o size=16m,mode=755,uid={user} none {home}
mkdir -p {home}/labs && chown {user} {home}/labs
head -c 32m /dev/zero > {home}/big || true
"""


@pytest.mark.parametrize(
    ("before", "said"), [(FULL, "No space left on device"), ("touch {home}/labs", "copy notebooks into")]
)
def test_one_whose_home_takes_no_files_takes_nothing_from_the_others(server: Server, before: str, said: str) -> None:
    home = server.address("ann").parent.parent
    room = server.open_room(before.format(home=home, user=LEARNERS["ann"]))
    try:
        assert said in room.log.read_text()
        ben = Jupyter.at(server.address("ben").read_text())
        assert ben.ask("GET", "status").ok
        room.signal(signal.SIGINT)
        assert room.wait(60) == 130
    finally:
        room.close()


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _run(server: Server, learner: str, kernel: str, code: str) -> str:
    """The last line that code prints in a kernel of a learner's JupyterLab."""
    file = server.address(learner).parent / f"build/jupyter/runtime/kernel-{kernel}.json"
    wait_until(file.exists, "the kernel's connection", within_seconds=30)
    printed = ""

    def hear(message: dict[str, Any]) -> None:
        nonlocal printed
        printed += message["content"].get("text", "") + "\n".join(message["content"].get("traceback", []))

    client = BlockingKernelClient(connection_file=str(file))
    client.load_connection_file()
    # A kernel that is slow to begin misses beats.
    client.start_channels(hb=False)
    try:
        client.wait_for_ready(timeout=60)
        client.execute_interactive(code, timeout=120, output_hook=hear)
    finally:
        client.stop_channels()
    return printed.splitlines(keepends=True)[-1]


def _topmost_shut(path: Path) -> Path | None:
    """The topmost folder on the way that not everybody may enter."""
    return next((each for each in reversed((path, *path.parents)) if not each.stat().st_mode & stat.S_IXOTH), None)
