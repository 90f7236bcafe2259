"""Which steps of a build came from the cache: reads BuildKit's plain progress, and tables several builds."""

import re
from collections.abc import Mapping, Sequence

from labsupport.display.tables import Cell, Column, Table, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

_STEP = re.compile(r"^#(?P<number>\d+) \[\S*\s*(?P<place>\d+)/\d+\] (?P<instruction>(COPY|ADD|RUN) .*)$")
_CACHED = re.compile(r"^#(?P<number>\d+) CACHED$")


def read_cached(step: Step) -> dict[str, bool]:
    """Return each COPY, ADD and RUN of a build with `--progress plain`, and whether it came from the cache.

    Raises:
        EvidenceError: no such step is in what it printed.
    """
    lines = step.stderr.splitlines()
    # BuildKit tells them in the order in which it begins: each has its place in the Dockerfile.
    found_steps = sorted((found for line in lines if (found := _STEP.match(line))), key=lambda each: int(each["place"]))
    steps = {found["number"]: found["instruction"] for found in found_steps}
    cached = {found["number"] for line in lines if (found := _CACHED.match(line))}
    if not steps:
        said = step.stderr.strip()[-300:]
        raise EvidenceError(step.command, f"no step of a Dockerfile in what it printed: {said!r}", "--progress plain")
    return {instruction: number in cached for number, instruction in steps.items()}


def caching_table(builds: Mapping[str, Mapping[str, bool]]) -> Table:
    """A row for each build, a column for each instruction."""
    instructions: Sequence[str] = list(dict.fromkeys(name for build in builds.values() for name in build))
    rows: list[list[Cell]] = [
        [what, *("cached" if build.get(name) else "done anew" for name in instructions)]
        for what, build in builds.items()
    ]
    return table("What came from the cache", ["before the build", *(Column(name) for name in instructions)], rows)
