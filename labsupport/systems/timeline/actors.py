"""Who a user of the API is, in words a reader knows. The order of LANES is the order in which work usually flows."""

YOU = "you"
API_SERVER = "API server"
SET_CONTROLLER = "StatefulSet controller"
VOLUME_CONTROLLER = "volume controller"
PROTECTION = "protection controllers"
PROVISIONER = "local-path provisioner"
SCHEDULER = "scheduler"
KUBELET = "kubelet"
SIMULATED_KUBELET = "simulated kubelet"
SLICE_CONTROLLER = "EndpointSlice controller"
COREDNS = "CoreDNS"
DISK = "disk"
OTHERS = "other controllers"

LANES = (
    YOU, API_SERVER, SET_CONTROLLER, VOLUME_CONTROLLER, PROTECTION, PROVISIONER, SCHEDULER, KUBELET,
    SIMULATED_KUBELET, DISK, SLICE_CONTROLLER, COREDNS, OTHERS,
)  # fmt: skip

# Where a component's work is drawn. The API server keeps nothing itself: without etcd its lane is empty.
_LANES_OF_COMPONENT = {
    "etcd": (API_SERVER,),
    "kube-apiserver": (API_SERVER,),
    "kube-controller-manager": (SET_CONTROLLER, VOLUME_CONTROLLER, SLICE_CONTROLLER, OTHERS),
    "kube-scheduler": (SCHEDULER,),
    "coredns": (COREDNS,),
    "kwok": (SIMULATED_KUBELET,),
}

_ACCOUNTS = "system:serviceaccount:"
_BY_ACCOUNT = {
    "statefulset-controller": SET_CONTROLLER,
    "persistent-volume-binder": VOLUME_CONTROLLER,
    "pv-protection-controller": PROTECTION,
    "pvc-protection-controller": PROTECTION,
    "endpointslice-controller": SLICE_CONTROLLER,
}
_BY_USER = {
    "system:apiserver": API_SERVER,
    "system:kube-scheduler": SCHEDULER,
    "system:kube-controller-manager": OTHERS,
    "system:coredns": COREDNS,
    "local-path-provisioner": PROVISIONER,
    "simulated-nodes": SIMULATED_KUBELET,
}


def who_wrote(user: str, agent: str = "") -> str:
    """Name the component that a request's user is, else that its user agent says it is; a person is “you”.

    A kubelet keeps its node's name where there is one: `kubelet on node-1`.
    """
    if user.startswith("system:node:"):
        return f"{KUBELET} on {user.removeprefix('system:node:')}"
    account = user.rpartition(":")[2] if user.startswith(_ACCOUNTS) else ""
    # Where all controllers share one user, each still signs its user agent.
    account = account or (agent.rpartition(":")[2] if f"/{_ACCOUNTS}" in agent else "")
    if account:
        return _BY_ACCOUNT.get(account, OTHERS)
    if user in _BY_USER:
        return _BY_USER[user]
    return OTHERS if user.startswith("system:") else YOU


def lanes_of_component(name: str) -> tuple[str, ...]:
    """Return the lanes that a component, such as kube-scheduler or kubelet@node-1, works in; a node is its kubelet."""
    return _LANES_OF_COMPONENT.get(name, (KUBELET,))


def works_for(who: str, component: str) -> bool:
    """Whether what `who` does is done by this component; with a node cut off, by the kubelet on it."""
    node = component.rpartition("@")[2]
    if who.startswith(KUBELET):
        return who == f"{KUBELET} on {node}"
    return who in lanes_of_component(component)


def lane_of(who: str) -> str:
    """Return the lane a component is drawn in: all kubelets share one."""
    return KUBELET if who.startswith(KUBELET) else who
