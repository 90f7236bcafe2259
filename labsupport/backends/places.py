"""The other places of a lab by name: engines beside its own, the machines they run on, the nodes of its cluster.

A kept engine (see KEPT) starts ahead of its first use or at it, and ends with the lab; one that a trial starts ends
with the trial.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.backends.choosing import KIND, NO_MACHINE
from labsupport.errors import MachineError, RequirementMissing, UsageError
from labsupport.process.at_once import each_at_once
from labsupport.process.commands import CommandResult, Invocation, LocalRunner, Runner
from labsupport.process.ownership import Owner, locked
from labsupport.project import this_project

if TYPE_CHECKING:
    from labsupport.backends.running import Backends
    from labsupport.systems.clusters.joined import Drivers, JoinedNode
    from labsupport.systems.engines.engine import Engine
    from labsupport.systems.engines.objects import Snapshot
    from labsupport.systems.engines.tools import EngineTools
    from labsupport.systems.machines.machine import Host, Machine
    from labsupport.systems.visits.daemons import ThisComputer

TODAY, OLD, PEER, SYSTEMD = "today", "old", "peer", "systemd"
# Engines that a name alone starts: of an older release, a second one of today's, one on a systemd machine.
KEPT = (OLD, PEER, SYSTEMD)
RELEASES = (TODAY, OLD)
MACHINE = "machine"
# Where the folders of volumes are: on the first node, or this computer where nodes are simulated.
VOLUMES = "volumes"
OF_ENGINE = "-machine"
USER_FILE = "user"


@dataclass
class EngineAt:
    """An engine at a place, with the machine it has to itself. `before` is what was on it when it was first used."""

    machine: "Machine"
    engine: "Engine | None" = None
    before: "Snapshot | None" = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def end_engine(self) -> None:
        """Stop the daemon as an administrator would; its files stay."""
        from labsupport.systems.engines.private import folders_on
        from labsupport.systems.engines.stopping import stop_daemon

        engine, self.engine = self.engine, None
        if engine is not None and engine.daemon is not None and engine.daemon.is_running():
            stop_daemon(engine.daemon, folders_on(self.machine))
        if engine is not None:
            engine.close()

    def end(self) -> None:
        """End the machine, daemon and files with it; a daemon told to stop would wait 10 s for containers."""
        engine, self.engine = self.engine, None
        if engine is not None:
            engine.close()
        self.machine.close()


class Places:
    """The places of one lab, other than this computer with the lab's own engine and cluster."""

    def __init__(self, backends: "Backends") -> None:
        self._backends = backends
        self._kept: dict[str, EngineAt] = {}
        self._ahead: dict[str, Future[EngineAt]] = {}
        self._of_trial: dict[str, EngineAt] = {}
        self._used: dict[str, Mapping[str, Any]] = {}
        self._this_computer: ThisComputer | None = None
        self._to_undo: list[tuple[str, Callable[[], None]]] = []
        self._to_undo_first: list[tuple[str, Callable[[], None]]] = []

    def start_ahead(self, names: Sequence[str]) -> None:
        """Start kept engines in the background, while their first use is to come; what goes wrong is told then."""
        if names:
            pool = ThreadPoolExecutor(max_workers=len(names), thread_name_prefix="ahead")
            self._ahead = {name: pool.submit(self._start_kept, name) for name in names}
            pool.shutdown(wait=False)

    def runner(self, name: str) -> Runner:
        """Return what runs commands at a place: "" this computer, "machine", "old", "old-machine", "volumes", a node.

        Raises:
            UsageError: there is no such place.
            LabError: it cannot be had.
        """
        backends = self._backends
        if name == VOLUMES:
            name = next(iter(self._nodes()), "")
        if not name:
            return LocalRunner(backends.environment)
        if name in self._nodes():
            return _InMachine(self._nodes()[name], {})
        if name == MACHINE or name.endswith(OF_ENGINE):
            return _InMachine(self.machine(name), self._environment_of(name.removesuffix(OF_ENGINE)))
        return LocalRunner(self._environment_of(name))

    def engine(self, name: str) -> "Engine":
        """Return the engine of that name; a kept one is started where it does not run yet.

        Raises:
            UsageError: there is no such engine, or it was not started.
        """
        at = self._at(name)
        if at.engine is None:
            raise UsageError(f"use the engine {name!r}", "it is not running", "start it: lab.start_engine(…)")
        self._used[name] = at.facts
        return at.engine

    def machine(self, name: str) -> "Machine":
        """Return a machine: "machine" is the lab's own, "old-machine" that of the engine "old"; or a node's."""
        if name == MACHINE:
            if self._backends.machine is None and self._backends.cluster_with_nodes is not None:
                return self._backends.cluster_with_nodes.machine
            if self._backends.machine is None:
                tried, chosen = "use the lab's machine, or start something on it", self._backends.plan
                if chosen.simulates:
                    raise RequirementMissing(tried, chosen.no_nodes, "`./lab doctor` says what a machine takes here")
                raise RequirementMissing(tried, NO_MACHINE, "leave --engine own out")
            return self._backends.machine
        if name in self._nodes():
            return self._nodes()[name]
        return self._at(name.removesuffix(OF_ENGINE)).machine

    def server(self) -> "Host":
        """Return what serves files to the lab's engine: its machine, or for the user's own engine this computer."""
        visit = self._backends.visit
        if visit is None:
            return self.machine(MACHINE)
        if self._this_computer is None:
            from labsupport.backends.starting import make_toolchain
            from labsupport.systems.visits.daemons import ThisComputer

            self._this_computer = ThisComputer(visit.folder, [make_toolchain().bin_folder("git")])
        return self._this_computer

    def start_machine(self, name: str) -> "Machine":
        """Start a machine for an engine to come, ended with the trial; the one of that name, if it is there.

        Raises:
            UsageError: the lab keeps an engine of that name, or another notebook has one.
        """
        if name in KEPT:
            raise UsageError(f"start an engine called {name}", "the lab keeps one of that name", "choose another name")
        if name not in self._of_trial:
            self._of_trial[name] = EngineAt(self._new_machine(name))
        return self._of_trial[name].machine

    def start_engine(
        self,
        name: str,
        daemon_json: "Mapping[str, Any] | Path",
        *,
        flags: Sequence[str] = (),
        release: str = TODAY,
        images: Sequence[str] = (),
    ) -> "Engine":
        """Start an engine with exactly this daemon.json; on the same machine and data, if the trial had one so named.

        Args:
            daemon_json: settings, or the file, which need not be valid.
            flags: more of the daemon's own flags.
            release: "today" or "old".
            images: of the lab's own, to have on it.

        Raises:
            EngineError: the daemon refused; `happened` holds its own words. The machine stays.
        """
        from labsupport.backends.starting import have_images
        from labsupport.systems.engines.private import folders_on, start_daemon

        self.start_machine(name)
        at = self._of_trial[name]
        at.end_engine()
        content = daemon_json.read_text() if isinstance(daemon_json, Path) else daemon_json
        at.engine = start_daemon(at.machine, tools_of(release), folders_on(at.machine), content, flags)
        have_images(at.engine, tuple(images))
        at.facts = at.engine.provenance()
        return self.engine(name)

    def join_node(self, name: str, drivers: "Drivers") -> "JoinedNode":
        """Have a node of that name join the lab's cluster, set up anew if the trial had one; it ends with the trial.

        Raises:
            ClusterError: a program of it ended, with its own last words.
        """
        from labsupport.backends.starting import make_toolchain
        from labsupport.systems.clusters.joined import start_joined_node

        backends, earlier = self._backends, self._of_trial.pop(name, None)
        if earlier is not None:
            earlier.machine.close()
        assert backends.cluster_with_nodes is not None
        node = start_joined_node(
            self.machine(MACHINE),
            backends.cluster_with_nodes,
            make_toolchain(),
            drivers,
            name=self._free_name(name),
            images=backends.images,
        )
        self._of_trial[name] = EngineAt(_used_by_this_process(node))
        return node

    def undo_at_the_end(self, what: str, undo: Callable[[], None], *, first: bool = False) -> None:
        """Have something undone when the trial ends, the latest first; `first`: before its objects are removed."""
        (self._to_undo_first if first else self._to_undo).append((what, undo))

    def undo_first(self) -> list[str]:
        """Undo what has to be before any object can be removed; say what."""
        return _undone(self._to_undo_first)

    def tidy(self) -> list[str]:
        """End what the trial started, and remove what it made on kept engines; say what."""
        ended = [*_undone(self._to_undo), *(f"the engine {name}" for name in self._of_trial)]
        each_at_once(EngineAt.end, self._of_trial.values())
        self._of_trial.clear()
        self._used.clear()
        removed = []
        for name, at in self._kept.items():
            if at.engine is not None and at.before is not None and (gone := at.engine.remove_since(at.before)):
                removed.append(f"on {name}: {gone}")
        return [*ended, *removed]

    def end_all(self) -> list[str]:
        """End the kept engines, and those of trials whose notebook was killed; the next use starts them afresh."""
        if self._backends.machine is None:
            return []
        folders = sorted((self.machine(MACHINE).folder / "machines").glob("*"))
        found = [(folder.name, self._running(folder.name)) for folder in folders]
        ended = [(name, machine) for name, machine in found if machine and (name in KEPT or _is_abandoned(machine))]
        for _, machine in ended:
            machine.close()
        self._kept.clear()
        return [f"the engine {name}" for name, _ in ended]

    def close(self) -> None:
        """Let go of every place; what was started for a trial ends, kept engines end with the lab's machine."""
        wait(self._ahead.values())
        for at in self._of_trial.values():
            at.machine.close()
        self._of_trial.clear()
        begun = [future.result() for future in self._ahead.values() if not future.exception()]
        for at in [*self._kept.values(), *begun]:
            if at.engine is not None:
                at.engine.close()
        self._ahead.clear()
        self._kept.clear()

    def used(self) -> list[Mapping[str, Any]]:
        """Return the provenance of each engine that took part in this trial."""
        return list(self._used.values())

    def _nodes(self) -> "Mapping[str, Machine]":
        cluster = self._backends.labs_cluster
        return {node.name: node.machine for node in cluster.nodes} if cluster else {}

    def _at(self, name: str) -> EngineAt:
        if at := self._of_trial.get(name) or self._kept.get(name):
            return at
        if name not in KEPT:
            known = ", ".join([MACHINE, *KEPT, *self._of_trial])
            raise UsageError(f"go to {name!r}", "this lab has no such place", f"one of: {known}, or a node's name")
        ahead = self._ahead.pop(name, None)
        self._kept[name] = ahead.result() if ahead else self._start_kept(name)
        return self._kept[name]

    def _start_kept(self, name: str) -> EngineAt:
        from labsupport.backends.starting import have_images

        lab = self.machine(MACHINE)
        lab.runner.run(["true"])  # raises where the lab has ended: the lock would make its folder anew
        images = self._backends.images
        # Another notebook on this lab may be about to start it too.
        with locked(lab.folder / "kept" / name):
            earlier = self._running(name)
            machine, engine = _systemd(lab, earlier) if name == SYSTEMD else _plain(lab, earlier, name, images)
            have_images(engine, images)
        return EngineAt(machine, engine, engine.snapshot(), engine.provenance())

    def _new_machine(self, name: str) -> "Machine":
        """Start a machine of that name, or of one like it where another notebook on this lab has that one."""
        return _used_by_this_process(self.machine(MACHINE).nested(self._free_name(name)))

    def _free_name(self, name: str) -> str:
        """Return the first of name, name-2, … that nobody uses; one left by a process that has ended makes way."""
        for candidate in [name, *(f"{name}-{number}" for number in range(2, 100))]:
            earlier = self._running(candidate)
            if earlier is None:
                return candidate
            if _is_abandoned(earlier):
                earlier.close()
                return candidate
        raise UsageError(f"start a machine called {name}", "there are a hundred of that name", "run ./lab down")

    def _running(self, name: str) -> "Machine | None":
        try:
            return self.machine(MACHINE).inner(name)
        except MachineError:
            return None

    def _environment_of(self, name: str) -> Mapping[str, str]:
        if name == MACHINE:
            return self._backends.environment
        at = self._at(name)
        return self.engine(name).environment if at.engine is not None else {}


class PlacesRunner:
    """Runs each command at the place its invocation names."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def run(
        self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = Invocation()
    ) -> CommandResult:
        runner = self._places.runner(invocation.place)
        return runner.run(argv, within_seconds=within_seconds, invocation=replace(invocation, place=""))

    def start_engine(self, name: str, daemon_json: Mapping[str, Any] | Path, *, images: Sequence[str] = ()) -> None:
        """Start an engine as `Places.start_engine` does: what exercises try a daemon.json on."""
        self._places.start_engine(name, daemon_json, images=images)


class _InMachine:
    """A root shell on a machine, in the notebook's folder where that is visible there."""

    def __init__(self, machine: "Machine", environment: Mapping[str, str]) -> None:
        self._machine = machine
        self._environment = {name: value for name, value in environment.items() if name != "PATH"}

    def run(
        self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = Invocation()
    ) -> CommandResult:
        folder = invocation.folder or (Path.cwd() if _shows_this_folder(self._machine) else None)
        inside = replace(invocation, environment={**self._environment, **invocation.environment}, folder=folder)
        return self._machine.runner.run(argv, within_seconds=within_seconds, invocation=inside)


def _shows_this_folder(machine: "Machine") -> bool:
    """Whether the current folder is visible on a machine: on a node of kind, what is in the project's is."""
    if machine.kind == KIND:
        return Path.cwd().is_relative_to(this_project().root)
    return machine.kind == "namespaces"


def _plain(lab: "Machine", earlier: "Machine | None", name: str, images: Sequence[str]) -> "tuple[Machine, Engine]":
    """Find or start the kept engine of that name on an inner machine; one of today's begins with the images."""
    from labsupport.backends.starting import engine_seeds, make_toolchain
    from labsupport.systems.engines.private import attach_private_engine, start_private_engine

    tools = tools_of(OLD if name == OLD else TODAY)
    if earlier is not None:
        return earlier, attach_private_engine(earlier, tools)
    machine = lab.nested(name)
    seed = None if name == OLD else engine_seeds(make_toolchain()).find(*images)
    return machine, start_private_engine(machine, tools, seed=seed)


def _systemd(lab: "Machine", earlier: "Machine | None") -> "tuple[Machine, Engine]":
    """Find or start the systemd machine and its engine."""
    from labsupport.backends.starting import make_toolchain
    from labsupport.systems.engines.systemd import attach_systemd_engine, start_systemd_engine
    from labsupport.systems.machines.systemd import attach_systemd_machine, start_systemd_machine

    tools = tools_of(TODAY)
    if earlier is not None:
        found = attach_systemd_machine(lab)
        return found, attach_systemd_engine(found, tools)
    machine = start_systemd_machine(lab, make_toolchain(), tools=[tools.programs])
    return machine, start_systemd_engine(machine, tools)


def tools_of(release: str) -> "EngineTools":
    """Return the programs of today's engine or of the old one, getting them first where they are missing.

    Raises:
        UsageError: there is no such release.
    """
    from labsupport.backends.starting import make_toolchain
    from labsupport.systems.engines.tools import EngineTools

    if release not in RELEASES:
        raise UsageError(f"use the engine of release {release!r}", "there is none", f"one of: {', '.join(RELEASES)}")
    return EngineTools.old(make_toolchain()) if release == OLD else EngineTools.of(make_toolchain())


def _used_by_this_process(machine: "Machine") -> "Machine":
    owner = Owner.this_process()
    (machine.folder / USER_FILE).write_text(f"{owner.pid} {owner.started_at}")
    return machine


def _is_abandoned(machine: "Machine") -> bool:
    """Whether it was started for a trial of a process that has ended."""
    user = machine.folder / USER_FILE
    if not user.exists():
        return False
    pid, _, started_at = user.read_text().partition(" ")
    return not Owner(int(pid), started_at).is_alive()


def _undone(to_undo: list[tuple[str, Callable[[], None]]]) -> list[str]:
    done = []
    while to_undo:
        what, undo = to_undo.pop()
        undo()
        done.append(what)
    return done
