"""What several commands share: the words they take (which engine, cluster, notebooks) with their help, and a table."""

import os
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from labsupport.backends import LabOptions

# Notebooks wait for the engine and the cluster more than they compute, so two share even two cores well.
JOBS = min(2, os.cpu_count() or 1)


class EngineChoice(StrEnum):
    AUTO = "auto"
    PRIVATE = "private"
    OWN = "own"
    REPLAY = "replay"


class ClusterChoice(StrEnum):
    AUTO = "auto"
    EMBEDDED = "embedded"
    KIND = "kind"
    SIMULATED = "simulated"
    OWN = "own"
    REPLAY = "replay"


class MachineChoice(StrEnum):
    AUTO = "auto"
    NAMESPACES = "namespaces"
    CONTAINER = "container"
    VM = "vm"
    NONE = "none"


Engine = Annotated[EngineChoice, typer.Option(help="Docker: the lab's private engine, your own, or recorded evidence.")]
Cluster = Annotated[
    ClusterChoice, typer.Option(help="Kubernetes: embedded, kind, simulated nodes, your own, or recorded.")
]
Machine = Annotated[MachineChoice, typer.Option(help="The private computer the lab runs on.")]
Allow = Annotated[
    bool, typer.Option("--allow-cluster-changes", help="On your own cluster: all that you may, not one namespace only.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Notebooks = Annotated[list[str] | None, typer.Argument(metavar="[NOTEBOOK]…", help="06, a slug, or a part of one.")]
Trials = Annotated[
    str, typer.Option(metavar="NAME,…", help="Only these trials live; all others from recorded evidence.")
]
Jobs = Annotated[int, typer.Option(min=1, max=16, help="How many notebooks at once.")]


def lab_options(
    engine: EngineChoice = EngineChoice.AUTO,
    cluster: ClusterChoice = ClusterChoice.AUTO,
    machine: MachineChoice = MachineChoice.AUTO,
    allow_cluster_changes: bool = False,
) -> "LabOptions":
    from labsupport.backends import LabOptions

    return LabOptions(engine.value, cluster.value, machine.value, allow_cluster_changes)


def trials_in(said: str) -> tuple[str, ...]:
    """The names in the value of --trials."""
    return tuple(name.strip() for name in said.split(",") if name.strip())


def show_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as wide as the terminal; long texts take more lines."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
