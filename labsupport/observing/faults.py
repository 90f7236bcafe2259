"""Something of the lab's cluster broken on purpose, for the length of a block or until it is undone."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from labsupport.experiments.steps import Observation
from labsupport.experiments.trial import Trial

if TYPE_CHECKING:
    from labsupport.systems.clusters.started import StartedCluster
    from labsupport.systems.faults import FaultRecord

FindCluster = Callable[[], "StartedCluster"]


class Fault:
    """What `lab.fault(…)` broke: mended at the end of its `with` block, by `undo()`, or with its trial.

    In replay nothing is broken, and nothing mended.

    Attributes:
        seen: what was done, as evidence keeps it.
    """

    def __init__(self, trial: Trial, cluster: FindCluster, action: str, target: str) -> None:
        self._cluster = cluster
        self._record: FaultRecord | None = None
        self.seen: Observation = trial.observe(f"{action} {target}", lambda: self._make(action, target))

    def undo(self) -> None:
        """Mend it, and return when the cluster is usable again; mended already is fine.

        Raises:
            LabError: it cannot be mended; `lab.reset()` tries again, and a new lab has none of it.
        """
        if self._record is not None:
            from labsupport.systems.faults import undo_faults

            undo_faults(self._cluster(), whose=lambda record: record == self._record)

    def __enter__(self) -> "Fault":
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()

    def __repr__(self) -> str:
        return repr(self.seen)

    def _make(self, action: str, target: str) -> dict[str, str]:
        from labsupport.systems.faults import make_fault

        self._record = make_fault(self._cluster(), action, target)
        return {"done": str(self._record)}
