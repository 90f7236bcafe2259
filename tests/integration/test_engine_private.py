"""The private engine on a real machine: starting, being found again, ending, and saying why it does not start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labsupport.errors import EngineError
from labsupport.process.waiting import wait_until
from labsupport.systems.engines.private import attach_private_engine, start_private_engine
from labsupport.systems.engines.settings import DaemonSettings
from labsupport.systems.images import Images
from labsupport.systems.machines.machine import Machine
from tests.engines import machine, toolchain, tools

pytestmark = pytest.mark.needs("engine")


@pytest.fixture
def own() -> Iterator[Machine]:
    with machine() as started:
        yield started


def test_an_engine_is_found_again_and_is_the_same(own: Machine) -> None:
    engine = start_private_engine(own, tools())
    again = attach_private_engine(own, tools())
    assert again.client.info()["ID"] == engine.client.info()["ID"]
    again.close()
    assert engine.client.ping()


def test_where_no_engine_runs_attaching_says_so(own: Machine) -> None:
    with pytest.raises(EngineError, match="nothing answers there"):
        attach_private_engine(own, tools())


def test_an_engine_says_whose_it_is(own: Machine) -> None:
    engine = start_private_engine(own, tools())
    assert f"labsupport.lab={own.name}" in engine.client.info()["Labels"]


def test_two_engines_on_two_machines_know_nothing_of_each_other(own: Machine) -> None:
    with machine() as other:
        first, second = start_private_engine(own, tools()), start_private_engine(other, tools())
        first.client.volumes.create("mine")
        assert first.client.info()["ID"] != second.client.info()["ID"]
        assert second.client.volumes.list() == []


def test_containers_end_with_their_machine(own: Machine) -> None:
    engine = start_private_engine(own, tools())
    Images(engine, toolchain()).ensure("lab/toolbox")
    container = engine.client.containers.run("lab/toolbox", ["sleep", "1000"], detach=True)
    container.reload()
    words = ["cat", f"/proc/{container.attrs['State']['Pid']}/cmdline"]
    # The engine says that it runs a moment before its program does.
    wait_until(lambda: own.runner.run(words).stdout == "sleep\x001000\x00", "its program", within_seconds=30)
    outside = {
        path
        for path in Path("/proc").iterdir()
        if path.name.isdigit()
        and _said_of(path, "cmdline") == "sleep\x001000\x00"
        and own.name in _said_of(path, "cgroup")
    }
    assert outside
    own.close()
    wait_until(lambda: not any(path.exists() for path in outside), "the container's end", within_seconds=30)


def _said_of(process: Path, what: str) -> str:
    try:
        return (process / what).read_text()
    except OSError:
        return ""


def test_under_sudo_the_socket_belongs_to_who_typed_the_command(own: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65534")
    engine = start_private_engine(own, tools())
    socket = Path(engine.host.removeprefix("unix://"))
    assert (socket.stat().st_uid, socket.stat().st_mode & 0o777) == (65534, 0o600)
    as_the_caller = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    program = str(tools().programs / "docker")
    engine.runner.run([*as_the_caller, "cat", "/proc/self/status"]).or_raise()
    ids = engine.runner.run([*as_the_caller, "test", "-w", str(socket)])
    assert ids.succeeded, program


def test_an_engine_that_refuses_leaves_its_words_and_a_machine_that_can_start_another(own: Machine) -> None:
    with pytest.raises(EngineError) as refused:
        start_private_engine(own, tools(), settings=DaemonSettings(storage_driver="nosuch"))
    assert refused.value.happened == 'failed to start daemon: configured driver "nosuch" not available: unavailable'
    assert "dockerd --config-file=" in refused.value.tried


def test_a_daemon_that_is_killed_while_it_starts_is_told_at_once(own: Machine) -> None:
    tools_with_a_dying_daemon = own.folder / "dying"
    tools_with_a_dying_daemon.mkdir()
    daemon = tools_with_a_dying_daemon / "dockerd"
    daemon.write_text("#!/bin/sh\necho 'about to die'\nkill -9 $$\n")
    daemon.chmod(0o755)
    with pytest.raises(EngineError, match="about to die"):
        start_private_engine(own, type(tools())(programs=tools_with_a_dying_daemon))


def test_a_disk_that_is_full_is_what_the_message_says(own: Machine) -> None:
    full = own.folder / "engine" / "docker"
    own.runner.run(["mkdir", "--parents", str(full)]).or_raise()
    own.runner.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(full)]).or_raise()
    with pytest.raises(EngineError, match="no space left on device"):
        start_private_engine(own, tools())
