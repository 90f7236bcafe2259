"""`kill -9` while kind makes a cluster leaves nothing, nor does it when the cluster is there."""

import os
import signal
import threading
from pathlib import Path

import pytest

from labsupport.process.ownership import Owner
from labsupport.process.progress import Progress
from labsupport.project import this_project
from labsupport.systems.clusters.kind import start_kind_cluster
from labsupport.systems.engines.private import start_private_engine
from labsupport.systems.engines.tools import EngineTools
from labsupport.systems.machines.namespaces import start_namespaces_machine
from tests.clusters import kind_tools, machine_tools
from tests.engines import toolchain
from tests.leaks import assert_ended_by_the_kernel

pytestmark = [pytest.mark.needs("kind"), pytest.mark.timeout(600)]


def start_and_be_killed(phase: str, seconds_later: float, root: Path) -> None:
    def killed(progress: Progress) -> None:
        if progress.text.startswith(phase):
            threading.Timer(seconds_later, os.kill, (os.getpid(), signal.SIGKILL)).start()

    visible = [toolchain().cache, this_project().root]
    owner = Owner.this_process()
    machine = start_namespaces_machine(owner=owner, tools=machine_tools(), visible=visible, root=root)
    (root / "name").write_text(machine.name)
    engine = start_private_engine(machine, EngineTools.of(toolchain()))
    start_kind_cluster(machine, engine, kind_tools(), listener=killed)
    signal.pause()


@pytest.mark.parametrize(
    ("phase", "seconds_later"),
    [("the engine has the image", 4.0), ("pods can run", 0.0)],
    ids=["amid kubeadm", "in the end"],
)
def test_killed(phase: str, seconds_later: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    kind_tools()
    root = tmp_path_factory.mktemp("labs")  # short: sockets are below it
    pid = os.fork()
    if pid == 0:
        try:
            start_and_be_killed(phase, seconds_later, root)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    name = (root / "name").read_text()

    assert_ended_by_the_kernel(name, root)
