"""Labs on a real Docker engine and a real Kubernetes cluster, for notebooks. Learners need one name: `open_lab`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labsupport.lab import open_lab

__all__ = ["open_lab"]


def __getattr__(name: str) -> object:
    # Imported when asked for: `./lab --version` must not pay for the Docker and Kubernetes clients.
    if name == "open_lab":
        from labsupport.lab import open_lab

        return open_lab
    raise AttributeError(name)
