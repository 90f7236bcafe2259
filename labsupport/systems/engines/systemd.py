"""The engine of a systemd machine: a unit called dockerd, on the systemd cgroup driver, beside a real journal."""

from dataclasses import replace

from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.private import attach_private_engine, start_private_engine
from labsupport.systems.engines.settings import DaemonSettings
from labsupport.systems.engines.tools import EngineTools
from labsupport.systems.machines.systemd import SystemdMachine

# Said, not left to the default: that is systemd only where the cgroups are of version 2 as well.
SETTINGS = DaemonSettings(exec_opts=("native.cgroupdriver=systemd",))


def start_systemd_engine(machine: SystemdMachine, tools: EngineTools) -> Engine:
    """Start an engine on the systemd cgroup driver and return it when it answers.

    Raises:
        EngineError: the daemon refused to start, with its own words; or it did not answer in time.
    """
    return start_private_engine(machine, tools_there(tools), settings=SETTINGS)


def attach_systemd_engine(machine: SystemdMachine, tools: EngineTools) -> Engine:
    """Return the engine that already runs there, maybe started by another process.

    Raises:
        EngineError: none answers.
    """
    return attach_private_engine(machine, tools_there(tools))


def tools_there(tools: EngineTools) -> EngineTools:
    """The same programs; the firewall's are the system's own."""
    return replace(tools, path=(), environment={})
