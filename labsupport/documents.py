"""Writes the pages of docs/ that are made from the ledger, the recorded evidence, and what the code declares.

In the notes for instructors it writes the timing and the answers only.
"""

from pathlib import Path

from labsupport.backends.parity import parity_document
from labsupport.errors import UsageError
from labsupport.experiments.claims import load_ledger
from labsupport.lessons.answers import answers_section
from labsupport.lessons.catalog import answers_of, lesson
from labsupport.lessons.ledger import ledger_document, read_book
from labsupport.lessons.timing import timing_of
from labsupport.notebooks import NotebookFile, all_notebooks, solution_in
from labsupport.project import Project


def documents(project: Project) -> dict[Path, str]:
    """Return each page that is made, and what it must say.

    Raises:
        LedgerError, EvidenceError: what it is made from is malformed.
        UsageError: a page of notes has no place for what it must have.
    """
    docs = project.root / "docs"
    return {
        **{docs / "notes" / f"{one.slug}.md": _notes(project, one) for one in all_notebooks(project)},
        docs / "ledger.md": ledger_document(read_book(project.claims, project.recorded_evidence)),
        docs / "parity.md": parity_document(load_ledger(project.claims)),
    }


def write_documents(project: Project) -> list[Path]:
    """Write every page; return those that changed."""
    changed = []
    for path, text in documents(project).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def _notes(project: Project, notebook: NotebookFile) -> str:
    """The page of notes on a notebook, as it must be."""
    page = project.root / "docs" / "notes" / f"{notebook.slug}.md"
    made = {"timing": timing_of(notebook.path, project.recorded_evidence)}
    if answers := answers_of(lesson(notebook.slug)):
        source = (project.sources / f"{notebook.slug}.py").read_text(encoding="utf-8")
        made["answers"] = answers_section(answers, solution_in(source))
    text = page.read_text(encoding="utf-8")
    for what, table in made.items():
        text = filled(text, what, table, page.name)
    return text


def filled(text: str, what: str, made: str, page: str) -> str:
    """Return a page with what is made in the place that is marked for it.

    Raises:
        UsageError: it has no such place.
    """
    begin, end = f"<!-- {what}: made by ./lab generate -->", f"<!-- end of {what} -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise UsageError(f"put the {what} into {page}", "its place is not marked", f"write {begin} … {end}")
    return f"{before}{begin}\n\n{made}\n\n{end}{after}"
