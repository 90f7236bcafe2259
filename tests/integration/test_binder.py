"""Binder, as far as it can be had here: its build plan, and what it runs, as a user with nothing in 2 GiB of memory."""

import os
import re
import shlex
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labsupport.process.commands import CommandResult, Invocation, LocalRunner
from labsupport.process.waiting import wait_until
from labsupport.project import Project
from tests.clones import copy_clone

NOBODY = 65534
GIBIBYTE = 1 << 30
LIMIT = 2 * GIBIBYTE
# What Binder has not, wherever it is on this computer.
NOT_ON_PATH = re.compile(r"(docker|containerd|podman|runc|go|gofmt|kube|kind|helm|kwok|etcd|coredns|sudo).*")
REPO2DOCKER = "jupyter-repo2docker==2026.4.0"


class MemoryGroup:
    """A cgroup of either version with a limit on memory."""

    def __init__(self, name: str, limit: int = LIMIT) -> None:
        version_1 = Path("/sys/fs/cgroup/memory")
        self.is_version_1 = version_1.is_dir()
        self.folder = (version_1 if self.is_version_1 else Path("/sys/fs/cgroup")) / name
        self.folder.mkdir()
        self._write("memory.limit_in_bytes" if self.is_version_1 else "memory.max", limit)

    def _write(self, file: str, value: int) -> None:
        (self.folder / file).write_text(str(value))

    @property
    def peak_bytes(self) -> int:
        return int((self.folder / ("memory.max_usage_in_bytes" if self.is_version_1 else "memory.peak")).read_text())

    @property
    def killed(self) -> int:
        """How often the kernel ended a process of it for want of memory."""
        text = (self.folder / ("memory.oom_control" if self.is_version_1 else "memory.events")).read_text()
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith("oom_kill ")))

    def argv(self, *words: str) -> list[str]:
        """`words` in this group."""
        return ["sh", "-c", f'echo $$ > {shlex.quote(str(self.folder))}/cgroup.procs; exec "$@"', "sh", *words]

    def remove(self) -> None:
        wait_until(
            lambda: not (self.folder / "cgroup.procs").read_text(), f"the end of {self.folder}", within_seconds=20
        )
        self.folder.rmdir()


@dataclass(frozen=True)
class Server:
    """What Binder gives: a clone in a home of its own, an environment with the packages, and little else.

    `mounts` are folders seen elsewhere: this project's Python may lie where nobody else may go.
    """

    clone: Path
    group: MemoryGroup
    environment: dict[str, str]
    mounts: dict[Path, Path]

    def argv(self, *words: str) -> list[str]:
        """`words` as nobody, in the group, with nothing of this computer's environment."""
        user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all", "--no-new-privs"]
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        own = ["setpriv", *user, "--", "env", "-i", *settings, *words]
        return [*mounted(self.mounts), *self.group.argv(*own)]

    def run(self, *words: str, within_seconds: float) -> CommandResult:
        return LocalRunner().run(
            self.argv(*words), within_seconds=within_seconds, invocation=Invocation(folder=self.clone)
        )


def mounted(mounts: dict[Path, Path]) -> list[str]:
    """The beginning of a command that sees folders in other places as well."""
    binding = "; ".join(shlex.join(["mount", "--bind", str(folder), str(place)]) for folder, place in mounts.items())
    return ["unshare", "--mount", "sh", "-c", f'{binding}; exec "$@"', "sh"]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="lab-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def server(place: Path, project: Project) -> Iterator[Server]:
    home = place / "home"
    clone, environment, programs = home / "clone", place / "conda", place / "programs"
    copy_clone(project, clone)
    # Stands for conda's: the packages of this project's own environment, and what postBuild installs.
    own = next((project.python.parent.parent / "lib").glob("python*/site-packages"))
    mounts = {Path(sys.base_prefix): place / "python", own: place / "packages"}
    for seen_at in mounts.values():
        seen_at.mkdir()
    python = place / "python" / "bin" / f"python3.{sys.version_info.minor}"
    LocalRunner().run([*mounted(mounts), str(python), "-m", "venv", "--without-pip", str(environment)]).or_raise()
    packages = next((environment / "lib").glob("python*/site-packages"))
    (packages / "conda.pth").write_text(f"{place / 'packages'}\n")
    # What postBuild has pip fetch; here with this computer's settings for pip, which nobody has not.
    wheels = place / "wheels"
    needed = tomllib.loads((project.root / "pyproject.toml").read_text())["build-system"]["requires"]
    pip = [str(project.python), "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), *needed]
    LocalRunner().run(pip, within_seconds=100).or_raise()
    programs.mkdir()
    for program in (path for folder in ("/usr/bin", "/bin") for path in Path(folder).iterdir()):
        if not NOT_ON_PATH.fullmatch(program.name) and not (programs / program.name).is_symlink():
            (programs / program.name).symlink_to(program)
    LocalRunner().run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(home), str(environment)]).or_raise()
    path = f"{environment}/bin:{programs}"
    variables = {"HOME": str(home), "USER": "nobody", "PATH": path, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    # A Python seen elsewhere would load another computer-wide library of its own.
    variables["LD_LIBRARY_PATH"] = f"{place / 'python' / 'lib'}"
    variables |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    group = MemoryGroup(f"lab-test-{os.getpid()}")
    yield Server(clone, group, variables, mounts)
    group.remove()


@pytest.mark.needs("root", "binder")
@pytest.mark.timeout(600)
def test_all_notebooks_run_beside_jupyterlab_in_two_gibibytes(server: Server, tmp_path: Path) -> None:
    assert server.run("sh", "-c", "command -v docker || command -v go", within_seconds=10).exit_code
    server.run("binder/postBuild", within_seconds=200).or_raise()
    log = tmp_path / "jupyterlab.log"
    jupyterlab = ("python", "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--port=0")
    lab = LocalRunner().start(
        server.argv("binder/start", *jupyterlab), log=log, invocation=Invocation(folder=server.clone)
    )
    try:
        wait_until(lambda: "http://" in log.read_text(), f"JupyterLab ({log})", within_seconds=60)
        ran = server.run("binder/start", "python", "-m", "labsupport.cli", "run", within_seconds=400)
    finally:
        lab.close()
    peak, seconds = server.group.peak_bytes / GIBIBYTE, ran.seconds
    print(f"Ten notebooks and JupyterLab: {seconds:.0f} s, at most {peak:.2f} of 2 GiB, caches of files included.")
    assert ran.exit_code == 0, ran.stdout[-3000:] + ran.stderr[-1000:]
    assert "10 of 10 notebooks passed: 9 from recorded evidence, 1 needing no lab." in ran.stdout
    assert server.group.killed == 0


@pytest.mark.needs("root", "binder")
def test_more_memory_than_the_group_has_would_be_seen() -> None:
    group = MemoryGroup(f"lab-test-{os.getpid()}", limit=64 << 20)
    try:
        greedy = LocalRunner().run(group.argv(sys.executable, "-c", "b'x' * (256 << 20)"))
        assert not greedy.succeeded and group.killed == 1 and group.peak_bytes > 60 << 20
    finally:
        group.remove()


@pytest.mark.needs("binder")
def test_repo2docker_plans_what_is_written_here(project: Project, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    copy_clone(project, clone)
    LocalRunner().run([sys.executable, "-m", "venv", str(tmp_path / "venv")]).or_raise()
    programs = tmp_path / "venv" / "bin"
    pip = [str(programs / "pip"), "install", "--quiet", REPO2DOCKER]
    LocalRunner().run(pip, within_seconds=200).or_raise()
    argv = [str(programs / "jupyter-repo2docker"), "--no-build", "--debug", "clone"]
    planned = LocalRunner().run(argv, invocation=Invocation(folder=tmp_path)).or_raise()
    plan = planned.stdout + planned.stderr
    assert "python=3.12" in plan and "unspecified" not in plan
    assert 'env update -p ${NB_PYTHON_PREFIX} --file "binder/environment.yml"' in plan
    assert "RUN ./binder/postBuild" in plan
    assert plan.index("USER ${NB_USER}\n", plan.index("COPY --chown")) < plan.index("RUN ./binder/postBuild")
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in plan
