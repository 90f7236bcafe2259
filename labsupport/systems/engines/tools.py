"""Which programs an engine is made of. Owns the seam between the toolchain and an engine; must not start anything.

Another engine (an older release, one unpacked from packages) is another `EngineTools`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

FIREWALL_COMMANDS = (
    "iptables",
    "ip6tables",
    "iptables-save",
    "ip6tables-save",
    "iptables-restore",
    "ip6tables-restore",
)
ENGINE_PROGRAMS = ("dockerd", "containerd", "runc", "docker", "docker-buildx")


class EngineToolchain(Protocol):
    """The part of the toolchain that an engine needs."""

    def bin_folder(self, group: str) -> Path: ...

    def provenance(self, name: str) -> Any: ...


@dataclass(frozen=True)
class EngineTools:
    """The programs of one engine, and what its daemon's environment needs so that they run.

    Args:
        programs: folder with dockerd, containerd, its shim, runc, docker-proxy, docker-init, docker, docker-buildx.
        path: folders searched after `programs`, first one first: the firewall's programs, then the computer's own.
        environment: what the daemon's environment needs beside PATH.
        sources: where each program came from, as plain records for evidence.
    """

    programs: Path
    path: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[Mapping[str, Any], ...] = ()

    @property
    def docker(self) -> Path:
        return self.programs / "docker"

    @property
    def buildx(self) -> Path:
        return self.programs / "docker-buildx"

    def search_path(self, after: str) -> str:
        """PATH with the engine's programs first and `after` last."""
        return ":".join([str(self.programs), *map(str, self.path), after])
