"""A node's files: each release of containerd is told its driver in its own words, and unknown releases are refused."""

import tomllib
from pathlib import Path

import pytest

from labsupport.errors import UsageError
from labsupport.systems.clusters.joined import Driver, Drivers, runtime_configuration
from labsupport.systems.clusters.node import NodePrograms

PROGRAMS = NodePrograms(Path("/programs"), Path("/plugins"))
PLUGIN = {"1.6": "io.containerd.grpc.v1.cri", "2": "io.containerd.cri.v1.runtime"}


@pytest.mark.parametrize("release", ["1.6", "2"])
@pytest.mark.parametrize("driver", ["systemd", "cgroupfs"])
def test_the_runtime_is_told_its_driver(release: str, driver: Driver) -> None:
    written = tomllib.loads(runtime_configuration(Drivers(release, driver, "cgroupfs"), Path("/root"), PROGRAMS))
    runc = written["plugins"][PLUGIN[release]]["containerd"]["runtimes"]["runc"]
    assert runc["options"] == {"BinaryName": "/programs/runc", "SystemdCgroup": driver == "systemd"}
    assert written["version"] == (2 if release == "1.6" else 3)
    assert written["root"] == "/root"


def test_an_unknown_release_is_refused_before_anything_starts() -> None:
    with pytest.raises(UsageError, match=r"one of: 1\.6, 2"):
        Drivers("1.7", "systemd", "systemd")
