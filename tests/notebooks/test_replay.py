"""Every notebook runs on recorded evidence, for an ordinary user, settles what is stored in it, and says of every
output that it is recorded."""

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labsupport.lessons.catalog import lesson
from labsupport.notebooks import NotebookFile, all_notebooks
from labsupport.process.commands import CommandResult, Invocation, LocalRunner
from labsupport.project import Project, this_project
from labsupport.systems.clusters.simulated import SIMULATED
from tests.clusters import simulated_tools
from tests.figures import figures_in, seen_only
from tests.notebooks.keeping_outputs import KEPT

pytestmark = pytest.mark.timeout(900)

NOTEBOOKS = all_notebooks(this_project())
# Kernels start and draw on one core each; more at once would only wait for each other.
AT_ONCE = 2
# What shows no evidence: the end of the lab, an exercise's check of the learner's own work, the verdicts in plain text.
NO_EVIDENCE = ("lab.close()", "lab.exercise(", "lab.settled()")
TOLD_IN_TEXT = re.compile(r"\[(recorded|simulated|live)\b|RECORDED|SIMULATED here")


@dataclass(frozen=True)
class Replay:
    """What nbval said of a notebook, and what its cells put out."""

    result: CommandResult
    cells: list[dict[str, Any]]


Replays = dict[str, "Future[Replay]"]


@pytest.fixture(scope="module")
def replays(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replays]:
    """Begin with all of them; each test waits for its own."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {one.slug: pool.submit(_replay, project, one, tmp_path_factory.mktemp(one.slug)) for one in NOTEBOOKS}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda one: one.slug)
def test_nbval_agrees_on_recorded_evidence(notebook: NotebookFile, replays: Replays) -> None:
    result = replays[notebook.slug].result().result
    assert result.succeeded, result.stdout[-4000:]
    assert " passed" in result.stdout


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda one: one.slug)
def test_every_output_says_where_it_comes_from(notebook: NotebookFile, replays: Replays, project: Project) -> None:
    if not (project.recorded_evidence / notebook.slug).is_dir():
        pytest.skip("it shows no evidence of its own")
    cells = replays[notebook.slug].result().cells
    assert cells
    assert not silent_about_their_origin(cells)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda one: one.slug)
def test_every_figure_has_a_name_and_a_table_that_says_the_same(notebook: NotebookFile, replays: Replays) -> None:
    cells = replays[notebook.slug].result().cells
    shown = [output.get("data", {}).get("text/html", "") for cell in cells for output in cell["outputs"]]
    assert any(map(figures_in, shown))
    assert [each for html in shown for each in seen_only(html)] == []


@pytest.mark.needs("cluster")
@pytest.mark.parametrize("slug", ["07-pv-reclaim", "08-statefulset"])
def test_on_simulated_nodes_every_output_is_marked_as_simulated_or_as_recorded(
    slug: str, project: Project, tmp_path: Path
) -> None:
    simulated_tools()
    notebook = next(one for one in NOTEBOOKS if one.slug == slug)
    cells = _replay(project, notebook, tmp_path, cluster="simulated").cells
    wrong = [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
    assert not wrong, wrong
    assert not silent_about_their_origin(cells)
    texts = [output.get("data", {}).get("text/plain", "") for cell in cells for output in cell["outputs"]]
    simulated = f" [simulated: {', '.join(SIMULATED)}]"
    # Whatever is live has its simulated parts named beside it; whatever is recorded was real.
    after_live = [after for text in texts for after in text.split("[live]")[1:]]
    assert after_live
    assert [after for after in after_live if not after.startswith(simulated)] == []
    assert any("[recorded: " in text for text in texts)
    evidence = [json.loads(file.read_text()) for file in (tmp_path / "evidence").rglob("*.json")]
    assert evidence
    assert {(one["backend"], *one["simulated"]) for one in evidence} == {("simulated", *SIMULATED)}
    assert not {one["experiment"].partition("/")[2] for one in evidence} & lesson(slug).real_nodes.keys()


MARKED = {"text/html": '<div class="lab-origin">…</div>', "text/plain": "[recorded: 2026-11-23]\n\n1"}


@pytest.mark.parametrize(
    ("source", "output", "is_silent"),
    [
        ("trial.check(x)", {"output_type": "execute_result", "data": MARKED}, False),
        ("trial.check(x)", {"output_type": "execute_result", "data": {**MARKED, "text/plain": "1"}}, True),
        ("trial.check(x)", {"output_type": "execute_result", "data": {**MARKED, "text/html": "<p>1</p>"}}, True),
        ("[1]", {"output_type": "display_data", "data": {"text/plain": "[1]"}}, True),
        ("print(1)", {"output_type": "stream", "text": "1"}, True),
        ("!cat file", {"output_type": "stream", "text": "1"}, False),
        ("lab.close()", {"output_type": "display_data", "data": {"text/plain": "closed"}}, False),
    ],
)
def test_a_missing_mark_is_found(source: str, output: dict[str, Any], is_silent: bool) -> None:
    """The control: the test above can fail."""
    assert bool(silent_about_their_origin([{"source": source, "outputs": [output]}])) is is_silent


def silent_about_their_origin(cells: Iterable[dict[str, Any]]) -> list[str]:
    """Return the source of each cell with an output that says neither in HTML or not in text where it comes from.

    What `!` and `%%` cells print is printed now: the shell's and the file's own words, which no mark could stand in.
    """
    return [
        cell["source"]
        for cell in cells
        if not cell["source"].startswith(NO_EVIDENCE)
        and not re.search(r"^(!|%%)", cell["source"], re.MULTILINE)
        and not all(map(_says_where_from, cell["outputs"]))
    ]


def _says_where_from(output: dict[str, Any]) -> bool:
    data = output.get("data", {})
    in_html = re.search(r'class="lab-(origin|banner)', data.get("text/html", ""))
    return bool(in_html and TOLD_IN_TEXT.search(data.get("text/plain", "")))


def _replay(project: Project, notebook: NotebookFile, folder: Path, *, cluster: str = "replay") -> Replay:
    copy = folder / notebook.path.name
    shutil.copyfile(notebook.path, copy)
    if (project.assets / notebook.slug).is_dir():
        shutil.copytree(project.assets / notebook.slug, folder / "assets" / notebook.slug)
    argv = [
        str(project.python),
        "-P",
        "-m",
        "pytest",
        "--nbval-lax",
        "--nbval-current-env",
        "-p",
        "no:cacheprovider",
        "-p",
        "tests.notebooks.keeping_outputs",
        "-q",
    ]
    replaying = {
        "LAB_ENGINE": "replay",
        "LAB_CLUSTER": cluster,
        "LAB_EVIDENCE": str(folder / "evidence"),
        "JUPYTER_PATH": kernels_of(project),
        "PYTHONPATH": str(project.root),
    }
    result = LocalRunner(replaying).run([*argv, str(copy)], within_seconds=600, invocation=Invocation(folder=folder))
    kept = folder / KEPT
    return Replay(result, [json.loads(line) for line in kept.read_text("utf-8").splitlines()] if kept.exists() else [])


def kernels_of(project: Project) -> str:
    return str(project.python.parent.parent / "share" / "jupyter")
