"""One run of the benchmark, from names to written result. The plot; everything it tells is in the other files."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from pathlib import Path

from labsupport.backends import LabOptions
from labsupport.benchmark import page
from labsupport.benchmark.computer import look
from labsupport.benchmark.equipment import Clock, Equipment, Seen
from labsupport.benchmark.measures import MEASURES
from labsupport.benchmark.result import Result, result_of
from labsupport.benchmark.rounds import run_rounds
from labsupport.benchmark.subjects import Subject, choose, impossible_here
from labsupport.errors import RequirementMissing
from labsupport.keeping import prepare
from labsupport.lessons.needs import Needs
from labsupport.process.progress import Listener, Progress
from labsupport.project import Project
from labsupport.starting import give_folders_to_caller

UNITS: Mapping[str, str] = {measure.name: measure.unit for measure in MEASURES}


def run(project: Project, names: Sequence[str], *, rounds: int | None, notebooks: bool, listener: Listener) -> Result:
    """Measure what is named, or all by default; write build/bench/ and return what was found.

    Args:
        rounds: of each subject; None for its own number.
        notebooks: also the course.

    Raises:
        UsageError: nothing has such a name.
        RequirementMissing: no lab can be live here.
    """
    chosen = choose(names, notebooks=notebooks)
    impossible = impossible_here(chosen, named=bool(names))
    subjects = [each for each in chosen if each.name not in impossible]
    equipment = Equipment(project, listener)
    _get_ready(equipment, subjects)
    computer = look(equipment.toolchain)
    if computer.warning:
        listener(Progress(f"Note: {computer.warning}."))
    started, clock = datetime.now().astimezone(), Clock()

    def tell(number: int, subject: str, seen: Seen) -> None:
        listener(Progress(f"round {number}  {subject:<9}  {_values_in_words(seen)}"))

    log = run_rounds(equipment, subjects, rounds, tell)
    result = result_of(
        log,
        computer,
        version=project.version,
        started=started.isoformat(timespec="seconds"),
        seconds=clock.seconds,
        impossible=impossible,
    )
    page.write(project.benchmark, result)
    give_folders_to_caller(project)
    return result


def in_words(project: Project, result: Result) -> str:
    """Return the result as text for a terminal, with the name of its page."""
    absent = page.absences(result)
    parts = [
        page.summary(result).text,
        *([absent.text] if absent else []),
        *page.remarks(result),
        page.outcome(result),
        f"Page: {os.path.relpath(project.benchmark / page.PAGE, Path.cwd())}",
    ]
    return "\n\n".join(parts[:-2]) + "\n\n" + "\n".join(parts[-2:])


def _get_ready(equipment: Equipment, subjects: Sequence[Subject]) -> None:
    """Have everything that takes time once and belongs to no measure: tools, images, modules.

    Raises:
        RequirementMissing: no machine can start here.
    """
    from labsupport.systems.capabilities import namespaces_machine

    needs = reduce(or_, (subject.needs for subject in subjects), Needs())
    if needs == Needs():
        return
    possible = namespaces_machine()
    if not possible.available:
        raise RequirementMissing("./lab bench", possible.because, possible.change_it)
    prepare(LabOptions(machine="namespaces"), needs, equipment.listener)
    import dns.resolver  # noqa: F401
    import docker  # noqa: F401 (a process imports it once; whichever round is first would take the time)


def _values_in_words(seen: Seen) -> str:
    values = [(name, value) for name, value in seen.values.items() if value is not None]
    return ", ".join(f"{name} {value:.2f} {UNITS[name]}" for name, value in values)
