"""Writes the report of a run as a small book: front page, a chapter per notebook, ledger, versions. It judges nothing.

Everything in it comes from executed notebooks, evidence and the ledger.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labsupport.display import tables
from labsupport.display.badges import badge
from labsupport.display.chapters import outline_shown, read_chapter, with_note
from labsupport.display.failures import error_shown, failure_shown
from labsupport.display.findings import (
    Findings,
    collect_findings,
    collect_recorded,
    ledger_shown,
    settled_shown,
    versions_shown,
)
from labsupport.display.markup import Markup, element, join
from labsupport.display.pages import write_page
from labsupport.display.style import OUTCOMES, chip, verdict_mark
from labsupport.display.tables import Cell, Column, table
from labsupport.errors import LabError
from labsupport.experiments.claims import Ledger, load_ledger

PAGES = (("index.html", "Report"), ("ledger.html", "Ledger"), ("versions.html", "Versions"))


@dataclass(frozen=True)
class ExecutedNotebook:
    """One notebook that ran: `path` is the executed file, `error` what stopped it."""

    slug: str
    title: str
    path: Path
    outcome: Literal["passed", "failed"]
    seconds: float
    cells: int
    cells_done: int
    error: str = ""

    @property
    def page(self) -> str:
        return f"{self.slug}.html"


def write_report(
    folder: Path,
    notebooks: Sequence[ExecutedNotebook],
    *,
    evidence: Path,
    claims: Path,
    facts: Mapping[str, str],
    recorded: Path | None = None,
) -> Path:
    """Write the pages into `folder`, a badge per notebook into `folder`/badges, and return the first page.

    Args:
        evidence: what this run saw, as NOTEBOOK/TRIAL.json.
        recorded: recorded evidence, for notebooks and experiments that were replayed.
        facts: about the run, for the front page: version, date, options.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "badges").mkdir(exist_ok=True)
    for before in (*folder.glob("*.html"), *folder.glob("badges/*.svg")):
        before.unlink()
    slugs, passed = [each.slug for each in notebooks], {each.slug for each in notebooks if each.outcome == "passed"}
    findings = collect_findings(slugs, evidence, recorded, passed=passed)
    ledger = _read_ledger(claims)
    _write(folder / "index.html", "Lab report", _front(notebooks, findings, facts, ledger))
    for place, notebook in enumerate(notebooks):
        _write(folder / notebook.page, notebook.title or notebook.slug, _chapter(notebooks, place, findings))
        (folder / "badges" / f"{notebook.slug}.svg").write_text(f"{_badge(notebook, findings)}\n", encoding="utf-8")
    shelf = collect_recorded(recorded)
    _write(folder / "ledger.html", "Ledger", _ledger(ledger, notebooks, findings, shelf))
    _write(folder / "versions.html", "Versions", join([element("h1", "Versions"), versions_shown(findings)]))
    return folder / "index.html"


def _front(
    notebooks: Sequence[ExecutedNotebook], findings: Findings, about: Mapping[str, str], ledger: Ledger | LabError
) -> Markup:
    passed = sum(notebook.outcome == "passed" for notebook in notebooks)
    return join(
        [
            element("h1", "Lab report"),
            element("p", chip(OUTCOMES[passed == len(notebooks)]), f" {passed} of {len(notebooks)} notebooks passed."),
            tables.facts(dict(about)).html,
            *(_failed(notebook) for notebook in notebooks if notebook.outcome == "failed"),
            element("h2", "Notebooks", id="notebooks"),
            _notebooks(notebooks, findings),
            element("h2", "What was settled", id="settled"),
            settled_shown(findings, _pages(notebooks), None if isinstance(ledger, LabError) else ledger),
        ]
    )


def _notebooks(notebooks: Sequence[ExecutedNotebook], findings: Findings) -> Markup:
    columns: list[str | Column] = [
        Column("notebook", "prose"),
        "outcome",
        "source",
        "verdicts",
        Column("cells", "number"),
        Column("seconds", "number"),
    ]
    rows: list[list[Cell]] = [
        [
            element("a", notebook.title or notebook.slug, href=notebook.page),
            OUTCOMES[notebook.outcome == "passed"],
            join((chip(mark) for mark in findings.sources(notebook.slug)), " ") or None,
            join(
                (
                    element("span", chip(verdict_mark(word), f"{count} {verdict_mark(word).word}"))
                    for word, count in findings.count(notebook.slug)
                ),
                " ",
            ),
            f"{notebook.cells_done}/{notebook.cells}",
            f"{notebook.seconds:.1f}",
        ]
        for notebook in notebooks
    ]
    return table("Executed notebooks", columns, rows).html


def _badge(notebook: ExecutedNotebook, findings: Findings) -> Markup:
    return badge(notebook.slug, OUTCOMES[notebook.outcome == "passed"], *findings.sources(notebook.slug))


def _failed(notebook: ExecutedNotebook) -> Markup:
    link = element("a", notebook.title or notebook.slug, href=notebook.page)
    said = f"stopped after {notebook.cells_done} of {notebook.cells} cells:"
    return element(
        "div",
        element("p", chip(OUTCOMES[False]), " ", link, " ", said, class_="lab-heading"),
        element("pre", notebook.error, class_="message"),
        class_="lab-panel lab-edge lab-hue-bad",
    )


def _chapter(notebooks: Sequence[ExecutedNotebook], place: int, findings: Findings) -> Markup:
    notebook = notebooks[place]
    line = element(
        "p",
        join((chip(mark) for mark in (OUTCOMES[notebook.outcome == "passed"], *findings.sources(notebook.slug))), " "),
        f" {notebook.cells_done} of {notebook.cells} cells in {notebook.seconds:.1f} s",
        f" · {findings.where_from(notebook.slug)}" if findings.where_from(notebook.slug) else None,
    )
    try:
        chapter = read_chapter(notebook.path)
    except (OSError, ValueError) as problem:
        # An execution cut off at its start leaves no file, or half of one; the rest of the report still stands.
        return join([element("h1", notebook.title or notebook.slug), line, element("pre", notebook.error or problem)])
    first = failure_shown(chapter.failure) if chapter.failure else _stopped(notebook)
    note = element("div", line, first, outline_shown(chapter), class_="note")
    return join([with_note(chapter, note), _turn(notebooks, place)])


def _stopped(notebook: ExecutedNotebook) -> Markup | None:
    """What ended a notebook beside its cells: a kernel that died, a deadline."""
    if notebook.outcome == "passed":
        return None
    said = element("pre", notebook.error or "It said nothing.", class_="message")
    return element("div", element("p", "✗ This notebook stopped."), said, class_="lab-panel lab-edge lab-hue-bad")


def _turn(notebooks: Sequence[ExecutedNotebook], place: int) -> Markup:
    before = notebooks[place - 1] if place > 0 else None
    after = notebooks[place + 1] if place + 1 < len(notebooks) else None
    return element(
        "nav",
        element("a", f"← {before.title}", href=before.page) if before else element("a", "← Report", href="index.html"),
        element("a", f"{after.title} →", href=after.page) if after else element("a", "Ledger →", href="ledger.html"),
        class_="turn",
        aria_label="Previous and next page",
    )


def _ledger(
    ledger: Ledger | LabError, notebooks: Sequence[ExecutedNotebook], findings: Findings, shelf: Findings
) -> Markup:
    if isinstance(ledger, LabError):
        return join([element("h1", "Ledger"), error_shown(ledger).html])
    return join([element("h1", "Ledger"), ledger_shown(ledger, findings, _pages(notebooks), shelf)])


def _read_ledger(claims: Path) -> Ledger | LabError:
    """A ledger that cannot be read is told on its page; the report of the run still stands."""
    try:
        return load_ledger(claims)
    except LabError as problem:
        return problem


def _pages(notebooks: Sequence[ExecutedNotebook]) -> dict[str, str]:
    return {notebook.slug: notebook.page for notebook in notebooks}


def _write(path: Path, title: str, body: Markup) -> None:
    write_page(path, title if path.name == "index.html" else f"{title} · Lab report", body, PAGES)
