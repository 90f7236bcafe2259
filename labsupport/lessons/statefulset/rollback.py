"""Reads what sets want after a rollback, and what their pods that were broken still are."""

from typing import Any

from labsupport.display.tables import Cell, Table, table
from labsupport.experiments.steps import Step


def stuck_state(sets: Step, pods: Step) -> dict[str, list[str]]:
    """Return set → the image of its template and that of its pod, from `kubectl get … --output json` of several."""
    found = {_name(each): [_image(each["spec"]["template"])] for each in sets.json()["items"]}
    for pod in pods.json()["items"]:
        found[_name(pod).rpartition("-")[0]].append(_image(pod))
    return found


def stuck_table(sets: Step, pods: Step) -> Table:
    """The template that counts beside the pod that is there."""
    state = stuck_state(sets, pods)
    rows: list[list[Cell]] = []
    for pod in pods.json()["items"]:
        its_set = _name(pod).rpartition("-")[0]
        rows += [
            [f"the template of {its_set}", state[its_set][0], None],
            [_name(pod), state[its_set][1], _reason(pod)],
        ]
    return table("After the rollback", ["", "image", "waits because of"], rows)


def _name(holder: dict[str, Any]) -> str:
    return str(holder["metadata"]["name"])


def _image(holder: dict[str, Any]) -> str:
    return str(holder["spec"]["containers"][0]["image"])


def _reason(pod: dict[str, Any]) -> str | None:
    for status in pod["status"].get("containerStatuses", ()):
        if waiting := status.get("state", {}).get("waiting"):
            return str(waiting.get("reason", ""))
    return None
