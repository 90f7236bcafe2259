"""Reads what the API server and a plugin say: conditions of nodes, phases of pods, the input of a second call."""

import json
from collections.abc import Mapping
from typing import Any

from labsupport.display.tables import Cell, Column, Table, table
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


def with_ipam(configuration: str, **changes: Any) -> str:
    """Return a configuration of a plugin whose part about addresses is another."""
    content: dict[str, Any] = json.loads(configuration)
    return json.dumps({**content, "ipam": {**content["ipam"], **changes}})


def refusals_table(title: str, refusals: Mapping[str, Step]) -> Table:
    """What was wrong, and what a plugin says of it, which is JSON also then."""
    rows: list[list[Cell]] = [
        [what, step.exit_code, step.json()["code"], step.json()["msg"]] for what, step in refusals.items()
    ]
    columns: list[str | Column] = ["wrong", Column("exit code", "number"), Column("code", "number")]
    return table(title, [*columns, Column("message", "prose")], rows)


def with_previous(configuration: str, added: Step) -> str:
    """Return the configuration of a later call: the same, with what ADD answered."""
    later: dict[str, Any] = {**json.loads(configuration), "prevResult": added.json()}
    return json.dumps(later)
