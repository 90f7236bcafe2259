"""What `./lab start` opens: the first notebook, and behind it a terminal that has the lab's programs."""

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from labsupport.process.waiting import wait_until
from labsupport.project import Project
from tests.browser.accessibility import serious_faults
from tests.browser.jupyterlab_page import LabPage
from tests.browser.slices import on_evidence

pytestmark = [pytest.mark.needs("browser"), pytest.mark.timeout(900)]

SLUG = "00-start-here"
TOLD = "told.txt"


@pytest.fixture(scope="module")
def page(lab_page: LabPage, classroom: Project) -> LabPage:
    path = classroom.work / f"{SLUG}.ipynb"
    content = nbformat.read(path, as_version=4)
    nbformat.write(on_evidence(content), path)
    lab_page.open_as_started()
    return lab_page


def test_the_first_notebook_is_open_and_runs(page: LabPage) -> None:
    expect(page.page.get_by_role("tab", name=f"{SLUG}.ipynb")).to_have_attribute("aria-selected", "true")
    page.run_all(within_seconds=240)
    assert page.tracebacks == []
    expect(page.output_of("lab.settled()")).to_contain_text("Every check held.", timeout=60_000)


def test_axe_finds_no_serious_fault_in_the_notebook(page: LabPage) -> None:
    assert page.page.locator(".jp-Notebook .lab").count() > 3
    assert serious_faults(page.page, ".jp-Notebook .lab") == []


def test_the_terminal_has_the_programs_and_the_environment_of_the_lab(
    page: LabPage, classroom: Project, lab_environment: dict[str, str]
) -> None:
    page.page.get_by_role("tab", name="Terminal 1").click()
    page.page.locator(".jp-Terminal .xterm-screen").click()
    page.page.keyboard.insert_text(f'(command -v only-in-the-lab; echo "$LAB_WORD"; pwd) >{TOLD}')
    page.page.keyboard.press("Enter")
    told = classroom.work / TOLD

    def lines() -> list[str]:
        return told.read_text().splitlines() if told.exists() else []

    wait_until(lambda: len(lines()) == 3, "the terminal to have written", within_seconds=120)
    program, word, folder = lines()
    assert Path(program).parent == Path(lab_environment["PATH"].partition(":")[0])
    assert (word, Path(folder)) == (lab_environment["LAB_WORD"], classroom.work)
