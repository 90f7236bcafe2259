"""What can be live: machine, engine and cluster, as asked and as this computer allows. Decides; starts nothing."""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from labsupport.errors import RequirementMissing
from labsupport.lessons.needs import Needs
from labsupport.process.ownership import is_guest

if TYPE_CHECKING:
    from labsupport.systems.capabilities import Capability

# Kinds of machine that a whole `./lab` runs in, and in which a lab has a machine as on any computer.
GUESTS = ("container", "vm")
ALLOW_VARIABLE = "LAB_ALLOW_CLUSTER_CHANGES"


@dataclass(frozen=True)
class LabOptions:
    """What --engine, --cluster, --machine and --allow-cluster-changes say."""

    engine: str = "auto"
    cluster: str = "auto"
    machine: str = "auto"
    allow_cluster_changes: bool = False

    def or_from_environment(self) -> "LabOptions":
        """Where an option says auto, take what LAB_ENGINE, LAB_CLUSTER or LAB_MACHINE say."""

        def chosen(name: str) -> str:
            said = str(getattr(self, name))
            return (os.environ.get(_variable(name)) or "auto") if said == "auto" else said

        allows = self.allow_cluster_changes or bool(os.environ.get(ALLOW_VARIABLE))
        return LabOptions(chosen("engine"), chosen("cluster"), chosen("machine"), allows)

    def as_environment(self) -> dict[str, str]:
        """What `or_from_environment` of another process makes these options of."""
        said = {name: value for name, value in vars(self).items() if isinstance(value, str) and value != "auto"}
        allows = {ALLOW_VARIABLE: "1"} if self.allow_cluster_changes else {}
        return {_variable(name): value for name, value in said.items()} | allows


def _variable(option: str) -> str:
    return f"LAB_{option.upper()}"


# Where a lab is there already, nothing is chosen any more.
NOTHING_CHOSEN = {_variable(option): "" for option in ("engine", "cluster", "machine")}
# Values that take a machine.
BY_NAME = frozenset({"private", "embedded", "kind", "namespaces", *GUESTS})
# A cluster of kind, and the group of tools that it takes beside those of every cluster.
KIND = "kind"
# Their programs run with the Python packages of this computer, which are not in that machine's image.
MORE_THAN_A_CONTAINER_MACHINE_HAS = (
    "the container machine of this edition has the engine and the cluster, "
    "and not the other engines, collectors, captures and disks that this notebook takes"
)
TOOLS_IN_CONTAINER = frozenset(["git"])
MORE_THAN_WAS_TRIED_ON_KIND = (
    "--cluster kind was asked for, and the dataplanes and joined nodes that this notebook takes were tried on the "
    "embedded cluster only"
)
# What tells that a notebook takes them: the tools of dataplanes, and the engine of the machines that join.
NOT_TRIED_ON_KIND = frozenset(["flannel", "bgp", "cilium", "openvswitch", "mesh", "systemd"])
# A cluster without a machine: a control plane of this user's processes, and nodes that are simulated.
SIMULATED = "simulated"
OWN = "own"
# What a lab on the user's own engine or cluster has not: see Plan.
NO_MACHINE = (
    "your own engine or cluster was asked for, and a lab on it has no machine of its own, for the other engines, "
    "collectors, captures and disks that this takes"
)
NO_AUDIT_LOG = (
    "your own cluster was asked for, and a lab sees neither its audit log nor its nodes and components, "
    "which this takes"
)
# What a trial alone takes, which is then replayed alone: see Lesson.on_a_machine.
REPLAYED_BY_TRIAL = frozenset(["ext4"])
NO_MACHINE_FOR_A_TRIAL = (
    "your own engine was asked for, and this takes a machine of the lab's own, for a disk or for all that runs there"
)
SIMULATED_WAS_ASKED_FOR = "--cluster simulated was asked for, and a lab with it has no machine"
ONLY_SIMULATED_NODES = "{}; simulated nodes are to be had, and this takes real ones"
BESIDE_OWN = "{} was asked for, and the lab's {} runs on a machine, which a lab on what is yours does without"


@dataclass(frozen=True)
class Plan:
    """What can be live. Each `no_…` says why that cannot, as the end of “not live: …”; empty where it can.

    `cluster` is which one the lab starts where nodes are needed: embedded, kind or simulated. The last takes no
    machine; `no_nodes` says why there is none, and so no real node.
    `own_engine` and `own_cluster`: those of the user are taken. There is no machine then: nothing could be looked at on
    its disk, captured on its network, or started beside. `may_change_cluster`: more than the lab's namespace of it.
    """

    machine: str | None
    no_engine: str = ""
    no_cluster: str = ""
    cluster: str = "embedded"
    own_engine: bool = False
    own_cluster: bool = False
    may_change_cluster: bool = False
    no_nodes: str = ""

    @property
    def simulates(self) -> bool:
        """Whether its cluster has simulated nodes."""
        return self.cluster == SIMULATED and not self.no_cluster

    @property
    def is_visit(self) -> bool:
        """Whether the lab is a visit to what is the user's."""
        return self.own_engine or self.own_cluster

    @property
    def is_anything_live(self) -> bool:
        return self.machine is not None or self.is_visit or self.simulates

    def why_not(self, needs: Needs) -> str:
        """Why not all of `needs` can be live; empty when it can."""
        alone = REPLAYED_BY_TRIAL if self.own_engine and self.cluster == KIND else frozenset()
        more = bool(needs.engines) or not (TOOLS_IN_CONTAINER | alone).issuperset(needs.tools)
        return (
            (self.no_engine if needs.engine else "")
            or (self.no_cluster if needs.nodes else "")
            or (ONLY_SIMULATED_NODES.format(self.no_nodes) if self._takes_more_than_simulated(needs) else "")
            or (MORE_THAN_A_CONTAINER_MACHINE_HAS if more and self.machine == "container" else "")
            or (MORE_THAN_WAS_TRIED_ON_KIND if self.cluster == KIND and _is_untried_on_kind(needs) else "")
            or (NO_MACHINE if more and self.is_visit else "")
            or (NO_AUDIT_LOG if needs.nodes and self.own_cluster else "")
        )

    def within(self, needs: Needs) -> Needs:
        """The part of `needs` that can be live, with what that takes: kind takes an engine, and tools of its own."""
        if self.simulates:
            return Needs(nodes=needs.nodes, simulated_nodes=True) if needs.simulated_nodes else Needs()
        found = replace(needs, engine=needs.engine and not self.no_engine, nodes=0 if self.no_cluster else needs.nodes)
        if found.nodes and self.cluster == KIND:
            return found | Needs(engine=True, tools=(KIND,))
        return found

    def _takes_more_than_simulated(self, needs: Needs) -> bool:
        return self.simulates and needs.nodes > 0 and not needs.simulated_nodes


@dataclass(frozen=True)
class Looks:
    """How to find out what can have a lab live; each is called only where it matters, as some take a moment."""

    namespaces: "Callable[[], Capability]"
    container: "Callable[[], Capability]"
    guest: "Callable[[], Capability]"

    @classmethod
    def at_this_computer(cls) -> "Looks":
        from labsupport.systems.capabilities import container_machine, guest_container, namespaces_machine

        return cls(namespaces_machine, container_machine, guest_container)


def takes_a_guest(options: LabOptions, looks: "Looks | None" = None) -> bool:
    """Whether to run the lab in a guest: nothing else here can have it live, or it was asked for by name."""
    from labsupport.systems.guests.fitness import is_elsewhere
    from labsupport.systems.machines.own_engine import host_in_use

    live = options.engine != "replay" or options.cluster not in ("auto", "replay")
    if is_guest() or not live or OWN in (options.engine, options.cluster) or options.cluster == SIMULATED:
        return False
    if options.machine not in ("auto", *GUESTS):
        return False
    if options.machine == "vm":
        return True
    looks = looks or Looks.at_this_computer()
    by_name = options.machine == "container"
    if (not by_name and looks.namespaces().available) or looks.container().available:
        return False
    return looks.guest().available and (by_name or not is_elsewhere(host_in_use()))


def plan(options: LabOptions, possible: "Capability | None" = None, simulated: "Capability | None" = None) -> Plan:
    """Decide what can be live.

    Args:
        possible: whether a private machine can start; found out where it is not given.
        simulated: whether a cluster with simulated nodes can, at once; found out where neither is given.

    Raises:
        RequirementMissing: something was asked for by name that cannot be had here.
    """
    if OWN in (options.engine, options.cluster):
        return _plan_visit(options)
    if options.cluster == SIMULATED:
        return _plan_simulated(options)
    machine, looks = "namespaces", possible is None
    if is_guest() and options.machine in GUESTS:
        options = replace(options, machine="auto")
    if options.machine == "vm":
        raise RequirementMissing(
            "have this lab in a virtual machine",
            "a notebook that runs already cannot move there",
            "begin with `./lab start --machine vm`, or `./lab run NOTEBOOK --machine vm`",
        )
    if possible is None:
        from labsupport.systems.capabilities import container_machine, namespaces_machine

        possible = namespaces_machine()
        in_container = container_machine()
        if options.machine == "container" or (
            options.machine == "auto" and in_container.available and not possible.available
        ):
            machine, possible = "container", in_container if in_container.available else _why_no_container(in_container)
    no_machine = ""
    if options.machine == "none":
        no_machine = "--machine none was asked for"
    elif not possible.available:
        no_machine = f"no private machine can start here: {possible.because}"
    asked = [f"--{name} {value}" for name, value in vars(options).items() if value in BY_NAME]
    if no_machine and asked:
        raise RequirementMissing(
            f"use {' '.join(asked)}",
            no_machine,
            possible.change_it or "leave --machine none out",
        )
    no_engine = no_cluster = no_machine
    if options.engine == "replay":
        # Replay is asked for to spare the set-up: a cluster is live beside it only where that is said too.
        no_engine = "--engine replay was asked for"
        no_cluster = no_machine or (no_engine if options.cluster == "auto" else "")
    if options.cluster == "replay":
        no_cluster = "--cluster replay was asked for"
    if no_machine and options.cluster == "auto" and options.engine != "replay":
        if looks and simulated is None:
            from labsupport.systems.capabilities import simulated_cluster

            simulated = simulated_cluster()
        if simulated is not None and simulated.available:
            return Plan(None, no_engine, "", SIMULATED, no_nodes=no_machine)
    if options.cluster == KIND and (reason := _why_no_kind(no_engine, machine)):
        raise RequirementMissing("use --cluster kind", *reason)
    cluster = KIND if options.cluster == KIND else "embedded"
    return Plan(None if no_engine and no_cluster else machine, no_engine, no_cluster, cluster)


def _plan_simulated(options: LabOptions) -> Plan:
    """Decide for a cluster with simulated nodes that was asked for by name: what it takes, and is missing, is got."""
    from labsupport.systems.capabilities import place_for_simulated_cluster

    if beside := _asked_for(options, BY_NAME):
        raise RequirementMissing(
            f"use {' '.join(beside)} beside --cluster {SIMULATED}",
            "a lab with simulated nodes is for computers without a machine, and has none",
            "leave one of them out",
        )
    if because := place_for_simulated_cluster():
        raise RequirementMissing(f"use --cluster {SIMULATED}", because, "`./lab clean` by that user removes it")
    return Plan(None, SIMULATED_WAS_ASKED_FOR, "", SIMULATED, no_nodes=SIMULATED_WAS_ASKED_FOR)


def _asked_for(options: LabOptions, values: Collection[str]) -> list[str]:
    """Return the options with one of these values, as they are typed."""
    return [f"--{name} {value}" for name, value in vars(options).items() if value in values]


def _is_untried_on_kind(needs: Needs) -> bool:
    return needs.nodes > 0 and not NOT_TRIED_ON_KIND.isdisjoint((*needs.tools, *needs.engines))


def _why_no_kind(no_engine: str, machine: str) -> tuple[str, str] | None:
    """Say why kind cannot make a cluster, and what to do."""
    if no_engine:
        return f"its nodes are containers of the lab's engine, and {no_engine}", "leave --engine out"
    if machine == "container":
        return "kind's nodes were not tried on a container machine", "use `sudo ./lab …`, or leave --cluster out"
    return None


def _plan_visit(options: LabOptions) -> Plan:
    """Decide what can be live on what is the user's; whether that answers shows when the lab starts."""
    on_own_engine = options.engine == OWN and options.cluster == KIND
    takes_machine = BY_NAME - {KIND} if on_own_engine else BY_NAME
    if machines := _asked_for(options, takes_machine):
        raise RequirementMissing(
            f"use {' '.join(machines)} beside your own engine or cluster",
            "what runs on the lab's machine and what runs on yours make two labs in this edition",
            "leave one of them out; two labs can be up side by side, each in a terminal of its own",
        )

    def why_not(part: str, asked: str, other: str, ours: str) -> str:
        return {OWN: "", "replay": f"--{part} replay was asked for"}.get(
            asked, BESIDE_OWN.format(f"--{other} {OWN}", ours)
        )

    return Plan(
        None,
        why_not("engine", options.engine, "cluster", "private engine"),
        "" if on_own_engine else why_not("cluster", options.cluster, "engine", "embedded cluster"),
        KIND if on_own_engine else "embedded",
        own_engine=options.engine == OWN,
        own_cluster=options.cluster == OWN,
        may_change_cluster=options.allow_cluster_changes,
    )


def _why_no_container(machine: "Capability") -> "Capability":
    """Say why there is no container machine, and no guest container in its place."""
    from labsupport.systems.capabilities import guest_container

    guest = guest_container()
    if guest.available:
        because = f"{machine.because}; a guest container takes a whole command, and this is not one"
        return replace(guest, available=False, because=because, change_it="use `./lab start` or `./lab run`")
    because = f"{machine.because}; nor is a guest container to be had: {guest.because}"
    return replace(guest, because=because)
