"""What goes wrong for people: one clear message each, the right exit code, nothing left behind."""

import os
import shutil
import signal
import socket
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from labsupport.process.commands import Background, CommandResult, Invocation, LocalRunner
from labsupport.process.waiting import wait_until
from labsupport.project import Project
from tests.runs import told_cell

NOBODY = 65534
# Nothing live: no tools to build, no machine to start.
REPLAY = ("--engine", "replay", "--cluster", "replay")
# An ordinary user in all but one thing: may read whatever folder this clone happens to be in.
AS_NOBODY = [
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *(
        "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=-all,+dac_read_search",
        "--bounding-set=-all,+dac_read_search",
    ),
    "--",
]


@pytest.fixture
def own_clone(project: Project) -> Iterator[Project]:
    """A copy of this clone that belongs to an ordinary user, with an empty home folder beside it."""
    # Not below pytest's own temporary folder, which only the user of the tests may enter.
    with tempfile.TemporaryDirectory(prefix="own-clone-") as name:
        folder = Path(name)
        root = folder / "clone"
        root.mkdir()
        for part in ("labsupport", "notebooks", "toolchain"):
            shutil.copytree(project.root / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("lab", "requirements.lock"):
            shutil.copy2(project.root / part, root / part)
        (root / ".venv").symlink_to(project.python.parent.parent)
        (folder / "home").mkdir()
        folder.chmod(0o755)
        for path in [folder, *folder.rglob("*")] if os.geteuid() == 0 else []:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        yield Project(root)


def lab(
    clone: Project,
    *words: str,
    prefix: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    within_seconds: float = 120,
) -> CommandResult:
    home = {"HOME": str(clone.root.parent / "home"), **(environment or {})}
    argv = [*prefix, str(clone.root / "lab"), *words]
    return LocalRunner(home).run(argv, within_seconds=within_seconds, invocation=Invocation(folder=clone.root))


def assert_one_clear_message(result: CommandResult, exit_code: int) -> None:
    assert result.exit_code == exit_code, result.stderr
    assert "Traceback" not in result.stderr
    said = [line.split(":")[0] for line in result.stderr.splitlines()]
    for part in ("Tried", "What happened", "What to do"):
        assert said.count(part) == 1, result.stderr


@pytest.mark.needs("root")
@pytest.mark.parametrize("words", [["run", "--engine", "private"], ["up", "--machine", "namespaces"], ["record", "06"]])
def test_no_root_and_no_docker(own_clone: Project, words: list[str]) -> None:
    result = lab(own_clone, *words, prefix=AS_NOBODY)
    assert_one_clear_message(result, 3)
    assert "sudo" in result.stderr
    assert "--engine replay" in result.stderr
    assert not list((own_clone.root.parent / "home").iterdir())
    assert not own_clone.build.exists()


@pytest.mark.needs("machine")
def test_disk_full_on_the_cache_folder(own_clone: Project) -> None:
    cache = own_clone.root.parent / "cache"
    cache.mkdir()
    # The small disk is there for this command only. What is complete may stay in it; nothing half-made may.
    half_made = f"find {cache}/build {cache}/partial -type f -size +0 2>&-"
    script = f'mount -t tmpfs -o size=2m none {cache}; "$@"; echo "exit code $?"; {half_made}'
    result = lab(
        own_clone,
        *("run", "06"),
        prefix=["unshare", "--mount", "sh", "-c", script, "sh"],
        environment={"LAB_CACHE": str(cache), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    code, *left = result.stdout.splitlines()
    assert code == "exit code 1", result.stderr
    assert_one_clear_message(replace(result, exit_code=1), 1)
    assert "MB" in result.stderr
    assert not left


def goes_on(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_run_stopped_with_ctrl_c_ends_its_kernel_and_the_next_one_works(own_clone: Project) -> None:
    log = own_clone.root.parent / "log"
    home = {"HOME": str(own_clone.root.parent / "home")}
    words = [str(own_clone.root / "lab"), "run", *REPLAY]
    # All notebooks, so that there is something to stop however quick the first ones are.
    stopped = LocalRunner(home).start(words, log=log)
    wait_until(lambda: told_cell(log) > 0, "a cell to run", within_seconds=120, last_seen=log.read_text)
    command = psutil.Process(stopped.pid)
    kernels = wait_until(lambda: command.children(recursive=True), "its kernel", within_seconds=120)
    stopped.signal(signal.SIGINT)
    assert stopped.wait(120) == 130
    assert "Stopped." in log.read_text()
    assert "Traceback" not in log.read_text()
    wait_until(lambda: not any(map(goes_on, kernels)), "its kernel to be gone", within_seconds=60)
    again = LocalRunner(home).run([*words, "06"], within_seconds=240)
    assert "1 of 1 notebooks passed" in again.stdout, again.stderr


def test_a_place_that_cannot_be_written_is_one_clear_message(own_clone: Project) -> None:
    own_clone.build.mkdir()
    (own_clone.build / "jupyter").write_text("a file where start keeps its folder")
    assert_one_clear_message(lab(own_clone, "start", *REPLAY, "--no-browser"), 1)


def test_an_unknown_notebook(own_clone: Project) -> None:
    result = lab(own_clone, "run", "99-no-such-thing")
    assert_one_clear_message(result, 2)
    assert "06-dockerfile-instructions" in result.stderr
    assert not own_clone.build.exists()


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@contextmanager
def started(
    clone: Project, *words: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[Background, str]]:
    """Run `./lab start` until the block ends; gives the address it printed."""
    log = clone.root.parent / "start.log"
    home = {"HOME": str(clone.root.parent / "home"), "PYTHONUNBUFFERED": "1", **(environment or {})}
    server = LocalRunner(home).start([str(clone.root / "lab"), "start", "--no-browser", *words], log=log)
    try:

        def address() -> str | None:
            assert server.exit_code is None, log.read_text()
            found = [line for line in log.read_text().splitlines() if line.startswith("JupyterLab: ")]
            return found[0].removeprefix("JupyterLab: ") if found else None

        yield server, wait_until(address, "JupyterLab's address", within_seconds=120, last_seen=log.read_text)
    finally:
        server.close()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return reply.status == 200
    except OSError:  # refused, or reset while it was ending
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_or_a_polite_kill_ends_as_ctrl_c_does(own_clone: Project, number: signal.Signals) -> None:
    with started(own_clone, *REPLAY) as (server, url):
        server.signal(number)
        assert server.wait(120) == 130
        assert not answers(url)


def test_a_taken_port_means_the_next_one(own_clone: Project) -> None:
    with taken_port() as port, started(own_clone, *REPLAY, "--port", str(port)) as (server, url):
        assert f":{port}/" not in url
        assert url.startswith(("http://127.0.0.1:", "http://localhost:"))
        assert answers(url)
        server.signal(signal.SIGINT)
        assert server.wait(120) == 130
        assert not answers(url)
    assert (own_clone.work / "06-dockerfile-instructions.ipynb").exists()


def test_a_killed_start_takes_its_server_with_it(own_clone: Project) -> None:
    with started(own_clone, *REPLAY) as (server, url):
        assert answers(url)
        server.signal(signal.SIGKILL)
        wait_until(lambda: not answers(url), "the server to end with its command", within_seconds=60)


def test_a_stranger_without_the_token_is_refused(own_clone: Project) -> None:
    with started(own_clone, *REPLAY) as (_, url):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url.split("lab?")[0] + "api/contents", timeout=30)
        assert refused.value.code == 403
        private = own_clone.build / "jupyter"
        assert private.stat().st_mode & 0o077 == 0


@pytest.mark.needs("root")
def test_under_sudo_jupyterlab_and_files_are_the_callers(own_clone: Project) -> None:
    if not _can_run(str(own_clone.root / ".venv/bin/python")):
        pytest.skip(
            "this clone or its Python lies in a folder that only root may enter: no caller of sudo could use it"
        )
    caller = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)}
    with started(own_clone, *REPLAY, environment=caller) as (server, url):
        assert answers(url)
        owners = {one.uids().real for one in psutil.Process(server.pid).children(recursive=True)}
        assert owners == {NOBODY}
    made = set()
    for path in [path for folder in (own_clone.work, own_clone.build) for path in (folder, *folder.rglob("*"))]:
        with suppress(FileNotFoundError):  # the server, which is just ending, removes files of its own
            made.add(path.lstat().st_uid)
    assert made == {NOBODY}


def _can_run(python: str) -> bool:
    ordinary = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    return LocalRunner().run([*ordinary, python, "-c", "import jupyterlab"]).succeeded
