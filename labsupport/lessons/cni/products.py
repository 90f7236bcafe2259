"""CNI products themselves, where they can be had: asked what all dataplanes are asked, or why they were not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from labsupport.display.style import AVAILABILITY
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.errors import LabError
from labsupport.experiments.steps import Observation, Step
from labsupport.experiments.trial import Trial
from labsupport.lessons.cni.matrix import ASSETS, ask
from labsupport.lessons.cni.whole import DENY, Findings, what_became_of

PRODUCTS = ("calico", "antrea", "cilium", "flannel")
NOT_LOOKED_AT = "not looked at"
WIRE, NO_ROUTE = "eth0", "none"
# Asks until nobody answers: how long a product takes to go by a policy is its own affair.
UNTIL_SILENT = "for n in $(seq 40); do timeout 5 wget -qO- http://web/clientip || exit 0; sleep 0.25; done"


class Lab(Protocol):
    """The part of a lab that this needs."""

    @property
    def is_live(self) -> bool: ...

    @property
    def products_out_of_reach(self) -> Mapping[str, str]: ...

    @property
    def trial(self) -> Callable[..., Trial]: ...

    @property
    def connect_pods_by_product(self) -> Callable[[Trial, str], Observation]: ...


@dataclass(frozen=True)
class Tried:
    """What became of a product: what it showed, or why it showed nothing. `state` is a word of `AVAILABILITY`.

    `route` is the one that leads from a node to a pod on the other.
    """

    state: str
    said: str
    findings: Findings | None = None
    route: str = ""


def try_products(lab: Lab) -> dict[str, Tried]:
    """Have each product connect the pods and ask them, in a trial of its own; say of the others why not."""
    return {name: _try(lab, name) for name in PRODUCTS}


def findings_of(tried: Mapping[str, Tried]) -> dict[str, Findings]:
    """Return what products showed, by names that say that it was they; empty where none could be had."""
    return {f"{name} itself": each.findings for name, each in tried.items() if each.findings is not None}


def products_table(title: str, tried: Mapping[str, Tried]) -> Table:
    """Which products took part, by which route packets leave a node there, and why the others did not."""
    rows: list[list[Cell]] = [
        [name, AVAILABILITY[each.state], each.said, each.route or None] for name, each in tried.items()
    ]
    columns: list[str | Column] = [
        "product",
        "here",
        Column("because", "prose"),
        Column("route to the other node's pods", "prose"),
    ]
    return table(title, columns, rows)


def told_route(got: Step) -> str:
    """Say where a route leads and who made it: to the wire between the nodes itself, or into some other device.

    A route that BGP has told may lead into a tunnel: its origin alone does not say that there is no overlay.
    """
    words = got.output.split()
    if "dev" not in words:
        return NO_ROUTE
    said = dict(pairwise(words))
    where = "the wire itself" if said["dev"] == WIRE else "not the wire itself"
    return f"dev {said['dev']} proto {said.get('proto', 'not told')}: {where}"


def _try(lab: Lab, name: str) -> Tried:
    if lab.is_live and (because := lab.products_out_of_reach[name]):
        return Tried("unavailable", because)
    trial = lab.trial(f"product-{name}")
    if not lab.is_live and trial.recorded is None:
        return Tried("unavailable", "nothing is live here, and nothing was recorded of it")
    try:
        connected = lab.connect_pods_by_product(trial, name)
        findings, route = _ask(trial)
    except LabError as error:
        # What is downloaded from others may be gone, or not made for this computer: that ends no notebook.
        return Tried("unavailable", f"{error.tried}: {error.happened}")
    return Tried("live" if lab.is_live else "recorded", f"version {connected['version']}", findings, route)


def _ask(trial: Trial) -> tuple[Findings, str]:
    pods, deny = f"-f {ASSETS}/pods.yaml", f"-f {ASSETS}/deny.yaml"
    trial.run(f"kubectl apply {pods}")
    trial.run("kubectl wait --for=condition=Ready pod --all --timeout=90s", within_seconds=100)
    open_to_all = ask(trial, and_node=True)
    far = next(address for address, name in open_to_all.addresses.items() if name == "pod far")
    route = trial.run(f"ip -oneline route get fibmatch {far}", on="node-1")
    trial.run("kubectl exec here -- sh /probe/keep-asking")
    trial.run(f"kubectl apply {deny}")
    trial.run(["kubectl", "exec", "here", "--", "sh", "-c", UNTIL_SILENT])
    denied = ask(trial, silence=2)
    kept_asking = trial.run("kubectl exec here -- sh /probe/keep-asking enough")
    trial.run(f"kubectl delete --force {pods} {deny}")
    return Findings(open_to_all, NOT_LOOKED_AT, {DENY: denied}, what_became_of(kept_asking)), told_route(route)
