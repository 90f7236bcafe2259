"""A node of kind as a machine: a container of the lab's engine, whose PID 1 is a systemd with containerd and kubelet.

Owns how commands run in it and how it is found; the engine, on the lab's machine, ends it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from labsupport.errors import ClusterError
from labsupport.process.commands import CommandResult, Invocation, Runner
from labsupport.systems.clusters.image_files import SYSTEM_PATH
from labsupport.systems.clusters.kind.helper import KIND, beside_engine
from labsupport.systems.clusters.kind.image import PROGRAMS
from labsupport.systems.engines.engine import Engine
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.units import MachineOfUnits


class InNode:
    """Runs commands as root in a node, in its folder `/` unless another is named; they are not the engine's to know."""

    def __init__(self, runner: Runner, pid: int) -> None:
        self._runner = runner
        self._pid = pid
        # Last those of the machine, which are in the toolchain's cache: nodes see it too.
        of_machine = runner.run(["printenv", "PATH"]).stdout.strip()
        self._search_path = f"{PROGRAMS}:{SYSTEM_PATH}:{of_machine}"

    def run(
        self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = Invocation()
    ) -> CommandResult:
        settings = {"PATH": self._search_path, "HOME": "/root", "LANG": "C.UTF-8", **invocation.environment}
        words = [
            *("nsenter", f"--target={self._pid}", "--all", "--"),
            *("env", "--ignore-environment", f"--chdir={invocation.folder or '/'}"),
            *(f"{name}={value}" for name, value in settings.items()),
            *argv,
        ]
        outside = replace(invocation, environment={}, folder=None)
        result = self._runner.run(words, within_seconds=within_seconds, invocation=outside)
        return replace(result, argv=tuple(argv))


class KindNode(MachineOfUnits):
    """A running node of kind.

    Attributes:
        container: what the engine calls it.
        pid: its PID 1, as this computer counts; 0 where this user may not know.
        pid_on_machine: the same, as the machine of the engine counts.

    Raises:
        ClusterError: no such node runs.
    """

    kind = KIND
    interpreter = ""

    def __init__(self, outer: Machine, folder: Path, engine: Engine, container: str, network: str) -> None:
        self.name = folder.name
        self.folder = folder
        self.container = container
        self.outer = outer
        self._engine = engine
        state = self._look()
        attached = state["NetworkSettings"]["Networks"][network]
        self.address = str(attached["IPAddress"])
        self.host_address = str(attached["Gateway"])
        self.switch_address = ""  # it has no machines inside
        self.pid_on_machine = int(state["State"]["Pid"])
        self.pid = _pid_here(outer.runner, self.pid_on_machine)
        self.runner: Runner = InNode(outer.runner, self.pid_on_machine)

    def set_port(self, state: str) -> None:
        """Take the interface of the engine's computer that its network hangs on "up" or "down"."""
        beside = beside_engine(self.outer)
        index = self.runner.run(["cat", "/sys/class/net/eth0/iflink"]).or_raise().stdout.strip()
        links = beside.run(["ip", "-oneline", "link"]).or_raise().stdout.splitlines()
        port = next(line.split()[1].partition("@")[0] for line in links if line.startswith(f"{index}:"))
        beside.run(["ip", "link", "set", "dev", port, state]).or_raise()

    def outlive_owner(self) -> None:
        """Nothing to do: it ends with the engine."""

    def close(self) -> None:
        """End the node as a power cut would; kind goes on to think that it has it."""
        self._engine.client.containers.get(self.container).kill()

    def _look(self) -> dict[str, Any]:
        from docker.errors import NotFound

        try:
            found: dict[str, Any] = self._engine.client.containers.get(self.container).attrs
        except NotFound as error:
            do = "start a new lab: nothing of this one outlives it"
            raise ClusterError(f"docker inspect {self.container}", f"the node {self.name} has ended", do) from error
        return found


def pid_of(machine: Runner, engine: Engine, container: str) -> int:
    """Return the first process of a container, as this computer counts; 0 while it does not run."""
    from docker.errors import NotFound

    try:
        state = engine.client.containers.get(container).attrs["State"]
    except NotFound:
        return 0
    return _pid_here(machine, int(state["Pid"])) if state["Running"] else 0


def _pid_here(machine: Runner, pid_on_machine: int) -> int:
    """Return what this computer calls the first process of a node; 0 where this user may not know."""
    shown = machine.run(["readlink", f"/proc/{pid_on_machine}/ns/pid"]).stdout.strip()
    pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return next((pid for pid in pids if _namespace_of(pid) == shown and _is_first(pid)), 0)


def _namespace_of(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:  # ended meanwhile, or somebody else's
        return ""


def _is_first(pid: int) -> bool:
    """Whether a process is PID 1 of its own namespace."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in lines)
