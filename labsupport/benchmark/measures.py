"""Every number of the benchmark: name, unit, target, and from where to where it is measured. Data only."""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["s", "MB", "times"]


@dataclass(frozen=True)
class Target:
    """What the median may be at most, or must be at least."""

    value: float
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        return value >= self.value if self.at_least else value <= self.value

    def in_words(self, unit: Unit) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.value:g} {unit}"


@dataclass(frozen=True)
class Measure:
    """One number that each round gives.

    Attributes:
        subject: what is started for it, by name (see subjects.py).
        label: its title where the subject is known: beside a row of a figure.
        how: from where to where it is measured, and by what.
        ratio: of two other measures in the same round, by name; None where it is measured itself.
    """

    name: str
    subject: str
    title: str
    label: str
    unit: Unit
    how: str
    target: Target | None = None
    ratio: tuple[str, str] | None = None


@dataclass(frozen=True)
class Absent:
    """A number that cannot be had here, and why."""

    name: str
    title: str
    target: str
    because: str


PEAK = "the most its cgroup ever held, files in the page cache included"
REST = "sum of its processes' proportional set sizes: what they share with other labs counts in part"
CLOSING = "until nothing runs, and cgroups and run folder are removed"

MEASURES = (
    Measure(
        "kind-create",
        "kind",
        "kind: from `kind create cluster` to node Ready",
        "node Ready",
        "s",
        "on an engine that has the image of the node, from before what kind reads is written until its one node is "
        "Ready without a taint, namespace default takes pods, and names are answered; by part: what each phase added",
        Target(11.0),
    ),
    Measure(
        "kind-delete",
        "kind",
        "kind: delete",
        "delete",
        "s",
        "with the StatefulSet on it, from before `kind delete cluster` until that has ended and the cluster's files "
        "are removed",
        Target(0.8),
    ),
    Measure(
        "kind-cpu",
        "kind",
        "kind: processor time until node Ready",
        "processor time until then",
        "s",
        "of all in the lab's cgroup: also the engine's start, and its loading the image of the node",
    ),
    Measure(
        "kind-statefulset",
        "kind",
        "kind: from nothing to a StatefulSet of 3, with claims and DNS",
        "StatefulSet of 3 up",
        "s",
        "as statefulset, of a cluster that kind makes; its machine, engine and image of the node are part of nothing",
    ),
    Measure(
        "kind-to-statefulset",
        "kind",
        "kind's time to the same StatefulSet, as a multiple of the cluster's",
        "StatefulSet: kind / cluster",
        "times",
        "kind-statefulset / statefulset of the same round",
        Target(3.0, at_least=True),
        ratio=("kind-statefulset", "statefulset"),
    ),
    Measure("kind-rest", "kind", "kind: memory with the StatefulSet", "memory", "MB", REST),
    Measure(
        "cluster-ready",
        "cluster",
        "Cluster: from nothing to node Ready",
        "node Ready",
        "s",
        "from before its machine starts until its one node is Ready without a taint and namespace default takes pods; "
        "by part: what each phase added",
        Target(3.0),
    ),
    Measure(
        "cluster-to-floor",
        "cluster",
        "The same, as a multiple of bare etcd and API server",
        "node Ready / floor",
        "times",
        "cluster-ready / floor-ready of the same round",
        Target(1.2),
        ratio=("cluster-ready", "floor-ready"),
    ),
    Measure(
        "cluster-cpu",
        "cluster",
        "Cluster: processor time until node Ready",
        "processor time until then",
        "s",
        "of all in its cgroup; two cores: twice",
    ),
    Measure(
        "statefulset",
        "cluster",
        "Cluster: from nothing to a StatefulSet of 3, with claims and DNS",
        "StatefulSet of 3 up",
        "s",
        "from before its machine starts until kubectl has applied notebook 08's web.yaml, 3 of 3 replicas are ready, "
        "each claim is bound, and the cluster's DNS gives each pod's address",
        Target(6.0),
    ),
    Measure("cluster-close", "cluster", "Cluster: close", "close", "s", f"from close() {CLOSING}", Target(0.3)),
    Measure("cluster-rest", "cluster", "Cluster: memory with the StatefulSet", "memory", "MB", REST),
    Measure("cluster-peak", "cluster", "Cluster: peak memory", "peak memory", "MB", PEAK),
    Measure(
        "cluster-disk", "cluster", "Cluster: disk with the StatefulSet", "disk", "MB", "blocks its run folder takes"
    ),
    Measure(
        "floor-ready",
        "floor",
        "Bare etcd and API server: start to readyz",
        "readyz",
        "s",
        "on a machine that runs already, certificates written, with the words and limits they have in a lab's cluster; "
        "from before etcd starts until /readyz says 200",
    ),
    Measure(
        "floor-cpu",
        "floor",
        "Bare etcd and API server: processor time until readyz",
        "processor time until then",
        "s",
        "of all in its cgroup",
    ),
    Measure(
        "flannel-ready",
        "flannel",
        "Two nodes with Flannel: from nothing to both Ready",
        "both nodes Ready",
        "s",
        "as cluster-ready, with two nodes, connected by flanneld (vxlan)",
        Target(5.0),
    ),
    Measure(
        "engine-ready",
        "engine",
        "Engine: from nothing to ready",
        "ready",
        "s",
        "from before its machine starts until dockerd answers a ping",
        Target(0.5),
    ),
    Measure(
        "engine-container",
        "engine",
        "Engine: from nothing to the first container's end",
        "first container's end",
        "s",
        "the same, then lab/toolbox loaded, until `docker run --rm lab/toolbox true` has returned",
        Target(0.8),
    ),
    Measure("engine-close", "engine", "Engine: close", "close", "s", f"from close() {CLOSING}", Target(0.3)),
    Measure("engine-peak", "engine", "Engine: peak memory", "peak memory", "MB", PEAK),
    Measure(
        "second-ready",
        "beside",
        "A second cluster beside the first: to node Ready",
        "second: node Ready",
        "s",
        "as cluster-ready, while another lab's cluster runs",
        Target(3.0),
    ),
    Measure(
        "second-rest",
        "beside",
        "A second cluster beside the first: memory",
        "second: memory",
        "MB",
        REST,
        Target(400.0),
    ),
    Measure(
        "fifth-ready",
        "beside",
        "A fifth cluster beside four: to node Ready",
        "fifth: node Ready",
        "s",
        "as cluster-ready, while four other labs' clusters run",
    ),
    Measure("fifth-rest", "beside", "A fifth cluster beside four: memory", "fifth: memory", "MB", REST),
    Measure(
        "pods-1",
        "pods",
        "Pods: 0 to 1",
        "0 to 1",
        "s",
        "from a Deployment of pause containers to its pod's readiness, on one node that is Ready",
    ),
    Measure(
        "pods-100",
        "pods",
        "Pods: 1 to 100",
        "1 to 100",
        "s",
        "from the same Deployment's scaling until it says that 100 are ready",
    ),
    Measure("pods-close", "pods", "Pods: close with 100", "close with 100", "s", f"from close() {CLOSING}"),
    Measure("pods-rest", "pods", "Pods: memory with 100", "memory", "MB", REST),
    Measure("pods-peak", "pods", "Pods: peak memory with 100", "peak memory", "MB", PEAK),
    Measure(
        "cache", "disk", "Cache: all tools and images", "all", "MB", "blocks its files take; by part: area or group"
    ),
    Measure(
        "vm-ready",
        "vm",
        "Virtual machine: from nothing to its systemd up",
        "systemd up",
        "s",
        "from before its emulator starts until systemd has started all that is to run and somebody may log in",
    ),
    Measure(
        "vm-engine-ready",
        "vm",
        "Virtual machine: an engine in it",
        "engine in it: ready",
        "s",
        "as engine-ready, by a benchmark that runs there and by its clock",
    ),
    Measure(
        "vm-cluster-ready",
        "vm",
        "Virtual machine: a cluster in it",
        "cluster in it: node Ready",
        "s",
        "as cluster-ready, by the same benchmark",
    ),
    Measure(
        "vm-statefulset",
        "vm",
        "Virtual machine: a StatefulSet of 3 in it",
        "cluster in it: StatefulSet of 3 up",
        "s",
        "as statefulset, by the same benchmark",
    ),
    Measure("vm-close", "vm", "Virtual machine: close", "close", "s", f"from close() {CLOSING}"),
    Measure(
        "course",
        "notebooks",
        "Course: every notebook live, one after the other",
        "whole course",
        "s",
        "papermill's wall time, kernel and lab included, with warm caches; by part: notebook",
        Target(240.0),
    ),
)


def absent(measure: Measure, because: str) -> Absent:
    """Say that a measure cannot be had here."""
    target = measure.target.in_words(measure.unit) if measure.target else ""
    return Absent(measure.name, measure.title, target, because)
