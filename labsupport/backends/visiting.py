"""Starts or finds a lab on what is the user's: their engine, their cluster, or both. It has no machine."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from labsupport.backends.choosing import KIND, REPLAYED_BY_TRIAL, Plan
from labsupport.backends.running import Backends
from labsupport.backends.simulating import attach_cluster
from labsupport.lessons.needs import Needs
from labsupport.process.ownership import Owner
from labsupport.process.progress import Listener, silent
from labsupport.project import this_project

if TYPE_CHECKING:
    from labsupport.systems.clusters.lab_cluster import LabCluster
    from labsupport.systems.clusters.own import OwnCluster
    from labsupport.systems.engines.engine import Engine
    from labsupport.systems.engines.own import EngineOfUser, OwnEngineTools
    from labsupport.systems.toolchain import Toolchain
    from labsupport.systems.visits import Visit

# The programs on this computer that talk to the user's engine; the engine itself is theirs.
ENGINE_TOOLS = ("docker", "docker-buildx")
KUBECTL = "kubectl"


def visit_tools(chosen: Plan, wanted: Needs) -> tuple[str, ...]:
    """The tools that it takes to have `wanted` live on what is the user's."""
    more = [each for each in wanted.tools if each not in REPLAYED_BY_TRIAL]
    engine = (*ENGINE_TOOLS, *more) if chosen.own_engine and wanted.engine else ()
    return (*engine, *([KUBECTL] if chosen.own_cluster and wanted.nodes else []))


def start_visit_backends(chosen: Plan, wanted: Needs, *, owner: Owner | None, listener: Listener = silent) -> Backends:
    """Start what of `wanted` is to be live on the user's engine and cluster.

    Raises:
        LabError: a part cannot be used; nothing is left of the rest.
    """
    from labsupport.backends.starting import have_images, make_toolchain, save_plan, save_tools
    from labsupport.systems.machines.own_engine import host_in_use
    from labsupport.systems.visits import start_visit

    takes_engine = chosen.own_engine and wanted.engine
    takes_kind = chosen.cluster == KIND and wanted.nodes > 0
    host = host_in_use() if takes_engine else ""
    toolchain = make_toolchain(listener)
    toolchain.ensure(*visit_tools(chosen, wanted))
    if takes_kind:
        _require_shared_kernel(host)
    visit = start_visit(owner, host)
    save_plan(visit.folder, chosen)
    started = Backends(chosen, visit=visit, images=wanted.images)
    try:
        if takes_engine:
            tools = _engine_tools(toolchain)
            started.engine = _engine(visit, tools, host, new=True)
            save_tools(visit.folder, asdict(tools))
            have_images(started.engine, wanted.images, listener)
        if takes_kind:
            assert started.engine is not None
            started.cluster = _start_kind(visit, started.engine, toolchain, wanted, listener)
        elif chosen.own_cluster and wanted.nodes:
            started.cluster = _join_cluster(visit, toolchain, with_users_rights=chosen.may_change_cluster)
    except BaseException:
        started.close()
        raise
    return started


def attach_visit_backends(folder: Path, *, to_end: bool = False) -> Backends:
    """Find what a running lab uses of the user's; `to_end` asks no node whether it runs.

    Raises:
        LabError: that lab has ended, or the engine or cluster does not answer.
    """
    from labsupport.backends.starting import KIND_FILE, OWN_CLUSTER_FILE, saved_plan, saved_tools
    from labsupport.systems.engines.own import OwnEngineTools
    from labsupport.systems.machines.run_folders import LabRecord
    from labsupport.systems.visits import attach_visit

    visit, host = attach_visit(folder), LabRecord.read(folder).engine
    found = Backends(saved_plan(folder), visit=visit, attached=True)
    if tools := saved_tools(folder, OWN_CLUSTER_FILE):
        from labsupport.systems.clusters.own import attach_own_cluster

        found.cluster = attach_own_cluster(folder, tools["sources"])
    if found.plan.simulates:
        found.cluster = attach_cluster(folder)
        found.mended = found.undo_faults()
    if host:
        found.engine = _engine(visit, OwnEngineTools(**saved_tools(folder)), host, new=False)
    if (fields := saved_tools(folder, KIND_FILE)) and found.engine and not to_end:
        from labsupport.systems.clusters.kind import attach_helper, attach_kind_cluster
        from labsupport.systems.clusters.tools import ClusterTools

        helper = attach_helper(found.engine.client, folder)
        found.cluster = attach_kind_cluster(helper, found.engine, ClusterTools(**fields))
        found.mended = found.undo_faults()
    return found


def _join_cluster(visit: "Visit", toolchain: "Toolchain", *, with_users_rights: bool) -> "OwnCluster":
    from labsupport.backends.starting import OWN_CLUSTER_FILE, save_tools
    from labsupport.systems.clusters.own import Joining, join_own_cluster, users_kubeconfig

    kubectl = toolchain.bin_folder(KUBECTL) / KUBECTL
    sources = (asdict(toolchain.provenance(KUBECTL)),)
    kubeconfig = users_kubeconfig(kubectl)
    how = Joining(visit.name, visit.folder, kubeconfig, kubectl, visit.keeper(), with_users_rights, sources)
    cluster = join_own_cluster(how)
    save_tools(visit.folder, {"sources": sources}, OWN_CLUSTER_FILE)
    return cluster


def _start_kind(
    visit: "Visit", engine: "Engine", toolchain: "Toolchain", wanted: Needs, listener: Listener
) -> "LabCluster":
    from labsupport.backends.starting import start_kind
    from labsupport.systems.clusters.kind import HelperPlan, have_node_image, start_helper

    image = have_node_image(toolchain, listener)
    image.put_on(engine)
    shown = (toolchain.cache, this_project().root)
    plan = HelperPlan(visit.name, engine.host, toolchain.path("docker"), image.name, shown)
    helper = start_helper(engine.client, plan, visit.folder)
    return start_kind(engine, helper, toolchain, wanted)


def _require_shared_kernel(host: str) -> None:
    from labsupport.systems.machines.own_engine import OwnEngine

    OwnEngine(host).require_shared_kernel("nodes of kind")


def _engine_tools(toolchain: "Toolchain") -> "OwnEngineTools":
    from labsupport.systems.engines.own import OwnEngineTools

    docker, buildx = map(toolchain.path, ENGINE_TOOLS)
    return OwnEngineTools(docker, buildx, tuple(asdict(toolchain.provenance(name)) for name in ENGINE_TOOLS))


def _engine(visit: "Visit", tools: "OwnEngineTools", host: str, *, new: bool) -> "EngineOfUser":
    from labsupport.systems.engines.own import own_engine, use_own_engine
    from labsupport.systems.visits import visits_to

    use = use_own_engine if new else own_engine
    return use(visit.name, visit.folder, tools, host, partial(visits_to, host, but=visit.name))
