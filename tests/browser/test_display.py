"""What labsupport shows, in a real JupyterLab: styled, operable by keyboard, errors in the widget, nothing fetched."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import expect

from labsupport.project import Project
from tests.browser.accessibility import serious_faults
from tests.browser.jupyterlab_page import LabPage

pytestmark = [pytest.mark.needs("browser"), pytest.mark.timeout(900)]

CARD = """
from labsupport.display.cards import Card, Part
from labsupport.display.notebook import install
install()
Card("lab-test", "00-test", (Part("Docker engine", "recorded", because="no engine can run here"),))
"""
WIDGET = """
import time
from labsupport.display.explorer import Explorer, Played, Question
from labsupport.display.tables import table
from labsupport.errors import NotRecorded

def play(position):
    if position["CMD"] == "slow":
        time.sleep(3600)
    if position["CMD"] == "shell":
        raise NotRecorded("docker run lab/shell", "nothing was recorded for it", "run it live")
    return Played(table("Seen", ["argv"], [[position["CMD"]]]), position["CMD"], "Because it is so.")

Explorer("What will PID 1 be?", {"CMD": ("none", "exec", "shell", "slow"), "arguments": ("none", "one")}, play,
         question=Question("The argv of PID 1:"), preview=lambda at: f"docker run lab/{at['CMD']}")
"""
ERROR = """
from labsupport.errors import EngineError
raise EngineError("docker run x", "it refused", "read the log")
"""


@pytest.fixture(scope="module")
def page(lab_page: LabPage, classroom: Project) -> LabPage:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [new_code_cell(source.strip()) for source in (CARD, WIDGET, ERROR)]
    nbformat.write(new_notebook(cells=cells, metadata=kernel), classroom.work / "display.ipynb")
    lab_page.open("display.ipynb")
    lab_page.run_all(within_seconds=180)
    return lab_page


def test_a_widget_is_operated_by_keyboard_alone(page: LabPage) -> None:
    explorer = page.explorer()
    explorer.get_by_label("CMD", exact=True).focus()
    keyboard = page.page.keyboard
    keyboard.press("ArrowDown")
    explorer.get_by_text("docker run lab/exec").wait_for()
    keyboard.press("Tab")
    keyboard.press("Tab")
    keyboard.type("exec")
    keyboard.press("Enter")
    explorer.locator(".lab-chip", has_text="as predicted").wait_for()
    assert explorer.get_by_text("Because it is so.").is_visible()
    # It is told that nothing runs a moment after the result.
    expect(explorer.get_by_role("button", name="Run")).to_be_enabled(timeout=60_000)
    keyboard.press("Tab")
    assert page.page.evaluate("document.activeElement.textContent") == "Run"


def test_an_error_appears_in_the_widget_and_the_next_run_works(page: LabPage) -> None:
    explorer = page.explorer()
    explorer.get_by_label("CMD", exact=True).select_option("shell")
    explorer.get_by_role("button", name="Run").click()
    explorer.get_by_role("alert").get_by_text("nothing was recorded for it").wait_for()
    explorer.get_by_label("CMD", exact=True).select_option("none")
    explorer.get_by_role("button", name="Run").click()
    explorer.get_by_text("Because it is so.").wait_for()
    assert explorer.get_by_role("alert").count() == 0


def test_a_run_that_takes_too_long_is_stopped_in_the_widget_by_keyboard(page: LabPage) -> None:
    explorer = page.explorer()
    explorer.get_by_label("CMD", exact=True).select_option("slow")
    run, stop = (explorer.get_by_role("button", name=name) for name in ("Run", "Stop"))
    expect(stop).to_be_hidden()
    run.focus()
    page.page.keyboard.press("Enter")
    expect(explorer.get_by_text(re.compile(r"^\d+ s$"))).to_be_visible(timeout=60_000)
    stop.focus()
    page.page.keyboard.press("Enter")
    explorer.get_by_text("Stopped, as you asked.").wait_for()
    expect(stop).to_be_hidden()
    expect(run).to_be_focused()
    explorer.get_by_label("CMD", exact=True).select_option("none")
    run.click()
    explorer.get_by_text("Because it is so.").wait_for()


def test_axe_finds_no_serious_fault_in_what_we_show(page: LabPage) -> None:
    assert page.page.locator(".lab").count() > 1
    assert serious_faults(page.page, ".lab") == []


def test_a_prediction_goes_when_its_position_does(page: LabPage) -> None:
    explorer = page.explorer()
    explorer.get_by_label("The argv of PID 1:").fill("none")
    explorer.get_by_label("CMD", exact=True).select_option("exec")
    assert explorer.get_by_label("The argv of PID 1:").input_value() == ""


def test_the_card_is_styled_in_the_light_and_in_the_dark_theme(page: LabPage) -> None:
    panel = page.page.locator(".lab-panel").first
    colours = "node => [getComputedStyle(node).backgroundColor, getComputedStyle(node).color]"
    light = panel.evaluate(colours)
    page.page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    dark = panel.evaluate(colours)
    page.page.evaluate("document.body.dataset.jpThemeLight = 'true'")
    assert light == ["rgb(245, 247, 249)", "rgb(28, 32, 36)"]
    assert dark == ["rgb(32, 37, 42)", "rgb(236, 238, 240)"]


def test_an_error_of_ours_is_three_sentences_without_a_traceback(page: LabPage) -> None:
    said = "\n".join(page.tracebacks)
    for part in ("EngineError", "Tried: docker run x", "What happened: it refused", "What to do: read the log"):
        assert part in said
    assert "Traceback" not in said and "line 2" not in said


def test_nothing_is_fetched_from_outside_and_no_script_fails(page: LabPage) -> None:
    assert page.outside == []
    assert page.errors == []
