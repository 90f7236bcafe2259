"""Guest containers on the user's own engine: starts, finds and ends them. Knows no command and no notebook.

Each is one privileged container with a lab's label and a record of its owner; its run folder is a volume without a name
that the engine removes with it. What stays is the image, and one volume for caches and Python packages.
"""

import contextlib
import hashlib
import json
import os
import platform
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.errors import MachineError, RequirementMissing, UsageError, WaitExpired
from labsupport.process.ownership import DEFAULT_RUN_ROOT, LABEL_KEY, Owner, new_name
from labsupport.project import Project
from labsupport.systems.guests import inside
from labsupport.systems.machines.connections import Upgraded, post_upgraded
from labsupport.systems.machines.own_engine import OwnEngine

if TYPE_CHECKING:
    from docker.types import Mount

OWNER_KEY = "labsupport.owner"
PROJECT_KEY = "labsupport.project"
VOLUME = "labsupport"
VOLUME_LABEL = {"labsupport.volume": "guest"}
MODULES = "/lib/modules"
BEAT_SECONDS = 5
NO_SUCH_SOURCE = ("bind source path does not exist", "is not shared from the host", "Mounts denied")
PORT_TAKEN = ("port is already allocated", "address already in use", "Ports are not available")


@dataclass(frozen=True)
class GuestOptions:
    """What a guest container is started for. `port` is published on 127.0.0.1 where it is not 0."""

    project: Project
    port: int = 0
    mounted: bool = True
    with_modules: bool = True


@dataclass(frozen=True)
class Guest:
    """A running guest container.

    `shared`: it sees the clone itself; `user` and `group` are whose files it makes; `stays`: it ends with nobody.
    """

    engine: OwnEngine
    name: str
    container: str
    project: Project
    shared: bool
    user: int
    group: int
    stays: bool


class Lifeline:
    """This process's hold on a guest container, which ends when it is closed, by whatever, or falls silent."""

    def __init__(self, stream: Upgraded) -> None:
        self._stream = stream
        self._lines = self._read()
        self._closed = threading.Event()
        self.stays = False
        threading.Thread(target=self._beat, daemon=True).start()

    def read_line(self) -> str:
        """Return what PID 1 says next; what it said last where it has ended."""
        return next(self._lines, "")

    def let_it_stay(self) -> None:
        """Have the container go on without this process."""
        self._stream.send(b"stay\n")
        if self.read_line() != "stays":
            raise MachineError("let the container stay", "it has ended", "run the same command again")
        self.stays = True

    def close(self) -> None:
        self._closed.set()
        self._stream.close()

    def _beat(self) -> None:
        while not self._closed.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):
                self._stream.send(b"\n")

    def _read(self) -> Iterator[str]:
        unread = ""
        for _, content in self._stream.frames():
            unread += content.decode(errors="replace")
            *lines, unread = unread.split("\n")
            yield from lines
        if unread:
            yield unread


def start_guest(engine: OwnEngine, image: str, options: GuestOptions) -> tuple[Guest, Lifeline]:
    """Start one that ends with this process; where the engine cannot see the clone, one without it.

    Raises:
        RequirementMissing: the engine gives no privileged containers.
        UsageError: the port is taken.
        MachineError: it did not start; nothing of it is left.
    """
    name = new_name()
    mark = options.project.build / f"guest-{name}"
    mark.parent.mkdir(exist_ok=True)
    mark.touch()
    try:
        return _start(engine, image, name, mark, options)
    except _NoSuchSource as missing:
        fewer = replace(options, with_modules=False) if MODULES in str(missing) else replace(options, mounted=False)
        return start_guest(engine, image, fewer)
    finally:
        mark.unlink(missing_ok=True)


def end_guest(guest: Guest) -> None:
    """End one that its owner has let go of, or that stays: first asked, so that it hands files over; then by force."""
    from docker.errors import APIError

    with contextlib.suppress(APIError):  # it has ended meanwhile
        guest.engine.client.api.kill(guest.container, "SIGTERM")
    with contextlib.suppress(WaitExpired):
        guest.engine.wait_gone(guest.name)
    guest.engine.remove(guest.name)


def running_guests(engine: OwnEngine, project: Project) -> list[Guest]:
    """Return the guest containers of this clone that run, the newest last."""
    found = engine.client.containers.list(filters={"label": f"{PROJECT_KEY}={project.root}"}, ignore_removed=True)
    guests = []
    for container in sorted(found, key=lambda each: str(each.attrs["Created"])):
        answer = container.exec_run(["cat", inside.READY_FILE])
        if answer.exit_code == 0 and isinstance(answer.output, bytes):
            name = str(container.labels[LABEL_KEY])
            guests.append(_guest(engine, name, str(container.id), project, answer.output.decode()))
    return guests


def sweep_guests(engine: OwnEngine) -> list[str]:
    """Remove guest containers that a dead owner left half-made; return their names.

    What runs ends by itself, or stays until `down`.
    """
    removed = []
    for container in engine.client.containers.list(all=True, filters={"label": OWNER_KEY}, ignore_removed=True):
        owner = json.loads(container.labels[OWNER_KEY])
        of_this_computer = owner.pop("computer") == platform.node()
        if container.status != "running" and of_this_computer and not Owner(**owner).is_alive():
            engine.remove(str(container.labels[LABEL_KEY]))
            removed.append(str(container.labels[LABEL_KEY]))
    return removed


def remove_volume(engine: OwnEngine) -> list[str]:
    """Remove the volume with caches and Python packages; return its name.

    Raises:
        UsageError: a guest container uses it.
    """
    from docker.errors import APIError, NotFound

    try:
        volume = engine.client.volumes.get(VOLUME)
        if not VOLUME_LABEL.items() <= (volume.attrs.get("Labels") or {}).items():
            return []  # somebody else's, of the same name
        volume.remove()
    except NotFound:
        return []
    except APIError as error:
        raise UsageError(
            f"docker volume rm {VOLUME}", str(error.explanation or error), "end the lab that uses it: ./lab down"
        ) from error
    return [VOLUME]


class _NoSuchSource(Exception):
    """The engine's computer has no such folder."""


def _start(engine: OwnEngine, image: str, name: str, mark: Path, options: GuestOptions) -> tuple[Guest, Lifeline]:
    from docker.errors import APIError

    container = ""
    lifeline = None
    try:
        container = _create(engine, image, name, mark, options)
        words = "stdin=1&stdout=1&stderr=1&stream=1"
        lifeline = Lifeline(post_upgraded(engine.host, f"/containers/{container}/attach?{words}", {}))
        engine.client.api.start(container)
        said = lifeline.read_line()
        if not said.startswith("ready "):
            raise _refused(name, image, said)
        guest = _guest(engine, name, container, options.project, said)
        if options.mounted and not guest.shared:
            raise _NoSuchSource(str(options.project.root))
        return guest, lifeline
    except BaseException as error:
        if lifeline is not None:
            lifeline.close()
        if container:
            engine.remove(name)
        if isinstance(error, APIError):
            raise _told(error, name, image, options) from error
        raise


def _guest(engine: OwnEngine, name: str, container: str, project: Project, ready: str) -> Guest:
    shared, user, group, stays = map(int, ready.split()[1:])
    return Guest(engine, name, container, project, bool(shared), user, group, bool(stays))


def _create(engine: OwnEngine, image: str, name: str, mark: Path, options: GuestOptions) -> str:
    api = engine.client.api
    root = str(options.project.root)
    settings = {
        "project": root,
        "mark": str(mark),
        "mounted": options.mounted,
        "environment": f"{inside.LAB_FOLDER}/venvs/{hashlib.sha256(root.encode()).hexdigest()[:12]}",
        "user": os.getuid(),
        "group": os.getgid(),
    }
    owner = {"computer": platform.node(), **asdict(Owner.this_process())}
    made = api.create_container(
        image,
        ["python3", "-I", "-S", "-c", Path(inside.__file__).read_text(), json.dumps(settings)],
        name=name,
        hostname=name,
        stdin_open=True,
        labels={LABEL_KEY: name, OWNER_KEY: json.dumps(owner), PROJECT_KEY: root},
        ports=[options.port] if options.port else None,
        host_config=api.create_host_config(
            privileged=True,
            cgroupns="private",
            auto_remove=True,
            mounts=list(_mounts(name, root, options)),
            port_bindings={options.port: ("127.0.0.1", options.port)} if options.port else None,
        ),
    )
    return str(made["Id"])


def _mounts(name: str, root: str, options: GuestOptions) -> "Iterator[Mount]":
    from docker.types import Mount

    yield Mount(inside.LAB_FOLDER, VOLUME, "volume", labels=VOLUME_LABEL)
    yield Mount(str(DEFAULT_RUN_ROOT), None, "volume", labels={LABEL_KEY: name})
    if options.mounted:
        yield Mount(root, root, "bind")
    if options.with_modules:
        yield Mount(MODULES, MODULES, "bind", read_only=True)


def _refused(name: str, image: str, said: str) -> MachineError | RequirementMissing:
    tried = f"docker run --privileged --name {name} {image}"
    if said.startswith("refused: "):
        return RequirementMissing(
            tried,
            said.removeprefix("refused: "),
            "allow privileged containers there (Docker Desktop: switch Enhanced Container Isolation off), "
            "or use recorded evidence: --engine replay",
        )
    return MachineError(tried, said or "it ended at once", "look at the engine's own log; ./lab doctor")


def _told(error: Any, name: str, image: str, options: GuestOptions) -> Exception:
    """Turn what the engine answered into the error to raise."""
    said = str(error.explanation or error)
    tried = f"docker run --privileged --name {name} {image}"
    if any(words in said for words in PORT_TAKEN):
        return UsageError(
            f"publish port {options.port} on 127.0.0.1", said, f"choose another: --port {options.port + 1}"
        )
    if any(words in said for words in NO_SUCH_SOURCE):
        return _NoSuchSource(said)
    if "privileged" in said.lower() or error.status_code == 403:
        return _refused(name, image, f"refused: {said}")
    return MachineError(tried, said, "correct what it names; `./lab doctor` says what works here")
