"""The report and the page of a class in a browser: they fit a phone, read in both colour schemes, and axe-core finds no
serious fault in them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labsupport.classroom import merge
from labsupport.experiments.handing_in import LONGEST_NAME, hand_in
from labsupport.experiments.progress import ExerciseProgress, JudgedPredictions, NotebookProgress, Progress
from labsupport.notebooks import find_notebooks
from labsupport.project import Project
from labsupport.running import RunPlan, run_notebooks, write_report
from tests.browser.accessibility import serious_faults

pytestmark = [pytest.mark.needs("browser"), pytest.mark.timeout(900)]

# Figures, tables, verdicts, a widget and an exercise; then those with the widest tables and figures.
SLUG = "02-log-drivers"
SLUGS = (SLUG, "05-cni-plugins", "08-statefulset")
CLASS = "../class/index.html"
PAGES = ("index.html", *(f"{slug}.html" for slug in SLUGS), "ledger.html", "versions.html", CLASS)
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


# What is folded away is looked at too.
UNFOLD = "() => document.querySelectorAll('details').forEach(each => { each.open = true; })"


@pytest.fixture(scope="module")
def book(classroom: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of these notebooks on recorded evidence; beside it the page of a class."""
    folder = tmp_path_factory.mktemp("handed-in")
    for name, attempts in (
        ("Ann", 1),
        ("Maximiliana Featherstonehaugh-Wolfeschlegelstein", 12),
        ("x" * LONGEST_NAME, 3),
    ):
        hand_in(name, _progress(attempts), {"labs": "0.1.0", "Python": "3.12.1"}, folder)
    (folder / f"{'a-picture-put-here-by-mistake-' * 4}.jpg").write_text("no progress")
    merge(classroom, folder)
    environment = {"PYTHONPATH": str(classroom.root), "LAB_ENGINE": "replay", "LAB_CLUSTER": "replay"}
    plan = RunPlan(find_notebooks(classroom, SLUGS), environment=environment)
    results = run_notebooks(classroom, plan, lambda _: None)
    assert [one.error for one in results] == [""] * len(SLUGS)
    return write_report(classroom, results).parent


def _progress(attempts: int) -> Progress:
    unmet = "" if attempts == 1 else "no secret in any layer"
    rewrite = ExerciseProgress(attempts=attempts, passed=not unmet, unmet=unmet)
    judged = {"ENTRYPOINT: exec form, CMD: exec form": JudgedPredictions(right=1, wrong=attempts)}
    kept = NotebookProgress(predictions=("override",), judged=judged, exercises={"rewrite": rewrite})
    return Progress(notebooks={"06-dockerfile-instructions": kept, "07-pv-reclaim": NotebookProgress(judged=judged)})


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
    sheet.evaluate(UNFOLD)
    assert sheet.evaluate(TOO_WIDE) == []


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_serious_fault(sheet: Any, book: Path, name: str) -> None:
    sheet.goto(f"file://{book / name}")
    sheet.evaluate(UNFOLD)
    assert serious_faults(sheet) == []


@pytest.mark.parametrize("scheme", ["dark"])
@pytest.mark.parametrize("name", ["index.html", f"{SLUG}.html", CLASS])
def test_in_the_dark_letters_stand_out_too(sheet: Any, book: Path, name: str, scheme: str) -> None:
    sheet.goto(f"file://{book / name}")
    assert serious_faults(sheet, rules=("color-contrast",)) == []
