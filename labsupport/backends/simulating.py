"""Starts or finds a lab whose cluster has simulated nodes: programs of this user, kept as a visit to this computer."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from labsupport.backends.choosing import Plan
from labsupport.backends.running import Backends
from labsupport.lessons.needs import Needs
from labsupport.process.ownership import Owner
from labsupport.process.progress import Listener, silent

if TYPE_CHECKING:
    from labsupport.systems.clusters.simulated import SimulatedCluster


def start_simulated_backends(
    chosen: Plan, wanted: Needs, *, owner: Owner | None, listener: Listener = silent
) -> Backends:
    """Start a cluster with `wanted.nodes` simulated nodes.

    Raises:
        LabError: it did not start; nothing is left of it.
    """
    from labsupport.backends.starting import SIMULATED_FILE, make_toolchain, save_plan, save_tools
    from labsupport.systems.clusters.simulated import start_simulated_cluster
    from labsupport.systems.clusters.tools import ClusterTools
    from labsupport.systems.visits import start_visit
    from labsupport.systems.visits.daemons import ThisComputer

    tools = ClusterTools.with_simulated_nodes(make_toolchain(listener))
    visit = start_visit(owner)
    try:
        save_plan(visit.folder, chosen)
        cluster = start_simulated_cluster(ThisComputer(visit.folder), tools, nodes=wanted.nodes)
        save_tools(visit.folder, asdict(tools), SIMULATED_FILE)
    except BaseException:
        visit.close()
        raise
    return Backends(chosen, visit=visit, cluster=cluster)


def attach_cluster(folder: Path) -> "SimulatedCluster | None":
    """Return the cluster that the lab with this run folder has; None where it has none with simulated nodes."""
    from labsupport.backends.starting import SIMULATED_FILE, saved_tools
    from labsupport.systems.clusters.simulated import attach_simulated_cluster
    from labsupport.systems.clusters.tools import ClusterTools
    from labsupport.systems.visits.daemons import ThisComputer

    if not (fields := saved_tools(folder, SIMULATED_FILE)):
        return None
    return attach_simulated_cluster(ThisComputer(folder), ClusterTools(**fields))
