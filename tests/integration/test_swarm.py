"""A swarm of two engines on two inner machines: frames are seen on the switch, and `kill -9` leaves nothing of it."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from labsupport.process.ownership import Owner
from labsupport.process.waiting import wait_until
from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.private import start_daemon
from labsupport.systems.engines.settings import EngineFolders
from labsupport.systems.images import Images
from labsupport.systems.machines.links import SWITCH_FILE
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.namespaces import start_namespaces_machine
from labsupport.systems.network.capture import Capture
from labsupport.systems.network.topology import read_topology
from tests.engines import toolchain, tools
from tests.leaks import assert_ended_by_the_kernel, leak_checked_machine

pytestmark = [pytest.mark.needs("engine"), pytest.mark.timeout(600)]

SERVE = "mkdir /srv && echo the-books >/srv/index.html && exec httpd -f -p 8080 -h /srv"


def docker(engine: Engine, *argv: str) -> str:
    return engine.runner.run(["docker", *argv]).or_raise().stdout.strip()


def two_engines_in_a_swarm(own: Machine) -> tuple[Engine, Engine]:
    """Start alpha and beta, make them a swarm, with an attachable overlay network `mesh`."""
    inner = {name: own.nested(name) for name in ("alpha", "beta")}
    alpha, beta = (
        start_daemon(each, tools(), EngineFolders(each.folder / "engine"), {"ip6tables": False})
        for each in inner.values()
    )
    address = inner["alpha"].address
    docker(alpha, "swarm", "init", "--advertise-addr", address)
    token = docker(alpha, "swarm", "join-token", "--quiet", "worker")
    docker(beta, "swarm", "join", "--token", token, f"{address}:2377")
    docker(alpha, "network", "create", "--driver", "overlay", "--attachable", "mesh")
    return alpha, beta


@pytest.fixture
def own() -> Iterator[Machine]:
    toolchain().ensure("machine", "capture")
    with leak_checked_machine(tools=[tools().programs, toolchain().bin_folder("machine")]) as started:
        yield started


def test_the_neighbour_reads_what_two_machines_containers_say(own: Machine) -> None:
    alpha, beta = two_engines_in_a_swarm(own)
    for engine in (alpha, beta):
        Images(engine, toolchain()).ensure("lab/toolbox")
    docker(alpha, "run", "--detach", "--name", "web", "--network", "mesh", "lab/toolbox", "sleep", "1000")
    docker(beta, "run", "--detach", "--name", "db", "--network", "mesh", "lab/toolbox", "sh", "-c", SERVE)
    tcpdump = toolchain().path("tcpdump")
    capture = Capture(own, tcpdump, "alpha", ["udp", "port", "4789"], namespace=SWITCH_FILE, most=5000)
    ask = ["docker", "exec", "web", "timeout", "2", "wget", "-q", "-O", "-", "http://db:8080/"]
    wait_until(lambda: alpha.runner.run(ask).stdout == "the-books\n", "db's answer", within_seconds=60)

    frames = capture.read()

    assert any(b"the-books".hex(" ") in frame["bytes"] for frame in frames)
    assert all(
        [layer["name"] for layer in frame["layers"]][:4] == ["Ethernet", "IPv4", "UDP", "VXLAN"] for frame in frames
    )
    spaces = {space["name"]: space for space in read_topology(alpha, own.inner("alpha").runner, "alpha")["spaces"]}
    wires = {link["name"]: link["wire"] for link in spaces["web"]["links"]}
    assert wires["eth0"][0] == "mesh (overlay)"
    assert wires["eth1"][0] == "alpha"
    assert [link["kind"] for link in spaces["mesh (overlay)"]["links"]].count("vxlan") == 1


@pytest.fixture
def root() -> Iterator[Path]:
    # Not below pytest's own folder: paths of sockets may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="labs-") as name:
        yield Path(name)


def test_nothing_of_a_killed_swarm_is_left(root: Path) -> None:
    tools()
    pid = os.fork()
    if pid == 0:
        try:
            swarm_until_killed(root)
        finally:
            os._exit(1)
    wait_until((root / "ready").exists, "the swarm", within_seconds=300)
    name = (root / "ready").read_text()

    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    assert_ended_by_the_kernel(name, root)


def swarm_until_killed(root: Path) -> None:
    started = start_namespaces_machine(owner=Owner.this_process(), tools=[tools().programs], root=root)
    two_engines_in_a_swarm(started)
    (root / "half").write_text(started.name)
    (root / "half").rename(root / "ready")
    signal.pause()
