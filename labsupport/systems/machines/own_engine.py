"""The user's own Docker engine, as far as a container machine needs it: where it is, whether it will do, one container.

Makes and removes what has the lab's label, and the machine's image; touches nothing else there.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.errors import MachineError, RequirementMissing
from labsupport.process.ownership import LABEL_KEY, label, run_roots
from labsupport.process.waiting import wait_until
from labsupport.systems.machines.connections import tls_folder, uses_tls

if TYPE_CHECKING:
    import docker

IMAGE_LABEL = "labsupport.image=machine"
USUAL_HOST = "unix:///var/run/docker.sock"
# What the environment of a kernel names where the lab has no live engine.
NOTHING_LIVE = Path(__file__).parents[2] / "absent"
REQUEST_WITHIN_SECONDS = 120
GONE_WITHIN_SECONDS = 60


def is_of_a_lab(host: str) -> bool:
    """Whether that is the lab's own doing: its engine's socket, or what stands for none, in its kernels and shells."""
    return any(Path(host.removeprefix("unix://")).is_relative_to(root) for root in (*run_roots(), NOTHING_LIVE))


def host_in_use(home: Path | None = None) -> str:
    """Where the user's own engine is: what DOCKER_HOST says, else their docker context, else the usual socket."""
    host = os.environ.get("DOCKER_HOST", "")
    if host and not is_of_a_lab(host):
        return host
    settings = (home or Path.home()) / ".docker"
    try:
        name = os.environ.get("DOCKER_CONTEXT") or json.loads((settings / "config.json").read_text())["currentContext"]
        folder = settings / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        return str(json.loads((folder / "meta.json").read_text())["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError, TypeError):
        return USUAL_HOST


def own_kubeconfigs() -> list[Path]:
    """Which files name the user's own cluster: those of KUBECONFIG that are not a lab's, else the usual one."""
    said = [each for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each and not is_of_a_lab(each)]
    return [Path(each) for each in said] or [Path.home() / ".kube" / "config"]


def unfit(host: str, info: Mapping[str, Any]) -> str:
    """Say why an engine, by what it says of itself, cannot run a container machine; empty when it can."""
    options = " ".join(info.get("SecurityOptions") or ())
    if not host.startswith("unix://"):
        return f"{host} is no socket of this computer, and a container machine shares sockets with it"
    if elsewhere := _why_elsewhere(info):
        return elsewhere
    if "name=rootless" in options or "name=userns" in options:
        return "it runs its containers without real root (rootless, or userns-remap)"
    return ""


def unfit_for_serving(host: str, info: Mapping[str, Any]) -> str:
    """Say why an engine cannot fetch a git repository that this computer serves; empty when it can."""
    if not host.startswith("unix://"):
        return f"your own engine is at {host}, and what this computer would serve it is not to be reached from there"
    if elsewhere := _why_elsewhere(info):
        return f"your own engine cannot fetch what this computer would serve: {elsewhere}"
    return "" if shutil.which("git") else "your own engine's builds take the git of this computer, which has none"


def _why_elsewhere(info: Mapping[str, Any]) -> str:
    if not sys.platform.startswith("linux") or info.get("OperatingSystem") == "Docker Desktop":
        return "it runs in a virtual machine (Docker Desktop), which shares no sockets with this computer"
    if info.get("KernelVersion") != os.uname().release:
        return f"its kernel is {info.get('KernelVersion') or 'not known'}, so it is not on this computer"
    return ""


class OwnEngine:
    """The user's own engine at `host`."""

    def __init__(self, host: str | None = None) -> None:
        self.host = host or host_in_use()
        self.client = _connect(self.host)

    def require_shared_kernel(self, what: str = "a container machine") -> None:
        """Refuse an engine that shares neither kernel nor sockets with this computer, or cannot give real root.

        Args:
            what: is to run there.

        Raises:
            RequirementMissing: with what would change it.
        """
        because = unfit(self.host, self.client.info())
        if because:
            raise RequirementMissing(
                f"start {what} on the engine at {self.host}",
                because,
                "use an engine on this computer that runs as root; or recorded evidence: --engine replay",
            )

    def start(self, name: str, image: str, argv: Sequence[str], folder: Path, shown: Sequence[Path]) -> str:
        """Start the container of lab `name`, removed by the engine when it ends; return its id."""
        from docker.errors import APIError
        from docker.types import Mount

        mounts = [Mount(str(folder), str(folder), "bind")]
        mounts += [Mount(str(path), str(path), "bind", read_only=True) for path in shown]
        try:
            container = self.client.containers.run(
                image,
                list(argv),
                name=name,
                labels={LABEL_KEY: name},
                privileged=True,
                cgroupns="private",
                mounts=mounts,
                auto_remove=True,
                detach=True,
            )
        except APIError as error:
            raise MachineError(
                f"docker run --privileged --name {name} {image}",
                str(error.explanation or error),
                "correct what it names; `./lab doctor` says what works here",
            ) from error
        return str(container.id)

    def process_of(self, container: str) -> int:
        """Return the container's main process as this computer counts; 0 when it has ended."""
        return int(self._inspect(container).get("State", {}).get("Pid", 0))

    def addresses_of(self, container: str) -> tuple[str, str]:
        """Return the container's address on the engine's own bridge, and this computer's there.

        Raises:
            MachineError: it has none, as it has ended or that bridge is switched off.
        """
        networks = self._inspect(container).get("NetworkSettings", {}).get("Networks", {})
        for network in networks.values():
            if network["IPAddress"]:
                return str(network["IPAddress"]), str(network["Gateway"])
        raise MachineError(
            f"find the address of the container {container[:12]}",
            f"it has none in {', '.join(networks) or 'any network'}, or it has ended: {self.last_words(container)}",
            "does the engine have its default network, `bridge`? `docker network ls` shows it",
        )

    def last_words(self, container: str) -> str:
        """The end of what the container said, or that the engine has removed it."""
        from docker.errors import DockerException

        try:
            return self.client.containers.get(container).logs(tail=3).decode(errors="replace").strip()
        except DockerException:
            return "it has ended, and the engine has removed it"

    def remove(self, name: str) -> None:
        """Remove the container of lab `name`, and wait until it is gone; none is fine."""
        from docker.errors import APIError

        for container in self._containers(name):
            try:
                container.remove(force=True, v=True)
            except APIError as error:
                if error.status_code not in (404, 409):  # gone, or on its way
                    raise
        self.wait_gone(name)

    def wait_gone(self, name: str) -> None:
        wait_until(
            lambda: not self._containers(name),
            f"the container {name} to be gone",
            within_seconds=GONE_WITHIN_SECONDS,
            every_seconds=0.02,
            do=f"docker rm --force {name}",
        )

    def empty(self, folder: Path) -> None:
        """Empty a folder in which root's files are: outside there is no root to do it."""
        from docker.types import Mount

        images = self.client.images.list(filters={"label": IMAGE_LABEL})
        if not images:
            raise MachineError(f"empty {folder}", "the files are root's, and the image is gone", f"sudo rm -r {folder}")
        self.client.containers.run(
            images[0],
            ["-delete"],
            entrypoint=["find", str(folder), "-mindepth", "1"],
            labels={LABEL_KEY: folder.name.removeprefix(".gone-")},
            mounts=[Mount(str(folder), str(folder), "bind")],
            network_mode="none",
            remove=True,
        )

    def _containers(self, name: str) -> list[Any]:
        return list(self.client.containers.list(all=True, filters={"label": label(name)}, ignore_removed=True))

    def _inspect(self, container: str) -> dict[str, Any]:
        from docker.errors import NotFound

        try:
            return dict(self.client.api.inspect_container(container))
        except NotFound:
            return {}


def _connect(host: str) -> "docker.DockerClient":
    import docker
    from docker.errors import DockerException
    from docker.tls import TLSConfig

    try:
        tls: TLSConfig | bool = False
        if host.startswith("tcp://") and uses_tls():
            folder = tls_folder()
            pair = (str(folder / "cert.pem"), str(folder / "key.pem"))
            tls = TLSConfig(client_cert=pair, ca_cert=str(folder / "ca.pem"), verify=True)
        return docker.DockerClient(base_url=host, version="auto", timeout=REQUEST_WITHIN_SECONDS, tls=tls)
    except DockerException as error:
        raise RequirementMissing(
            f"reach your Docker engine at {host}",
            str(error),
            "start Docker, and let this user use it (`sudo usermod -aG docker $USER`, then log in again)",
        ) from error
