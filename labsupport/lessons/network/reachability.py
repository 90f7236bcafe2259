"""Who reaches whom: reads what the probes of the matrix printed, and shows it as a grid and as a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labsupport.display.figures import Figure
from labsupport.display.grids import letters_figure
from labsupport.display.markup import Shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step

OUTSIDE = "outside"
# What each container is on, in the order they are told about.
KINDS: Mapping[str, str] = {
    "bridge": "default bridge", "mine": "my bridge", "other": "my other bridge", "host": "host",
    "none": "none", "macvlan": "macvlan", "overlay": "overlay", OUTSIDE: "outside",
}  # fmt: skip
WAYS: Mapping[str, str] = {"address": "A", "name": "N", "port": "P"}

Probe = tuple[str, str, str]


@dataclass(frozen=True)
class Reach:
    """Every probe, (from, to, way) → whether the right container answered; an absent one could not even be asked."""

    answers: Mapping[Probe, bool] = field(hash=False)
    origin: Origin = LIVE

    def __getitem__(self, probe: Probe) -> bool:
        return self.answers[probe]

    def __len__(self) -> int:
        return len(self.answers)

    def ways(self, source: str, target: str) -> str:
        """Which ways work: "address", "address and name" … or "no"."""
        worked = [way for way in WAYS if self.answers.get((source, target, way))]
        return " and ".join([", ".join(worked[:-1]), worked[-1]] if len(worked) > 1 else worked) or "no"

    def reached(self, source: str, way: str) -> list[str]:
        """The kinds that `source` reaches this way."""
        return [target for target in self.targets if self.answers.get((source, target, way))]

    @property
    def sources(self) -> list[str]:
        return [kind for kind in KINDS if any(source == kind for source, _, _ in self.answers)]

    @property
    def targets(self) -> list[str]:
        return [kind for kind in KINDS if any(target == kind for _, target, _ in self.answers)]

    def figure(self) -> Figure:
        cells = {
            (row, column): [bool(self.answers.get((source, target, way))) for way in WAYS]
            for row, source in enumerate(self.sources)
            for column, target in enumerate(self.targets)
        }
        return letters_figure(
            "Who reaches whom",
            [KINDS[source] for source in self.sources],
            [KINDS[target] for target in self.targets],
            cells,
            letters="".join(WAYS.values()),
            below="A by address · N by name · P by published port: a letter where it works, a dot where not",
            corner=("who asks", "who is asked"),
            alt="A grid: a row for each network that a container asks from, a column for each it asks. In each cell "
            "A, N, P stand for address, name, published port, a letter where the right one answered: "
            f"{sum(self.answers.values())} of {len(self)} did.",
            twin=self._twin(),
        )

    def shown(self) -> Shown:
        return self.origin.above(self.figure().shown())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return self.shown()._repr_mimebundle_()

    def _twin(self) -> Table:
        columns: list[str | Column] = ["from", "to", "by address", "by name", "by published port"]
        rows: list[list[Cell]] = [
            [KINDS[source], KINDS[target], *(self.answers.get((source, target, way)) for way in WAYS)]
            for source in self.sources
            for target in self.targets
        ]
        return table("Who reaches whom", columns, rows, note=f"{len(self)} probes", header_columns=2)


def read_reach(*steps: Step) -> Reach:
    """Read what probe-all.sh and the probe from outside printed: who asked, who was asked, how, yes or no.

    Raises:
        EvidenceError: a line is something else, or there is none.
    """
    answers: dict[Probe, bool] = {}
    for step in steps:
        for line in step.lines:
            words = line.split()
            if len(words) != 4 or words[2] not in WAYS or words[3] not in ("yes", "no"):
                raise EvidenceError(
                    step.command, f"no answer to a probe: {line!r}", "run the cells of this experiment again"
                )
            source, target = (_kind_of(word) for word in words[:2])
            answers[source, target, words[2]] = words[3] == "yes"
    if not answers:
        said = " ".join(step.stderr for step in steps)[-400:]
        raise EvidenceError(steps[0].command, f"it printed no answers: {said!r}", "start the containers first")
    return Reach(answers, Origin.of(steps[0]))


def _kind_of(name: str) -> str:
    return name.removesuffix("-a").removesuffix("-b")
