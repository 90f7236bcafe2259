"""What runs where in a lab, from its real state: this computer, the machines, their processes, containers and pods."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.experiments.steps import Observation
from labsupport.experiments.trial import Trial

if TYPE_CHECKING:
    from labsupport.backends import Backends
    from labsupport.systems.machines.census import Process


def whereabouts_of(trial: Trial, backends: "Backends") -> Observation:
    """Return {"computer", "machines"}.

    Returns:
        computer: {"kernel", "processors", "memory_megabytes"}. machines: one after the other, the lab's own first:
        {"name", "address", "what", "processes": [{"name", "megabytes"}], "containers": [{"name", "megabytes",
        "processes"}]}.
    """
    return trial.observe("whereabouts", lambda: _read(backends))


def _read(backends: "Backends") -> dict[str, Any]:
    from labsupport.systems.machines.census import census

    machine = backends.machine
    assert machine is not None
    processes = census(machine)
    names = _names_of_containers(backends)
    machines = []
    for inner in dict.fromkeys(process.machine for process in processes):
        here = [process for process in processes if process.machine == inner]
        address = machine.inner(inner).address if inner else machine.address
        machines.append(
            {
                "name": inner or machine.name,
                "address": address,
                "what": _what(inner, backends),
                "processes": [
                    {"name": process.name, "megabytes": round(process.megabytes)}
                    for process in here
                    if not process.container
                ],
                "containers": _containers([process for process in here if process.container], names),
            }
        )
    return {"computer": _computer(), "machines": machines}


def _containers(processes: "list[Process]", names: dict[str, str]) -> list[dict[str, Any]]:
    found = []
    for identity in dict.fromkeys(process.container for process in processes):
        inside = [process for process in processes if process.container == identity]
        found.append(
            {
                "name": names.get(identity, "pause, which holds a pod's network"),
                "megabytes": round(sum(process.megabytes for process in inside)),
                "processes": [process.name for process in inside],
            }
        )
    return found


def _names_of_containers(backends: "Backends") -> dict[str, str]:
    """Return container id → name, of the engine's containers and of the cluster's pods."""
    names = {}
    if backends.engine is not None:
        for container in backends.engine.client.containers.list():
            names[str(container.id)] = f"container {container.name}"
    if backends.cluster is not None:
        for pod in backends.cluster.door.get("/api/v1/pods")["items"]:
            for status in pod["status"].get("containerStatuses", ()):
                identity = status.get("containerID", "").rpartition("/")[2]
                names[identity] = f"pod {pod['metadata']['name']}, container {status['name']}"
    return names


def _what(inner: str, backends: "Backends") -> str:
    nodes = {node.name for node in backends.cluster.nodes} if backends.cluster else set()
    if inner in nodes:
        return "a node of the cluster"
    if inner:
        return "another engine of the lab"
    parts = [*(["the engine"] if backends.engine else []), *(["the control plane"] if backends.cluster else [])]
    return " and ".join(parts)


def _computer() -> dict[str, Any]:
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {
        "kernel": f"Linux {os.uname().release}",
        "processors": os.cpu_count(),
        "memory_megabytes": round(int(memory.split()[1]) / 1024),
    }
