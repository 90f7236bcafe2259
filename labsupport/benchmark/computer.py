"""What the benchmark runs on, and whether that is idle. Looks only."""

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from labsupport.systems.toolchain import Toolchain

TOLD = ("kube-apiserver", "etcd", "containerd", "dockerd", "runc", "flanneld", "coredns", "kind")
# Above these, times are those of a computer that has something else to do.
IDLE_PROCESSORS, IDLE_PERCENT = 0.5, 10.0
LOOK_SECONDS = 0.5


class Computer(BaseModel):
    """This computer and the versions of what is measured.

    Attributes:
        load: processes that ran or wanted to when the benchmark began, over the last minute.
        busy_percent: of the time of all its processors, just before.
        tools: name → version.
    """

    model_config = ConfigDict(frozen=True)

    kernel: str
    architecture: str
    processor: str
    cores: int
    memory_megabytes: int
    cgroup_version: int
    python: str
    load: float
    busy_percent: float
    tools: dict[str, str]

    @property
    def warning(self) -> str:
        """What is wrong with measuring here and now; empty where nothing is."""
        if self.load <= IDLE_PROCESSORS and self.busy_percent <= IDLE_PERCENT:
            return ""
        return (
            f"this computer is not idle: load {self.load:.1f}, {self.busy_percent:.0f}% of {self.cores} cores busy "
            "before the first round; times are longer than they would be alone"
        )


def look(toolchain: "Toolchain") -> Computer:
    """Look at this computer; takes half a second, in which nothing of ours runs."""
    import psutil

    busy = psutil.cpu_percent(interval=LOOK_SECONDS)
    return Computer(
        kernel=platform.release(),
        architecture=platform.machine(),
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_megabytes=psutil.virtual_memory().total // 1_000_000,
        cgroup_version=2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1,
        python=platform.python_version(),
        load=os.getloadavg()[0],
        busy_percent=busy,
        tools={name: toolchain.provenance(name).version for name in TOLD if not toolchain.missing(name)},
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
