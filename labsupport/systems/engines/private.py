"""An engine of our own on a machine: its folders, settings and socket, from the daemon's start to its first answer.

Ends with its machine. Must not know which kind of machine that is, and takes nothing from the computer's own engine.
"""

import json
import os
import shlex
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labsupport.errors import EngineError, RequirementMissing, WaitExpired
from labsupport.process.commands import LocalRunner
from labsupport.process.ownership import caller, label
from labsupport.process.waiting import wait_until
from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.refusals import refusal_in
from labsupport.systems.engines.settings import LONGEST_SOCKET_PATH, DaemonSettings, EngineFolders
from labsupport.systems.engines.tools import EngineTools
from labsupport.systems.machines.machine import Machine, Service
from labsupport.systems.machines.seeds import plant

SERVICE_NAME = "dockerd"
READY_WITHIN_SECONDS = 90  # on a computer with much else to do; alone it takes half a second


@dataclass(frozen=True)
class Start:
    """How a daemon was started: what to repeat, and what an error quotes."""

    argv: tuple[str, ...]
    folders: EngineFolders
    environment: Mapping[str, str]
    # How long the log was already: an earlier daemon of this machine may have written it.
    log_bytes: int = 0

    @property
    def command(self) -> str:
        return shlex.join(self.argv)


def folders_on(machine: Machine) -> EngineFolders:
    """Where the engine of a machine keeps what it writes."""
    return EngineFolders(machine.folder / "engine")


def start_private_engine(
    machine: Machine, tools: EngineTools, *, settings: DaemonSettings | None = None, seed: Path | None = None
) -> Engine:
    """Start an engine on `machine` and return it when it answers.

    Args:
        seed: what its containerd begins with (see machines/seeds.py), from an engine with the same programs.

    Raises:
        EngineError: the daemon refused to start, with its own words; or it did not answer in time.
    """
    folders = folders_on(machine)
    given = settings or DaemonSettings()
    labelled = given.model_copy(update={"labels": (*given.labels, label(machine.name))})
    wanted = {key: value for key, value in labelled.as_daemon_json().items() if key not in tools.unknown_settings}
    if seed is not None:
        folders.root.mkdir(parents=True, exist_ok=True)
        machine.runner.run(["mkdir", "--mode=710", str(folders.data)]).or_raise()  # as the daemon makes it
        plant(machine.runner, seed, folders.containerd)
    return start_daemon(machine, tools, folders, wanted)


def start_daemon(
    machine: Machine,
    tools: EngineTools,
    folders: EngineFolders,
    daemon_json: Mapping[str, Any] | str,
    flags: Sequence[str] = (),
) -> Engine:
    """Start dockerd with exactly this daemon.json; its folders come as flags where the file does not set them.

    Args:
        daemon_json: settings, or the text of a file that need not be valid.
        flags: more of the daemon's own flags.
    """
    _check_socket_path(folders.socket)
    log = machine.folder / "log" / f"{SERVICE_NAME}.log"
    start = replace(_prepare(tools, folders, daemon_json, flags), log_bytes=log.stat().st_size if log.exists() else 0)
    started = time.monotonic()
    service = machine.start(SERVICE_NAME, start.argv, environment=start.environment)
    # Here, while the daemon gets ready: it takes a tenth of a second, and Engine.client needs it right afterwards.
    import docker  # noqa: F401

    wait_for_answer(machine, service, start, within_seconds=READY_WITHIN_SECONDS)
    return engine_on(machine, tools, folders, service, ready_seconds=time.monotonic() - started)


def attach_private_engine(machine: Machine, tools: EngineTools) -> Engine:
    """Return the engine that already runs on `machine`, such as the one `./lab up` keeps.

    Raises:
        EngineError: none answers there.
        RequirementMissing: it is another user's.
    """
    folders = folders_on(machine)
    if folders.socket.exists() and not os.access(folders.socket, os.R_OK | os.W_OK):
        raise RequirementMissing(
            f"talk to the engine of {machine.name} at unix://{folders.socket}",
            "it is for the user who started that lab, and this is another",
            "run it as that user; for a lab of root: `sudo ./lab …`",
        )
    if not _answers(folders.socket, within_seconds=READY_WITHIN_SECONDS):
        raise EngineError(
            f"talk to the engine of {machine.name} at unix://{folders.socket}",
            "nothing answers there",
            "start a new lab: `./lab down`, then `./lab up`",
        )
    return engine_on(machine, tools, folders, None)


def engine_on(
    machine: Machine, tools: EngineTools, folders: EngineFolders, service: Service | None, *, ready_seconds: float = 0
) -> Engine:
    environment = client_environment(tools, folders)
    return Engine(
        kind="private",
        name=f"the engine of {machine.name}",
        host=environment["DOCKER_HOST"],
        environment=environment,
        runner=LocalRunner(environment),
        log=machine.folder / "log" / f"{SERVICE_NAME}.log",
        sources=tools.sources,
        daemon=service,
        ready_seconds=ready_seconds,
    )


def client_environment(tools: EngineTools, folders: EngineFolders) -> dict[str, str]:
    """What a command, a kernel or a terminal on this computer needs to talk to the engine."""
    return {
        "DOCKER_HOST": f"unix://{folders.socket}",
        "DOCKER_CONFIG": str(folders.client),
        "DOCKER_CLI_HINTS": "false",
        "PATH": f"{tools.programs}:{os.environ.get('PATH', os.defpath)}",
    }


def wait_for_answer(machine: Machine, service: Service, start: Start, *, within_seconds: float) -> None:
    """Return when the daemon answers its first request.

    dockerd listens long before it answers, and a request made meanwhile waits in line: so one connection tells the
    moment, without asking again and again.

    Raises:
        EngineError: it ended instead, or did not answer in time.
    """
    deadline = time.monotonic() + within_seconds
    try:
        wait_until(
            lambda: _is_set_up(start.folders.socket) or service.exit_code is not None,
            f"the socket {start.folders.socket}",
            within_seconds=within_seconds,
            every_seconds=0.005,
        )
        if _is_set_up(start.folders.socket):
            machine.give_to_caller(start.folders.socket)
            # A connection that breaks nearly always means that the daemon ends: ask again until one of both is sure.
            wait_until(
                lambda: (
                    service.exit_code is not None
                    or _answers(start.folders.socket, within_seconds=deadline - time.monotonic())
                ),
                "the daemon's answer",
                within_seconds=max(deadline - time.monotonic(), 0),
            )
            if service.exit_code is None:
                return
    except WaitExpired as expired:
        service.signal(9)
        raise _refused(start, service, f"no answer within {within_seconds:g} s. ") from expired
    raise _refused(start, service)


def _refused(start: Start, service: Service, before: str = "") -> EngineError:
    # The log goes with the machine, so what matters of it has to be in the message.
    log = service.log.read_bytes()[start.log_bytes :] if service.log.exists() else b""
    said = before + refusal_in(log.decode(errors="replace"))
    return EngineError(start.command, said, "correct what it names; `./lab doctor` says what works here")


def _prepare(
    tools: EngineTools, folders: EngineFolders, daemon_json: Mapping[str, Any] | str, flags: Sequence[str]
) -> Start:
    folders.root.mkdir(parents=True, exist_ok=True)
    folders.root.chmod(0o711)
    text = daemon_json if isinstance(daemon_json, str) else json.dumps(_with_our_socket(daemon_json, folders), indent=2)
    folders.daemon_json.write_text(text)
    make_client_folder(tools.buildx, folders.client)
    own = folders.flags(unless_set_in=_keys_of(text))
    return Start(
        argv=(str(tools.programs / "dockerd"), f"--config-file={folders.daemon_json}", *own, *flags),
        folders=folders,
        # `container`: AppArmor profiles belong to the whole host, and a daemon in a container loads none.
        environment={
            **tools.environment,
            "container": "labsupport",
            "PATH": tools.search_path(os.environ.get("PATH", os.defpath)),
        },
    )


def _with_our_socket(daemon_json: Mapping[str, Any], folders: EngineFolders) -> dict[str, Any]:
    """`hosts` as given, plus the socket by which we talk to the engine: the file and a flag must not both have it."""
    if "hosts" not in daemon_json:
        return dict(daemon_json)
    return {**daemon_json, "hosts": [*daemon_json["hosts"], f"unix://{folders.socket}"]}


def _keys_of(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def make_client_folder(buildx: Path, folder: Path) -> None:
    """DOCKER_CONFIG of our own: BuildKit's plugin in it, nothing of the user's ~/.docker, kept by who uses it."""
    plugins = folder / "cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    plugin = plugins / "docker-buildx"
    plugin.unlink(missing_ok=True)
    if buildx.exists():  # an old engine has BuildKit in itself
        plugin.symlink_to(buildx)
    owner = caller()
    for each in (folder, plugins):
        each.chmod(0o700)
        os.chown(each, owner.uid, owner.gid)


def _check_socket_path(path: Path) -> None:
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise EngineError(
            f"listen on unix://{path}",
            f"the path is longer than the {LONGEST_SOCKET_PATH} bytes a socket's path may have",
            "set LAB_RUN_ROOT to a shorter folder",
        )


def _is_set_up(path: Path) -> bool:
    """Whether dockerd listens there: it opens the socket to its group last, and until then to nobody."""
    try:
        return bool(path.stat().st_mode & 0o060)
    except OSError:
        return False


def _answers(path: Path, *, within_seconds: float) -> bool:
    """Ask once, and wait for the answer: False when the connection breaks instead.

    Raises:
        WaitExpired: neither happened in time.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(max(within_seconds, 0.001))
        try:
            connection.connect(str(path))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.0 200")
        except TimeoutError:
            raise WaitExpired(f"ping unix://{path}", f"no answer within {within_seconds:.0f} s", "") from None
        except OSError:
            return False
