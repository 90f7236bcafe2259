"""What people read in the terminal while notebooks run: progress on stderr, a summary on stdout."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labsupport.errors import RequirementMissing
from labsupport.process.progress import Progress
from labsupport.project import Project
from labsupport.running import NotebookProgress, RunPlan, run_notebooks, sources_of, write_report
from labsupport.starting import give_folders_to_caller

if TYPE_CHECKING:
    from labsupport.backends import LabOptions
    from labsupport.display.report import ExecutedNotebook

QUIET_SECONDS = 5.0
RECORDED = "recorded"
CLEAR_LINE = "\r\033[K"


class Screen:
    """Shows progress on stderr: a moving line on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last_text, self._last_seconds = "", 0.0

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, progress: Progress) -> None:
        percent = "" if progress.fraction is None else f"[{progress.fraction:4.0%}] "
        now = time.monotonic()
        # An announcement (no fraction) stays readable; steps on the way overwrite each other.
        if self._terminal and percent:
            print(f"{CLEAR_LINE}{percent}{progress.text}"[:120], end="", file=sys.stderr, flush=True)
        elif progress.text != self._last_text and (not percent or now - self._last_seconds >= QUIET_SECONDS):
            print(f"{CLEAR_LINE if self._terminal else percent}{progress.text}", file=sys.stderr, flush=True)
            self._last_seconds = now
        self._last_text = progress.text

    def close(self) -> None:
        if self._terminal and self._last_text:
            print(CLEAR_LINE, end="", file=sys.stderr, flush=True)
        self._last_text = ""


def execute(
    project: Project,
    names: Sequence[str],
    options: "LabOptions",
    *,
    jobs: int = 1,
    recording: bool = False,
    trials: Sequence[str] = (),
) -> "list[ExecutedNotebook]":
    """Make what the notebooks need ready, then run them, both with progress.

    Args:
        recording: also plays every position of every widget, so that evidence holds them all.
        trials: the only ones to be live, where any is named; then notebooks without any of them do not run.

    Raises:
        UsageError: a name means no notebook, or no trial.
        RequirementMissing: this computer cannot run what `options` ask for.
    """
    from labsupport import keeping
    from labsupport.backends import ALLOW_VARIABLE, ATTACH_VARIABLE
    from labsupport.notebooks import find_trials

    chosen = find_trials(project, names, trials)
    if not chosen:
        raise RequirementMissing(f"find notebooks in {project.notebooks}", "there are none", "clone the project again")
    with Screen() as screen:

        def show(step: NotebookProgress) -> None:
            text = f"{step.slug} cell {step.cell}/{step.cells}: {step.doing}"
            screen.show(Progress(text, step.cell / max(step.cells, 1)))

        keeping.prepare(options, keeping.needs_of([one.slug for one in chosen], trials), screen.show)
        environment = {"LAB_MACHINE": options.machine, "LAB_EVIDENCE": str(project.live_evidence)}
        environment |= {"LAB_RECORD": "1"} if recording else {}
        environment |= {"LAB_TRIALS": ",".join(trials)} if trials else {}
        environment |= {ALLOW_VARIABLE: "1"} if options.allow_cluster_changes else {}
        asked = {"engine": options.engine, "cluster": options.cluster}
        plan = RunPlan(
            chosen,
            {name: value for name, value in asked.items() if value != "auto"},
            environment,
            1 if os.environ.get(ATTACH_VARIABLE) else jobs,  # in a lab that stays they take turns
            keeping.sweep_all,  # a kernel that ended before its notebook did has left its lab's files
        )
        try:
            return run_notebooks(project, plan, show)
        finally:
            give_folders_to_caller(project)


def summarise(project: Project, results: "Sequence[ExecutedNotebook]", options: "LabOptions") -> int:
    """Print one line per notebook and how many were live, write the report and name it; return the exit code."""
    from labsupport import outlook

    sources = sources_of(project, results)
    for one in results:
        passed = one.outcome == "passed"
        words = ["passed" if passed else "FAILED", one.slug, f"{one.cells_done}/{one.cells} cells"]
        print("  ".join([*words, f"{one.seconds:.1f} s", ", ".join(sources[one.slug]) if passed else ""]).rstrip())
        if not passed:
            print("        " + one.error.replace("\n", "\n        "))
    page = write_report_for_caller(project, results)
    passed_sources = [sources[one.slug] for one in results if one.outcome == "passed"]
    counted = f"{len(passed_sources)} of {len(results)} notebooks passed{in_numbers(passed_sources)}."
    print(f"{counted} Report: {os.path.relpath(page, Path.cwd())}")
    if any(RECORDED in words for words in sources.values()) and (how := outlook.how_to_have_more_live(options)):
        print(f"To have more of it live: {how}. `./lab doctor` says what works here.")
    return int(len(passed_sources) < len(results))


def in_numbers(sources: Sequence[Sequence[str]]) -> str:
    """Say of so many notebooks how many were live, given where what each showed is from; nothing where none is."""
    kinds = {
        "live": [words for words in sources if words and RECORDED not in words],
        "partly from recorded evidence": [words for words in sources if RECORDED in words and len(words) > 1],
        "from recorded evidence": [words for words in sources if list(words) == [RECORDED]],
        "needing no lab": [words for words in sources if not words],
    }
    said = ", ".join(f"{len(those)} {kind}" for kind, those in kinds.items() if those)
    return f": {said}" if said else ""


def write_report_for_caller(project: Project, results: "Sequence[ExecutedNotebook]") -> Path:
    """Write the report of a run, into folders that are the caller's under sudo too; return its first page."""
    page = write_report(project, results)
    give_folders_to_caller(project)
    return page


def print_line(line: str) -> None:
    print(line, flush=True)


def print_announcement(progress: Progress) -> None:
    print(f"— {progress.text}", flush=True)
