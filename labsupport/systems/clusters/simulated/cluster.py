"""The cluster with simulated nodes: Kubernetes' own control plane as programs of this user, its nodes played by KWOK.

Owns what one offers beside what every cluster does, and that all of it ends together. startup.py brings it up.
"""

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from labsupport.errors import ClusterError
from labsupport.process.commands import Runner
from labsupport.process.progress import Listener, silent
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.control_plane import CLIENT_FOLDER
from labsupport.systems.clusters.node import NodeOnMachine
from labsupport.systems.clusters.readiness import READY_WITHIN_SECONDS, are_usable, wait_with
from labsupport.systems.clusters.simulated.startup import HERE, PLANE_FOLDER, Standing, Startup
from labsupport.systems.clusters.simulated.volumes import remove_volumes
from labsupport.systems.clusters.started import StartedCluster
from labsupport.systems.clusters.startup import CLUSTER_FOLDER, claim_folder
from labsupport.systems.clusters.store import all_keys_by_socket
from labsupport.systems.clusters.tools import ClusterTools
from labsupport.systems.machines.machine import Host

KIND = "simulated"
# What is not the real thing, as evidence and outputs name it.
SIMULATED = ("nodes", "containers", "addresses of pods")
COMMANDS_FOLDER = "bin"
# A terminal, or a notebook's cell that begins with an exclamation mark, which has one: nothing else would say it.
LAUNCHER = """#!/bin/sh
[ -t 2 ] && echo "[simulated: {simulated}]" >&2
exec {kubectl} "$@"
"""


class SimulatedCluster(StartedCluster):
    """A running one. Made by `start_simulated_cluster`."""

    kind = KIND
    simulated = SIMULATED
    dns_address = HERE

    def __init__(self, host: Host, tools: ClusterTools, standing: Standing) -> None:
        marking = host.folder / CLUSTER_FOLDER / CLIENT_FOLDER / COMMANDS_FOLDER
        super().__init__(host, replace(tools, commands=marking), standing.server)
        self.host = host
        self.size = standing.size
        self.dns_port = standing.dns_port
        self._components = {component.name: component for component in standing.components}

    @property
    def beside_volumes(self) -> Runner:
        """Runs commands on this computer: the folders are real, and here."""
        return self.host.runner

    @property
    def parts(self) -> Mapping[str, Component]:
        """Everything that runs, by name, in the order of its start."""
        return self._components

    def etcd_answer(self) -> str:
        """Return what etcd itself says it holds: see store.py."""
        return all_keys_by_socket(self.host.runner, self.folder / PLANE_FOLDER / "etcd.sock")

    def node(self, name: str) -> NodeOnMachine:
        """Refuse: there is no machine behind a simulated node."""
        raise ClusterError(
            f"use the node {name!r}",
            "it is simulated: there is no machine behind it",
            "this takes a cluster with nodes: `./lab doctor` says what that takes here",
        )

    def wait_ready(self, *, within_seconds: float = READY_WITHIN_SECONDS) -> None:
        """Return when every node takes pods, and namespace `default` too.

        Raises:
            ClusterError: a component ended by itself; its own last words are in the message.
            WaitExpired: it took longer.
        """
        running = [component for component in self._components.values() if component.is_running()]
        wait_with(
            running,
            lambda: are_usable(self.door, self.size),
            "simulated pods to be able to run",
            within_seconds=within_seconds,
            door=self.door,
        )

    def close(self) -> None:
        """End it all at once, and remove its files and the folders of its volumes."""
        self.door.close()
        _end(self.host, list(self._components.values()))


def start_simulated_cluster(
    host: Host, tools: ClusterTools, *, nodes: int = 1, listener: Listener = silent
) -> SimulatedCluster:
    """Start a cluster on this computer and return it when simulated pods can run.

    Args:
        host: this computer, with the lab's run folder.
        listener: told each phase as it is reached.

    Raises:
        ClusterError: a component ended; the message has its own last words. Nothing is left.
        WaitExpired: it took longer than a minute. Nothing is left.
    """
    up = Startup(host, tools, nodes, listener)
    claim_folder(host)
    try:
        standing = up.run()
        _write_launcher(up.folder / CLIENT_FOLDER / COMMANDS_FOLDER, tools)
        return SimulatedCluster(host, tools, standing)
    except BaseException:
        _end(host, up.components)
        raise


def attach_simulated_cluster(host: Host, tools: ClusterTools) -> SimulatedCluster:
    """Return the cluster that already runs for the lab with this run folder, such as the one `./lab up` keeps.

    Raises:
        ClusterError: there is none.
    """
    return SimulatedCluster(host, tools, Standing.find(host))


def _write_launcher(folder: Path, tools: ClusterTools) -> None:
    folder.mkdir()
    launcher = folder / "kubectl"
    kubectl = shlex.quote(str(tools.commands / "kubectl"))
    launcher.write_text(LAUNCHER.format(simulated=", ".join(SIMULATED), kubectl=kubectl))
    launcher.chmod(0o755)


def _end(host: Host, components: list[Component]) -> None:
    """End what a start has made so far, and remove its files."""
    for component in components:
        component.kill()
    wait_until(
        lambda: not any(component.is_running() for component in components), "its programs to end", within_seconds=5
    )
    remove_volumes(host.folder)
    shutil.rmtree(host.folder / CLUSTER_FOLDER, ignore_errors=True)
