"""The notebooks of the course and what each needs to run live. Data only."""

import difflib
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from importlib import import_module
from typing import Any

from labsupport.errors import UsageError
from labsupport.experiments.exercises import Exercise
from labsupport.lessons.answers import SeedAnswer
from labsupport.lessons.needs import Needs
from labsupport.lessons.workbench import Workbench


@dataclass(frozen=True)
class Lesson:
    """One notebook: file name without ending, what it is about, its own module, and what must be live for it.

    `served_here` are its trials that have this computer serve something to the engine, which must be on it too.
    `on_a_machine` are its trials that take a machine of the lab's own, which a lab on an engine of the user's has not.
    `not_everywhere` are experiments of it that take what not every computer can have, such as the internet.
    `real_nodes` says of its trials why they take real nodes, as the end of “not live: …”; where nodes are simulated
    they are replayed, as are all trials of lessons whose needs do not say `simulated_nodes`.
    `apart` has what a trial takes, where that is not all of `needs`.
    `asked` are the only trials that somebody wants to be live; all, where it names none.
    """

    slug: str
    topic: str
    module: str
    needs: Needs
    served_here: tuple[str, ...] = ()
    on_a_machine: tuple[str, ...] = ()
    not_everywhere: tuple[str, ...] = ()
    real_nodes: Mapping[str, str] = field(default_factory=dict)
    apart: Mapping[str, Needs] = field(default_factory=dict)
    asked: tuple[str, ...] = ()

    def asked_for(self, trials: Sequence[str]) -> "Lesson":
        """Return it with these trials as the only ones that are wanted live, and what they take; all, where none is."""
        if not trials:
            return self
        needs = reduce(operator.or_, [self.apart.get(trial, self.needs) for trial in trials])
        return replace(self, needs=needs, asked=tuple(trials))


IN_PODS = "it looks into containers, and on simulated nodes none runs"
ON_NODES = "it looks at what a node runs, and behind a simulated one there is no machine"
YOUR_FOLDERS = "it has folders of nodes removed, and where nodes are simulated they would be your own computer's"
SIMULATION_WOULD_ANSWER = "it asks what a kubelet does, and the simulation would answer in its place"

_TOOLBOX = Needs(engine=True, images=("lab/toolbox",))
_TWO_NODES = Needs(nodes=2, images=("lab/agnhost",))

LESSONS = (
    Lesson(
        "00-start-here",
        "What runs where, and how an experiment works",
        "labsupport.lessons.start",
        Needs(engine=True, nodes=1, images=("lab/toolbox",)),
        on_a_machine=("whereabouts", "first-process"),
    ),
    Lesson(
        "01-cgroup-drivers",
        "Cgroup drivers, limits, and the daemon's settings",
        "labsupport.lessons.cgroups",
        Needs(engine=True, nodes=1, images=("lab/toolbox", "lab/registry"), engines=("old", "systemd")),
        apart={
            **dict.fromkeys(("two-drivers", "what-systemd-knows"), _TOOLBOX | Needs(engines=("systemd",))),
            "default": _TOOLBOX | Needs(engines=("old", "systemd")),
            "unified": _TOOLBOX | Needs(engines=("old",)),
            **dict.fromkeys(("hierarchies", "limits", "shares", "inside", "live-restore", "three-judges"), _TOOLBOX),
            "keys": _TOOLBOX | Needs(images=("lab/registry",)),
            **dict.fromkeys(("limits-by-hand", "keys-by-hand"), _TOOLBOX),
        },
    ),
    Lesson(
        "02-log-drivers",
        "Where a container's log lines go",
        "labsupport.lessons.logs",
        Needs(engine=True, images=("lab/toolbox",), engines=("old", "systemd"), tools=("syslog", "capture")),
        apart={"long-line": _TOOLBOX | Needs(tools=("syslog", "capture"))},
    ),
    Lesson(
        "03-storage-drivers",
        "What storage drivers do with your bytes",
        "labsupport.lessons.storage",
        Needs(engine=True, images=("lab/toolbox",), engines=("old",), tools=("btrfs", "xfs")),
        apart={"blocks": _TOOLBOX | Needs(engines=("old",)), "reflinks": _TOOLBOX | Needs(tools=("xfs",))},
    ),
    Lesson(
        "04-network-drivers",
        "Network drivers, and the way of a packet",
        "labsupport.lessons.network",
        Needs(engine=True, images=("lab/toolbox",), tools=("capture",)),
    ),
    Lesson(
        "05-cni-plugins",
        "How a pod gets its network",
        "labsupport.lessons.cni",
        Needs(
            nodes=2,
            images=("lab/agnhost",),
            tools=("flannel", "bgp", "cilium", "ebpf", "openvswitch", "mesh", "capture"),
        ),
        apart={
            "by-hand": _TWO_NODES,
            "none": _TWO_NODES,
            "flannel": _TWO_NODES | Needs(tools=("flannel", "capture")),
            "bgp": _TWO_NODES | Needs(tools=("bgp", "capture")),
            "ovs": _TWO_NODES | Needs(tools=("openvswitch", "capture")),
            "mesh": _TWO_NODES | Needs(tools=("mesh", "capture")),
        },
        not_everywhere=tuple(f"05-cni-plugins/product-{name}" for name in ("calico", "antrea", "cilium", "flannel")),
    ),
    Lesson(
        "06-dockerfile-instructions",
        "What Dockerfile instructions really do",
        "labsupport.lessons.dockerfile",
        Needs(engine=True, images=("lab/debian", "lab/toolbox"), tools=("git",)),
        served_here=("sources",),
    ),
    Lesson(
        "07-pv-reclaim",
        "What reclaim policies do to volumes and to data",
        "labsupport.lessons.reclaim",
        Needs(nodes=2, images=("lab/toolbox",), tools=("ext4",), local_path=True, simulated_nodes=True),
        on_a_machine=("size", "forensics"),
        real_nodes={
            "life": IN_PODS,
            "kinds": YOUR_FOLDERS,
            "in-use": IN_PODS,
            "size": IN_PODS,
            "sharing": IN_PODS,
            "forensics": ON_NODES,
            "by-hand": YOUR_FOLDERS,
        },
    ),
    Lesson(
        "08-statefulset",
        "A StatefulSet, from request to running",
        "labsupport.lessons.statefulset",
        Needs(nodes=2, images=("lab/toolbox",), simulated_nodes=True),
        real_nodes={
            "replaced": IN_PODS,
            "watch": ON_NODES,
            "mount": ON_NODES,
            "changes": SIMULATION_WOULD_ANSWER,
            "without": ON_NODES,
            "nodes": ON_NODES,
            "order-by-hand": SIMULATION_WOULD_ANSWER,
        },
    ),
    Lesson("09-claims", "The ledger of claims", "labsupport.lessons.ledger", Needs()),
)


def lesson(slug: str) -> Lesson:
    """Return the notebook with this name; its number alone, or its .ipynb file name, will do.

    Raises:
        UsageError: there is no such notebook; the message names the nearest.
    """
    wanted = slug.rsplit("/", 1)[-1].removesuffix(".ipynb")
    for known in LESSONS:
        if wanted in (known.slug, known.slug[:2]):
            return known
    names = [known.slug for known in LESSONS]
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.3)
    raise UsageError(
        f"open the notebook {slug!r}",
        "there is no notebook of that name",
        f"did you mean {near[0]}?" if near else f"choose one of: {', '.join(names)}",
    )


MakeExercise = Callable[[Workbench, int], Exercise[Any]]


def exercises_of(about: Lesson) -> Mapping[str, MakeExercise]:
    """Return what makes each exercise of a notebook, by name, from what it may use of a lab, and the seed."""
    made: Mapping[str, MakeExercise] = import_module(about.module).EXERCISES
    return made


def answers_of(about: Lesson) -> Sequence[SeedAnswer]:
    """Return what instructors get of a notebook's exercise, by seed; nothing where it has none."""
    answers: Sequence[SeedAnswer] = import_module(f"{about.module}.exercise").ANSWERS if exercises_of(about) else ()
    return answers
