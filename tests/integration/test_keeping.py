"""A lab that stays: up, used from another process, reset, refused to strangers, down; and one held for JupyterLab."""

import json
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from labsupport.lab import EVIDENCE_VARIABLE
from labsupport.process.commands import CommandResult, Invocation, LocalRunner
from labsupport.process.ownership import RUN_ROOT_VARIABLE
from labsupport.process.waiting import wait_until
from labsupport.project import Project
from labsupport.systems.inventory import leftovers

pytestmark = [pytest.mark.needs("engine"), pytest.mark.timeout(600)]

NOBODY = 65534
# What the kernel does not remove by itself, and says so in the design.
SWEPT = {"cgroup", "run folder"}
# A stranger in all but one thing: may read whatever folder this clone happens to be in.
AS_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *(f"--{kind}=-all,+dac_read_search" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
    "--",
)
ATTACHED = """
from labsupport import open_lab
lab = open_lab("06-dockerfile-instructions")
trial = lab.trial("override", settles="df-08")
print("ran:", trial.run("docker run --detach --name theirs lab/toolbox sleep 100").exit_code)
print("attached to", lab.machine.name)
lab.close()
"""


@pytest.fixture
def root() -> Iterator[Path]:
    """A run root of this test's own, short enough for sockets, that strangers may enter."""
    with tempfile.TemporaryDirectory(prefix="l-", dir="/var/lib") as name:
        Path(name).chmod(0o755)
        yield Path(name)


class Commands:
    """Runs `./lab` with a run root of the test's own, and a folder for evidence."""

    def __init__(self, project: Project, root: Path, evidence: Path) -> None:
        self._project = project
        own = {RUN_ROOT_VARIABLE: str(root), EVIDENCE_VARIABLE: str(evidence)}
        self._environment = {**own, "PYTHONDONTWRITEBYTECODE": "1"}

    def lab(
        self, *words: str, prefix: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> CommandResult:
        return self.run([str(self._project.root / "lab"), *words], prefix, environment)

    def run(
        self, argv: Sequence[str], prefix: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> CommandResult:
        runner = LocalRunner({**self._environment, **(environment or {})})
        return runner.run([*prefix, *argv], within_seconds=300, invocation=Invocation(folder=self._project.root))


@pytest.fixture
def commands(project: Project, root: Path, tmp_path: Path) -> Iterator[Commands]:
    """The commands; whatever they leave up is ended."""
    given = Commands(project, root, tmp_path / "evidence")
    yield given
    given.lab("down")


def name_of(commands: Commands) -> str:
    running = json.loads(commands.lab("status", "--json").stdout)
    assert [one["owner"] for one in running] == ["./lab down"]
    return str(running[0]["name"])


def assert_one_clear_message(result: CommandResult, exit_code: int, said: str) -> None:
    assert result.exit_code == exit_code, result.stderr
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["Tried", "What happened", "What to do"]
    assert said in result.stderr


def test_up_is_used_reset_and_ended(commands: Commands, project: Project, root: Path) -> None:
    assert commands.lab("up").exit_code == 0
    name = name_of(commands)
    assert_one_clear_message(commands.lab("up"), 2, f"{name} is up already")
    assert_one_clear_message(commands.lab("clean", "--all"), 2, f"{name} runs")

    assert commands.lab("shell", "docker", "run", "--detach", "--name", "mine", "lab/toolbox", "sleep", "9").succeeded
    assert "mine" in commands.lab("shell", "docker", "ps").stdout
    attached = commands.run([str(project.python), "-c", ATTACHED], environment={"LAB_ATTACH": name})
    assert "ran: 0" in attached.stdout, attached.stderr
    assert f"attached to {name}" in attached.stdout
    # The notebook's own container went with its lab.close(); what was there before did not.
    assert commands.lab("shell", "docker", "ps", "--all", "--format", "{{.Names}}").stdout.split() == ["mine"]
    assert "1 container" in commands.lab("reset").stdout
    assert commands.lab("shell", "docker", "ps", "--all", "--quiet").stdout == ""

    assert commands.lab("down").stdout == f"{name} ended; nothing is left of it.\n"
    assert not leftovers(name, root=root)
    assert commands.lab("down").stdout == "No lab was up.\n"


def test_a_stranger_is_told_and_changes_nothing(commands: Commands) -> None:
    commands.lab("up")
    name = name_of(commands)
    for words in (["down"], ["shell", "docker", "ps"], ["reset"]):
        assert_one_clear_message(commands.lab(*words, prefix=AS_NOBODY), 3, "sudo ./lab")
    assert name_of(commands) == name
    assert commands.lab("shell", "docker", "ps").succeeded


def test_a_start_that_is_killed_leaves_no_half_made_lab_up(commands: Commands, project: Project, root: Path) -> None:
    starting = LocalRunner({RUN_ROOT_VARIABLE: str(root)}).start([str(project.root / "lab"), "up"], log=root / "log")

    def engine_is_starting() -> str | None:
        assert starting.exit_code is None, (root / "log").read_text()
        found = [path.parent.parent.name for path in root.glob("lab-*/log/dockerd.log")]
        return found[0] if found else None

    name = wait_until(engine_is_starting, "an engine that is starting", within_seconds=120, every_seconds=0.002)
    os.kill(starting.pid, signal.SIGKILL)
    wait_until(
        lambda: {one.kind for one in leftovers(name, root=root)} <= SWEPT, "the machine to end", within_seconds=30
    )
    assert commands.lab("status", "--json").stdout.strip() == "[]"
    assert commands.lab("clean").exit_code == 0
    assert not leftovers(name, root=root)


def test_a_lab_of_root_serves_the_caller_of_sudo(commands: Commands, project: Project) -> None:
    caller = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY), "HOME": "/nonexistent"}
    cache = os.environ.get("LAB_CACHE") or str(Path.home() / ".cache" / "labsupport")
    commands.lab("up", environment={**caller, "LAB_CACHE": cache})
    name = name_of(commands)
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, NOBODY, NOBODY)
        # As JupyterLab's kernel of `sudo ./lab start`: the caller, with the lab's name.
        notebook = {**caller, "LAB_ATTACH": name, "LAB_CACHE": cache, EVIDENCE_VARIABLE: folder}
        attached = commands.run([str(project.python), "-c", ATTACHED], AS_NOBODY, notebook)
        assert f"attached to {name}" in attached.stdout, attached.stderr
        assert "ran: 0" in attached.stdout
        assert {path.stat().st_uid for path in Path(folder).rglob("*")} == {NOBODY}
