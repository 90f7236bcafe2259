"""The widget of every notebook on recorded evidence: the notebook opened from the file list, a prediction, a run, why;
and axe-core finds no serious fault in it.

06-dockerfile-instructions is live in test_jupyterlab.py. A notebook is cut down to what its widget rests on.
"""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from labsupport.notebooks import find_notebooks
from labsupport.project import Project, this_project
from tests.browser.accessibility import serious_faults
from tests.browser.jupyterlab_page import LabPage
from tests.browser.slices import write_slice
from tests.explorers import EXPLORERS, cell_of, notebook_of

pytestmark = [pytest.mark.needs("browser"), pytest.mark.timeout(1800)]

LIVE_ELSEWHERE = "06-dockerfile-instructions"
WIDGETS = [widget for widget in EXPLORERS if widget != LIVE_ELSEWHERE]
WITHIN_SECONDS = 240


@pytest.fixture(scope="module")
def in_lab(lab_page: LabPage, classroom: Project) -> LabPage:
    for widget in WIDGETS:
        (notebook,) = find_notebooks(classroom, [notebook_of(widget)])
        write_slice(notebook.path, cell_of(widget), classroom.work / f"{widget}.ipynb")
        if (classroom.assets / notebook.slug).is_dir():
            assets = classroom.work / "assets" / notebook.slug
            shutil.copytree(classroom.assets / notebook.slug, assets, dirs_exist_ok=True)
    lab_page.open_lab()
    return lab_page


@pytest.fixture
def page(in_lab: LabPage, request: pytest.FixtureRequest) -> Iterator[LabPage]:
    """The notebook that the test is about, run to its widget; closed afterwards, with its kernel."""
    in_lab.open_from_list(f"{request.node.callspec.params['widget']}.ipynb")
    in_lab.run_all(within_seconds=WITHIN_SECONDS)
    yield in_lab
    in_lab.close_notebook()


@pytest.mark.parametrize("widget", WIDGETS)
def test_one_predicts_runs_and_reads_why(page: LabPage, widget: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(this_project().notebooks)
    assert page.tracebacks == []
    swept = EXPLORERS[widget]()
    explorer = page.explorer()
    explorer.scroll_into_view_if_needed()
    question = explorer.get_by_label(swept.question.text, exact=True)
    first = swept.play(next(swept.positions()))
    assert first.played is not None
    if swept.question.answers:
        question.select_option(first.played.seen)
    else:
        question.fill(first.played.seen)
    question.press("Tab")
    page.page.keyboard.press("Enter")
    chip = explorer.locator(".lab-versus .lab-chip")
    expect(chip).to_contain_text("✓ as predicted", timeout=60_000)
    expect(explorer).to_contain_text(f"Why: {first.played.explanation}"[:60].replace("`", ""))
    # What was recorded says so, and nothing of it looks live.
    if swept._origin.recorded:
        expect(explorer.get_by_role("note")).to_contain_text("Recorded, not live")
    assert serious_faults(page.page, ".lab-explorer") == []


def test_nothing_was_fetched_from_outside(in_lab: LabPage) -> None:
    assert in_lab.outside == []
    assert in_lab.errors == []
