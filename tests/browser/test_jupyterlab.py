"""A notebook as a learner has it: JupyterLab opens, cells run on a live engine, the widget moves, verdicts are read."""

import re

import nbformat
import pytest
import yaml
from playwright.sync_api import expect

from labsupport.experiments.claims import load_ledger
from labsupport.notebooks import NotebookFile, find_notebooks
from labsupport.project import Project
from labsupport.workspace import hand_out
from tests.browser.accessibility import serious_faults
from tests.browser.jupyterlab_page import LabPage
from tests.lessons import solution

pytestmark = [pytest.mark.needs("browser", "engine"), pytest.mark.timeout(1800)]

SLUG = "06-dockerfile-instructions"
WIDGET_CELL = "lab.explore("
ANSWER_CELL, CHECK_CELL = "better.Dockerfile", 'lab.exercise("rewrite").check()'
# What the widget needs, and the trials in it. The whole notebook is executed by tests/notebooks/test_live.py.
SECTIONS = {
    "9. Can ENTRYPOINT be overridden?",
    "10. The whole matrix",
    "Try it yourself",
    "Exercise: rewrite a bad Dockerfile",
    "What we settled",
}
TRIALS = {f"{SLUG}/override", f"{SLUG}/matrix"}


def shorten(classroom: Project, notebook: NotebookFile) -> None:
    """Leave of the notebook what comes before its sections and SECTIONS, and of its claims those these settle."""
    content = nbformat.read(notebook.path, as_version=4)
    cells, kept = [], True
    for cell in content.cells:
        if heading := re.search(r"^## (.+)", cell.source, re.MULTILINE):
            kept = heading[1] in SECTIONS
        cells += [cell] if kept else []
    content.cells = cells
    nbformat.write(content, notebook.path)
    ledger = yaml.safe_load(classroom.claims.read_text(encoding="utf-8"))
    settled_by = [(str(claim.get("experiment")), claim) for claim in ledger["claims"]]
    ledger["claims"] = [claim for trial, claim in settled_by if not trial.startswith(f"{SLUG}/") or trial in TRIALS]
    classroom.claims.write_text(yaml.safe_dump(ledger, sort_keys=False, allow_unicode=True), encoding="utf-8")


@pytest.fixture(scope="module")
def page(lab_page: LabPage, classroom: Project) -> LabPage:
    """The notebook, run down to its widget."""
    notebooks = find_notebooks(classroom, [SLUG])
    shorten(classroom, *notebooks)
    hand_out(classroom, notebooks)
    lab_page.open(f"{SLUG}.ipynb")
    lab_page.run_to(WIDGET_CELL, within_seconds=600)
    return lab_page


def test_the_card_says_what_is_live(page: LabPage) -> None:
    card = page.output_of("open_lab(")
    card.get_by_text(re.compile(r"lab-[0-9a-f]{6}")).first.wait_for()
    engine = card.get_by_text("Docker engine").locator("xpath=following-sibling::dd").first
    # JupyterLab hides cells that are out of sight, and their inner text with them.
    expect(engine).to_contain_text("live", timeout=60_000)


def test_the_widget_runs_a_container_and_compares_it_with_the_prediction(page: LabPage) -> None:
    explorer = page.explorer()
    explorer.get_by_label("ENTRYPOINT", exact=True).select_option(index=2)
    explorer.get_by_label("CMD", exact=True).select_option(index=2)
    explorer.get_by_text("matrix:exec-exec").wait_for()
    explorer.get_by_role("textbox").fill('["entry", "e1", "cmd", "c1"]')
    explorer.get_by_role("button", name="Run").click()
    explorer.locator(".lab-chip", has_text="predicted").wait_for()
    chip = explorer.locator(".lab-chip", has_text="predicted")
    expect(chip).to_have_text(re.compile(r"✓\s*as predicted"), timeout=60_000)
    assert serious_faults(page.page, ".lab-explorer") == []


def test_a_wrong_answer_is_told_what_is_wrong_with_it_and_the_right_one_passes(page: LabPage) -> None:
    file = f"%%writefile assets/{SLUG}/exercise/better.Dockerfile\n"
    right = solution(SLUG)
    page.write(ANSWER_CELL, file + right.replace(" && rm -r /tmp/download", ""), within_seconds=120)
    page.run_cell(CHECK_CELL, within_seconds=300)
    outcome = page.output_of(CHECK_CELL)
    expect(outcome).to_contain_text("◔ not yet", timeout=60_000)
    expect(outcome).to_contain_text("4 of 7 requirements met")
    expect(outcome).to_contain_text("Next: small")
    page.write(ANSWER_CELL, file + right, within_seconds=120)
    page.run_cell(CHECK_CELL, within_seconds=300)
    expect(page.output_of(CHECK_CELL)).to_contain_text("✓ passed", timeout=60_000)


def test_the_rest_runs_and_every_verdict_is_the_ledgers(page: LabPage, classroom: Project) -> None:
    page.run_after(CHECK_CELL, within_seconds=600)
    assert page.tracebacks == []
    claims = [claim for claim in load_ledger(classroom.claims).of_notebook(SLUG) if claim.verdict]
    assert {claim.experiment for claim in claims} == TRIALS
    # What a cell shows is drawn a moment after it ran.
    settled = page.output_of("lab.settled()")
    for claim in claims:
        expect(settled).to_contain_text(re.compile(rf"{claim.id}\s+{claim.verdict}"), timeout=60_000)
    expect(page.output_of("lab.close()")).to_contain_text("nothing left behind", timeout=60_000)


def test_nothing_was_fetched_from_outside(page: LabPage) -> None:
    assert page.outside == []
    assert page.errors == []
