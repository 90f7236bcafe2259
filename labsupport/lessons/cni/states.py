"""Reads what the API server and a plugin say: conditions of nodes, phases of pods, the input of a second call."""

import json
from typing import Any

from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step


def condition(node: Step, kind: str) -> dict[str, str]:
    """Return a condition of the node that `kubectl get node NAME --output json` printed.

    Raises:
        EvidenceError: it has none of that kind.
    """
    for each in node.json().get("status", {}).get("conditions", ()):
        if each["type"] == kind:
            return dict(each)
    raise EvidenceError(node.command, f"the node has no condition {kind}", "`kubectl describe node` shows what it has")


def phases(pods: Step) -> dict[str, str]:
    """Read `kubectl get pods --output json`: name → phase."""
    return {pod["metadata"]["name"]: pod["status"].get("phase", "") for pod in pods.json()["items"]}


def with_previous(configuration: str, added: Step) -> str:
    """Return the configuration of a later call: the same, with what ADD answered."""
    later: dict[str, Any] = {**json.loads(configuration), "prevResult": added.json()}
    return json.dumps(later)
