"""Whether the whole lab can be a guest of the user's own engine, by what that says of itself. Decides; asks nobody."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

OLDEST_API = (1, 41)
OLDEST_KERNEL = (5, 12)
ENOUGH_MEMORY_BYTES = 2e9
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_elsewhere(host: str) -> bool:
    """Whether that engine is on another computer: there a lab goes only when it is asked to by name."""
    parts = urlsplit(host)
    return parts.scheme not in ("unix", "npipe") and parts.hostname not in LOOPBACK


def unfit_for_guests(host: str, info: Mapping[str, Any]) -> tuple[str, str]:
    """Say why an engine cannot have a guest container, and what would change that; empty where it can."""
    if urlsplit(host).scheme not in ("unix", "tcp"):
        forward = "forward its socket (`ssh -NL /tmp/docker.sock:/var/run/docker.sock …`), DOCKER_HOST=unix:///tmp/docker.sock"
        return f"its address is {host}, and a lab needs unix:// or tcp://", forward
    if not info:
        return f"nothing answers at {host}", "start Docker, or Docker Desktop"
    if info.get("OSType", "linux") != "linux":
        return f"it runs {info['OSType']} containers", "switch Docker Desktop to Linux containers"
    if _numbers(info.get("ApiVersion")) < OLDEST_API:
        wanted = ".".join(map(str, OLDEST_API))
        return f"it is too old: API {info.get('ApiVersion')}, and a lab needs {wanted} (Docker 20.10)", "update Docker"
    if _numbers(info.get("KernelVersion")) < OLDEST_KERNEL:
        wanted = ".".join(map(str, OLDEST_KERNEL))
        return (
            f"its kernel {info.get('KernelVersion')} is older than {wanted}",
            "update Docker Desktop, or that computer",
        )
    options = " ".join(info.get("SecurityOptions") or ())
    if "name=rootless" in options or "name=userns" in options:
        because = "it runs its containers without real root (rootless, or userns-remap)"
        return because, "use an engine that runs as root, or Docker Desktop: `docker context use …`"
    if info.get("MemTotal", ENOUGH_MEMORY_BYTES) < ENOUGH_MEMORY_BYTES:
        because = f"it has {info['MemTotal'] / 1e9:.1f} GB of memory; a lab with a cluster takes 2 GB"
        return because, "give it more: Docker Desktop > Settings > Resources"
    return "", ""


def _numbers(version: object) -> tuple[int, ...]:
    return tuple(int("0" + "".join(filter(str.isdigit, part))) for part in str(version or "").split(".")[:2])
