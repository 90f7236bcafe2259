"""The namespaces machine: PID 1 of new namespaces holds all that an engine or cluster starts, and takes it along.

Owns starting, finding and ending it, and its inner machines. What PID 1 does is in init.py; what outlives it (a run
folder and a cgroup subtree, both with the lab's name) is removed by `close`, or by `sweep` at the next start.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from labsupport.errors import MachineError, RequirementMissing
from labsupport.process.commands import LocalRunner, Runner
from labsupport.process.ownership import Owner, caller, give_to_caller, run_root
from labsupport.process.progress import Listener, Progress, silent
from labsupport.systems.capabilities import namespaces_machine
from labsupport.systems.machines import inner, links, nesting, run_folders
from labsupport.systems.machines.launching import (
    Settings,
    System,
    bare_interpreter,
    launch,
    needed_inside,
    offline_resolver,
    paths,
)
from labsupport.systems.machines.requests import SOCKET_NAME, ControlSocket, MachineRunner
from labsupport.systems.machines.services import InsideService, find_service, start_service
from labsupport.systems.machines.sweeping import end_lab, sweep

KIND = "namespaces"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NamespacesMachine:
    """A running namespaces machine, or an inner one. Made by `start_namespaces_machine`, `attach` and `nested`."""

    kind = KIND

    def __init__(self, folder: Path, init: Owner, end: Callable[[], None]) -> None:
        self.settings = Settings.read(folder)
        self.name = self.settings.name
        self.folder = folder
        self.address = self.settings.address
        self.host_address = self.settings.host_address
        self.switch_address = str(inner.network_inside(self.settings)[1])
        self.pid = init.pid
        self.interpreter = bare_interpreter(self.settings.interpreter)[0]
        self.control = ControlSocket(folder)
        self.environment = {
            "PATH": ":".join([*self.settings.tools, SYSTEM_PATH]),
            "HOME": str(folder / "home"),
            "LANG": "C.UTF-8",
        }
        self.runner: Runner = MachineRunner(self.control, self.environment)
        self._end = end

    @property
    def in_reach(self) -> bool:
        """Whether this user may make and end what is inside; if not, the root in there does it."""
        return os.access(self.folder / "private", os.W_OK)

    def start(self, name: str, argv: Sequence[str], *, environment: Mapping[str, str] | None = None) -> InsideService:
        """Start a daemon as a child of PID 1; its log is folder/log/NAME.log.

        Raises:
            MachineError: it cannot be executed.
        """
        return start_service(self.control, self.pid, name, argv, {**self.environment, **(environment or {})})

    def service(self, name: str) -> InsideService:
        """Return a daemon started earlier, maybe by another process.

        Raises:
            MachineError: none was started under this name.
        """
        return find_service(self.control, self.pid, name)

    def nested(self, name: str, system: System | None = None) -> "NamespacesMachine":
        """Start an inner machine on the switch of this one; `name` is also its host name.

        Its `address` is one on the switch, and `host_address` is this machine there. With a `system`, its PID 1 is that
        system's init.

        Raises:
            MachineError: one of that name runs, or it did not start.
        """
        if self.in_reach:
            inner.start_inner(self.folder, self.settings, self.control, self.runner, name, system=system)
        else:
            nesting.ask_to_start(self, self.settings, name, system)
        return self.inner(name)

    def inner(self, name: str) -> "NamespacesMachine":
        """Return the inner machine of that name, which runs already.

        Raises:
            MachineError: it does not run.
        """
        folder = inner.inner_folder(self.folder, name)
        init = Owner.of(ControlSocket(folder).init_pid())
        return type(self)(folder, init, lambda: self._end_inner(folder, init))

    def _end_inner(self, folder: Path, init: Owner) -> None:
        if not init.is_alive() and ControlSocket(folder).is_answered():
            return  # ended by somebody else, and another of that name runs now
        if self.in_reach:
            inner.end_inner(folder, init)
        else:
            nesting.ask_to_end(self, self.settings, folder.name)
        with suppress(MachineError):  # this machine has ended, and all wires with it
            links.unplug(folder.name, self.runner)

    def give_to_caller(self, path: Path) -> None:
        """Let the person the lab works for, and nobody else, use a socket in its folder that something inside made."""
        if self.in_reach:
            give_to_caller(path)
            return
        owner = caller()
        self.runner.run(["chmod", "600", str(path)]).or_raise()
        self.runner.run(["chown", f"{owner.uid}:{owner.gid}", str(path)]).or_raise()

    def outlive_owner(self) -> None:
        """Go on when the owner ends; from now on only `close`, maybe of another process, ends it."""
        run_folders.forget_owner(self.folder)
        self.control.ask({"do": "stay"})

    def end_after(self, name: str) -> None:
        """From now on, end when the daemon of that name ends: the machine has no other purpose.

        Raises:
            MachineError: none was started under this name.
        """
        self.control.ask({"do": "end_after", "name": name})

    def close(self) -> None:
        """End PID 1, wait until the kernel has ended all else, then remove what it left."""
        self._end()


def start_namespaces_machine(
    *,
    owner: Owner | None,
    tools: Sequence[Path] = (),
    visible: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    kind: str = KIND,
    root: Path | None = None,
    listener: Listener = silent,
) -> NamespacesMachine:
    """Start a machine, having swept what dead owners left.

    Args:
        owner: it ends with this process, unless `outlive_owner` was said; None for a machine that only `close` ends.
        tools: folders put before the system's on the machine's PATH.
        visible: files and folders below /tmp, /run, /var/{lib,log,tmp} to show inside, read-only.
        writable: folders that what runs inside may write to.
        kind: what its record says that it is.
        listener: told each phase as it is reached.

    Raises:
        RequirementMissing: not root, or a kernel without what it takes.
        MachineError: it did not start; nothing of it is left.
    """
    _require_namespaces()
    root = root or run_root()
    sweep(root)
    folder, record = run_folders.claim(root, kind, owner, _choose_network)
    try:
        listener(Progress("claimed"))
        link = links.Link(record.network)
        settings = Settings(
            name=record.name,
            address=link.address,
            host_address=link.host_address,
            cgroup=record.name,
            resolver=offline_resolver(link.address),
            writable=paths([folder, *writable]),
            visible=paths([*visible, *needed_inside()]),
            tools=paths(tools),
        )
        return _launch(folder, record, settings, listener)
    except BaseException:
        end_lab(folder)
        raise


def attach(name: str, *, root: Path | None = None) -> NamespacesMachine:
    """Return the machine of a running lab; closing it ends that lab.

    Raises:
        MachineError: no such lab runs.
    """
    folder = (root or run_root()) / name
    record = run_folders.LabRecord.read(folder)
    if record.init is None or not record.is_alive():
        raise MachineError(f"attach to {name}", "it has ended", "`./lab status` lists what runs; `./lab up` starts one")
    return NamespacesMachine(folder, record.init, lambda: end_lab(folder))


def _require_namespaces() -> None:
    possible = namespaces_machine()
    if not possible.available:
        raise RequirementMissing("start a namespaces machine", possible.because, possible.change_it)


def _choose_network(name: str, taken: set[str]) -> str:
    return links.choose_link(name, taken | links.networks_in_use()).network


def _launch(folder: Path, record: run_folders.LabRecord, settings: Settings, listener: Listener) -> NamespacesMachine:
    host = LocalRunner({"PATH": ":".join([*settings.tools, os.environ.get("PATH", SYSTEM_PATH)])})
    settings.write(folder)
    (folder / "home").mkdir()
    launcher, announced = launch(folder, record.owner, listener)
    try:
        pid = announced.wait_for_pid()
        init = Owner.of(pid)
        record = run_folders.update(folder, record, launcher=Owner.of(launcher.pid), init=init)
        link = links.Link(record.network)
        links.connect(record.name, link, pid, host)
        links.configure_inside(link, pid, host)
        listener(Progress("network"))
        announced.wait_for_ready()
        give_to_caller(folder / SOCKET_NAME)
    except BaseException as error:
        launcher.close()
        if isinstance(error, MachineError | ProcessLookupError):
            announced.raise_failure()
        if isinstance(error, ProcessLookupError):  # all else was ready by then
            raise MachineError("start a machine", f"it was ended meanwhile: {error}", "run it again") from error
        raise
    finally:
        announced.close()

    def end() -> None:
        end_lab(folder)
        launcher.close()

    return NamespacesMachine(folder, init, end)
