"""Clusters for tests: started on demand on a machine of their own, ended afterwards, searched for what they left."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from labsupport.process.ownership import Owner
from labsupport.process.progress import Listener, silent
from labsupport.process.waiting import wait_until
from labsupport.project import this_project
from labsupport.systems.clusters.embedded import EmbeddedCluster, start_embedded_cluster
from labsupport.systems.clusters.kind import KindCluster, KindTools, start_kind_cluster
from labsupport.systems.clusters.simulated import SimulatedCluster, start_simulated_cluster
from labsupport.systems.clusters.started import StartedCluster
from labsupport.systems.clusters.tools import ClusterTools
from labsupport.systems.dataplanes.plain import PLAIN
from labsupport.systems.engines.private import start_private_engine
from labsupport.systems.engines.tools import EngineTools
from labsupport.systems.images import archives_of, missing_images
from labsupport.systems.inventory import leftovers
from labsupport.systems.visits import start_visit
from labsupport.systems.visits.daemons import ThisComputer
from tests.engines import private_engine, toolchain
from tests.machines import machine_under_test

IMAGES = ("lab/toolbox", "lab/agnhost")
# What clusters of kind and in the container machine are asked in every run; `./lab test --parity` asks them all.
SMOKE = (
    "test_nodes_are_ready_and_of_the_pinned_version",
    "test_a_stateful_set_gets_claims_names_and_keeps_its_data",
    "test_a_service_leads_to_its_pods_from_pod_and_from_node",
    "test_only_who_has_a_certificate_gets_in",
    "test_what_a_trial_made_goes_and_what_was_there_stays",
    "test_who_wrote_what_is_in_the_audit_log",
    "test_a_component_stops_and_starts_alone",
    "test_another_process_finds_the_cluster_again",
)


@cache
def tools() -> ClusterTools:
    return ClusterTools.of(toolchain())


@cache
def kind_tools() -> KindTools:
    return KindTools.of(toolchain())


@cache
def simulated_tools() -> ClusterTools:
    return ClusterTools.with_simulated_nodes(toolchain())


@cache
def machine_tools() -> tuple[Path, ...]:
    return (toolchain().bin_folder("machine"),)


@cache
def archives() -> tuple[Path, ...]:
    if missing_images(toolchain(), *IMAGES):
        with private_engine(*IMAGES):
            pass
    return archives_of(toolchain(), *IMAGES)


@contextmanager
def embedded_cluster(
    *, nodes: int = 1, dataplane: str = PLAIN, listener: Listener = silent, **machine: Any
) -> Iterator[EmbeddedCluster]:
    """Give a cluster on a machine of its own; fail if it leaves anything behind.

    Args:
        dataplane: how its pods are connected; one with a group of tools of its own has the name of that.
    """
    groups = [] if dataplane == PLAIN else [dataplane]
    toolchain().ensure(*groups)
    shown = [*machine_tools(), *(toolchain().bin_folder(group) for group in groups)]
    with machine_under_test(tools=shown, **machine) as own:
        options = {"nodes": nodes, "archives": archives(), "dataplane": dataplane, "listener": listener}
        cluster = start_embedded_cluster(own, tools(), **options)
        yield cluster
        cluster.close()


@contextmanager
def kind_cluster(*, nodes: int = 1, listener: Listener = silent, **machine: Any) -> Iterator[KindCluster]:
    """Give a cluster of kind on a machine of its own; fail if it leaves anything behind."""
    project = this_project().root
    visible = [toolchain().cache, project]
    with machine_under_test(tools=machine_tools(), visible=visible, **machine) as own:
        engine = start_private_engine(own, EngineTools.of(toolchain()))
        options = {"nodes": nodes, "archives": archives(), "shown": [project], "listener": listener}
        cluster = start_kind_cluster(own, engine, kind_tools(), **options)
        yield cluster
        cluster.close()
        engine.close()


@contextmanager
def simulated_cluster(*, nodes: int = 1, listener: Listener = silent) -> Iterator[SimulatedCluster]:
    """Give a cluster with simulated nodes on this computer itself; fail if it leaves anything behind."""
    visit = start_visit(Owner.this_process())
    try:
        host = ThisComputer(visit.folder)
        cluster = start_simulated_cluster(host, simulated_tools(), nodes=nodes, listener=listener)
        yield cluster
        cluster.close()
    finally:
        visit.close()
    assert leftovers(visit.name, root=visit.folder.parent) == []


def kubectl(cluster: StartedCluster, words: str, *, within_seconds: float = 150) -> str:
    """Run kubectl with these words and return what it says, stripped; fail where it does."""
    result = cluster.runner.run(["kubectl", *words.split()], within_seconds=within_seconds)
    return result.or_raise().stdout.strip()


def seen(cluster: StartedCluster, what: str, look: Callable[[dict[str, Any]], object], *, within: float = 120) -> None:
    """Wait until `kubectl get WHAT -o json` shows what is looked for; the error has its last state."""
    last: dict[str, Any] = {}

    def there() -> object:
        # With --ignore-not-found it says nothing of what is not there.
        last.clear()
        last.update(json.loads(kubectl(cluster, f"get {what} -o json") or "{}"))
        return look(last)

    wait_until(
        there,
        f"{what} as expected",
        within_seconds=within,
        every_seconds=0.1,
        last_seen=lambda: json.dumps(last)[-3000:],
    )
