"""The whole lab in a container of an engine that shares neither sockets nor files with its user, who is not root."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from labsupport.process.commands import CommandResult
from labsupport.process.ownership import LABEL_KEY, Owner
from labsupport.process.waiting import wait_until
from labsupport.systems.guests.container import OWNER_KEY
from tests.desktops import SHARED, USER, Desktop, desktop

pytestmark = [pytest.mark.needs("root", "machine", "engine"), pytest.mark.timeout(600)]

FETCH = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=20).status)
except (OSError, urllib.error.HTTPError) as error:
    print(getattr(error, "code", "nobody"))
"""
# What a whole notebook does, in some seconds.
SHORT = """
from labsupport import open_lab
lab = open_lab("06-dockerfile-instructions", engine=engine, cluster=cluster, seed=seed)
trial = lab.trial("override", settles="df-08")
step = trial.run("docker run --rm lab/toolbox echo live")
assert step.output.strip() == "live", step
lab.close()
"""
CLUSTER_REPLAYED = ("--cluster", "replay")


@pytest.fixture(scope="module")
def computer() -> Iterator[Desktop]:
    with desktop() as given:
        shorten(given.clone / "notebooks/06-dockerfile-instructions.ipynb")
        yield given


def shorten(notebook: Path) -> None:
    content = nbformat.read(notebook, as_version=4)
    content.cells = [next(cell for cell in content.cells if cell.cell_type == "code"), new_code_cell(SHORT)]
    nbformat.write(content, notebook)


def said(result: CommandResult) -> str:
    return f"exit code {result.exit_code}: {result.stdout[-2000:]}{result.stderr[-2000:]}"


def owners_of(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in [folder, *folder.rglob("*")]}


def fetch(computer: Desktop, address: str) -> str:
    return computer.machine.runner.run([computer.machine.interpreter, "-c", FETCH, address]).stdout.strip()


def test_an_ordinary_user_runs_a_notebook_live_by_asking_for_nothing(computer: Desktop) -> None:
    before = computer.objects()
    result = computer.lab("run", "06", apart=True)
    assert result.succeeded, said(result)
    assert "1 of 1 notebooks passed" in result.stdout
    assert "does not see /mnt/clone" in result.stderr
    results = computer.clone.parent / "build-of-apart"
    assert (results / "report/index.html").exists()
    assert '"backend": "private"' in (results / "evidence/06-dockerfile-instructions/override.json").read_text()
    assert owners_of(results) == {USER}
    assert computer.objects() == before


def test_a_lab_that_is_up_has_a_shell_and_goes_down(computer: Desktop) -> None:
    before = computer.objects()
    assert (up := computer.lab("up", *CLUSTER_REPLAYED)).succeeded, said(up)
    again = computer.lab("up", *CLUSTER_REPLAYED)
    assert again.exit_code == 2
    assert "is up already" in again.stderr
    piped = computer.lab("shell", "cat", stdin="typed")
    assert (piped.exit_code, piped.stdout) == (0, "typed"), said(piped)
    asked = computer.lab("shell", "docker", "run", "--rm", "lab/toolbox", "sh", "-c", "echo hello; exit 5")
    assert (asked.exit_code, asked.stdout.strip()) == (5, "hello"), said(asked)
    assert "machine namespaces" in re.sub(" +", " ", computer.lab("status").stdout)
    down = computer.lab("down")
    assert "nothing is left" in down.stdout, said(down)
    assert computer.objects() == before
    assert owners_of(computer.clone) == {USER}


def test_jupyterlab_is_reached_by_its_token_and_all_ends_with_a_killed_command(computer: Desktop) -> None:
    before = computer.objects()
    command = computer.start_lab("start", "--no-browser", *CLUSTER_REPLAYED)
    address = wait_until(
        lambda: re.search(r"JupyterLab: (http://127\.0\.0\.1:\d+)(/lab\?token=\S+)", command.log.read_text()),
        "JupyterLab's address",
        within_seconds=120,
        last_seen=command.log.read_text,
    )
    assert fetch(computer, address[1] + address[2]) == "200"
    assert fetch(computer, f"{address[1]}/api/contents") == "403"
    command.signal(9)
    wait_until(lambda: computer.objects() == before, "the container to be gone", within_seconds=60)
    assert fetch(computer, address[1]) == "nobody"
    assert owners_of(computer.clone) == {USER}
    assert (computer.clone / "work/06-dockerfile-instructions.ipynb").exists()


@pytest.mark.parametrize(
    ("words", "environment", "exit_code", "happened"),
    [
        (["start", "--port", "70000"], {}, 2, "none of them is free"),
        (["run", "06", "--machine", "namespaces"], {}, 3, "it takes root"),
        (
            ["run", "06", "--machine", "container"],
            {"DOCKER_HOST": "tcp://127.0.0.1:9"},
            3,
            "nothing answers at tcp://127.0.0.1:9",
        ),
    ],
)
def test_what_cannot_be_had_is_one_clear_message(
    computer: Desktop, words: list[str], environment: dict[str, str], exit_code: int, happened: str
) -> None:
    result = computer.lab(*words, **environment)
    assert result.exit_code == exit_code, said(result)
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["Tried", "What happened", "What to do"]
    assert happened in result.stderr


def test_recorded_evidence_takes_no_container(computer: Desktop) -> None:
    result = computer.lab("run", "09", "--engine", "replay")
    assert result.succeeded, said(result)
    assert "container" not in result.stderr


def test_what_a_dead_owner_left_half_made_goes_and_what_a_living_one_makes_stays(computer: Desktop) -> None:
    made = {}
    # As the user's computer counts, its first process lives; another of that number has ended.
    for name, started_at in {"lab-00dead": "never", "lab-0a11fe": Owner.of(computer.machine.pid).started_at}.items():
        record = {"computer": computer.machine.name, "pid": 1, "started_at": started_at}
        labels = {LABEL_KEY: name, OWNER_KEY: json.dumps(record)}
        image = computer.engine.client.images.list()[0]
        made[name] = computer.engine.client.containers.create(image, ["sleep"], name=name, labels=labels)
    cleaned = computer.lab("clean")
    left = [each.name for each in computer.engine.client.containers.list(all=True)]
    made["lab-0a11fe"].remove()
    assert "what lab-00dead had left" in cleaned.stdout, said(cleaned)
    assert left == ["lab-0a11fe"]


def test_clean_removes_image_and_volume_and_offline_they_are_missed_in_one_message(computer: Desktop) -> None:
    cleaned = computer.lab("clean", "--all", LAB_CACHE=f"{SHARED}/home/cache")
    assert "the volume labsupport" in cleaned.stdout, said(cleaned)
    assert "the image labsupport/guest" in cleaned.stdout
    assert computer.engine.client.images.list() == computer.engine.client.volumes.list() == []
    missed = computer.lab("run", "06", LAB_CACHE=f"{SHARED}/home/cache")
    assert missed.exit_code == 3, said(missed)
    assert "docker build --tag labsupport/guest" in missed.stderr
    assert "connect to the network" in missed.stderr
