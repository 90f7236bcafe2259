"""What all measuring shares: the tools, had before any clock starts, and machines that end with a block."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from labsupport.errors import MachineError
from labsupport.process.ownership import Owner
from labsupport.process.progress import Listener, silent
from labsupport.project import Project

if TYPE_CHECKING:
    from labsupport.systems.clusters.kind import KindTools
    from labsupport.systems.clusters.tools import ClusterTools
    from labsupport.systems.engines.tools import EngineTools
    from labsupport.systems.machines.machine import Machine
    from labsupport.systems.toolchain import Toolchain

TOOLBOX = "lab/toolbox"


@dataclass(frozen=True)
class Seen:
    """What one subject gave in one round.

    Attributes:
        values: by measure; None for what this kernel keeps no count of.
        parts: what some of them are made of: measure → part → value, in the measure's unit.
        curve: points (x, y), where the way to a value tells something.
    """

    values: Mapping[str, float | None]
    parts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    curve: tuple[tuple[float, float], ...] = ()


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started


@dataclass
class TimedMachine:
    """A machine, and the clock that started before it did."""

    machine: "Machine"
    clock: Clock
    has_ended: bool = False

    @property
    def name(self) -> str:
        return self.machine.name

    def close(self) -> float:
        """End it and return how many seconds that took.

        Raises:
            MachineError: something of it is left.
        """
        from labsupport.systems.inventory import leftovers, take_inventory

        before = take_inventory(self.name)
        clock = Clock()
        self.machine.close()
        seconds, self.has_ended = clock.seconds, True
        if left := leftovers(self.name, before):
            raise MachineError(f"end {self.name}", f"left: {'; '.join(map(str, left))}", "run ./lab clean")
        return seconds


@dataclass
class Equipment:
    """The clone and the tools that subjects measure with."""

    project: Project
    listener: Listener = silent

    @cached_property
    def toolchain(self) -> "Toolchain":
        from labsupport.systems.toolchain import Toolchain

        return Toolchain(listener=self.listener)

    @cached_property
    def cluster_tools(self) -> "ClusterTools":
        from labsupport.systems.clusters.tools import ClusterTools

        return ClusterTools.of(self.toolchain)

    @cached_property
    def kind_tools(self) -> "KindTools":
        from labsupport.systems.clusters.kind import KindTools

        return KindTools.of(self.toolchain)

    @cached_property
    def engine_tools(self) -> "EngineTools":
        from labsupport.systems.engines.tools import EngineTools

        return EngineTools.of(self.toolchain)

    @cached_property
    def archives(self) -> tuple[Path, ...]:
        """The images that the nodes of clusters start with; they must have been built."""
        from labsupport.systems.images import archives_of

        return archives_of(self.toolchain, TOOLBOX)

    def folders(self, *groups: str) -> list[Path]:
        """Where the programs of some groups of tools are, for a machine's PATH."""
        return [self.toolchain.bin_folder(group) for group in ("machine", *groups)]

    @contextmanager
    def machine(self, *groups: str) -> Iterator[TimedMachine]:
        """Give a machine that has some groups of tools, for the length of a block.

        Raises:
            RequirementMissing: none can start here.
            MachineError: it did not start, or something of it is left.
        """
        from labsupport.systems.machines.namespaces import start_namespaces_machine

        tools, visible = self.folders(*groups), [self.toolchain.cache, self.project.root]
        clock = Clock()
        timed = TimedMachine(start_namespaces_machine(owner=Owner.this_process(), tools=tools, visible=visible), clock)
        try:
            yield timed
        except BaseException:
            timed.machine.close()
            raise
        if not timed.has_ended:
            timed.close()
