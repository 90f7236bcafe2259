"""What a lab runs on: chooses machine, engine and cluster as asked and as this computer allows, starts or finds them.

The only file that joins machines, engines, clusters and images. Knows no notebook, trial or person.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.errors import RequirementMissing
from labsupport.process.ownership import Owner
from labsupport.process.progress import Listener, silent
from labsupport.systems.engines.tools import EngineTools

if TYPE_CHECKING:
    from labsupport.systems.engines.engine import Engine
    from labsupport.systems.engines.objects import Removed
    from labsupport.systems.machines.machine import Machine
    from labsupport.systems.toolchain import Toolchain

SAVED_NAME = "backends.json"
BASELINE_NAME = "baseline.json"
TOOL_GROUPS = ("engine", "machine")
# Options of the design that this edition cannot serve yet: said, never ignored.
NOT_YET = {
    "engine": {"own": "this edition uses its private engine only"},
    "cluster": dict.fromkeys(("embedded", "kind", "own"), "this edition has no notebook on a cluster yet"),
    "machine": dict.fromkeys(("container", "vm"), "this edition has the namespaces machine only"),
}


@dataclass(frozen=True)
class LabOptions:
    """What --engine, --cluster and --machine say."""

    engine: str = "auto"
    cluster: str = "auto"
    machine: str = "auto"

    def or_from_environment(self) -> "LabOptions":
        """Where an option says auto, take what LAB_ENGINE, LAB_CLUSTER or LAB_MACHINE say."""

        def chosen(name: str) -> str:
            said = str(getattr(self, name))
            return os.environ.get(f"LAB_{name.upper()}", "auto") if said == "auto" else said

        return LabOptions(chosen("engine"), chosen("cluster"), chosen("machine"))


@dataclass(frozen=True)
class Plan:
    """What will be live. `reason` says why Docker is not, as the end of “not live: …”."""

    machine: str | None
    reason: str = ""

    @property
    def live(self) -> bool:
        return self.machine is not None


def plan(options: LabOptions, *, is_root_on_linux: bool | None = None) -> Plan:
    """Decide what will be live.

    Raises:
        RequirementMissing: something was asked for by name that cannot be had here.
    """
    for name, refused in NOT_YET.items():
        if because := refused.get(getattr(options, name)):
            raise RequirementMissing(
                f"use --{name} {getattr(options, name)}", because, f"leave --{name} out; CHANGELOG.md says what is new"
            )
    if is_root_on_linux is None:
        is_root_on_linux = sys.platform.startswith("linux") and os.geteuid() == 0
    if options.engine == "replay":
        return Plan(None, "--engine replay was asked for")
    if options.machine == "none":
        return Plan(None, "--machine none was asked for")
    if is_root_on_linux:
        return Plan("namespaces")
    if options.engine == "private" or options.machine == "namespaces":
        raise RequirementMissing(
            "start a private engine",
            "that takes root on Linux, and this process is not root",
            "run it with sudo (JupyterLab and your files stay yours), or use recorded evidence: --engine replay",
        )
    return Plan(None, "a private engine takes root on Linux, and this process is not root (`sudo ./lab …` would be)")


@dataclass
class Backends:
    """A running machine with its engine, or the reason why there is none."""

    plan: Plan
    machine: "Machine | None" = None
    engine: "Engine | None" = None
    attached: bool = False
    toolchain: "Toolchain | None" = field(default=None, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """What commands, kernels and terminals need to talk to what is live."""
        return dict(self.engine.environment) if self.engine else {}

    @property
    def places(self) -> dict[str, str]:
        """What belongs to this one run in outputs, and what to call it in evidence."""
        if self.machine is None:
            return {}
        return {
            str(self.machine.folder): "<run>",
            self.machine.address: "<machine>",
            self.machine.host_address: "<this-computer>",
        }

    def provenance(self) -> dict[str, Any]:
        """Say what was live: fields of the evidence's provenance, each the same on every run."""
        assert self.engine is not None and self.machine is not None
        engine = self.engine.provenance()
        built = " (built here)" if any(tool["source"] == "built here" for tool in engine["tools"]) else ""
        return {
            "kernel": f"Linux {engine['kernel']}",
            "engine": f"Docker {engine['version']}{built}",
            "machine": self.machine.kind,
            "architecture": engine["architecture"],
            "tools": tuple(engine["tools"]),
        }

    def have_images(self, names: tuple[str, ...], listener: Listener = silent) -> None:
        """Have the lab's own images on the engine."""
        from labsupport.systems.images import Images

        if self.engine is not None and names:
            self.toolchain = self.toolchain or make_toolchain(listener)
            Images(self.engine, self.toolchain, listener).ensure(*names)

    def keep_baseline(self) -> None:
        """Note what is on the engine now: what `back_to_baseline` brings back, for whoever attaches later."""
        if self.engine is not None and self.machine is not None:
            kept = {name: _listed(value) for name, value in asdict(self.engine.snapshot()).items()}
            (self.machine.folder / BASELINE_NAME).write_text(json.dumps(kept))

    def back_to_baseline(self) -> "Removed":
        """Remove from the engine all that came since `keep_baseline`."""
        from labsupport.systems.engines.objects import Snapshot

        assert self.engine is not None and self.machine is not None
        kept = json.loads((self.machine.folder / BASELINE_NAME).read_text())
        sets = {name: frozenset(value) for name, value in kept.items() if isinstance(value, list)}
        return self.engine.remove_since(Snapshot(**sets, tags=kept["tags"]))

    def close(self) -> None:
        """End what was started here; what was found running stays."""
        if self.engine is not None:
            self.engine.close()
        if self.machine is not None and not self.attached:
            self.machine.close()


def make_toolchain(listener: Listener = silent) -> "Toolchain":
    from labsupport.systems.toolchain import Toolchain

    return Toolchain(listener=listener)


def start_backends(chosen: Plan, *, owner: Owner | None, listener: Listener = silent) -> Backends:
    """Start what the plan says is live.

    Raises:
        LabError: a part did not start; what had started has ended.
    """
    if not chosen.live:
        return Backends(chosen)
    from labsupport.systems.engines.private import start_private_engine
    from labsupport.systems.machines.namespaces import start_namespaces_machine

    toolchain = make_toolchain(listener)
    toolchain.ensure(*TOOL_GROUPS)
    tools = EngineTools.of(toolchain)
    machine = start_namespaces_machine(
        owner=owner, tools=[tools.programs, toolchain.bin_folder("machine")], visible=[toolchain.cache]
    )
    try:
        engine = start_private_engine(machine, tools)
        _save(machine.folder, tools)
    except BaseException:
        machine.close()
        raise
    return Backends(chosen, machine, engine, toolchain=toolchain)


def attach_backends(name: str) -> Backends:
    """Find what runs in the lab `name`; it is not ours to end.

    Raises:
        MachineError, EngineError: that lab has ended, or its engine.
    """
    from labsupport.systems.engines.private import attach_private_engine
    from labsupport.systems.machines.namespaces import attach

    machine = attach(name)
    engine = attach_private_engine(machine, _saved(machine.folder))
    return Backends(Plan(machine.kind), machine, engine, attached=True)


@contextmanager
def starting_backends(chosen: Plan, listener: Listener = silent) -> Iterator[Backends]:
    """Run what the plan says for the length of a block; owned by this process."""
    backends = start_backends(chosen, owner=Owner.this_process(), listener=listener)
    try:
        yield backends
    finally:
        backends.close()


def _save(folder: Path, tools: EngineTools) -> None:
    (folder / SAVED_NAME).write_text(json.dumps(asdict(tools), default=str))


def _saved(folder: Path) -> EngineTools:
    fields = json.loads((folder / SAVED_NAME).read_text())
    return replace(
        EngineTools(Path(fields["programs"])),
        path=tuple(map(Path, fields["path"])),
        environment=fields["environment"],
        sources=tuple(fields["sources"]),
    )


def _listed(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value
