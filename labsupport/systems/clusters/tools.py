"""Which programs an embedded cluster is made of. The seam between the toolchain and a cluster; starts nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

# Named in evidence, in the order in which a reader would ask for them.
TOLD_IN_EVIDENCE = ("kube-apiserver", "etcd", "kubelet", "containerd", "runc", "coredns", "ptp")
# What a cluster takes whose nodes are simulated.
WITH_SIMULATED_NODES = ("control-plane", "coredns", "simulated-nodes")
TOLD_WITH_SIMULATED_NODES = ("kube-apiserver", "etcd", "coredns", "kwok")


class ClusterToolchain(Protocol):
    """The part of the toolchain that a cluster needs."""

    @property
    def cache(self) -> Path: ...

    def ensure(self, *names: str) -> None: ...

    def bin_folder(self, *names: str) -> Path: ...

    def provenance(self, name: str) -> Any: ...


@dataclass(frozen=True)
class ClusterTools:
    """The programs of one cluster.

    Args:
        programs: folder with every program of a control plane and a node, and kubectl.
        plugins: folder with the CNI plugins; apart, since one of them has the name of iproute2's `bridge`. None are in
            the current folder, which it is where nodes are simulated.
        commands: folder for a learner's PATH: kubectl.
        seeds: folder that keeps prepared images, first objects and what dataplanes compiled from one lab to the next;
            seen inside machines at the same path.
        sources: where each program came from, as plain records for evidence.
    """

    programs: Path
    plugins: Path
    commands: Path
    seeds: Path
    sources: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, toolchain: ClusterToolchain) -> "ClusterTools":
        """Have the toolchain get what is missing, and say where it all is."""
        toolchain.ensure("cluster", "cni")
        return cls(
            programs=toolchain.bin_folder("cluster"),
            plugins=toolchain.bin_folder("cni"),
            commands=toolchain.bin_folder("kubectl"),
            seeds=toolchain.cache / "image-seeds",
            sources=tuple(vars(toolchain.provenance(name)) for name in TOLD_IN_EVIDENCE),
        )

    @classmethod
    def with_simulated_nodes(cls, toolchain: ClusterToolchain) -> "ClusterTools":
        """The same for a cluster whose nodes are simulated."""
        toolchain.ensure(*WITH_SIMULATED_NODES)
        return cls(
            programs=toolchain.bin_folder(*WITH_SIMULATED_NODES),
            plugins=Path(),
            commands=toolchain.bin_folder("kubectl"),
            seeds=toolchain.cache / "image-seeds",
            sources=tuple(vars(toolchain.provenance(name)) for name in TOLD_WITH_SIMULATED_NODES),
        )

    def path(self, name: str) -> Path:
        return self.programs / name

    def version(self, name: str) -> str:
        """Return the version of one of the programs named in evidence."""
        return next(str(source["version"]) for source in self.sources if source["name"] == name)
