"""One engine that runs: how to talk to it, what it is, what was made on it since. Backends start and end it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.process.commands import Runner
from labsupport.systems.engines.objects import Removed, Snapshot, remove_since, take_snapshot

if TYPE_CHECKING:
    import docker

    from labsupport.systems.machines.machine import Service

# Enough for the slowest single request a lab makes (loading a large image), and an end to a daemon that hangs.
REQUEST_WITHIN_SECONDS = 120


@dataclass
class Engine:
    """Speaks the Docker API.

    Args:
        kind: which backend started it: "private"; later "own".
        name: the lab's name for it, for messages.
        host: what DOCKER_HOST must say.
        environment: DOCKER_HOST, DOCKER_CONFIG, PATH … for commands, the kernel and terminals.
        runner: runs commands on this computer with that environment.
        log: the daemon's log.
        sources: where its programs came from, for evidence.
        daemon: the daemon as a service of its machine; None where it is not ours to signal.
        end: what ends it.
        ready_seconds: from the daemon's start to its first answer.
    """

    kind: str
    name: str
    host: str
    environment: Mapping[str, str]
    runner: Runner
    log: Path
    sources: Sequence[Mapping[str, Any]] = ()
    daemon: "Service | None" = None
    end: Callable[[], None] = field(default=lambda: None, repr=False)
    ready_seconds: float = 0.0

    @cached_property
    def client(self) -> "docker.DockerClient":
        # Imported when first needed: it takes longer than the daemon's own first steps.
        import docker

        return docker.DockerClient(base_url=self.host, version="auto", timeout=REQUEST_WITHIN_SECONDS)

    @cached_property
    def version(self) -> str:
        return str(self.client.version()["Version"])

    def provenance(self) -> dict[str, Any]:
        """Say what this engine is: a plain record for evidence, without anything that varies between two starts."""
        info, version = self.client.info(), self.client.version()
        details = {part["Name"]: part for part in version.get("Components", ())}
        engine = details.get("Engine", {}).get("Details", {})
        return {
            "kind": self.kind,
            "version": version["Version"],
            "api_version": version["ApiVersion"],
            "module": _module_at(engine),
            "containerd": details.get("containerd", {}).get("Version", ""),
            "runc": details.get("runc", {}).get("Version", ""),
            "storage_driver": info["Driver"],
            "image_store": "containerd" if _uses_containerd_images(info) else "graph driver",
            "cgroup_driver": info.get("CgroupDriver", ""),
            "cgroup_version": info.get("CgroupVersion", ""),
            "logging_driver": info.get("LoggingDriver", ""),
            "firewall": (info.get("FirewallBackend") or {}).get("Driver", ""),
            "security": sorted(info.get("SecurityOptions") or ()),
            "kernel": info["KernelVersion"],
            "architecture": info["Architecture"],
            "tools": [dict(source) for source in self.sources],
        }

    def snapshot(self) -> Snapshot:
        """Note what is there, for `remove_since`."""
        return take_snapshot(self.client)

    def remove_since(self, snapshot: Snapshot) -> Removed:
        """Remove the containers, networks, volumes, images and build cache made since; leave what was there before."""
        return remove_since(self.client, snapshot)

    def note_images(self, tags: Iterable[str], load: Callable[[], None]) -> None:
        """Have images loaded under these names; where others use the engine too, note that they are the lab's."""
        load()

    def close(self) -> None:
        """End it. A second call does nothing."""
        if client := self.__dict__.pop("client", None):
            client.close()
        end, self.end = self.end, lambda: None
        end()


def _module_at(details: Mapping[str, str]) -> str:
    """`module@version` where the engine knows it: one built from its Go module does, an official release does not."""
    module, version = details.get("Module", ""), details.get("ModuleVersion", "")
    return f"{module}@{version}" if module and version else ""


def _uses_containerd_images(info: Mapping[str, Any]) -> bool:
    return any("io.containerd.snapshotter" in value for _, value in info.get("DriverStatus") or ())
