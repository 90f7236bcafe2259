"""Notebook files: finds them by name, and makes the learners' .ipynb from the maintainers' percent source.

Runs nothing. The stored output of the last cell comes from `./lab record`; generating keeps it.
"""

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labsupport.errors import UsageError
from labsupport.project import Project

# Lines with `!` are comments in the source, and so are the marks around them.
SOLUTION = re.compile(
    r"^[ \t]*(?:# )?### BEGIN SOLUTION\n(.*?)^[ \t]*(?:# )?### END SOLUTION[ \t]*$", re.MULTILINE | re.DOTALL
)
# As the .ipynb, which is JSON, has it.
TRIAL = re.compile(r'lab\.trial\((?:\\n",\s*"\s*)?\\"([a-z0-9-]+)\\"')
INVITATION = "# Write your answer here, then run this cell."
COMPARED = "nbval-check-output"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


@dataclass(frozen=True)
class NotebookFile:
    """One lesson: `slug` is its file name without suffix, such as 06-dockerfile-instructions."""

    slug: str
    path: Path


def all_notebooks(project: Project) -> list[NotebookFile]:
    """Return the lessons in course order."""
    return [NotebookFile(path.stem, path) for path in sorted(project.notebooks.glob("[0-9][0-9]-*.ipynb"))]


def find_notebooks(project: Project, names: Sequence[str]) -> list[NotebookFile]:
    """Return the lessons that `names` mean, in the order given; all of them when no name is given.

    A name may be the number ("06", "6"), the slug, a unique part of it, or a path to the .ipynb.

    Raises:
        UsageError: a name fits none or several; the message has the nearest.
    """
    known = all_notebooks(project)
    return [_find(known, name) for name in names] if names else known


def find_trials(project: Project, names: Sequence[str], trials: Sequence[str]) -> list[NotebookFile]:
    """Return the lessons that `names` mean, or of all, those that open any of these trials; all, where none is given.

    Raises:
        UsageError: a name means no lesson, or none of the lessons opens a trial of that name.
    """
    found = find_notebooks(project, names)
    if not trials:
        return found
    opened = {one: trials_of(one.path) for one in found}
    known = sorted({trial for each in opened.values() for trial in each})
    for trial in trials:
        if trial not in known:
            near = difflib.get_close_matches(trial, known, 1, 0.4)
            do = f"did you mean {near[0]}?" if near else f"choose of: {', '.join(known)}"
            raise UsageError(f"find the trial {trial!r}", f"none of {len(found)} notebooks opens it", do)
    return [one for one in found if not set(trials).isdisjoint(opened[one])]


def trials_of(notebook: Path) -> list[str]:
    """Return the names of the trials that a .ipynb opens, in its order."""
    return TRIAL.findall(notebook.read_text(encoding="utf-8"))


def _find(known: list[NotebookFile], name: str) -> NotebookFile:
    wanted = Path(name).name.removesuffix(".ipynb").lower()
    number = f"{wanted.zfill(2)}-"
    for fits in (
        [one for one in known if one.slug == wanted],
        [one for one in known if one.slug.startswith(number)],
        [one for one in known if wanted and wanted in one.slug],
    ):
        if len(fits) == 1:
            return fits[0]
    slugs = [one.slug for one in known]
    titles = {slug.split("-", 1)[1]: slug for slug in slugs}
    near = difflib.get_close_matches(wanted, slugs, 1, 0.4) or [
        titles[title] for title in difflib.get_close_matches(wanted, titles, 1, 0.4)
    ]
    nearest = f"did you mean {near[0]}? " if near else ""
    raise UsageError(
        f"find the notebook {name!r}",
        "no notebook has that name, or several have it in theirs",
        f"{nearest}There are: {', '.join(slugs) or 'none in this clone'}",
    )


def generate_all(project: Project) -> list[NotebookFile]:
    """Write every .ipynb from its source; return those that changed."""
    changed = outdated(project)
    for one, text in changed.items():
        one.path.write_text(text, encoding="utf-8")
    return list(changed)


def outdated(project: Project) -> dict[NotebookFile, str]:
    """Return the notebooks that are not what their sources say, each with the text that it should have."""
    found = {}
    for source in sorted(project.sources.glob("[0-9][0-9]-*.py")):
        target = project.notebooks / f"{source.stem}.ipynb"
        before = target.read_text(encoding="utf-8") if target.exists() else None
        after = generate(source.read_text(encoding="utf-8"), before)
        if after != before:
            found[NotebookFile(source.stem, target)] = after
    return found


def generate(source: str, existing: str | None) -> str:
    """Return the text of the .ipynb made from percent-format `source`.

    Solutions are replaced by an invitation. Cell ids follow from the headings, so that an edit in one section leaves
    the ids of the others alone. Outputs are empty but for the compared cell, which keeps what `existing` has.
    """
    # Imported here: these cost more than the whole `./lab --version`.
    import jupytext
    import nbformat

    notebook = jupytext.reads(source, fmt="py:percent")
    stored = _stored_outputs(existing)
    section, seen, count = "start", Counter[str](), 0
    for cell in notebook.cells:
        section = _heading_slug(cell.source) or section if cell.cell_type == "markdown" else section
        seen[section] += 1
        cell["id"] = section if seen[section] == 1 else f"{section}-{seen[section]}"
        if kind := _slide_kind(cell):
            cell.metadata["slideshow"] = {"slide_type": kind}
        if cell.cell_type != "code":
            continue
        count += 1
        cell["source"] = SOLUTION.sub(INVITATION, _without_comment_marks(cell.source))
        compared = COMPARED in cell.metadata.get("tags", [])
        cell["outputs"] = stored if compared else []
        # nbval skips a cell without a count and refuses one that has outputs but no count.
        cell["execution_count"] = count if compared and stored else None
    notebook["metadata"] = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
    nbformat.validate(notebook)
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"


def solution_in(source: str) -> str:
    """Return the first solution in a percent-format source, as a learner would write it; empty where it has none."""
    found = SOLUTION.search(source)
    return "".join(f"{line.removeprefix('# ')}\n" for line in found[1].splitlines()) if found else ""


def _slide_kind(cell: Any) -> str:
    """What a cell is to jupyterlab-rise and nbconvert's slides; empty: it goes on below the cell before it.

    A title or a section begins a slide; a part of an experiment ("**Do.** …") one below it; parameters are left out.
    """
    if cell.cell_type == "code":
        return "skip" if "parameters" in cell.metadata.get("tags", []) else ""
    if re.match(r"##? ", cell.source):
        return "slide"
    return "subslide" if re.match(r"### |\*\*\w+\.\*\*", cell.source) else ""


def _without_comment_marks(source: str) -> str:
    """Give a cell magic its lines: in the source, which has to be Python, they stand as comments."""
    if not source.startswith("%%"):
        return source
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in source.split("\n"))


def with_stored_output(notebook_text: str, executed_text: str) -> str:
    """Return the notebook with the compared cell's outputs taken from its executed copy."""
    import nbformat

    notebook = nbformat.reads(notebook_text, as_version=4)
    outputs = _stored_outputs(executed_text)
    count = 0
    for cell in notebook.cells:
        count += cell.cell_type == "code"
        if cell.cell_type == "code" and COMPARED in cell.metadata.get("tags", []):
            cell["outputs"], cell["execution_count"] = outputs, count
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"


def _stored_outputs(text: str | None) -> list[Any]:
    if text is None:
        return []
    import nbformat

    for cell in nbformat.reads(text, as_version=4).cells:
        if COMPARED in cell.metadata.get("tags", []):
            for output in cell.outputs:
                if "execution_count" in output:
                    output["execution_count"] = None
            return list(cell.outputs)
    return []


def _heading_slug(markdown: str) -> str:
    first = re.match(r"#{1,6} +(.+)", markdown)
    if not first:
        return ""
    return re.sub(r"[^a-z0-9]+", "-", first.group(1).lower()).strip("-")[:48].strip("-") or "section"
