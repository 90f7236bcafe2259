"""When a cluster is usable, and what to say when it does not become so. Looks and waits; starts nothing."""

import http.client
from collections.abc import Callable, Sequence
from typing import Any

from labsupport.errors import ClusterError
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.components import Component, last_words
from labsupport.systems.clusters.door import ApiDoor

READY_WITHIN_SECONDS = 120.0
NOT_READY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def are_usable(door: ApiDoor, nodes: int) -> bool:
    """Whether pods can run: `nodes` nodes are Ready and free of the taint that goes a moment later, and `default`
    has the service account without which pods are refused."""
    found = (door.find("/api/v1/nodes") or {}).get("items") or []
    return (
        sum(takes_pods(node) for node in found) >= nodes
        and door.find("/api/v1/namespaces/default/serviceaccounts/default") is not None
    )


def shows_health_to(door: ApiDoor, user: str) -> bool:
    """Whether the API server is healthy and lets `user` see it, which comes later: roles reach what decides by a watch.

    A controller-manager that may not see it within ten seconds ends.
    """
    if door.status("/healthz") != http.client.OK:
        return False
    asked = {"user": user, "groups": ["system:authenticated"]}
    review = {"spec": {**asked, "nonResourceAttributes": {"path": "/healthz", "verb": "get"}}}
    try:
        return bool(door.create(REVIEWS, review).get("status", {}).get("allowed"))
    except ClusterError:  # it is not that far yet
        return False


def takes_pods(node: dict[str, Any]) -> bool:
    """Whether a node (as the API shows it) is Ready and schedulable."""
    conditions = {each["type"]: each["status"] for each in node.get("status", {}).get("conditions", [])}
    taints = node.get("spec", {}).get("taints") or []
    return conditions.get("Ready") == "True" and not any(taint["key"] in NOT_READY for taint in taints)


def wait_with(
    components: Sequence[Component],
    look: Callable[[], bool],
    what: str,
    *,
    within_seconds: float = READY_WITHIN_SECONDS,
    door: ApiDoor | None = None,
) -> None:
    """Wait until `look` is true, and say at once when a component ends instead of waiting for nothing.

    Args:
        door: where it is given, an expired wait also tells what the API server says of its own health, and which nodes
            take no pods.

    Raises:
        ClusterError: a component ended; the message has its own last words.
        WaitExpired: it took longer; the message says what runs, and each one's last words: logs go with the cluster.
    """

    def look_around() -> bool:
        if look():
            return True
        for component in components:
            component.refuse_if_ended(f"wait for {what}")
        return False

    wait_until(
        look_around,
        what,
        within_seconds=within_seconds,
        every_seconds=0.01,
        last_seen=lambda: "\n".join([*_health(door), *_nodes(door), *(_state(component) for component in components)]),
        do="look for what does not answer; a computer that is busy with other things may need another try",
    )


def _state(component: Component) -> str:
    state = "runs" if component.is_running() else "does not run"
    return f"{component.name} {state}; its last words: {last_words(component.log)}"


def _health(door: ApiDoor | None) -> list[str]:
    """What the API server's own check of its health found wrong."""
    if door is None:
        return []
    wrong = [line for line in door.text("/healthz?verbose").splitlines() if not line.startswith("[+]")]
    return [f"the API server on its health: {'; '.join(wrong) or 'no answer'}"]


def _nodes(door: ApiDoor | None) -> list[str]:
    """Each node that takes no pods, with its taints and what its kubelet says of its readiness."""
    answer = door.find("/api/v1/nodes") if door else None
    if answer is None:
        return []
    found = answer.get("items") or []
    return [_not_usable(node) for node in found if not takes_pods(node)] if found else ["no node has registered"]


def _not_usable(node: dict[str, Any]) -> str:
    conditions = {each["type"]: each for each in node.get("status", {}).get("conditions", [])}
    ready = conditions.get("Ready", {})
    taints = ", ".join(taint["key"] for taint in node.get("spec", {}).get("taints") or []) or "none"
    return (
        f"{node['metadata']['name']} takes no pods: Ready is {ready.get('status', 'not said')} "
        f"({ready.get('message', 'its kubelet said nothing')}); taints: {taints}"
    )
