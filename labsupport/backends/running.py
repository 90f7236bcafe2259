"""What runs of a lab: its machine, engine and cluster, what they need of a process, and what was made on them since."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.backends.choosing import KIND, NO_MACHINE_FOR_A_TRIAL, SIMULATED, Plan
from labsupport.backends.places import Places, PlacesRunner
from labsupport.errors import UsageError
from labsupport.process.ownership import VIRTUAL_KIND, give_to_caller, is_virtual

if TYPE_CHECKING:
    from labsupport.systems.clusters.lab_cluster import LabCluster
    from labsupport.systems.clusters.objects import Snapshot as ClusterSnapshot
    from labsupport.systems.clusters.own import OwnCluster
    from labsupport.systems.clusters.started import StartedCluster
    from labsupport.systems.engines.engine import Engine
    from labsupport.systems.engines.objects import Snapshot as EngineSnapshot
    from labsupport.systems.machines.machine import Machine
    from labsupport.systems.visits import Visit

BASELINE_FILE = "baseline.json"
TURN_FILE = "turn.json"


@dataclass
class Backends:
    """What runs: a machine, an engine and a cluster on it; each None where it does not.

    `visit` is there instead of a machine where engine and cluster are the user's, or nodes simulated.
    `images` are the lab's own that every engine of it has; `mended` is what a killed kernel had left broken.
    """

    plan: Plan
    machine: "Machine | None" = None
    engine: "Engine | None" = None
    cluster: "StartedCluster | OwnCluster | None" = None
    attached: bool = False
    images: tuple[str, ...] = ()
    mended: list[str] = field(default_factory=list)
    visit: "Visit | None" = None

    @property
    def labs_cluster(self) -> "StartedCluster | None":
        """The cluster where it is the lab's, with its components; None where it is the user's."""
        from labsupport.systems.clusters.own import OwnCluster

        return None if isinstance(self.cluster, OwnCluster) else self.cluster

    @property
    def cluster_with_nodes(self) -> "LabCluster | None":
        """The cluster where its nodes are machines of the lab's; None elsewhere."""
        from labsupport.systems.clusters.lab_cluster import LabCluster

        return self.cluster if isinstance(self.cluster, LabCluster) else None

    @property
    def simulated(self) -> tuple[str, ...]:
        """The parts that are not the real thing, for evidence and for what is shown."""
        return self.labs_cluster.simulated if self.labs_cluster is not None else ()

    @property
    def why_not_served(self) -> str:
        """Why this computer cannot serve a git repository to the lab's engine; empty where it can."""
        if self.visit is None or self.engine is None:
            return ""
        from labsupport.systems.machines.own_engine import unfit_for_serving

        return unfit_for_serving(self.engine.host, self.engine.client.info())

    @property
    def why_no_machine(self) -> str:
        """Why a trial that takes a machine of the lab's own is replayed; empty where there is one."""
        return NO_MACHINE_FOR_A_TRIAL if self.visit is not None and not self.plan.simulates else ""

    @property
    def home(self) -> "Machine | Visit | None":
        """What the lab's name, run folder and end are: its machine, or its visit; None where nothing is live."""
        return self.machine or self.visit

    @cached_property
    def places(self) -> Places:
        """The other engines and machines of this lab, by name."""
        return Places(self)

    @property
    def environment(self) -> dict[str, str]:
        """What commands, kernels and terminals need to talk to what is live, and to nothing else.

        Where a part is not live its command only says so: it must not reach an engine or cluster of the user.
        """
        engine = dict(self.engine.environment) if self.engine else _absent("engine", "DOCKER_HOST", "unix://{}")
        cluster = dict(self.cluster.environment) if self.cluster else _absent("cluster", "KUBECONFIG", "{}")
        folders = [folder for part in (engine, cluster) for folder in part["PATH"].split(os.pathsep)]
        # Those of the lab first, each once; what was on PATH before stays behind them.
        first = [folder for folder in folders if folder not in os.environ.get("PATH", "").split(os.pathsep)]
        return {**engine, **cluster, "PATH": os.pathsep.join(dict.fromkeys([*first, *folders]))}

    @property
    def runner(self) -> PlacesRunner:
        """Runs commands on this computer that find the engine and the cluster, or at the place they name."""
        return PlacesRunner(self.places)

    @property
    def name(self) -> str:
        """What evidence calls these backends."""
        if self.cluster is not None and self.cluster.kind in (KIND, SIMULATED):
            return self.cluster.kind
        if is_virtual():
            return VIRTUAL_KIND
        part = self.engine or self.cluster
        return part.kind if part is not None else "embedded"

    @property
    def own_words(self) -> dict[str, str]:
        """What belongs to this one run in outputs, and what to call it in evidence."""
        if self.home is None:
            return {}
        from labsupport.systems.toolchain.store import cache_folder

        words = {str(cache_folder()): "<cache>", str(self.home.folder): "<run>"}
        if self.plan.simulates and self.cluster is not None:
            words |= {self.cluster.server: "https://<this-computer>:6443"}
        if self.machine is None:
            return {**words, self.home.name: "<lab>"}
        return {**words, self.machine.address: "<machine>", self.machine.host_address: "<this-computer>"}

    def provenance(self) -> dict[str, Any]:
        """Say what was live: fields of the evidence's provenance, each the same on every run."""
        system = os.uname()
        facts: dict[str, Any] = {
            "kernel": f"{system.sysname} {system.release}",
            "machine": VIRTUAL_KIND if is_virtual() else self.machine.kind if self.machine else "none",
            "architecture": system.machine,
        }
        tools: list[Any] = []
        if self.engine is not None:
            engine = self.engine.provenance()
            facts["engine"] = _engine_in_words(engine)
            tools += engine["tools"]
            if self.machine is None:  # that of the user's engine may be another computer
                facts |= {"kernel": f"Linux {engine['kernel']}", "architecture": engine["architecture"]}
        if self.cluster is not None:
            cluster = self.cluster.provenance()
            facts["cluster"] = f"Kubernetes {cluster['version']}{_built_here(cluster['tools'])}"
            tools += [tool for tool in cluster["tools"] if tool not in tools]
        return {**facts, "tools": tuple(tools)}

    def provenance_of_trial(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Add to the `provenance` of these backends the other engines that took part in this trial."""
        engines, tools = [facts["engine"]] if "engine" in facts else [], list(facts["tools"])
        for engine in self.places.used():
            engines += [words for words in [_engine_in_words(engine)] if words not in engines]
            tools += [tool for tool in engine["tools"] if tool not in tools]
        return {**facts, **({"engine": " and ".join(engines)} if engines else {}), "tools": tuple(tools)}

    def snapshot(self) -> "Existing":
        """Note what is there, for `remove_since`."""
        return Existing(
            self.engine.snapshot() if self.engine else None, self.cluster.snapshot() if self.cluster else None
        )

    def remove_since(self, before: "Existing") -> list[str]:
        """Remove what was made since; say what, a line for each part that had something."""
        removed: list[Any] = [*self.undo_faults(), *self.places.undo_first()]
        if self.cluster is not None and before.on_cluster is not None:
            removed.append(self.cluster.remove_since(before.on_cluster))
        if self.engine is not None and before.on_engine is not None:
            gone = self.engine.remove_since(before.on_engine)
            removed.append(gone)
            # Somebody built something else under the name of one of ours.
            from labsupport.backends.starting import have_images

            have_images(self.engine, tuple(name for name in gone.lost if name.startswith("lab/")))
        return [str(each) for each in removed if each] + self.places.tidy()

    def undo_faults(self, *, also_others: bool = False) -> list[str]:
        """Undo what this process, or one that has ended, broke on purpose; `also_others`: whoever did. Say what."""
        from labsupport.systems.faults import is_abandoned, undo_faults

        if self.labs_cluster is None:
            return []
        whose = (lambda record: True) if also_others else is_abandoned
        return [f"a fault: {record}" for record in undo_faults(self.labs_cluster, whose=whose)]

    def keep_baseline(self) -> None:
        """Note what is there now: what `back_to_baseline` brings back, for whoever attaches later."""
        if self.home is not None:
            (self.home.folder / BASELINE_FILE).write_text(self.snapshot().as_json())
            # Written to by notebooks, which are the caller's where the lab is root's.
            (self.home.folder / TURN_FILE).touch()
            give_to_caller(self.home.folder / TURN_FILE)

    def back_to_baseline(self) -> list[str]:
        """Remove all that came since `keep_baseline`; say what."""
        assert self.home is not None
        baseline = self.home.folder / BASELINE_FILE
        if not baseline.exists():
            raise UsageError(
                f"reset {self.home.name}", "it is still starting, or belongs to a notebook", "end it, or wait for it"
            )
        return self.mended + self.back_to(Existing.from_json(baseline.read_text()))

    def back_to(self, before: "Existing") -> list[str]:
        """Undo and remove all that came since, whoever made it; say what."""
        return self.undo_faults(also_others=True) + self.remove_since(before) + self.places.end_all()

    def close(self) -> None:
        """End what was started here; what was found running stays."""
        self.places.close()
        if self.cluster is not None:
            self.cluster.door.close()
        if self.engine is not None:
            self.engine.close()
        if self.home is not None and not self.attached:
            self.home.close()


@dataclass(frozen=True)
class Existing:
    """What is on an engine and on a cluster at one moment."""

    on_engine: "EngineSnapshot | None" = None
    on_cluster: "ClusterSnapshot | None" = None

    def as_json(self) -> str:
        return json.dumps(asdict(self), default=sorted)

    @classmethod
    def from_json(cls, text: str) -> "Existing":
        from labsupport.systems.clusters.objects import Snapshot as OnCluster
        from labsupport.systems.engines.objects import Snapshot as OnEngine

        fields = json.loads(text)
        for part in fields.values():
            part and part.update({name: frozenset(value) for name, value in part.items() if isinstance(value, list)})
        return cls(
            OnEngine(**fields["on_engine"]) if fields["on_engine"] else None,
            OnCluster(**fields["on_cluster"]) if fields["on_cluster"] else None,
        )


def _absent(part: str, variable: str, form: str) -> dict[str, str]:
    folder = Path(__file__).parent.parent / "absent" / part
    return {variable: form.format(folder / "nothing-is-live"), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def _built_here(tools: Sequence[Mapping[str, Any]]) -> str:
    return " (built here)" if any(tool["source"] == "built here" for tool in tools) else ""


def _engine_in_words(engine: Mapping[str, Any]) -> str:
    return f"Docker {engine['version']}{_built_here(engine['tools'])}"
