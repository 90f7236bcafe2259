"""What a notebook sees of its cluster: timelines, etcd's own content, and why a manifest was refused."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.errors import ClusterError
from labsupport.experiments.steps import Observation
from labsupport.experiments.trial import Trial

if TYPE_CHECKING:
    from labsupport.systems.clusters.started import StartedCluster
    from labsupport.systems.timeline import TimelineRecorder

FindCluster = Callable[[], "StartedCluster"]
NAMESPACE = "default"
DOMAIN = "svc.cluster.local"


class TimelineRecording:
    """A timeline being recorded, from the moment this is made until `read`; in replay, nothing is."""

    def __init__(
        self, trial: Trial, name: str, cluster: FindCluster, asking: Sequence[str], watching: Sequence[str] = ()
    ) -> None:
        self._trial = trial
        self._name = name
        self._recorder = _recorder(cluster(), asking, watching) if trial.is_live else None

    def read(self) -> Observation:
        """Return all that happened, as records; the recording ends."""
        return self._trial.observe(self._name, self.records, repeatable=True)

    def records(self) -> list[dict[str, Any]]:
        """Return them without keeping them as evidence; live only. The recording ends."""
        assert self._recorder is not None
        return self._recorder.read()


def _recorder(cluster: "StartedCluster", asking: Sequence[str], watching: Sequence[str]) -> "TimelineRecorder":
    from labsupport.systems.clusters.storage import folders_below
    from labsupport.systems.timeline import TimelineRecorder

    names = [f"{name}.{NAMESPACE}.{DOMAIN}" for name in asking]
    look = (lambda: folders_below(cluster.beside_volumes, watching)) if watching else None
    return TimelineRecorder(
        cluster.audit_log,
        cluster.door,
        cluster.dns_address,
        names=names,
        look=look,
        dns_port=cluster.dns_port,
        fault_journal=cluster.fault_journal,
    )


def etcd_content(trial: Trial, cluster: FindCluster) -> Observation:
    """Return {"revision", "objects"}: what etcd holds for the notebook's namespace."""

    def look() -> dict[str, Any]:
        from labsupport.systems.clusters.store import stored_objects

        return stored_objects(cluster().etcd_answer(), NAMESPACE)

    return trial.observe("etcd", look)


def dns_answer(trial: Trial, name: str, cluster: FindCluster) -> Observation:
    """Return {"name", "addresses"}: what cluster DNS answers when what it has been told of late has reached it."""
    whole = f"{name}.{NAMESPACE}.{DOMAIN}"

    def look() -> dict[str, Any]:
        from labsupport.systems.timeline.recorder import steady_answer

        live = cluster()
        return {"name": whole, "addresses": steady_answer(live.dns_address, live.dns_port, whole)}

    return trial.observe(f"what DNS answers to {name}", look)


def log_lines(trial: Trial, cluster: FindCluster, component: str, saying: str) -> Observation:
    """Return the lines of a component's log that have these words, in letters of any case."""

    def look() -> list[str]:
        lines = cluster().component(component).said().splitlines()
        return [line for line in lines if saying.casefold() in line.casefold()]

    return trial.observe(f"log of {component} about {saying}", look)


def refusal_of(trial: Trial, cluster: FindCluster, manifest: Path) -> Observation:
    """Return why a manifest is refused, with the line to blame; an empty text when it is not."""

    def look() -> str:
        try:
            cluster().apply(manifest)
        except ClusterError as error:
            return error.happened
        return ""

    return trial.observe(f"refusal of {manifest.name}", look)
