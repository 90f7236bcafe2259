"""A lab as a notebook sees it: trials on whatever is live or recorded, the exercises, and an end that leaves nothing.

`open_lab` is the one name learners need. Wires experiments, lessons and display to the backends.
"""

import atexit
import os
import platform
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from labsupport.backends import (
    ATTACH_VARIABLE,
    NO_AUDIT_LOG,
    Backends,
    Existing,
    LabOptions,
    Turn,
    attach_backends,
    end_and_look,
    have_images,
    plan,
    start_backends,
    take_turn,
)
from labsupport.describing import card_of_live, card_of_replay, replayed_trials
from labsupport.display.cards import Card, closing
from labsupport.display.exercises import progress_shown
from labsupport.display.explorer import Attempt, Explorer
from labsupport.display.markup import Shown
from labsupport.display.notebook import install, show
from labsupport.display.origin import LIVE, Origin
from labsupport.errors import RequirementMissing, UsageError
from labsupport.experiments.claims import load_ledger
from labsupport.experiments.evidence import Provenance, all_recorded, forget_live
from labsupport.experiments.exercises import Exercise
from labsupport.experiments.handing_in import hand_in
from labsupport.experiments.logbook import Live, Logbook, Recorded, not_asked_for
from labsupport.experiments.progress import ProgressFile
from labsupport.experiments.runners import NothingRecorded
from labsupport.experiments.scrubbing import Scrubber
from labsupport.experiments.steps import Observation
from labsupport.experiments.trial import Trial, words_of
from labsupport.lessons.catalog import SIMULATION_WOULD_ANSWER, Lesson, exercises_of, lesson
from labsupport.lessons.needs import Needs
from labsupport.lessons.workbench import Workbench
from labsupport.observing.cluster import TimelineRecording, dns_answer, etcd_content, log_lines, refusal_of
from labsupport.observing.dataplanes import (
    FrameRecording,
    pods_connected,
    policy_in_force,
    product_connecting,
    products_out_of_reach,
)
from labsupport.observing.engines import contents, engine_started, engines_started
from labsupport.observing.faults import Fault
from labsupport.observing.logs import LogReceivers
from labsupport.observing.network import FrameCapture, path_seen, topologies_seen
from labsupport.observing.nodes import node_joined
from labsupport.observing.sources import git_served
from labsupport.observing.volumes import disk_attached
from labsupport.observing.whereabouts import whereabouts_of
from labsupport.process.ownership import Owner
from labsupport.process.progress import Progress
from labsupport.project import Project, this_project

if TYPE_CHECKING:
    from labsupport.systems.clusters.joined import Driver
    from labsupport.systems.clusters.lab_cluster import LabCluster
    from labsupport.systems.clusters.started import StartedCluster
    from labsupport.systems.engines.engine import Engine
    from labsupport.systems.machines.machine import Machine

EVIDENCE_VARIABLE = "LAB_EVIDENCE"
RECORD_VARIABLE = "LAB_RECORD"
# The only trials that are to be live, where not all are: "neighbour,swarm".
TRIALS_VARIABLE = "LAB_TRIALS"

# Running a notebook's first cell again replaces its lab: the one before must not go on beside it.
_open_labs: dict[str, "Lab"] = {}


def open_lab(
    notebook: str, *, engine: str = "auto", cluster: str = "auto", machine: str = "auto", seed: int = 0
) -> "Lab":
    """Open the lab of a notebook and show its card: what is live, what is recorded, what is missing and why.

    Attaches to the lab that `./lab start` or `./lab up` keeps, else starts one that ends with this process.

    Args:
        notebook: such as "06-dockerfile-instructions".
        engine, cluster, machine: as the command line's options of that name; "auto" does what this computer can.
        seed: chooses among variations of exercises; the same seed gives the same ones.

    Raises:
        LabError: it cannot be opened; the message says what to do.
    """
    started = time.monotonic()
    about = lesson(notebook).asked_for([each for each in os.environ.get(TRIALS_VARIABLE, "").split(",") if each])
    if before := _open_labs.pop(about.slug, None):
        before.close()
    install()
    backends, turn = _backends(LabOptions(engine, cluster, machine).or_from_environment(), about)
    try:
        opened = Lab(about, backends, seed, turn)
    except BaseException:
        backends.close()
        raise
    _open_labs[about.slug] = opened
    install(lambda: opened.origin)
    opened.let_shells_reach_it()
    show(opened.card(time.monotonic() - started))
    if opened.is_live and not about.asked:
        backends.places.start_ahead(about.needs.engines)
    return opened


def _backends(options: LabOptions, about: Lesson) -> tuple[Backends, Turn | None]:
    """What runs for a notebook; and its turn, where it is in a lab that stays."""
    name, needs = os.environ.get(ATTACH_VARIABLE), about.needs
    if name and "replay" not in (options.engine, options.cluster):
        attached = attach_backends(name)
        if attached.plan.why_not(needs):  # on what is the user's, say; shown from its recorded evidence as a whole
            attached.close()
            return Backends(attached.plan), None
        attached.images = needs.images
        for each in attached.mended:
            print(f"A notebook that was killed had left {each}. It is mended.")
        turn, told = take_turn(attached, about.slug)
        print(*told, sep="\n", end="\n" if told else "")
        if attached.engine is not None:
            have_images(attached.engine, needs.images, _tell)
        return attached, turn
    chosen = plan(options)
    # A notebook of which a part cannot be live is shown from its recorded evidence as a whole.
    needed = Needs() if chosen.why_not(needs) else needs
    return start_backends(chosen, needed, owner=Owner.this_process(), listener=_tell), None


def _tell(progress: Progress) -> None:
    """Say what takes long the first time; steps on the way (with a fraction) would fill the cell."""
    if progress.fraction is None:
        print(progress.text, flush=True)


class Lab:
    """One notebook's lab. Made by `open_lab`."""

    def __init__(self, about: Lesson, backends: Backends, seed: int, turn: Turn | None = None) -> None:
        self.notebook = about.slug
        self.seed = seed
        self._about = about
        self._backends = backends
        self._project = this_project()
        self._progress = ProgressFile(self._project.work / "progress.json")
        self._before = backends.snapshot()
        self._turn = turn
        if turn:
            turn.note(self._before)
            atexit.register(turn.end)  # after the logbook, which is registered later
        self._path = os.environ["PATH"]
        self._ends_with_its_machine = False
        self._exercises: dict[str, Exercise[Any]] = {}
        self._logbook = Logbook(
            about.slug,
            load_ledger(self._project.claims),
            self._mode(),
            scrubber=Scrubber.for_this_computer({**backends.own_words, **_places(self._project)}),
            on_predict=lambda trial: self._progress.predicted(trial.experiment),
        )

    @property
    def engine(self) -> "Engine":
        """The live engine.

        Raises:
            UsageError: nothing is live here.
        """
        return self._backends.engine or self._nothing_live("lab.engine")

    @property
    def cluster(self) -> "StartedCluster":
        """The live cluster; `lab.cluster.api` is the official client's ApiClient for it.

        Raises:
            UsageError: nothing is live here.
            RequirementMissing: it is the user's own; a notebook has none of it but its commands.
        """
        if self._backends.cluster is not None and self._backends.labs_cluster is None:
            raise RequirementMissing("lab.cluster", NO_AUDIT_LOG, "leave --cluster own out")
        return self._backends.labs_cluster or self._nothing_live("lab.cluster")

    @property
    def _cluster_with_nodes(self) -> "LabCluster":
        if self._backends.simulated:
            do = "`./lab doctor` says what real nodes take here"
            raise RequirementMissing("connect pods, or look at their network", self._backends.plan.no_nodes, do)
        return self._backends.cluster_with_nodes or self._nothing_live("lab.cluster")

    @property
    def machine(self) -> "Machine":
        """The machine that the engine runs on.

        Raises:
            UsageError: nothing is live here.
            RequirementMissing: the engine is the user's own.
        """
        return self._backends.places.machine("machine") if self.is_live else self._nothing_live("lab.machine")

    def engine_called(self, name: str) -> "Engine":
        """Return another live engine of this lab: "old", "peer", or one that `start_engine` started in this trial."""
        return self._backends.places.engine(name)

    def machine_called(self, name: str) -> "Machine":
        """Return another live machine of this lab: "old-machine" is the one that the engine "old" has to itself."""
        return self._backends.places.machine(name)

    def start_machine(self, trial: Trial, name: str) -> Observation:
        """Start the machine of an engine to come, so that `on="NAME-machine"` can prepare it; return {"address"}."""
        return trial.observe(
            f"start of the machine {name}", lambda: {"address": self._backends.places.start_machine(name).address}
        )

    def start_engine(
        self,
        trial: Trial,
        name: str,
        daemon_json: str | Mapping[str, Any],
        *,
        flags: Sequence[str] = (),
        release: str = "today",
        images: Sequence[str] = (),
        repeatable: bool = False,
    ) -> Observation:
        """Start an engine of this trial with exactly this daemon.json; then `trial.run(…, on=name)` talks to it.

        Starting it again stops it first, and starts it on the same machine and data.

        Args:
            daemon_json: the file, which need not be valid; or settings.
            flags: more of the daemon's own flags.
            release: "today", or "old" for the engine of an older release.
            images: of the lab's own, such as "lab/toolbox", to have on it.
            repeatable: in replay its recording may be shown as often as asked.

        Returns:
            {"started", "says"}: whether it answers, and what the daemon said if not.
        """
        content = Path(daemon_json) if isinstance(daemon_json, str) else daemon_json
        places = self._backends.places

        def start() -> "Engine":
            return places.start_engine(name, content, flags=flags, release=release, images=images)

        return engine_started(trial, name, start, repeatable=repeatable)

    def join_node(
        self, trial: Trial, name: str, *, containerd: str, runtime: "Driver", kubelet: "Driver"
    ) -> Observation:
        """Have a node join the cluster until the trial ends; then `on="NAME-machine"` is a root shell on it.

        It is a systemd machine with containerd.service and kubelet.service. Joining again sets it up anew.

        Args:
            containerd: its release, "1.6" or "2".
            runtime, kubelet: the cgroup driver that each is told: "systemd" or "cgroupfs".

        Returns:
            {"ready", "runtime", "says"}: whether it turned Ready, with which runtime, and what it said if not.
        """
        from labsupport.systems.clusters.joined import Drivers

        drivers = Drivers(containerd, runtime, kubelet)
        return node_joined(trial, name, lambda: self._backends.places.join_node(name, drivers))

    def serve_git(self, trial: Trial, name: str, *, at: str) -> Observation:
        """Serve a git repository with one file at an address of the lab's machine, until the trial ends.

        Returns:
            {"url", "commands"}: where builds find it, and what one would type to make it.
        """
        return git_served(trial, self._backends.places, name, at=at)

    def start_engines(
        self,
        trial: Trial,
        engines: str | Mapping[str, str | Mapping[str, Any]],
        *,
        prepare: str = "",
        flags: Mapping[str, Sequence[str]] | None = None,
        release: str = "today",
        images: Sequence[str] = (),
    ) -> Observation:
        """Start several engines at the same time, each as `start_engine` does.

        Args:
            engines: each one's daemon.json, by its name; or a folder with a NAME.json for each.
            prepare: a command to run first on each machine, as root, with the engine's name as its last word.
            flags: more of the daemon's own flags, by the name of the engine that gets them.

        Returns:
            {name: {"started", "says"}}.
        """
        places = self._backends.places

        def start(name: str, daemon_json: Path | Mapping[str, Any]) -> "Engine":
            places.start_machine(name)
            if prepare:
                places.runner(f"{name}-machine").run([*words_of(prepare), name]).or_raise()
            own = (flags or {}).get(name, ())
            return places.start_engine(name, daemon_json, flags=own, release=release, images=images)

        return engines_started(trial, {name: partial(start, name, content) for name, content in contents(engines)})

    def attach_disk(self, trial: Trial, name: str, *, on: str, at: str, megabytes: int) -> Observation:
        """Give a place (see `trial.run(…, on=…)`) an empty disk with a file system, mounted at `at` for this trial.

        Returns:
            {"device", "commands"}: a name for the block device there, and what one would type to make it.
        """
        return disk_attached(trial, self._backends.places, name, on=on, at=at, megabytes=megabytes)

    def topology(self, trial: Trial, *engines: str) -> Observation:
        """Return the network of each engine's machine as it is now; without names, that of the lab's own engine."""
        return topologies_seen(trial, self._backends, engines)

    def capture(self, trial: Trial, name: str, *, port: str = "", interface: str = "", only: str = "") -> FrameCapture:
        """Capture frames at one place, from now until its `read()`.

        Args:
            name: tells captures of one trial apart.
            port: of the lab's switch, named as the machine there; or
            interface: of the machine of the lab's engine, such as lo.
            only: what counts, as tcpdump wants it: "udp port 4789".
        """
        return FrameCapture(trial, self._backends, name, port or interface, only, at_the_switch=bool(port))

    def path(self, trial: Trial, engine: str, containers: Sequence[str], command: str) -> Observation:
        """Run a command on an engine, and return {"said", "passages"}: where its connection's first packets passed."""
        return path_seen(trial, self._backends, engine, containers, command)

    @property
    def is_live(self) -> bool:
        return self._backends.home is not None

    def trial(self, name: str, settles: str | Sequence[str] = ()) -> Trial:
        """Open a trial; it ends the one before, whose evidence is written and whose objects are removed."""
        self._require_turn(f"open the trial {name}")
        opened = self._logbook.trial(name, settles)
        if self._about.asked:
            self.let_shells_reach_it()
        return opened

    def let_shells_reach_it(self) -> None:
        """Have `!docker` and `!kubectl` be those of what is live; in no trial that was not asked for."""
        latest = self._logbook.latest
        asked = not self._about.asked or (latest is not None and latest.is_open and latest.is_live)
        os.environ["PATH"] = self._path
        os.environ.update((self._backends if asked else Backends(self._backends.plan)).environment)

    def record_timeline(
        self, trial: Trial, name: str = "timeline", *, asking: Sequence[str] = (), watching: Sequence[str] = ()
    ) -> TimelineRecording:
        """Record who writes what, when and why on the cluster, from now until the recording's `read()`.

        Args:
            name: tells timelines of one trial apart.
            asking: names of the namespace, such as web-0.web, that cluster DNS is asked for all the while.
            watching: folders at the place "volumes", such as /tmp/hostpath_pv; what each folder in them holds is noted.
        """
        return TimelineRecording(trial, name, lambda: self.cluster, asking, watching)

    def fault(self, trial: Trial, action: str, target: str) -> Fault:
        """Break a part of the lab's own cluster, until the end of a `with` block, its `undo()`, or the trial's end.

        Args:
            action: stop, kill or freeze a component; cut off a node.
            target: kube-scheduler, kube-controller-manager, coredns, etcd, kubelet@node-1 …; or the node.

        Raises:
            LabError: there is no such action or target.
        """
        return Fault(trial, lambda: self.cluster, action, target)

    def whereabouts(self, trial: Trial) -> Observation:
        """Return what runs where at this moment: {"computer", "machines"}."""
        return whereabouts_of(trial, self._backends)

    def etcd(self, trial: Trial) -> Observation:
        """Return etcd's revision and what it holds for this notebook: {"revision", "objects"}."""
        return etcd_content(trial, lambda: self.cluster)

    def ask_dns(self, trial: Trial, name: str) -> Observation:
        """Ask cluster DNS for a name of the notebook's namespace, such as web-0.web, until its answer stays the same.

        Returns:
            {"name", "addresses"}: the whole name, and what it leads to; nothing where DNS knows no such name.

        Raises:
            WaitExpired: nobody answers.
        """
        return dns_answer(trial, name, lambda: self.cluster)

    def log(self, trial: Trial, component: str, saying: str) -> Observation:
        """Return the lines of a cluster component's log that say this, whatever the case of their letters."""
        return log_lines(trial, lambda: self.cluster, component, saying)

    def refusal(self, trial: Trial, manifest: str) -> Observation:
        """Try to apply a manifest, and return why it is refused, with the line to blame."""
        return refusal_of(trial, lambda: self.cluster, Path(manifest))

    def connect_pods(self, trial: Trial, dataplane: str) -> Observation:
        """Connect pods another way until the trial ends: "flannel-vxlan", "bgp", "none", …

        Returns:
            {"dataplane", "daemons"}: its name, and the names of its programs on the nodes.
        """
        return pods_connected(trial, dataplane, lambda: self._cluster_with_nodes, self._backends.places)

    def connect_pods_by_product(self, trial: Trial, name: str) -> Observation:
        """Get a CNI product as its project publishes it, and connect pods with it until the trial ends.

        Args:
            name: "calico", "antrea", "cilium" or "flannel".

        Returns:
            {"product", "version", "images"}: of each image the digest that its registry had for it.

        Raises:
            RequirementMissing: it cannot be downloaded.
            LabError: it did not come up.
        """
        return product_connecting(trial, name, lambda: self._cluster_with_nodes, self._backends.places, _tell)

    @cached_property
    def products_out_of_reach(self) -> dict[str, str]:
        """Why each CNI product cannot be had here; empty where it can. Asks their hosts, once."""
        if self._about.asked:
            return defaultdict(lambda: not_asked_for("", self._about.asked))
        return products_out_of_reach()

    def wait_for_policy(self, trial: Trial, name: str, node: str) -> Observation:
        """Return when a node goes by this NetworkPolicy, where the dataplane enforces any."""
        return policy_in_force(trial, name, node, lambda: self._cluster_with_nodes)

    def record_frames(self, trial: Trial, name: str, node: str, interface: str) -> FrameRecording:
        """Capture the packets of pods that pass a place, from now until the recording's `read()`.

        Args:
            interface: of the node, such as eth0; or "pod NAME", the one that leads to this pod.
        """
        return FrameRecording(trial, name, node, interface, lambda: self._cluster_with_nodes)

    def receivers(self, trial: Trial) -> LogReceivers:
        """Return the log collectors of the engine's machine, all listening and empty; in replay there are none."""
        receivers = LogReceivers(trial, lambda: self.machine)
        # The engine cannot end a container while its driver waits for a collector that is gone.
        self._backends.places.undo_at_the_end("what was done to the collectors", receivers.start, first=True)
        return receivers

    def settled(self) -> "Settled":
        """Say which claims this notebook settled, and how; the same on every run.

        Raises:
            LedgerError: a claim was not judged, or its verdict is not the ledger's.
        """
        return Settled(self._logbook.settled())

    def exercise(self, name: str) -> Exercise[Any]:
        """Return an exercise of this notebook: `check()` it as often as you like, ask it for a `hint()`.

        Raises:
            UsageError: this notebook has no such exercise.
        """
        if name not in self._exercises:
            made = exercises_of(self._about)
            if name not in made:
                raise UsageError(
                    f"open the exercise {name!r}",
                    f"{self.notebook} has none of that name",
                    f"one of: {', '.join(made)}",
                )
            self._exercises[name] = self._wired(made[name](self._workbench(), self.seed))
        return self._exercises[name]

    def explore(self, explorer: Explorer) -> Explorer:
        """Return the widget; while evidence is being recorded, play every position of it first.

        Raises:
            LabError: while recording, one of them failed: evidence without it must not be kept.
        """
        trial = self._logbook.latest
        if trial and trial.is_live and os.environ.get(RECORD_VARIABLE):
            for attempt in explorer.play_all():
                if attempt.error is not None:
                    raise attempt.error
        if trial:
            trial.when_doing(lambda what: explorer.listen(Progress(f"Running: {what}")))
        explorer.when_attempted(self._note_prediction)
        return explorer

    def progress(self, name: str = "") -> Shown:
        """Say how far you are, in all notebooks; with a name, also write the file that you hand in to your class.

        In it are that name, which predictions and exercises you did and how they came out, versions, and when it was
        written: nothing else.
        """
        kept = self._progress.read()
        if not name:
            return progress_shown(kept)
        versions = {"labs": self._project.version, "Python": platform.python_version()}
        return progress_shown(kept, hand_in(name, kept, versions, self._project.work))

    @property
    def origin(self) -> Origin:
        """Where what is shown now was seen: as the latest trial says that showed anything; plain before the first."""
        seen = [trial for trial in self._logbook.trials.values() if trial.is_live or trial.recorded]
        latest = seen[-1] if seen else self._logbook.latest
        return Origin.of(latest) if latest else LIVE

    def reset(self) -> None:
        """Remove everything trials have made; the engine goes on."""
        self._require_turn("lab.reset()")
        self._logbook.end_trial()
        if self._about.asked:
            self.let_shells_reach_it()
        self._remove_objects()

    def card(self, seconds: float | None = None) -> Card:
        """What is live here, what is recorded, and what is missing and why."""
        if self.is_live:
            return card_of_live(self._about, self._backends, seconds)
        recorded = all_recorded(self._project.recorded_evidence, self.notebook)
        return card_of_replay(self._about, self._reason, recorded, seconds)

    @property
    def _reason(self) -> str:
        """Why nothing is live, as the end of “not live: …”."""
        return self._backends.plan.why_not(self._about.needs)

    def close(self) -> None:
        """End the lab with all that was started for it; on one that stays, what its trials made. Shows what is left."""
        # One by one, removing what trials made takes seconds; with its machine all of it goes at once.
        self._ends_with_its_machine = not self._backends.attached
        if _open_labs.get(self.notebook) is self:
            del _open_labs[self.notebook]
        started = time.monotonic()
        home = self._backends.home
        try:
            self._end_experiments()
        except BaseException:
            # Whatever refuses to be tidied up goes with the machine it is on.
            self._backends.close()
            raise
        left = end_and_look(self._backends)
        name = home.name if home else self.notebook
        show(closing(name, tuple(map(str, left)), time.monotonic() - started))

    def _end_experiments(self) -> None:
        self._logbook.close()
        for exercise in self._exercises.values():
            exercise.close()
        if self._backends.attached:
            self._remove_objects()
        if self._turn:
            atexit.unregister(self._turn.end)
            self._turn.end()

    def __repr__(self) -> str:
        return str(self.card())

    def _note_prediction(self, attempt: Attempt) -> None:
        if attempt.as_predicted is not None:
            self._progress.judged(self.notebook, attempt.where, right=attempt.as_predicted)

    def _wired(self, exercise: Exercise[Any]) -> Exercise[Any]:
        """Have a check take along what it made itself, and its outcome counted."""
        name, look = exercise.name, exercise.look
        exercise.on_attempt = lambda outcome: self._progress.attempted(self.notebook, name, unmet=outcome.unmet)
        if not self._has_exercises:
            return exercise
        before: list[Existing] = []

        def look_after_noting() -> Any:
            self._require_turn(f"check {name}")
            before.append(self._backends.snapshot())
            return look()

        def remove_what_came_since() -> None:
            while before:
                self._remove_since(before.pop())

        exercise.look, exercise.after_each_check = look_after_noting, remove_what_came_since
        return exercise

    @property
    def _has_exercises(self) -> bool:
        """Whether exercises can be checked: what they ask for, a simulation would grant; nor are they a trial."""
        return self.is_live and not self._backends.simulated and not self._about.asked

    def _workbench(self) -> Workbench:
        if self._has_exercises:
            return self._backends.runner
        reason = SIMULATION_WOULD_ANSWER if self.is_live else self._reason
        reason = not_asked_for("", self._about.asked) or reason
        return _NothingLive(f"{self.notebook}/exercise", reason)

    def _mode(self) -> Live | Recorded:
        backends = self._backends
        if not self.is_live:
            return Recorded(self._project.recorded_evidence, self._reason)
        folder = Path(os.environ.get(EVIDENCE_VARIABLE) or self._project.live_evidence)
        forget_live(folder, self.notebook)
        facts = backends.provenance()
        return Live(
            backends.runner,
            folder,
            backends.name,
            lambda: Provenance.model_validate(backends.provenance_of_trial(facts)),
            on_close=lambda _: self._remove_objects(),
            simulated=backends.simulated,
            replayed=replayed_trials(self._about, backends),
            recorded=self._project.recorded_evidence,
            only=self._about.asked,
            require=self._require_turn,
        )

    def _require_turn(self, tried: str) -> None:
        if self._turn:
            self._turn.require(tried)

    def _remove_objects(self) -> None:
        if not self._ends_with_its_machine:
            self._remove_since(self._before)

    def _remove_since(self, before: Existing) -> None:
        # After its turn what came since is the next notebook's.
        if not (self._turn and self._turn.is_over):
            self._backends.remove_since(before)

    def _nothing_live(self, tried: str) -> NoReturn:
        raise UsageError(tried, f"nothing is live here: {self._reason}", "`./lab doctor` says how to change that")


class _NothingLive(NothingRecorded):
    """What an exercise has where nothing is live: every use says why."""

    def start_engine(self, name: str, daemon_json: Mapping[str, Any] | Path, *, images: Sequence[str] = ()) -> None:
        del daemon_json, images
        self.run(["start", "the", "engine", name])


class Settled:
    """The claims a notebook settled. Plain text on purpose: it is stored in the notebook and compared."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _places(project: Project) -> dict[str, str]:
    return {str(Path.cwd()): "<notebooks>", str(project.root): "<project>"}
