"""Reads what a set wants after a rollback, and what the pod that was broken still is."""

from labsupport.display.tables import Table, table
from labsupport.experiments.steps import Step


def stuck_state(the_set: Step, pod: Step) -> dict[str, str]:
    """Return the image of the set's template and that of the pod, from `kubectl get … --output json`."""
    return {"template": _image(the_set.json()["spec"]["template"]), "pod": _image(pod.json())}


def stuck_table(the_set: Step, pod: Step) -> Table:
    """The template that counts beside the pod that is there."""
    found, waits = stuck_state(the_set, pod), _reason(pod)
    name = pod.json()["metadata"]["name"]
    return table(
        "After the rollback",
        ["", "image", "waits because of"],
        [["the set's template", found["template"], None], [name, found["pod"], waits]],
    )


def _image(holder: dict[str, dict[str, list[dict[str, str]]]]) -> str:
    return holder["spec"]["containers"][0]["image"]


def _reason(pod: Step) -> str | None:
    for status in pod.json()["status"].get("containerStatuses", ()):
        if waiting := status.get("state", {}).get("waiting"):
            return str(waiting.get("reason", ""))
    return None
