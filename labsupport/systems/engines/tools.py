"""Which programs an engine is made of. Owns the seam between the toolchain and an engine; must not start anything.

Another engine (an older release, one unpacked from packages) is another `EngineTools`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from labsupport.systems.toolchain import Toolchain

# Whose versions evidence names.
NAMED_IN_EVIDENCE = ("dockerd", "containerd", "runc", "docker", "docker-buildx")

OLD_NAMED_IN_EVIDENCE = ("dockerd", "containerd", "runc", "docker")


@dataclass(frozen=True)
class EngineTools:
    """The programs of one engine, and what its daemon's environment needs so that they run.

    Args:
        programs: folder with dockerd, containerd, its shim, runc, docker-proxy, docker-init, docker, docker-buildx.
        path: folders searched after `programs`, first one first: the firewall's programs, then the computer's own.
        environment: what the daemon's environment needs beside PATH.
        unknown_settings: keys of daemon.json that we set and this release does not know.
        sources: where each program came from, as plain records for evidence.
    """

    programs: Path
    path: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    unknown_settings: tuple[str, ...] = ()
    sources: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, toolchain: Toolchain) -> "EngineTools":
        """Return the engine this project builds, getting it first where it is missing."""
        firewall = toolchain.direct("machine")
        return cls(
            programs=toolchain.bin_folder("engine"),
            path=(firewall.folder,),
            environment=firewall.environment,
            sources=tuple(asdict(toolchain.provenance(name)) for name in NAMED_IN_EVIDENCE),
        )

    @classmethod
    def old(cls, toolchain: Toolchain) -> "EngineTools":
        """Return Debian's Docker 20.10, of 2020, getting it first where it is missing."""
        firewall = toolchain.direct("machine")
        return cls(
            programs=toolchain.bin_folder("old-engine"),
            path=(firewall.folder,),
            environment=firewall.environment,
            unknown_settings=("firewall-backend", "ip6tables"),
            sources=tuple(asdict(toolchain.provenance(f"old-{name}")) for name in OLD_NAMED_IN_EVIDENCE),
        )

    @property
    def buildx(self) -> Path:
        return self.programs / "docker-buildx"

    def search_path(self, after: str) -> str:
        """PATH with the engine's programs first and `after` last."""
        return ":".join([str(self.programs), *map(str, self.path), after])
