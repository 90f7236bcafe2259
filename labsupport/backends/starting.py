"""Starts or finds the parts of a lab. The only file that joins machines, engines, clusters and images."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.backends.choosing import KIND, OWN, SIMULATED, Plan
from labsupport.backends.places import OLD, SYSTEMD
from labsupport.backends.running import Backends
from labsupport.backends.simulating import start_simulated_backends
from labsupport.backends.visiting import attach_visit_backends, start_visit_backends
from labsupport.errors import UsageError
from labsupport.lessons.needs import Needs
from labsupport.process.interrupts import interrupts_later
from labsupport.process.ownership import VIRTUAL_KIND, Owner, own_run_root, run_root, run_roots
from labsupport.process.progress import Listener, silent
from labsupport.project import this_project

if TYPE_CHECKING:
    from labsupport.systems.clusters.lab_cluster import LabCluster
    from labsupport.systems.engines.engine import Engine
    from labsupport.systems.images import EngineSeeds
    from labsupport.systems.inventory import Thing
    from labsupport.systems.machines.machine import Machine
    from labsupport.systems.toolchain import Toolchain

# Names the running lab that notebooks and shells use instead of starting one.
ATTACH_VARIABLE = "LAB_ATTACH"
ENGINE_FILE = "engine-tools.json"
CLUSTER_FILE = "cluster-tools.json"
KIND_FILE = "kind-tools.json"
PLAN_FILE = "plan.json"
OWN_CLUSTER_FILE = "own-cluster-tools.json"
SIMULATED_FILE = "simulated-cluster-tools.json"
CLUSTER_FILES = {"embedded": CLUSTER_FILE, KIND: KIND_FILE, OWN: OWN_CLUSTER_FILE, SIMULATED: SIMULATED_FILE}


def make_toolchain(listener: Listener = silent) -> "Toolchain":
    from labsupport.systems.toolchain import Toolchain

    return Toolchain(listener=listener)


def have_images(engine: "Engine", names: tuple[str, ...], listener: Listener = silent) -> None:
    """Have the lab's own images on an engine."""
    if names:
        from labsupport.systems.images import Images, full_names

        images = Images(engine, make_toolchain(listener), listener)
        engine.note_images(full_names(*names), partial(images.ensure, *names))


def tool_groups(needs: Needs) -> tuple[str, ...]:
    """The groups of tools that it takes to have `needs` live."""
    if not (needs.engine or needs.nodes):
        return ()
    if needs.simulated_nodes and not needs.images:
        from labsupport.systems.clusters.tools import WITH_SIMULATED_NODES

        return WITH_SIMULATED_NODES
    engine = ["engine", *(["old-engine"] if OLD in needs.engines else [])] if needs.engine else []
    return ("machine", *engine, *(["cluster", "cni"] if needs.nodes else []), *needs.tools)


def have_tools(needs: Needs, listener: Listener = silent) -> "Toolchain":
    """Have the tools that it takes to have `needs` live, and the systemd machine's files where they are needed.

    Raises:
        RequirementMissing, ToolchainError: something cannot be had here.
    """
    toolchain = make_toolchain(listener)
    toolchain.ensure(*tool_groups(needs))
    if SYSTEMD in needs.engines:
        from labsupport.systems.machines.systemd_tree import ensure_tree

        ensure_tree(toolchain.store, listener)
    if KIND in needs.tools:
        from labsupport.systems.clusters.kind import have_node_image

        have_node_image(toolchain, listener)
    return toolchain


def start_backends(chosen: Plan, needs: Needs, *, owner: Owner | None, listener: Listener = silent) -> Backends:
    """Start what of `needs` the plan can have live; engine and cluster at the same time.

    Raises:
        LabError: a part did not start; what had started has ended.
    """
    wanted = chosen.within(needs)
    if not (wanted.engine or wanted.nodes):
        return Backends(chosen)
    if chosen.is_visit:
        return start_visit_backends(chosen, wanted, owner=owner, listener=listener)
    if chosen.simulates:
        return start_simulated_backends(chosen, wanted, owner=owner, listener=listener)
    from labsupport.systems.images import missing_images
    from labsupport.systems.room import Size, require_room

    require_room(Size(wanted.engine, wanted.nodes))
    toolchain = have_tools(wanted, listener)
    if wanted.nodes and missing_images(toolchain, *wanted.images):
        # Nodes take images as archives, and building one takes an engine.
        with running_backends(replace(chosen, no_engine=""), replace(wanted, engine=True, nodes=0), listener):
            pass
    on_path = [group for group in ("engine", "machine", *wanted.tools) if group in tool_groups(wanted)]
    folders = [toolchain.bin_folder(group) for group in on_path]
    machine = _start_machine(chosen, toolchain, owner, folders, listener)
    try:
        save_plan(machine.folder, chosen)
        with ThreadPoolExecutor() as pool:
            engine = pool.submit(_start_engine, machine, toolchain, wanted.images) if wanted.engine else None
            start = partial(_start_kind_when, engine) if engine and chosen.cluster == KIND else _start_cluster
            cluster = pool.submit(start, machine, toolchain, wanted) if wanted.nodes else None
        started = Backends(
            chosen,
            machine,
            engine.result() if engine else None,
            cluster.result() if cluster else None,
            images=wanted.images,
        )
        if started.engine is not None:
            have_images(started.engine, wanted.images, listener)
            engine_seeds(toolchain, listener).ensure(machine, *wanted.images)
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

    folder = folder_of_lab(name)
    if LabRecord.read(folder).kind == CONTAINER_KIND:
        return attach_container(folder)
    return attach(name, root=folder.parent)


def attach_to_end(name: str) -> Backends:
    """Find a running lab, ours to end; its parts are not asked whether they answer.

    Raises:
        LabError: no such lab runs.
    """
    from labsupport.systems.machines.run_folders import LabRecord
    from labsupport.systems.machines.sweeping import VISIT_KIND

    folder = folder_of_lab(name)
    record = LabRecord.read(folder)
    if record.kind == VISIT_KIND:
        return replace(attach_visit_backends(folder, to_end=True), attached=False)
    return Backends(Plan(record.kind), attach_machine(name))


def attach_backends(name: str) -> Backends:
    """Find what runs in the lab `name`; it is not ours to end.

    Raises:
        LabError: that lab has ended, or a part of it.
    """
    from labsupport.systems.clusters.embedded import attach_embedded_cluster
    from labsupport.systems.clusters.tools import ClusterTools
    from labsupport.systems.engines.private import attach_private_engine
    from labsupport.systems.engines.tools import EngineTools
    from labsupport.systems.machines.run_folders import LabRecord
    from labsupport.systems.machines.sweeping import VISIT_KIND

    folder = folder_of_lab(name)
    kind = LabRecord.read(folder).kind
    if kind == VISIT_KIND:
        return attach_visit_backends(folder)
    if kind == VIRTUAL_KIND:
        happened = "it is a virtual machine, whose labs are in it"
        raise UsageError(f"attach to {name}", happened, "use a command that goes there: ./lab shell")
    machine = attach_machine(name)
    found = Backends(saved_plan(folder), machine, attached=True)
    if fields := saved_tools(folder):
        found.engine = attach_private_engine(machine, EngineTools(**fields))
    if fields := saved_tools(folder, CLUSTER_FILE):
        found.cluster = attach_embedded_cluster(machine, ClusterTools(**fields))
    if (fields := saved_tools(folder, KIND_FILE)) and found.engine:
        from labsupport.systems.clusters.kind import attach_kind_cluster

        found.cluster = attach_kind_cluster(machine, found.engine, ClusterTools(**fields))
    # A kernel that was killed may have left a component stopped.
    found.mended = found.undo_faults()
    return found


@contextmanager
def running_backends(chosen: Plan, needs: Needs, listener: Listener = silent) -> Iterator[Backends]:
    """Have what of `needs` the plan can have live for the length of a block; owned by this process."""
    backends = start_backends(chosen, needs, owner=Owner.this_process(), listener=listener)
    try:
        yield backends
    finally:
        with interrupts_later():
            backends.close()


def end_and_look(backends: Backends) -> "list[Thing]":
    """Close backends, and return what is left of them that should have gone: nothing, if all is well."""
    from labsupport.systems.faults import faults_left
    from labsupport.systems.inventory import leftovers, take_inventory

    if backends.visit is not None and not backends.attached:
        return _end_visit(backends)
    if backends.machine is None or backends.attached:
        left = faults_left(backends.labs_cluster) if backends.labs_cluster is not None else []
        backends.close()
        return left
    # What was there before: namespaces that nobody can find by name any more, and settings of the kernel.
    root = backends.machine.folder.parent
    before = take_inventory(backends.machine.name, root=root)
    backends.close()
    return leftovers(backends.machine.name, before, root=root)


def _end_visit(backends: Backends) -> "list[Thing]":
    from labsupport.systems.clusters.kind.helper import clear
    from labsupport.systems.engines.own import EngineOfUser
    from labsupport.systems.inventory import Thing, leftovers

    assert backends.visit is not None
    left = []
    if isinstance(backends.engine, EngineOfUser):
        # First, as what its journal says goes with the run folder.
        clear(backends.engine.client, backends.visit.folder)
        backends.engine.owned.remove()
        left = [Thing("on your own engine", what) for what in backends.engine.owned.left()]
    backends.close()
    if backends.plan.simulates:
        left += leftovers(backends.visit.name, root=backends.visit.folder.parent)
    return left


def folder_of_lab(name: str) -> Path:
    """The run folder of a lab, below whichever root it is."""
    return next((root for root in run_roots() if (root / name).is_dir()), run_root()) / name


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


def engine_seeds(toolchain: "Toolchain", listener: Listener = silent) -> "EngineSeeds":
    """What today's engines can begin with."""
    from labsupport.systems.engines.tools import EngineTools
    from labsupport.systems.images import EngineSeeds

    return EngineSeeds(toolchain, EngineTools.of(toolchain), listener)


def _start_engine(machine: "Machine", toolchain: "Toolchain", images: tuple[str, ...]) -> "Engine":
    from labsupport.systems.engines.private import start_private_engine
    from labsupport.systems.engines.tools import EngineTools

    tools = EngineTools.of(toolchain)
    engine = start_private_engine(machine, tools, seed=engine_seeds(toolchain).find(*images))
    save_tools(machine.folder, asdict(tools))
    return engine


def _start_cluster(machine: "Machine", toolchain: "Toolchain", wanted: Needs) -> "LabCluster":
    from labsupport.systems.clusters.embedded import start_embedded_cluster
    from labsupport.systems.clusters.tools import ClusterTools
    from labsupport.systems.images import archives_of

    tools = ClusterTools.of(toolchain)
    archives = archives_of(toolchain, *wanted.images)
    cluster = start_embedded_cluster(machine, tools, nodes=wanted.nodes, archives=archives)
    if wanted.local_path:
        cluster.provide_local_path()
    save_tools(machine.folder, asdict(tools), CLUSTER_FILE)
    return cluster


def _start_kind_when(
    engine: "Future[Engine]", machine: "Machine", toolchain: "Toolchain", wanted: Needs
) -> "LabCluster":
    return start_kind(engine.result(), machine, toolchain, wanted)


def start_kind(engine: "Engine", machine: "Machine", toolchain: "Toolchain", wanted: Needs) -> "LabCluster":
    """Have kind make the cluster that `wanted` takes, on an engine of a machine or beside one."""
    from labsupport.systems.clusters.kind import KindTools, start_kind_cluster
    from labsupport.systems.images import archives_of

    tools = KindTools.of(toolchain)
    cluster = start_kind_cluster(
        machine,
        engine,
        tools,
        nodes=wanted.nodes,
        archives=archives_of(toolchain, *wanted.images),
        shown=[this_project().root],
    )
    if wanted.local_path:
        cluster.provide_local_path()
    save_tools(machine.folder, asdict(tools.cluster), KIND_FILE)
    return cluster


def save_plan(folder: Path, chosen: Plan) -> None:
    """Keep in a run folder what the lab can have live, and why not the rest."""
    (folder / PLAN_FILE).write_text(json.dumps(asdict(chosen)))


def saved_plan(folder: Path) -> Plan:
    """What `save_plan` wrote."""
    return Plan(**json.loads((folder / PLAN_FILE).read_text()))


def save_tools(folder: Path, fields: dict[str, Any], name: str = ENGINE_FILE) -> None:
    """Keep in a run folder what another process needs to use the engine or the cluster."""
    (folder / name).write_text(json.dumps(fields, default=lambda path: {"$path": str(path)}))


def saved_tools(folder: Path, name: str = ENGINE_FILE) -> dict[str, Any]:
    """What `save_tools` wrote, paths being paths again; empty where it wrote nothing."""
    file = folder / name
    if not file.exists():
        return {}
    fields = json.loads(file.read_text(), object_hook=lambda found: Path(found["$path"]) if "$path" in found else found)
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
