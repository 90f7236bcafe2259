"""The namespaces machine: PID 1 of new namespaces holds all that an engine or cluster starts, and takes it along.

Owns starting, finding and ending it. What PID 1 does is in init.py; what outlives it (a run folder and a cgroup
subtree, both with the lab's name) is removed by `close`, or by `sweep` at the next start.
"""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from labsupport.errors import LabError, MachineError, RequirementMissing
from labsupport.process.commands import Background, LocalRunner, Runner
from labsupport.process.ownership import Owner, run_root, wait_for_end
from labsupport.process.progress import Listener, Progress, silent
from labsupport.process.waiting import wait_until
from labsupport.systems.machines import links, run_folders
from labsupport.systems.machines.machine import Service
from labsupport.systems.machines.requests import ControlSocket, MachineRunner
from labsupport.systems.machines.sweeping import end_lab, sweep

KIND = "namespaces"
START_WITHIN_SECONDS = 10.0
# Nothing answers there: a lookup fails at once, as no packet finds a way out.
OFFLINE_RESOLVER = "# This machine has no way out.\nnameserver 192.0.2.53\n"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INIT = Path(__file__).with_name("init.py")


class InsideService:
    """A daemon started by PID 1."""

    def __init__(self, control: ControlSocket, name: str, inside_pid: int, pid: int, log: Path) -> None:
        self._control = control
        self.name = name
        self.inside_pid = inside_pid
        self.pid = pid
        self.log = log

    @property
    def exit_code(self) -> int | None:
        code = self._control.ask({"do": "exit_code", "name": self.name})["exit_code"]
        return None if code is None else int(code)

    def is_running(self) -> bool:
        return self.exit_code is None

    def signal(self, number: int) -> None:
        self._control.ask({"do": "signal", "name": self.name, "number": int(number)})

    def stop(self, within_seconds: float = 10) -> int:
        self.signal(signal.SIGTERM)
        try:
            wait_until(lambda: not self.is_running(), f"{self.name} to end", within_seconds=within_seconds)
        except LabError:
            self.signal(signal.SIGKILL)
            wait_until(lambda: not self.is_running(), f"{self.name} to end after SIGKILL", within_seconds=5)
        code = self.exit_code
        assert code is not None
        return code


class NamespacesMachine:
    """A running namespaces machine. Made by `start_namespaces_machine` and `attach`."""

    kind = KIND

    def __init__(self, folder: Path, record: run_folders.LabRecord, tools: Sequence[Path]) -> None:
        assert record.init is not None
        link = links.Link(record.network)
        self.name = record.name
        self.folder = folder
        self.record = record
        self.address = link.address
        self.host_address = link.host_address
        self.pid = record.init.pid
        self.control = ControlSocket(folder)
        self.environment = {
            "PATH": ":".join([*map(str, tools), SYSTEM_PATH]),
            "HOME": str(folder / "home"),
            "LANG": "C.UTF-8",
        }
        self.runner: Runner = MachineRunner(self.control, self.environment)
        self._tools = tuple(tools)
        self._launcher: Background | None = None

    def start(self, name: str, argv: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Service:
        """Start a daemon as a child of PID 1.

        Raises:
            MachineError: it cannot be executed.
        """
        log = self.folder / "log" / f"{name}.log"
        request = {
            "do": "start",
            "name": name,
            "argv": list(argv),
            "environment": {**self.environment, **(environment or {})},
            "folder": "/",
            "log": str(log),
        }
        inside_pid = int(self.control.ask(request)["pid"])
        return InsideService(self.control, name, inside_pid, _pid_outside(self.pid, inside_pid), log)

    def nested(self, name: str) -> "NamespacesMachine":
        raise NotImplementedError

    def close(self) -> None:
        """End PID 1, wait until the kernel has ended all else, then remove cgroups and run folder."""
        end_lab(self.folder, self.record)
        if self._launcher is not None:
            self._launcher.close()


def start_namespaces_machine(
    *,
    owner: Owner | None,
    tools: Sequence[Path] = (),
    visible: Sequence[Path] = (),
    root: Path | None = None,
    listener: Listener = silent,
) -> NamespacesMachine:
    """Start a machine, having swept what dead owners left.

    Args:
        owner: ends with it; None for a machine that only `close` (or `./lab down`) ends.
        tools: folders put before the system's on the machine's PATH.
        visible: files and folders below /tmp, /run, /var/{lib,log,tmp} to show inside, read-only.
        listener: told each phase as it begins.

    Raises:
        RequirementMissing: not root, or a kernel without what it takes.
        MachineError: it did not start; nothing of it is left.
    """
    require_root()
    root = root or run_root()
    sweep(root)
    folder, record = run_folders.claim(root, KIND, owner, _choose_network)
    listener(Progress("claimed"))
    try:
        return _launch(folder, record, tools=tools, visible=visible, listener=listener)
    except BaseException:
        end_lab(folder, record)
        raise


def require_root() -> None:
    """Raise RequirementMissing unless this process is root on Linux."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        raise RequirementMissing(
            "start a namespaces machine",
            f"it takes root on Linux; this is user {os.geteuid()} on {sys.platform}",
            "use `sudo ./lab …`; or a Docker engine (--machine container); or recorded evidence (--engine replay)",
        )


def _choose_network(name: str, taken: set[str]) -> str:
    return links.choose_link(name, taken | links.networks_in_use()).network


def _launch(
    folder: Path, record: run_folders.LabRecord, *, tools: Sequence[Path], visible: Sequence[Path], listener: Listener
) -> NamespacesMachine:
    host = LocalRunner({"PATH": ":".join([*map(str, tools), os.environ.get("PATH", SYSTEM_PATH)])})
    settings = {
        "cgroup": record.name,
        "host_name": record.name,
        "resolver": OFFLINE_RESOLVER,
        "visible": [str(path) for path in visible],
    }
    (folder / "machine.json").write_text(json.dumps(settings))
    (folder / "home").mkdir()
    launcher, said = _run_init(folder, record.owner)
    try:
        pid = said.wait_for_pid()
        listener(Progress("namespaces"))
        init = Owner.of(pid)
        record = run_folders.update(folder, record, launcher=Owner.of(launcher.pid), init=init)
        link = links.Link(record.network)
        links.connect(record.name, link, pid, host)
        links.configure_inside(link, pid, host)
        listener(Progress("network"))
        said.wait_for_ready()
    except BaseException:
        launcher.close()
        raise
    finally:
        said.close()
    listener(Progress("ready"))
    machine = NamespacesMachine(folder, record, tools)
    machine._launcher = launcher
    return machine


def _run_init(folder: Path, owner: Owner | None) -> "tuple[Background, _Announcements]":
    reader, writer = os.pipe()
    passed = [writer]
    try:
        if owner is not None:
            passed.append(owner.open_pidfd())
        interpreter = str(getattr(sys, "_base_executable", None) or sys.executable)
        argv = [interpreter, "-I", "-S", str(_INIT), str(folder), str(writer), str(passed[1] if owner else -1)]
        launcher = LocalRunner().start(argv, log=folder / "log" / "init.log", pass_fds=passed)
    except BaseException:
        os.close(reader)
        raise
    finally:
        for descriptor in passed:
            os.close(descriptor)
    return launcher, _Announcements(reader, folder / "log" / "init.log")


class _Announcements:
    """The lines that launcher and PID 1 write while they start."""

    def __init__(self, reader: int, log: Path) -> None:
        self._reader = reader
        self._log = log
        self._said = b""
        self._deadline = time.monotonic() + START_WITHIN_SECONDS

    def wait_for_pid(self) -> int:
        return int(self._wait_for("pid ").split()[1])

    def wait_for_ready(self) -> None:
        self._wait_for("ready")

    def close(self) -> None:
        os.close(self._reader)

    def _wait_for(self, beginning: str) -> str:
        while True:
            for line in self._said.decode().splitlines():
                if line.startswith("failed: "):
                    self._fail(line)
                if line.startswith(beginning):
                    return line
            poll = select.poll()
            poll.register(self._reader, select.POLLIN)
            if not poll.poll(max(0, self._deadline - time.monotonic()) * 1000):
                self._fail(f"it said no {beginning.strip()!r} within {START_WITHIN_SECONDS:g} s")
            more = os.read(self._reader, 4096)
            if not more:
                self._fail("it ended while it started")
            self._said += more

    def _fail(self, happened: str) -> None:
        tail = self._log.read_text(errors="replace")[-1500:].strip()
        raise MachineError(
            "start a namespaces machine",
            happened + (f"; its log ends: {tail}" if tail else ""),
            "`./lab doctor` says what this kernel lacks; `--engine replay` needs no machine",
        )


def _pid_outside(init: int, inside: int) -> int:
    """Return the pid here of a process that has pid `inside` as PID 1 `init` counts; 0 when it has ended."""
    try:
        children = Path(f"/proc/{init}/task/{init}/children").read_text().split()
    except OSError:
        return 0
    for child in children:
        try:
            status = Path(f"/proc/{child}/status").read_text()
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith("NSpid:") and line.split()[-1] == str(inside):
                return int(child)
    return 0


__all__ = ["NamespacesMachine", "attach", "start_namespaces_machine", "wait_for_end"]


def attach(name: str, *, tools: Sequence[Path] = (), root: Path | None = None) -> NamespacesMachine:
    """Return the machine of a running lab.

    Raises:
        MachineError: no such lab runs.
    """
    folder = (root or run_root()) / name
    record = run_folders.LabRecord.read(folder)
    if record.init is None or not record.is_alive():
        raise MachineError(f"attach to {name}", "it has ended", "`./lab status` lists what runs; `./lab up` starts one")
    return NamespacesMachine(folder, record, tools)
