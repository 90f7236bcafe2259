"""Merges what learners handed in into one page. What a file says is handing_in.py's, how it looks is the page's."""

from dataclasses import dataclass
from pathlib import Path

from labsupport.display.classroom import write_class_page
from labsupport.experiments.handing_in import collect
from labsupport.lessons.catalog import LESSONS
from labsupport.project import Project


@dataclass(frozen=True)
class ClassPage:
    """The page that was written, of how many learners, and why each other file of the folder was skipped."""

    path: Path
    learners: int
    skipped: dict[str, str]


def merge(project: Project, folder: Path) -> ClassPage:
    """Write build/class/index.html from a folder of what learners handed in.

    Raises:
        UsageError: there is no such folder.
    """
    collection = collect(folder)
    page = write_class_page(project.class_page, collection, [each.slug for each in LESSONS])
    return ClassPage(page, len(collection.learners), collection.skipped)
