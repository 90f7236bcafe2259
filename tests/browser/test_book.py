"""The report in a browser: fits a phone, reads in both colour schemes, and axe-core finds no serious fault in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labsupport.notebooks import find_notebooks
from labsupport.project import Project
from labsupport.running import RunPlan, run_notebooks, write_report
from tests.browser.accessibility import serious_faults

pytestmark = [pytest.mark.needs("browser"), pytest.mark.timeout(900)]

# Figures, tables, verdicts, a widget and an exercise; and not the longest.
SLUG = "02-log-drivers"
PAGES = ("index.html", f"{SLUG}.html", "ledger.html", "versions.html")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 1000}
# What makes the page wider than its window, by its box or by its text; nothing where the page is not.
TOO_WIDE = """() => {
  const page = document.documentElement;
  if (page.scrollWidth <= page.clientWidth) return [];
  const visible = node => !node || (getComputedStyle(node).overflowX === "visible" && visible(node.parentElement));
  const end = node => node.getBoundingClientRect().left + Math.max(node.offsetWidth, node.scrollWidth);
  const wide = [...document.querySelectorAll("main *, header *")].filter(node => end(node) > page.clientWidth + 1);
  return [`${page.scrollWidth} pixels`, ...wide.filter(visible).map(node => `${node.tagName}.${node.className}`)];
}"""


@pytest.fixture(scope="module")
def book(classroom: Project) -> Path:
    """The report of one notebook on recorded evidence."""
    environment = {"PYTHONPATH": str(classroom.root), "LAB_ENGINE": "replay", "LAB_CLUSTER": "replay"}
    plan = RunPlan(find_notebooks(classroom, [SLUG]), environment=environment)
    results = run_notebooks(classroom, plan, lambda _: None)
    assert [one.error for one in results] == [""]
    return write_report(classroom, results).parent


@pytest.fixture
def sheet(chromium: Any, book: Path, project: Project, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page of the browser, as the test's parameters want it; kept as a picture."""
    wanted = request.node.callspec.params
    scheme, size = wanted.get("scheme", "light"), wanted.get("size", PHONE)
    page = chromium.new_page(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    yield page
    name = request.node.name.replace("/", "-")
    page.screenshot(path=project.build / "screenshots" / f"{name}.png")
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_it_fits_a_phone(sheet: Any, book: Path, name: str) -> None:
    sheet.goto(f"file://{book / name}")
    assert sheet.evaluate(TOO_WIDE) == []


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_serious_fault(sheet: Any, book: Path, name: str) -> None:
    sheet.goto(f"file://{book / name}")
    assert serious_faults(sheet) == []


@pytest.mark.parametrize("scheme", ["dark"])
@pytest.mark.parametrize("name", ["index.html", f"{SLUG}.html"])
def test_in_the_dark_letters_stand_out_too(sheet: Any, book: Path, name: str, scheme: str) -> None:
    sheet.goto(f"file://{book / name}")
    assert serious_faults(sheet, rules=("color-contrast",)) == []
