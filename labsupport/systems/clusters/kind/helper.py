"""What a cluster of kind has for a machine on an engine of the user's: a privileged container beside the nodes.

Through it a lab that is not root does what takes root there: it starts programs, looks into nodes, and removes what
they wrote into the run folder. Owns that container, those of its programs, and their network; all have the lab's label.
"""

import json
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.errors import MachineError, WaitExpired
from labsupport.process.commands import CommandResult, Invocation, LocalRunner, PrefixRunner, Runner
from labsupport.process.ownership import LABEL_KEY
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.image_files import SYSTEM_PATH
from labsupport.systems.clusters.startup import CLUSTER_FOLDER
from labsupport.systems.machines.launching import System
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.services import AskedService
from labsupport.systems.visits.daemons import ThisComputer

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

KIND = "kind"
SETTINGS = "helper.json"
# Below the run folder: what the helper has at its root, and nodes see as the machine's.
ROOT, SHELVES, TMP = "machine", "var/lib/shelves", "tmp"
# What root writes below the run folder.
ROOTS_FOLDERS = (ROOT, CLUSTER_FOLDER, "image-seed")
APPENDS_TO_LOG = 'exec "$@" >>"$0" 2>&1'


@dataclass(frozen=True)
class HelperPlan:
    """How the helper of a lab is made.

    Args:
        lab: the lab's name, and that of its network on the engine.
        host: where the engine is.
        docker: the program that talks to it; the lab's own `docker` would note every command.
        image: of the nodes, which this container has too.
        shown: folders of this computer that it sees, read-only, at the same path.
    """

    lab: str
    host: str
    docker: Path
    image: str
    shown: tuple[Path, ...]

    def write(self, folder: Path) -> None:
        (folder / SETTINGS).write_text(json.dumps(vars(self), default=str))

    @classmethod
    def read(cls, folder: Path) -> "HelperPlan":
        found = json.loads((folder / SETTINGS).read_text())
        return cls(**{**found, "docker": Path(found["docker"]), "shown": tuple(map(Path, found["shown"]))})


def address_of(lab: str) -> str:
    """The loopback address on which a lab's ports are published: its own, as the lab's name is its own."""
    parts = bytes.fromhex(lab.rpartition("-")[2])
    return "127." + ".".join(str(min(max(part, 1), 254)) for part in parts)


class Helper:
    """A running helper: what `LabCluster` takes for its machine.

    Attributes:
        beside_engine: runs commands where the networks of the engine are.
    """

    kind = KIND
    host_address = switch_address = interpreter = ""

    def __init__(self, client: "docker.DockerClient", plan: HelperPlan, folder: Path) -> None:
        self.name = plan.lab
        self.folder = folder
        self.address = address_of(plan.lab)
        self.runner: Runner = _InContainer(plan, f"{plan.lab}-{ROOT}")
        self.beside_engine: Runner = PrefixRunner(self.runner, ["nsenter", "--target=1", "--net", "--"])
        self._client = client
        self._plan = plan
        self.pid = int(_state(self._container(ROOT))["Pid"])

    def start(
        self, name: str, argv: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> "ProgramInContainer":
        """Start a program in a container of its own, which sees what the helper sees; its log is folder/log/NAME.log.

        Raises:
            MachineError: it cannot be executed.
        """
        log = self.folder / "log" / f"{name}.log"
        log.touch()
        remove_container(self._client, f"{self.name}-{name}")
        run_container(
            self._client,
            self._plan,
            self.folder,
            name,
            ["sh", "-c", APPENDS_TO_LOG, str(log), *argv],
            environment=dict(environment or {}),
        )
        return self.service(name)

    def service(self, name: str) -> "ProgramInContainer":
        """Return a program started earlier, maybe by another process.

        Raises:
            MachineError: none was started under this name.
        """
        return ProgramInContainer(name, self._container(name), self.folder / "log" / f"{name}.log")

    def run_here(self, words: Sequence[str], environment: Mapping[str, str], within_seconds: float) -> CommandResult:
        """Run a command on this computer, on record for whoever ends the lab: it makes containers as long as it runs.

        Raises:
            WaitExpired: it took longer.
        """
        started = time.monotonic()
        settings = {"KIND_EXPERIMENTAL_PROVIDER": "docker", "KIND_EXPERIMENTAL_DOCKER_NETWORK": self.name}
        argv = ["env", *(f"{name}={value}" for name, value in {**environment, **settings}.items()), *words]
        running = ThisComputer(self.folder, []).start("-".join([Path(words[0]).name, words[1]]), argv)
        try:
            wait_until(
                lambda: not running.is_running(),
                " ".join(words[:3]),
                within_seconds=within_seconds,
                every_seconds=0.05,
                last_seen=running.log.read_text,
            )
        except WaitExpired:
            running.signal(signal.SIGKILL)
            raise
        code = running.stop()
        return CommandResult(tuple(words), code, "", running.log.read_text(), time.monotonic() - started)

    def nested(self, name: str, system: System | None = None) -> Machine:
        """Refuse: there are no machines in a container of the user's engine.

        Raises:
            MachineError: always.
        """
        happened = "on an engine of yours a lab has no machine to start others in"
        raise MachineError(f"start {name}", happened, "leave --engine own out")

    def inner(self, name: str) -> Machine:
        """Refuse, as `nested` does."""
        return self.nested(name)

    def give_to_caller(self, path: Path) -> None:
        """Let nobody but root and who asked use what root made in the run folder."""
        folder = self.folder.stat()
        self.runner.run(["chown", f"{folder.st_uid}:{folder.st_gid}", str(path)]).or_raise()

    def outlive_owner(self) -> None:
        """Nothing to do: it ends with the visit."""

    def close(self) -> None:
        """End it, and the lab's other containers; remove what they wrote in the run folder."""
        clear(self._client, self.folder)

    def _container(self, name: str) -> "Container":
        from docker.errors import NotFound

        try:
            return self._client.containers.get(f"{self.name}-{name}")
        except NotFound as error:
            raise MachineError(f"find {name} of {self.name}", "there is none of this name", "start it first") from error


class ProgramInContainer(AskedService):
    """A program in a container of its own; `pid` as this computer counts, 0 when it had ended."""

    every_seconds = 0.05

    def __init__(self, name: str, container: "Container", log: Path) -> None:
        self.name = name
        self.pid = int(_state(container)["Pid"])
        self.log = log
        self._container = container

    @property
    def exit_code(self) -> int | None:
        """None while it runs; 128 + N after signal N."""
        from docker.errors import NotFound

        try:
            self._container.reload()
        except NotFound:
            return 128 + signal.SIGKILL
        state = _state(self._container)
        return None if state["Running"] else int(state["ExitCode"])

    def signal(self, number: int) -> None:
        if self.is_running():
            self._container.kill(signal=int(number))


def start_helper(client: "docker.DockerClient", plan: HelperPlan, folder: Path) -> Helper:
    """Start the helper of the lab whose run folder is `folder`, and the network of its nodes.

    Raises:
        MachineError: the engine refused.
    """
    for each, mode in ((TMP, 0o1777), (SHELVES, 0o755)):
        (folder / ROOT / each).mkdir(parents=True)
        (folder / ROOT / each).chmod(mode)
    plan.write(folder)
    client.networks.create(plan.lab, driver="bridge", labels={LABEL_KEY: plan.lab})
    # In the process namespace of the engine's computer: from there it looks into nodes, and at the engine's networks.
    run_container(client, plan, folder, ROOT, ["sleep", "infinity"], pid_mode="host")
    return Helper(client, plan, folder)


def attach_helper(client: "docker.DockerClient", folder: Path) -> Helper:
    """Return the helper of the lab with this run folder."""
    return Helper(client, HelperPlan.read(folder), folder)


def run_container(
    client: "docker.DockerClient", plan: HelperPlan, folder: Path, name: str, argv: Sequence[str], **how: Any
) -> None:
    """Start a privileged container that sees the run folder, and what is `shown`, at the same paths.

    Raises:
        MachineError: the engine refused.
    """
    from docker.errors import DockerException
    from docker.types import Mount

    mounts = [Mount(str(folder), str(folder), "bind")]
    mounts += [Mount(f"/{each}", str(folder / ROOT / each), "bind") for each in (TMP, SHELVES)]
    mounts += [Mount(str(each), str(each), "bind", read_only=True) for each in plan.shown]
    environment = {"PATH": SYSTEM_PATH, **how.pop("environment", {})}
    try:
        client.containers.run(
            plan.image,
            entrypoint=list(argv),
            name=f"{plan.lab}-{name}",
            labels={LABEL_KEY: plan.lab},
            network=plan.lab,
            privileged=True,
            cgroupns="private",
            mounts=mounts,
            environment=environment,
            detach=True,
            **how,
        )
    except DockerException as error:
        tried = f"docker run --privileged --name {plan.lab}-{name} {plan.image}"
        raise MachineError(tried, str(error), "correct what it names; `./lab doctor` says what works here") from error


def clear(client: "docker.DockerClient", folder: Path) -> None:
    """End all containers of a lab, and remove what they wrote in its run folder as root; no helper is fine.

    Raises:
        MachineError: files of root are left.
    """
    if not (folder / SETTINGS).exists():
        return
    from docker.errors import DockerException
    from docker.types import Mount

    from labsupport.systems.engines.objects import Refusals, remove_containers

    plan = HelperPlan.read(folder)
    remove_containers(client, frozenset(), Refusals(), filters={"label": f"{LABEL_KEY}={plan.lab}"})
    written = [folder / each for each in ROOTS_FOLDERS if (folder / each).exists()]
    try:
        if written:
            client.containers.run(
                plan.image,
                entrypoint=["rm", "-rf", *map(str, written)],
                labels={LABEL_KEY: plan.lab},
                mounts=[Mount(str(folder), str(folder), "bind")],
                network_mode="none",
                privileged=True,
                remove=True,
            )
    except DockerException as error:
        raise MachineError(f"remove {folder}", f"files in it are root's: {error}", f"sudo rm -r {folder}") from error


def remove_container(client: "docker.DockerClient", name: str) -> None:
    """Remove a container, if there is one of that name."""
    from docker.errors import NotFound

    try:
        client.containers.get(name).remove(force=True, v=True)
    except NotFound:
        return


def beside_engine(machine: Machine) -> Runner:
    """What runs commands where the networks of the engine are that has the nodes."""
    return machine.beside_engine if isinstance(machine, Helper) else machine.runner


class _InContainer:
    """Runs commands in a container, by `docker exec`, in its folder `/` unless another is named."""

    def __init__(self, plan: HelperPlan, container: str) -> None:
        self._words = [str(plan.docker), f"--host={plan.host}", "exec"]
        self._container = container
        self._settings = {"PATH": SYSTEM_PATH, "HOME": "/root", "LANG": "C.UTF-8"}
        self._local = LocalRunner()

    def run(
        self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = Invocation()
    ) -> CommandResult:
        settings = {**self._settings, **invocation.environment}
        words = [
            *self._words,
            *(["--interactive"] if invocation.stdin is not None else []),
            f"--workdir={invocation.folder or '/'}",
            *(f"--env={name}={value}" for name, value in settings.items()),
            self._container,
            *argv,
        ]
        outside = Invocation(stdin=invocation.stdin)
        return replace(
            self._local.run(words, within_seconds=within_seconds, invocation=outside), argv=tuple(map(str, argv))
        )


def _state(container: "Container") -> dict[str, Any]:
    state: dict[str, Any] = container.attrs["State"]
    return state
