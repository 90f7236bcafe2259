"""The container machine: one privileged container of the user's own Docker engine, for Linux without root.

Inside is what the namespaces machine has, started by contained.py; the run folder is shared with the container, so
that sockets and logs are at the same path on both sides. Owns starting, finding and ending it. What outlives one that
was killed, the run folder with root's files in it, is removed by `close`, or by `sweep` at the next start.
"""

import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from labsupport.errors import MachineError, WaitExpired
from labsupport.process.ownership import Owner
from labsupport.process.progress import Listener, Progress, silent
from labsupport.process.waiting import wait_until
from labsupport.systems.machines import contained, run_folders
from labsupport.systems.machines.container_image import ensure_image
from labsupport.systems.machines.launching import (
    START_WITHIN_SECONDS,
    Announcements,
    Settings,
    offline_resolver,
    package_folder,
    paths,
)
from labsupport.systems.machines.namespaces import NamespacesMachine
from labsupport.systems.machines.own_engine import OwnEngine
from labsupport.systems.machines.requests import ControlSocket
from labsupport.systems.machines.sweeping import CONTAINER_KIND, end_lab, sweep
from labsupport.systems.toolchain.store import Store

INTERPRETER = "/usr/bin/python3"


class ContainerMachine(NamespacesMachine):
    """A running container machine, or one in it. Made by `start_container_machine`, `attach_container`, `nested`."""

    kind = CONTAINER_KIND

    @property
    def in_reach(self) -> bool:
        """Never: outside, its processes are nobody's but the engine's, and its cgroups have another path."""
        return False


def start_container_machine(
    *,
    owner: Owner | None,
    store: Store,
    tools: Sequence[Path] = (),
    visible: Sequence[Path] = (),
    root: Path,
    listener: Listener = silent,
) -> ContainerMachine:
    """Start a machine on the user's own engine, having swept what dead owners left.

    Args:
        owner: it ends with this process; None for a machine that only `close` ends.
        store: the cache that keeps what its image is made of.
        tools: folders put before the system's on the machine's PATH; `visible` must show them.
        visible: files and folders of this computer to show inside, read-only, at the same path.
        root: the folder of run folders.

    Raises:
        RequirementMissing: no engine of the user's will do; the message says why.
        MachineError: it did not start; nothing of it is left.
    """
    engine = OwnEngine()
    engine.require_shared_kernel()
    image = ensure_image(engine, store, listener)
    sweep(root)
    folder, record = run_folders.claim(root, CONTAINER_KIND, owner, lambda name, taken: "", engine.host)
    try:
        listener(Progress("claimed"))
        shown = list(dict.fromkeys([*visible, package_folder()]))
        return _launch(engine, image, folder, record, paths(shown), paths(tools), listener)
    except BaseException:
        end_lab(folder)
        raise


def attach_container(folder: Path) -> ContainerMachine:
    """Return the container machine of a running lab; closing it ends that lab.

    Raises:
        MachineError: no such lab runs.
    """
    record = run_folders.LabRecord.read(folder)
    if record.init is None or not record.is_alive():
        tried = f"attach to {folder.name}"
        raise MachineError(tried, "it has ended", "`./lab status` lists what runs; `./lab up` starts one")
    return ContainerMachine(folder, record.init, _end(OwnEngine(record.engine), folder))


def _end(engine: OwnEngine, folder: Path) -> Callable[[], None]:
    def end() -> None:
        # Asked, it goes at once, and takes root's files along.
        try:
            with ControlSocket(folder).connect() as connection:
                connection.sendall(b'{"do": "end"}\n')
            engine.wait_gone(folder.name)
        except (MachineError, WaitExpired):
            pass  # ended already, or deaf: what follows takes no answer
        end_lab(folder)

    return end


def _launch(
    engine: OwnEngine,
    image: str,
    folder: Path,
    record: run_folders.LabRecord,
    visible: tuple[str, ...],
    tools: tuple[str, ...],
    listener: Listener,
) -> ContainerMachine:
    (folder / "home").mkdir()
    os.mkfifo(folder / contained.STATUS)
    reader = os.open(folder / contained.STATUS, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    announced = Announcements(reader, folder / "log" / "none", listener)
    try:
        container = engine.start(
            record.name, image, [str(Path(contained.__file__)), str(folder)], folder, [Path(each) for each in visible]
        )
        listener(Progress("container"))
        address, host_address = engine.addresses_of(container)
        settings = Settings(
            name=record.name,
            address=address,
            host_address=host_address,
            cgroup=record.name,
            resolver=offline_resolver(address),
            writable=paths([folder]),
            visible=visible,
            tools=tools,
            user=os.getuid(),
            keeps_network=True,
            interpreter=INTERPRETER,
        )
        settings.write(folder)
        _tell_owner(engine, container, folder, record.owner)
        launcher = Owner.of(engine.process_of(container))
        try:
            announced.wait_for_ready()
        except MachineError as error:
            raise MachineError(error.tried, f"{error.happened} {engine.last_words(container)}", error.do) from error
        init = Owner.of(ControlSocket(folder).init_pid())
        run_folders.update(folder, record, launcher=launcher, init=init)
    except ProcessLookupError as error:
        raise MachineError(
            f"start the container {record.name}", "it ended while it started", "look at the engine's own log"
        ) from error
    finally:
        announced.close()
    machine = ContainerMachine(folder, init, _end(engine, folder))
    machine.runner.run(["ip", "route", "del", "default"]).or_raise()
    return machine


def _tell_owner(engine: OwnEngine, container: str, folder: Path, owner: Owner | None) -> None:
    """Hand the container the descriptor by which it knows its owner's end."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with connection:
        wait_until(
            lambda: _connected(connection, folder) or not engine.process_of(container),
            f"the container of {folder.name} to listen",
            within_seconds=START_WITHIN_SECONDS,
            last_seen=lambda: engine.last_words(container),
        )
        descriptors = []
        try:
            if owner is not None:
                descriptors.append(owner.open_pidfd())
            socket.send_fds(connection, [b"owner"], descriptors)
        except OSError as error:
            raise MachineError(
                f"start a machine that ends with process {owner.pid if owner else 'none'}",
                f"{error}; the container said: {engine.last_words(container)}",
                "name a process that runs as its owner",
            ) from error
        finally:
            for each in descriptors:
                os.close(each)


def _connected(connection: socket.socket, folder: Path) -> bool:
    parent = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{parent}/{contained.OWNER_SOCKET}")
    except OSError:
        return False
    finally:
        os.close(parent)
    return True
