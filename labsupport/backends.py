"""What a lab runs on: chooses machine, engine and cluster as asked and as this computer allows, starts or finds them.

The only file that joins machines, engines, clusters and images. Knows no notebook, trial or person.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.errors import RequirementMissing, UsageError
from labsupport.lessons.needs import Needs
from labsupport.process.commands import LocalRunner
from labsupport.process.ownership import Owner, own_run_root, run_root, run_roots
from labsupport.process.progress import Listener, silent
from labsupport.project import this_project

if TYPE_CHECKING:
    from labsupport.systems.capabilities import Capability
    from labsupport.systems.clusters.embedded import EmbeddedCluster
    from labsupport.systems.clusters.objects import Snapshot as ClusterSnapshot
    from labsupport.systems.engines.engine import Engine
    from labsupport.systems.engines.objects import Snapshot as EngineSnapshot
    from labsupport.systems.inventory import Thing
    from labsupport.systems.machines.machine import Machine
    from labsupport.systems.toolchain import Toolchain

# Names the running lab that notebooks and shells use instead of starting one.
ATTACH_VARIABLE = "LAB_ATTACH"
ENGINE_FILE = "engine-tools.json"
CLUSTER_FILE = "cluster-tools.json"
BASELINE_FILE = "baseline.json"
# Options of the design that this edition cannot serve yet: said, never ignored.
NOT_YET = {
    "engine": {"own": "this edition uses its private engine only"},
    "cluster": dict.fromkeys(("kind", "own"), "this edition has the embedded cluster only"),
    "machine": {"vm": "this edition has the namespaces machine and the container machine"},
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

    def as_environment(self) -> dict[str, str]:
        """What `or_from_environment` of another process makes these options of."""
        return {f"LAB_{name.upper()}": value for name, value in vars(self).items() if value != "auto"}


# Values that take a machine.
BY_NAME = frozenset({"private", "embedded", "namespaces", "container"})
NO_CLUSTER_IN_CONTAINER = "the container machine of this edition runs an engine, and no cluster yet"


@dataclass(frozen=True)
class Plan:
    """What can be live. Each `no_…` says why that cannot, as the end of “not live: …”; empty where it can."""

    machine: str | None
    no_engine: str = ""
    no_cluster: str = ""

    def why_not(self, needs: Needs) -> str:
        """Why not all of `needs` can be live; empty when it can."""
        return (self.no_engine if needs.engine else "") or (self.no_cluster if needs.nodes else "")

    def within(self, needs: Needs) -> Needs:
        """The part of `needs` that can be live."""
        return replace(needs, engine=needs.engine and not self.no_engine, nodes=0 if self.no_cluster else needs.nodes)


def plan(options: LabOptions, possible: "Capability | None" = None) -> Plan:
    """Decide what can be live.

    Args:
        possible: whether a private machine can start; found out where it is not given.

    Raises:
        RequirementMissing: something was asked for by name that cannot be had here.
    """
    for name, refused in NOT_YET.items():
        if because := refused.get(getattr(options, name)):
            raise RequirementMissing(
                f"use --{name} {getattr(options, name)}", because, f"leave --{name} out; CHANGELOG.md says what is new"
            )
    machine = "namespaces"
    if possible is None:
        from labsupport.systems.capabilities import container_machine, namespaces_machine

        possible = namespaces_machine()
        in_container = container_machine()
        if options.machine == "container" or (
            options.machine == "auto" and in_container.available and not possible.available
        ):
            machine, possible = "container", in_container
    no_machine = ""
    if options.machine == "none":
        no_machine = "--machine none was asked for"
    elif not possible.available:
        no_machine = f"no private machine can start here: {possible.because}"
    asked = [f"--{name} {value}" for name, value in vars(options).items() if value in BY_NAME]
    if no_machine and asked:
        raise RequirementMissing(
            f"use {' '.join(asked)}",
            no_machine,
            possible.change_it or "leave --machine none out",
        )
    no_engine = no_cluster = no_machine
    if options.engine == "replay":
        # Replay is asked for to spare the set-up: a cluster is live beside it only where that is said too.
        no_engine = "--engine replay was asked for"
        no_cluster = no_machine or (no_engine if options.cluster == "auto" else "")
    if options.cluster == "replay":
        no_cluster = "--cluster replay was asked for"
    if machine == "container" and not no_cluster:
        if options.cluster == "embedded":
            do = "leave --cluster out, or use `sudo ./lab …`"
            raise RequirementMissing("use --cluster embedded", NO_CLUSTER_IN_CONTAINER, do)
        no_cluster = NO_CLUSTER_IN_CONTAINER
    return Plan(None if no_engine and no_cluster else machine, no_engine, no_cluster)


@dataclass
class Backends:
    """What runs: a machine, an engine and a cluster on it; each None where it does not."""

    plan: Plan
    machine: "Machine | None" = None
    engine: "Engine | None" = None
    cluster: "EmbeddedCluster | None" = None
    attached: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """What commands, kernels and terminals need to talk to what is live, and to nothing else.

        Where a part is not live its command only says so: it must not reach an engine or cluster of the user.
        """
        engine = dict(self.engine.environment) if self.engine else _absent("engine", "DOCKER_HOST", "unix://{}")
        cluster = dict(self.cluster.environment) if self.cluster else _absent("cluster", "KUBECONFIG", "{}")
        folders = [folder for part in (engine, cluster) for folder in part["PATH"].split(os.pathsep)]
        # Those of the lab first, each once; what was on PATH before stays behind them.
        first = [folder for folder in folders if folder not in os.environ.get("PATH", "").split(os.pathsep)]
        return {**engine, **cluster, "PATH": os.pathsep.join(dict.fromkeys([*first, *folders]))}

    @property
    def runner(self) -> LocalRunner:
        """Runs commands on this computer that find the engine and the cluster."""
        return LocalRunner(self.environment)

    @property
    def name(self) -> str:
        """What evidence calls these backends."""
        return "private" if self.engine is not None else "embedded"

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
        assert self.machine is not None
        system = os.uname()
        facts: dict[str, Any] = {
            "kernel": f"Linux {system.release}",
            "machine": self.machine.kind,
            "architecture": system.machine,
        }
        tools: list[Any] = []
        if self.engine is not None:
            engine = self.engine.provenance()
            facts["engine"] = f"Docker {engine['version']}{_built_here(engine['tools'])}"
            tools += engine["tools"]
        if self.cluster is not None:
            cluster = self.cluster.provenance()
            facts["cluster"] = f"Kubernetes {cluster['version']}{_built_here(cluster['tools'])}"
            tools += [tool for tool in cluster["tools"] if tool not in tools]
        return {**facts, "tools": tuple(tools)}

    def have_images(self, names: tuple[str, ...], listener: Listener = silent) -> None:
        """Have the lab's own images on the engine."""
        if self.engine is not None and names:
            from labsupport.systems.images import Images

            Images(self.engine, make_toolchain(listener), listener).ensure(*names)

    def snapshot(self) -> "Existing":
        """Note what is there, for `remove_since`."""
        return Existing(
            self.engine.snapshot() if self.engine else None, self.cluster.snapshot() if self.cluster else None
        )

    def remove_since(self, before: "Existing") -> list[str]:
        """Remove what was made since; say what, a line for each part that had something."""
        removed: list[Any] = []
        if self.cluster is not None and before.on_cluster is not None:
            removed.append(self.cluster.remove_since(before.on_cluster))
        if self.engine is not None and before.on_engine is not None:
            gone = self.engine.remove_since(before.on_engine)
            removed.append(gone)
            # Somebody built something else under the name of one of ours.
            self.have_images(tuple(name for name in gone.lost if name.startswith("lab/")))
        return [str(each) for each in removed if each]

    def keep_baseline(self) -> None:
        """Note what is there now: what `back_to_baseline` brings back, for whoever attaches later."""
        if self.machine is not None:
            (self.machine.folder / BASELINE_FILE).write_text(self.snapshot().as_json())

    def back_to_baseline(self) -> list[str]:
        """Remove all that came since `keep_baseline`; say what."""
        assert self.machine is not None
        baseline = self.machine.folder / BASELINE_FILE
        if not baseline.exists():
            raise UsageError(
                f"reset {self.machine.name}", "it is still starting, or belongs to a notebook", "end it, or wait for it"
            )
        return self.remove_since(Existing.from_json(baseline.read_text()))

    def close(self) -> None:
        """End what was started here; what was found running stays."""
        if self.cluster is not None:
            self.cluster.door.close()
        if self.engine is not None:
            self.engine.close()
        if self.machine is not None and not self.attached:
            self.machine.close()


@dataclass(frozen=True)
class Existing:
    """What is on an engine and on a cluster at one moment."""

    on_engine: "EngineSnapshot | None" = None
    on_cluster: "ClusterSnapshot | None" = None

    def as_json(self) -> str:
        return json.dumps(asdict(self), default=sorted)

    @classmethod
    def from_json(cls, text: str) -> "Existing":
        from labsupport.systems.clusters.objects import Snapshot as OnCluster
        from labsupport.systems.engines.objects import Snapshot as OnEngine

        fields = json.loads(text)
        for part in fields.values():
            part and part.update({name: frozenset(value) for name, value in part.items() if isinstance(value, list)})
        return cls(
            OnEngine(**fields["on_engine"]) if fields["on_engine"] else None,
            OnCluster(**fields["on_cluster"]) if fields["on_cluster"] else None,
        )


def make_toolchain(listener: Listener = silent) -> "Toolchain":
    from labsupport.systems.toolchain import Toolchain

    return Toolchain(listener=listener)


def tool_groups(needs: Needs) -> tuple[str, ...]:
    """The groups of tools that it takes to have `needs` live."""
    groups = ["machine"] if needs.engine or needs.nodes else []
    return (*groups, *(["engine"] if needs.engine else []), *(["cluster", "cni"] if needs.nodes else []))


def start_backends(chosen: Plan, needs: Needs, *, owner: Owner | None, listener: Listener = silent) -> Backends:
    """Start what of `needs` the plan can have live; engine and cluster at the same time.

    Raises:
        LabError: a part did not start; what had started has ended.
    """
    wanted = chosen.within(needs)
    if not (wanted.engine or wanted.nodes):
        return Backends(chosen)
    from labsupport.systems.images import missing_images

    toolchain = make_toolchain(listener)
    toolchain.ensure(*tool_groups(wanted))
    if wanted.nodes and missing_images(toolchain, *wanted.images):
        # Nodes take images as archives, and building one takes an engine.
        with running_backends(replace(chosen, no_engine=""), replace(wanted, engine=True, nodes=0), listener):
            pass
    folders = [toolchain.bin_folder(group) for group in ("engine", "machine") if group in tool_groups(wanted)]
    machine = _start_machine(chosen, toolchain, owner, folders, listener)
    try:
        with ThreadPoolExecutor() as pool:
            engine = pool.submit(_start_engine, machine, toolchain) if wanted.engine else None
            cluster = pool.submit(_start_cluster, machine, toolchain, wanted) if wanted.nodes else None
        started = Backends(chosen, machine, engine.result() if engine else None, cluster.result() if cluster else None)
        started.have_images(wanted.images, listener)
    except BaseException:
        machine.close()
        raise
    return started


def attach_machine(name: str) -> "Machine":
    """Find the machine of a running lab, of whatever kind.

    Raises:
        LabError: no such lab runs.
    """
    from labsupport.systems.machines.container import attach_container
    from labsupport.systems.machines.namespaces import attach
    from labsupport.systems.machines.run_folders import LabRecord
    from labsupport.systems.machines.sweeping import CONTAINER_KIND

    root = next((each for each in run_roots() if (each / name).is_dir()), run_root())
    if LabRecord.read(root / name).kind == CONTAINER_KIND:
        return attach_container(root / name)
    return attach(name, root=root)


def attach_backends(name: str) -> Backends:
    """Find what runs in the lab `name`; it is not ours to end.

    Raises:
        LabError: that lab has ended, or a part of it.
    """
    from labsupport.systems.clusters.embedded import attach_embedded_cluster
    from labsupport.systems.clusters.tools import ClusterTools
    from labsupport.systems.engines.private import attach_private_engine
    from labsupport.systems.engines.tools import EngineTools

    machine = attach_machine(name)
    found = Backends(Plan(machine.kind), machine, attached=True)
    if fields := _saved(machine, ENGINE_FILE):
        found.engine = attach_private_engine(machine, EngineTools(**fields))
    if fields := _saved(machine, CLUSTER_FILE):
        found.cluster = attach_embedded_cluster(machine, ClusterTools(**fields))
    return found


@contextmanager
def running_backends(chosen: Plan, needs: Needs, listener: Listener = silent) -> Iterator[Backends]:
    """Have what of `needs` the plan can have live for the length of a block; owned by this process."""
    backends = start_backends(chosen, needs, owner=Owner.this_process(), listener=listener)
    try:
        yield backends
    finally:
        backends.close()


def end_and_look(backends: Backends) -> "list[Thing]":
    """Close backends, and return what is left of them that should have gone: nothing, if all is well."""
    from labsupport.systems.inventory import leftovers, take_inventory

    if backends.machine is None or backends.attached:
        backends.close()
        return []
    # What was there before: namespaces that nobody can find by name any more, and settings of the kernel.
    root = backends.machine.folder.parent
    before = take_inventory(backends.machine.name, root=root)
    backends.close()
    return leftovers(backends.machine.name, before, root=root)


def _start_machine(
    chosen: Plan, toolchain: "Toolchain", owner: Owner | None, tools: list[Path], listener: Listener
) -> "Machine":
    if chosen.machine == "container":
        from labsupport.systems.machines.container import start_container_machine

        return start_container_machine(
            owner=owner,
            store=toolchain.store,
            tools=tools,
            visible=[toolchain.cache],
            root=own_run_root(),
            listener=listener,
        )
    from labsupport.systems.machines.namespaces import start_namespaces_machine

    # A clone below /tmp: its inner machines run a program of it.
    visible = [toolchain.cache, this_project().root]
    return start_namespaces_machine(owner=owner, tools=tools, visible=visible)


def _start_engine(machine: "Machine", toolchain: "Toolchain") -> "Engine":
    from labsupport.systems.engines.private import start_private_engine
    from labsupport.systems.engines.tools import EngineTools

    tools = EngineTools.of(toolchain)
    engine = start_private_engine(machine, tools)
    _save(machine, ENGINE_FILE, asdict(tools))
    return engine


def _start_cluster(machine: "Machine", toolchain: "Toolchain", wanted: Needs) -> "EmbeddedCluster":
    from labsupport.systems.clusters.embedded import start_embedded_cluster
    from labsupport.systems.clusters.tools import ClusterTools
    from labsupport.systems.images import archives_of

    tools = ClusterTools.of(toolchain)
    archives = archives_of(toolchain, *wanted.images)
    cluster = start_embedded_cluster(machine, tools, nodes=wanted.nodes, archives=archives)
    _save(machine, CLUSTER_FILE, asdict(tools))
    return cluster


def _absent(part: str, variable: str, form: str) -> dict[str, str]:
    folder = Path(__file__).with_name("absent") / part
    return {variable: form.format(folder / "nothing-is-live"), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def _save(machine: "Machine", name: str, fields: dict[str, Any]) -> None:
    (machine.folder / name).write_text(json.dumps(fields, default=lambda path: {"$path": str(path)}))


def _saved(machine: "Machine", name: str) -> dict[str, Any]:
    """What `_save` wrote, paths being paths again; empty where it wrote nothing."""
    file = machine.folder / name
    if not file.exists():
        return {}
    fields = json.loads(file.read_text(), object_hook=lambda found: Path(found["$path"]) if "$path" in found else found)
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}


def _built_here(tools: Sequence[Mapping[str, Any]]) -> str:
    return " (built here)" if any(tool["source"] == "built here" for tool in tools) else ""
