"""A node whose kubelet and runtime are told different cgroup drivers: what the cluster thinks of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labsupport.errors import ClusterError, WaitExpired
from labsupport.experiments.steps import Observation
from labsupport.experiments.trial import Trial

if TYPE_CHECKING:
    from labsupport.systems.clusters.joined import JoinedNode


def node_joined(trial: Trial, name: str, join: Callable[[], "JoinedNode"]) -> Observation:
    """Have a node join; return {"ready", "runtime", "says"}: of its node object, or why there is none."""

    def look() -> dict[str, Any]:
        try:
            node = join()
            node.wait_ready()
        except (ClusterError, WaitExpired) as error:
            return {"ready": False, "runtime": "", "says": error.happened}
        runtime = (node.node() or {})["status"]["nodeInfo"]["containerRuntimeVersion"]
        return {"ready": True, "runtime": runtime, "says": ""}

    return trial.observe(f"node {name} joins", look)
