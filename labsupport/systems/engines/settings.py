"""What we set in an engine's daemon.json, and where an engine keeps its things. Decides; must not touch the disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# sun_path holds 108 bytes with its final zero: a longer socket path fails with "invalid argument".
LONGEST_SOCKET_PATH = 107


def _with_dashes(name: str) -> str:
    return name.replace("_", "-")


class DaemonSettings(BaseModel):
    """The keys of daemon.json that a lab sets. Everything else is the engine's own default.

    The storage driver is left alone on purpose: what a fresh engine chooses is one of the course's questions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=_with_dashes, populate_by_name=True)

    # Otherwise dockerd hands the socket to the host's `docker` group, if there is one, before we can.
    group: str = "root"
    # On a systemd host dockerd would ask the host's systemd, which knows nothing of the machine's processes.
    exec_opts: tuple[str, ...] = ("native.cgroupdriver=cgroupfs",)
    # What a learner's own engine uses, so that DOCKER-USER and friends are there; `nftables` is the engine's opt-in.
    firewall_backend: Literal["iptables", "nftables"] = "iptables"
    # No IPv6 route leaves a machine, and its rules cost some 75 calls of ip6tables at every start: a quarter of it.
    ip6tables: bool = False
    labels: tuple[str, ...] = ()
    log_level: Literal["debug", "info", "warn", "error"] | None = None
    storage_driver: str | None = Field(default=None, min_length=1)
    features: dict[str, bool] | None = None

    def as_daemon_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True)
class EngineFolders:
    """Where one engine keeps everything it writes: below one folder of its machine."""

    root: Path

    @property
    def socket(self) -> Path:
        return self.root / "docker.sock"

    @property
    def pid_file(self) -> Path:
        return self.root / "docker.pid"

    @property
    def daemon_json(self) -> Path:
        return self.root / "daemon.json"

    @property
    def client(self) -> Path:
        """DOCKER_CONFIG of the command line client."""
        return self.root / "docker-config"

    @property
    def data(self) -> Path:
        return self.root / "docker"

    @property
    def containerd(self) -> Path:
        """Where the engine's own containerd keeps images and their layers."""
        return self.data / "containerd" / "daemon"

    def flags(self, *, unless_set_in: dict[str, Any]) -> list[str]:
        """The daemon's flags that keep it in these folders.

        Args:
            unless_set_in: the daemon.json at hand; dockerd refuses a key that is given there and as a flag.
        """
        wanted = {
            "data-root": str(self.data),
            "exec-root": str(self.root / "exec"),
            "pidfile": str(self.pid_file),
            "hosts": f"unix://{self.socket}",
        }
        return [f"--{key.removesuffix('s')}={value}" for key, value in wanted.items() if key not in unless_set_in]
