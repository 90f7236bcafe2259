"""Reads on which node each pod is, and tables it."""

from collections.abc import Sequence
from typing import Any

from labsupport.display.tables import Cell, Column, Table, table
from labsupport.experiments.steps import Step


def nodes_of(pods: Step, its_set: str) -> dict[str, str]:
    """Read `kubectl get pods --output json`: pod of the set → node, empty where it has none."""
    return {
        pod["metadata"]["name"]: pod["spec"].get("nodeName", "")
        for pod in pods.json()["items"]
        if pod["metadata"]["name"].rpartition("-")[0] == its_set
    }


def alive_on(pods: Step) -> dict[str, str]:
    """Read the node of each app's one pod that is ready and not to end; empty where there is none."""
    found: dict[str, str] = {}
    for pod in pods.json()["items"]:
        app = pod["metadata"].get("labels", {}).get("app", "")
        conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", ())}
        lives = "deletionTimestamp" not in pod["metadata"] and conditions.get("Ready") == "True"
        found[app] = found.get(app) or (pod["spec"].get("nodeName", "") if lives else "")
    return found


def share_a_node(nodes: dict[str, str]) -> bool:
    """Whether two pods are on one node."""
    placed = [node for node in nodes.values() if node]
    return len(set(placed)) < len(placed)


def placement_table(pods: Step) -> Table:
    """Each pod, its node, and what the scheduler says of one that has none."""
    rows: list[list[Cell]] = [
        [
            pod["metadata"]["name"],
            pod["spec"].get("nodeName") or None,
            "yes" if "deletionTimestamp" in pod["metadata"] else None,
            _why(pod["status"].get("conditions", ())),
        ]
        for pod in pods.json()["items"]
    ]
    columns: list[str | Column] = [Column("pod", "code"), "node", "to end?", Column("what the scheduler says", "prose")]
    return table("Where the pods are", columns, rows)


def _why(conditions: Sequence[Any]) -> str | None:
    messages = [each.get("message", "") for each in conditions if each["type"] == "PodScheduled"]
    return next((message for message in messages if message), None)
