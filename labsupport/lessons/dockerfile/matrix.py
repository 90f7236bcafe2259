"""The matrix of ENTRYPOINT and CMD: reads what each container reported, states what the rules predict, tables both.

Forms are named as the stages of the Dockerfile name them: none, shell, exec.
"""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labsupport.display.markup import Markup, Shown, element
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

FORMS = ("none", "shell", "exec")
ENTRYPOINT = {"none": (), "shell": ("/bin/sh", "-c", "entry e1"), "exec": ("entry", "e1")}
CMD = {"none": (), "shell": ("/bin/sh", "-c", "cmd c1"), "exec": ("cmd", "c1")}
ARGUMENTS = ("arg", "a1")
OVERRIDE = "other"
WRITTEN = {
    "ENTRYPOINT": {"none": "(absent)", "shell": "entry e1", "exec": '["entry", "e1"]'},
    "CMD": {"none": "(absent)", "shell": "cmd c1", "exec": '["cmd", "c1"]'},
}
REFUSED = "no command specified"

_REPORT = re.compile(r"PID (\d+) (\[.*\])")


@dataclass(frozen=True)
class Combination:
    """One cell of the matrix: the two forms in the image, and what `docker run` adds."""

    entrypoint: str
    cmd: str
    arguments: bool
    override: bool

    @property
    def command(self) -> str:
        override = f"--entrypoint {OVERRIDE} " if self.override else ""
        arguments = f" {' '.join(ARGUMENTS)}" if self.arguments else ""
        return f"docker run --rm --network none {override}matrix:{self.entrypoint}-{self.cmd}{arguments}"

    def by_the_rules(self) -> tuple[str, ...]:
        """The argument vector of PID 1 as the Dockerfile reference has it; empty where there is nothing to run."""
        if self.override:
            return (OVERRIDE, *(ARGUMENTS if self.arguments else ()))
        return (*ENTRYPOINT[self.entrypoint], *(ARGUMENTS if self.arguments else CMD[self.cmd]))


@dataclass(frozen=True)
class Outcome:
    """What one combination did: the argument vectors the kernel had, or the engine's refusal."""

    combination: Combination
    pid_1: tuple[str, ...]
    program: tuple[str, ...]
    refusal: str

    @property
    def as_ruled(self) -> bool:
        return self.pid_1 == self.combination.by_the_rules()

    @property
    def shown(self) -> Markup | str:
        """PID 1 as one would type it; below it the program, where that is another process."""
        if self.refusal:
            return f"refused: {self.refusal}"
        pid_1 = element("code", shlex.join(self.pid_1))
        if self.program == self.pid_1:
            return pid_1
        return element("span", pid_1, element("br"), " its child: ", element("code", shlex.join(self.program)))


@dataclass(frozen=True)
class Matrix:
    """Every combination and what it did."""

    outcomes: tuple[Outcome, ...]
    origin: Origin = LIVE

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

    def __len__(self) -> int:
        return len(self.outcomes)

    def outcome(
        self, entrypoint: str = "none", cmd: str = "none", *, arguments: bool = False, override: bool = False
    ) -> Outcome:
        """Return the outcome of one combination.

        Raises:
            EvidenceError: it was not run.
        """
        wanted = Combination(entrypoint, cmd, arguments, override)
        found = [outcome for outcome in self.outcomes if outcome.combination == wanted]
        if not found:
            raise EvidenceError(
                wanted.command,
                f"it is not among the {len(self)} that ran; forms are {', '.join(FORMS)}",
                "run the cell with run-all.sh again",
            )
        return found[0]

    def forms_that_hand_cmd_over(self) -> list[str]:
        """The pairs of forms, both present, in which the program got the words of CMD as its arguments."""
        wanted = (*ENTRYPOINT["exec"], *CMD["exec"])
        pairs = [(entrypoint, cmd) for entrypoint in FORMS[1:] for cmd in FORMS[1:]]
        return [f"{entrypoint}-{cmd}" for entrypoint, cmd in pairs if self.outcome(entrypoint, cmd).program == wanted]

    def against_the_rules(self) -> list[str]:
        """The commands whose PID 1 is not what the rules predict."""
        return [outcome.combination.command for outcome in self if not outcome.as_ruled]

    def table(self) -> Table:
        """ENTRYPOINT and CMD down, what `docker run` adds across; a cell is what PID 1 was."""
        columns: list[str | Column] = [
            Column("ENTRYPOINT", "code"),
            Column("CMD", "code"),
            "docker run",
            f"with {' '.join(ARGUMENTS)}",
            f"with --entrypoint {OVERRIDE}",
            "with both",
        ]
        rows = [self._row(entrypoint, cmd) for entrypoint in FORMS for cmd in FORMS]
        caption = "PID 1 of each container, its words as the kernel has them"
        return table(caption, columns, rows, note=f"{len(self)} containers", header_columns=2)

    def shown(self) -> Shown:
        return self.origin.above(self.table().shown())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return self.shown()._repr_mimebundle_()

    def _row(self, entrypoint: str, cmd: str) -> list[Cell]:
        ways = [(False, False), (True, False), (False, True), (True, True)]
        cells = [self.outcome(entrypoint, cmd, arguments=arguments, override=override) for arguments, override in ways]
        return [
            WRITTEN["ENTRYPOINT"][entrypoint],
            WRITTEN["CMD"][cmd],
            *(cell.shown for cell in cells),
        ]


def read_matrix(step: Step) -> Matrix:
    """Read the output of `run-all.sh`: each command, then the lines its container or the engine wrote.

    Raises:
        EvidenceError: something else was printed.
    """
    said: dict[str, list[str]] = {}
    for line in step.lines:
        if line.startswith("docker run "):
            said[line] = []
        elif said:
            said[list(said)[-1]].append(line)
    outcomes = (read_outcome(shlex.split(command), lines) for command, lines in said.items())
    return Matrix(tuple(outcomes), Origin.of(step))


def read_outcome(argv: Sequence[str], lines: Sequence[str]) -> Outcome:
    """Read what one `docker run` of the matrix printed.

    Raises:
        EvidenceError: neither a report nor a refusal is in it.
    """
    image = next((word for word in argv if word.startswith("matrix:")), "matrix:?-?")
    entrypoint, _, cmd = image.removeprefix("matrix:").partition("-")
    combination = Combination(entrypoint, cmd, argv[-1] != image, "--entrypoint" in argv)
    reports = [(match[1], tuple(json.loads(match[2]))) for line in lines if (match := _REPORT.fullmatch(line.strip()))]
    refusal = next((line.rpartition(": ")[2] for line in lines if line.startswith("docker: ")), "")
    if bool(reports) == bool(refusal):
        raise EvidenceError(
            shlex.join(argv),
            f"no report of PID 1 in what it printed: {' '.join(lines)[-400:]!r}",
            "build the images again: the cell with `docker buildx bake`",
        )
    if refusal:
        return Outcome(combination, (), (), refusal.strip())
    return Outcome(combination, reports[0][1], reports[-1][1], "")
