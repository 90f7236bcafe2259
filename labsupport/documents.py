"""Writes the pages of docs/ that are made from the ledger, the recorded evidence, and what the code declares.

In the notes for instructors it writes the timing only.
"""

from pathlib import Path

from labsupport.backends.parity import parity_document
from labsupport.experiments.claims import load_ledger
from labsupport.lessons.ledger import ledger_document, read_book
from labsupport.lessons.timing import notes_with_timing
from labsupport.notebooks import all_notebooks
from labsupport.project import Project


def documents(project: Project) -> dict[Path, str]:
    """Return each page that is made, and what it must say.

    Raises:
        LedgerError, EvidenceError: what it is made from is malformed.
    """
    docs = project.root / "docs"
    notes = {docs / "notes" / f"{one.slug}.md": one.path for one in all_notebooks(project)}
    return {
        **notes_with_timing(notes, project.recorded_evidence),
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
