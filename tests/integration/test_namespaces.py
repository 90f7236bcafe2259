"""The namespaces machine among others: labs beside it, their owners, sudo, full disks, users without root."""

import os
import shutil
import signal
import socket
import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from labsupport.errors import MachineError
from labsupport.process.commands import CommandResult, Invocation, LocalRunner
from labsupport.process.ownership import Owner
from labsupport.process.waiting import wait_until
from labsupport.project import this_project
from labsupport.systems.inventory import leftovers, take_inventory
from labsupport.systems.machines.namespaces import NamespacesMachine, attach, start_namespaces_machine
from labsupport.systems.machines.run_folders import LabRecord, claim, records
from labsupport.systems.machines.sweeping import sweep, sweep_abandoned
from tests.leaks import leak_checked_machine

pytestmark = pytest.mark.needs("machine")
HOST = LocalRunner()
NOBODY = 65534
# Said after the imports, as this user may not read the interpreter's files.
BECOME_NOBODY = f"import os; os.setgid({NOBODY}); os.setuid({NOBODY})\n"


def start(root: Path, owner: Owner | None = None) -> NamespacesMachine:
    return start_namespaces_machine(owner=owner or Owner.this_process(), root=root)


def test_labs_that_start_at_the_same_moment_do_not_collide(tmp_path: Path) -> None:
    barrier = threading.Barrier(4)

    def start_together(_: int) -> NamespacesMachine:
        barrier.wait()
        return start(tmp_path)

    with ThreadPoolExecutor(4) as pool:
        machines = list(pool.map(start_together, range(4)))
    try:
        assert len({machine.name for machine in machines}) == 4
        assert len({machine.address for machine in machines}) == 4
        for machine in machines:
            ask = f"import socket; socket.create_server(('{machine.address}', 0)); print('mine')"
            assert machine.runner.run(["python3", "-c", ask]).stdout == "mine\n"
    finally:
        for machine in machines:
            machine.close()
    assert [str(thing) for machine in machines for thing in leftovers(machine.name, root=tmp_path)] == []


def test_it_ends_with_its_owner_whoever_that_is(tmp_path: Path) -> None:
    owner = HOST.start(["sleep", "1000"], log=tmp_path / "owner.log")
    machine = start(tmp_path, Owner.of(owner.pid))
    before = take_inventory(machine.name, root=tmp_path)
    os.kill(owner.pid, signal.SIGKILL)  # and nobody reaps it: a zombie owns nothing
    wait_until(
        lambda: {thing.kind for thing in leftovers(machine.name, before, root=tmp_path)} <= {"cgroup", "run folder"},
        "the machine to end with its owner",
        within_seconds=30,
    )
    assert sweep(tmp_path) == [machine.name]
    assert leftovers(machine.name, before, root=tmp_path) == []
    owner.close()
    machine.close()


def test_it_ends_after_the_daemon_that_it_is_for_and_after_no_other(tmp_path: Path) -> None:
    machine = start_namespaces_machine(owner=None, root=tmp_path)
    try:
        other, purpose = machine.start("other", ["sleep", "1000"]), machine.start("purpose", ["sleep", "1000"])
        machine.end_after("purpose")
        os.kill(other.pid, signal.SIGKILL)
        wait_until(lambda: machine.service("other").exit_code == 128 + signal.SIGKILL, "the other", within_seconds=30)
        assert sweep(tmp_path) == []
        os.kill(purpose.pid, signal.SIGKILL)
        wait_until(lambda: sweep(tmp_path) == [machine.name], "the machine to end after it", within_seconds=30)
        assert records(tmp_path) == {}
    finally:
        machine.close()


def test_an_owner_that_is_gone_already_gets_no_machine(tmp_path: Path) -> None:
    gone = Owner(Owner.this_process().pid, "another boot/1")
    with pytest.raises(MachineError, match="has ended"):
        start(tmp_path, gone)
    assert records(tmp_path) == {}


def test_what_runs_can_be_found_again_by_name(tmp_path: Path) -> None:
    machine = start_namespaces_machine(owner=None, root=tmp_path, tools=[Path("/opt/tools")])
    try:
        inner = machine.nested("inner")
        found = attach(machine.name, root=tmp_path)
        assert (found.address, found.pid, found.environment) == (machine.address, machine.pid, machine.environment)
        assert found.inner("inner").runner.run(["hostname"]).stdout == "inner\n"
        assert found.inner("inner").pid == inner.pid
        found.close()
        with pytest.raises(MachineError):
            attach(machine.name, root=tmp_path)
        with pytest.raises(MachineError):
            machine.runner.run(["true"])
    finally:
        machine.close()


def test_a_sweep_leaves_the_living_alone(tmp_path: Path) -> None:
    """A claim whose starter lives, a lab with a living owner, one without an owner; and a pid that was used again."""
    claimed, _ = claim(tmp_path, "namespaces", None, lambda name, taken: "169.254.99.0/30")
    owned, up = start(tmp_path), start_namespaces_machine(owner=None, root=tmp_path)
    assert sweep(tmp_path) == []
    assert set(records(tmp_path)) == {claimed, owned.folder, up.folder}

    record = LabRecord.read(claimed)
    impostor = Owner(record.starter.pid, "another boot/1")
    LabRecord(**{**vars(record), "starter": impostor}).write(claimed)
    assert sweep(tmp_path) == [claimed.name]
    for machine in (owned, up):
        assert machine.runner.run(["echo", "alive"]).stdout == "alive\n"
        machine.close()


def test_a_sweep_removes_what_is_broken(tmp_path: Path) -> None:
    """Without a record, with half of one, set aside by somebody who was killed; what is no lab's is left."""
    (tmp_path / "lab-00000a").mkdir()
    (tmp_path / "lab-00000b").mkdir()
    (tmp_path / "lab-00000b" / "lab.json").write_text('{"name": "lab-0')
    (tmp_path / ".gone-lab-00000c").mkdir()
    (tmp_path / "my notes").mkdir()
    assert sweep(tmp_path) == ["lab-00000a", "lab-00000b", "lab-00000c"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "my notes"]


def test_a_sweep_leaves_a_living_lab_whose_record_it_cannot_read(tmp_path: Path) -> None:
    machine = start(tmp_path)
    try:
        (machine.folder / "lab.json").write_text('{"written by": "another version"}')
        assert sweep(tmp_path) == []
        assert machine.runner.run(["echo", "alive"]).stdout == "alive\n"
    finally:
        machine.close()
    assert [str(thing) for thing in leftovers(machine.name, root=tmp_path)] == []


def test_cgroups_without_a_run_folder_are_removed_once_they_are_empty(tmp_path: Path) -> None:
    machine = start(tmp_path)
    other_root = tmp_path / "other"
    assert machine.name not in sweep_abandoned(other_root)
    os.kill(machine.pid, signal.SIGKILL)
    machine.folder.rename(tmp_path / "moved-away")
    wait_until(lambda: machine.name in sweep_abandoned(other_root), "its cgroups to be empty", within_seconds=30)
    # The kernel takes networks apart in its own time.
    wait_until(
        lambda: not take_inventory(machine.name, root=tmp_path).things, "all of it to be gone", within_seconds=30
    )


def test_the_wire_survives_nothing_but_the_machine() -> None:
    with leak_checked_machine() as machine:
        interface = Path("/sys/class/net") / machine.name
        assert interface.exists()
        machine.runner.run(["ip", "link", "delete", "eth0"]).or_raise()
        assert not interface.exists()
        assert machine.runner.run(["echo", "alive"]).stdout == "alive\n"


def test_lingering_connections_do_not_hold_up_the_end() -> None:
    """A connection whose both ends are killed at once keeps a network namespace until its last retry."""
    program = (
        "import socket, sys, time\n"
        "server = socket.create_server(('0.0.0.0', 9000)); print('up', flush=True)\n"
        "peer, _ = server.accept(); peer.sendall(b'x' * 1000000); time.sleep(1000)\n"
    )
    with leak_checked_machine() as machine:
        one = machine.nested("one")
        service = one.start("server", ["python3", "-c", program])
        wait_until(lambda: "up" in service.log.read_text(), "it to listen", within_seconds=30)
        dial = f"import socket, time; c = socket.create_connection(('{one.address}', 9000)); time.sleep(1000)"
        machine.start("client", ["python3", "-c", dial])
        wait_until(lambda: "ESTAB" in machine.runner.run(["ss", "-tn"]).stdout, "the connection", within_seconds=30)


def test_a_clone_below_a_hidden_folder_has_inner_machines_too(tmp_path: Path) -> None:
    shutil.copytree(this_project().root / "labsupport", tmp_path / "clone" / "labsupport")
    nest = (
        "from labsupport.process.ownership import Owner\n"
        "from labsupport.systems.machines.namespaces import start_namespaces_machine\n"
        "machine = start_namespaces_machine(owner=Owner.this_process())\n"
        "print(machine.nested('inner').runner.run(['hostname']).stdout)\n"
        "machine.close()\n"
    )
    invocation = Invocation(environment={"PYTHONPATH": str(tmp_path / "clone")}, folder=tmp_path)
    assert HOST.run([sys.executable, "-c", nest], invocation=invocation).or_raise().stdout.split() == ["inner"]


def test_the_resolver_and_tools_are_as_asked(tmp_path: Path) -> None:
    tool = tmp_path / "bin" / "greet"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho hello\n")
    tool.chmod(0o755)
    with leak_checked_machine(tools=[tool.parent], visible=[tool.parent]) as machine:
        assert machine.runner.run(["greet"]).stdout == "hello\n"
        assert "Read-only" in machine.runner.run(["touch", str(tool.parent / "x")]).stderr
        inner = machine.nested("inner")
        assert inner.runner.run(["greet"]).stdout == "hello\n"
        assert machine.host_address in machine.runner.run(["ip", "neigh"]).stdout or machine.address
        resolver = machine.runner.run(["cat", "/etc/resolv.conf"]).stdout
        assert f"nameserver {machine.address}" in resolver


def test_settings_of_the_users_own_engine_are_not_read() -> None:
    with leak_checked_machine() as machine:
        for folder in ("docker", "containerd", "kubernetes"):
            assert machine.runner.run(["ls", "-A", f"/etc/{folder}"]).stdout == ""
        assert machine.runner.run(["ls", "/var/lib"]).stdout == "labs\n"


def python(program: str, *, environment: dict[str, str] | None = None) -> CommandResult:
    return HOST.run(
        [sys.executable, "-c", program],
        within_seconds=120,
        invocation=Invocation(environment=environment or {}, folder=Path(__file__).parents[2]),
    )


START = """
import sys
from labsupport.errors import LabError
from labsupport.process.ownership import Owner
from labsupport.systems.machines.namespaces import start_namespaces_machine
try:
    machine = start_namespaces_machine(owner=Owner.this_process())
    print(machine.folder)
    machine.close()
except LabError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_without_root_it_says_what_to_do() -> None:
    ask = python(START.replace("try:", f"{BECOME_NOBODY}try:"))
    assert ask.exit_code == 3, ask.stderr
    for way_out in ("sudo ./lab", "--machine container", "--engine replay"):
        assert way_out in ask.stdout


def test_root_that_may_not_make_namespaces_is_told_apart() -> None:
    """As in an ordinary container."""
    drop = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--", sys.executable, "-c", START]
    ask = HOST.run(drop, invocation=Invocation(folder=Path(__file__).parents[2]))
    assert ask.exit_code == 3, ask.stdout + ask.stderr
    assert "CAP_SYS_ADMIN" in ask.stdout


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    HOST.run(["mount", "-t", "tmpfs", "-o", "size=16k,nr_inodes=40", "tmpfs", str(tmp_path)]).or_raise()
    try:
        (tmp_path / "lab").mkdir()
        filler = (tmp_path / "filler").open("wb", buffering=0)
        with filler, pytest.raises(OSError, match="No space"):
            filler.write(b"x" * 20480)
            filler.write(b"x" * 20480)
        ask = python(START, environment={"LAB_RUN_ROOT": str(tmp_path / "lab")})
        assert ask.exit_code == 1, ask.stdout + ask.stderr
        assert "No space left on device" in ask.stdout
        assert "free some space" in ask.stdout
        assert [path.name for path in (tmp_path / "lab").iterdir()] == [".lock"]
    finally:
        HOST.run(["umount", str(tmp_path)]).or_raise()


def test_under_sudo_the_caller_can_use_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control socket is theirs alone; the run folder can be entered; nothing of root's was given away."""
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    monkeypatch.setenv("SUDO_GID", str(NOBODY))
    with leak_checked_machine() as machine:
        control = (machine.folder / "control.sock").stat()
        assert (control.st_uid, stat.S_IMODE(control.st_mode)) == (NOBODY, 0o600)
        assert (machine.folder.stat().st_uid, stat.S_IMODE(machine.folder.stat().st_mode)) == (0, 0o755)
        assert stat.S_IMODE((machine.folder / "private").stat().st_mode) == 0o700
        program = (
            "from labsupport.systems.machines.namespaces import attach\n"
            f"{BECOME_NOBODY}print(attach('{machine.name}').runner.run(['id', '-u']).stdout)\n"
        )
        assert python(program).or_raise().stdout.strip() == "0"


def test_other_users_cannot(tmp_path: Path) -> None:
    with leak_checked_machine() as machine:
        program = (
            f"import socket\n{BECOME_NOBODY}socket.socket(socket.AF_UNIX).connect('{machine.folder}/control.sock')\n"
        )
        assert "PermissionError" in python(program).stderr
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((machine.address, 1), timeout=10)


def test_a_path_longer_than_a_sockets_may_be(tmp_path: Path) -> None:
    root = tmp_path / ("long-" * 20)
    machine = start(root)
    assert machine.nested("inner").runner.run(["echo", "reached"]).stdout == "reached\n"
    machine.close()
    assert leftovers(machine.name, root=root) == []


NESTED = """
import os
from labsupport.process.ownership import Owner
from labsupport.systems.machines import nesting
from labsupport.systems.machines.namespaces import attach
machine = attach("{name}")
{become}inner = machine.nested("inner")
print(inner.runner.run(["id", "-u"]).stdout.strip(), inner.address)
(inner.folder / "theirs").write_text("x")
service = inner.start("sleeper", ["sleep", "1000"])
assert service.is_running()
try:
    machine.nested("inner")
except Exception as error:
    print(type(error).__name__, error.happened)
if {close}:
    inner.close()
    print("gone", not inner.folder.exists(), not Owner(service.pid, "").is_alive())
"""


@pytest.mark.parametrize("close", [True, False], ids=["closed by them", "left to its lab"])
def test_the_caller_of_sudo_has_inner_machines_too(close: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook's kernel is the caller; the lab that it is attached to is root's."""
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    monkeypatch.setenv("SUDO_GID", str(NOBODY))
    with leak_checked_machine() as machine:
        said = python(NESTED.format(name=machine.name, become=BECOME_NOBODY, close=close)).or_raise().stdout
        assert said.splitlines()[:2] == ["0 10.200.0.2", "MachineError inner runs already"]
        folder = machine.folder / "machines" / "inner"
        if close:
            assert "gone True True" in said
            assert not folder.exists()
            assert machine.nested("inner").runner.run(["echo", "again"]).stdout == "again\n"
        else:
            assert (folder.stat().st_uid, (folder / "theirs").stat().st_uid) == (NOBODY, NOBODY)
            machine.inner("inner").close()
            assert not folder.exists()
