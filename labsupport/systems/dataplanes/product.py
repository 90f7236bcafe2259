"""A CNI product itself, as its project publishes it: its manifest is applied, and the rest is its own doing.

What it takes, products.getting has downloaded and `LabCluster.provide_product` put on the cluster. kube-proxy stays.
What products leave on nodes is removed as far as it is known: after one, a new cluster is the surest.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labsupport.errors import ClusterError
from labsupport.process.commands import CommandResult
from labsupport.process.waiting import wait_until
from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.node import MORE_PLUGINS, NodeOnMachine
from labsupport.systems.dataplanes.dataplane import Fabric, remove_links, remove_routes
from labsupport.systems.products.known import PRODUCTS, Product

PREFIX = "product-"
FOLDER = "products"
ASKED_WITHIN_SECONDS, UP_WITHIN_SECONDS, REMOVED_WITHIN_SECONDS = 60.0, 240.0, 120.0
KINDS = "CustomResourceDefinition"
CONFIGURATIONS = "/etc/cni/net.d"
# How a container's state says that it ended as it should; and why one will never run, however long one waits.
DONE = "Completed"
FOR_GOOD = ("ErrImageNeverPull", "InvalidImageName")
# $1: range of all pods; $2: a pattern of interfaces; $3: how chains begin; $4: tables; $5: mounts; then folders.
CLEAN = r"""
pods=$1 links=$2 chains=$3 tables=$4 mounts=$5
shift 5
find "$(readlink -f /etc/cni/net.d)" -mindepth 1 -delete
umount --lazy $mounts
rm -rf "$@"
for link in $(ip -oneline link | sed -E 's/^[0-9]+: ([^:@]+)[:@].*/\1/' | grep -xE "$links"); do
    ip link delete "$link"
done
ip route flush root "$pods"
[ -z "$tables" ] || echo "$tables" | while read -r table; do nft delete table $table; done
[ -z "$chains" ] || iptables-save | awk -v chains="$chains" '
    /^[*]/ { print; emptied = "" }
    index($1, ":" chains) == 1 { print "-F " substr($1, 2); emptied = emptied "-X " substr($1, 2) "\n" }
    $1 == "-A" && index($2, chains) != 1 && index($0, "-j " chains) { print "-D" substr($0, 3) }
    /^COMMIT/ { printf "%s", emptied; print }
' | iptables-restore --noflush
"""


@dataclass(frozen=True)
class Provided:
    """What a cluster was given of a product: files in its folder, where another process finds them too."""

    manifest: Path
    kubectl: Path

    @classmethod
    def of(cls, folder: Path, name: str) -> "Provided":
        """Say where the cluster of this folder has it, or would."""
        return cls(folder / FOLDER / f"{name}.json", folder / FOLDER / "kubectl")

    def write(self, manifest: str, kubectl: Path) -> None:
        """Give it to the cluster."""
        self.manifest.parent.mkdir(exist_ok=True)
        self.manifest.write_text(manifest)
        self.kubectl.unlink(missing_ok=True)
        self.kubectl.symlink_to(kubectl)

    def objects(self) -> list[dict[str, Any]]:
        """Return what the manifest makes."""
        return list(json.loads(self.manifest.read_text())["items"])

    def run(self, fabric: Fabric, *words: str) -> CommandResult:
        """Run kubectl on the machine."""
        argv = [str(self.kubectl), f"--kubeconfig={fabric.kubeconfig}", *words]
        return fabric.machine.runner.run(argv, within_seconds=ASKED_WITHIN_SECONDS)


class ProductItself:
    """calico, antrea, cilium or flannel; its name as a dataplane says that it is the product."""

    def __init__(self, product: Product, *, up_within_seconds: float = UP_WITHIN_SECONDS) -> None:
        self.product = product
        self.up_within_seconds = up_within_seconds
        self.name = f"{PREFIX}{product.name}"

    def configuration(self, node: NodeOnMachine) -> str:
        node.node.write_network("")
        return ""

    def connect(self, fabric: Fabric) -> None:
        """Apply the manifest, and return when the product has written its configuration on every node.

        Raises:
            ClusterError: it was not provided, the API server refuses it, or a node lacks an image.
            WaitExpired: it did not come up; the message says in which state its pods are, and what they said last.
        """
        provided = self._provided(fabric)
        if not provided.manifest.exists():
            do = "get it first: lab.connect_pods_by_product, or LabCluster.provide_product"
            raise ClusterError(f"connect pods with {self.name}", "this cluster was not given it", do)
        words = ["apply", "--server-side", "--force-conflicts", "-f", str(provided.manifest)]
        applied = provided.run(fabric, *words)
        if not applied.succeeded:
            raise ClusterError(applied.command, applied.stderr.strip()[-1500:], "choose another version of it")
        pods: list[dict[str, Any]] = []

        def are_up() -> bool:
            if all(self.is_up(node) for node in fabric.nodes):
                return True
            pods[:] = _pods(provided, fabric)
            if said := told(pods, FOR_GOOD):
                raise ClusterError(
                    f"connect pods with {self.name}", said, "get the product anew: its images are in the cache"
                )
            return False

        wait_until(
            are_up,
            f"{self.product.name} to write its configuration on every node",
            within_seconds=self.up_within_seconds,
            every_seconds=0.5,
            last_seen=lambda: told(pods) + _last_words(provided, fabric, pods) or "no pod of it says why",
            do="is it made for this version of Kubernetes? `kubectl describe pods --all-namespaces` says more",
        )

    def daemons(self, fabric: Fabric, node: NodeOnMachine) -> list[Component]:
        return []

    def is_up(self, node: NodeOnMachine) -> bool:
        return node.machine.runner.run(["sh", "-c", f"ls {CONFIGURATIONS}/*.conf*"]).succeeded

    def disconnect(self, fabric: Fabric) -> None:
        provided = self._provided(fabric)
        if provided.manifest.exists():
            _remove(provided, fabric, self.product)
        remove_routes(fabric, fabric.machine)
        product = self.product
        left = [str(fabric.plan.pods), product.links, product.chains, "\n".join(product.tables)]
        words = [*left, " ".join(product.mounts), MORE_PLUGINS, *product.folders]
        for node in fabric.nodes:
            node.machine.runner.run(["sh", "-c", CLEAN, "sh", *words])
            remove_links(node)

    def _provided(self, fabric: Fabric) -> Provided:
        return Provided.of(fabric.kubeconfig.parent.parent, self.product.name)


PRODUCTS_THEMSELVES = tuple(ProductItself(product) for product in PRODUCTS.values())


def told(pods: Sequence[Mapping[str, Any]], reasons: Sequence[str] = ()) -> str:
    """Say why containers of pods do not run, in the words of the kubelet: for all reasons, or for some only."""
    said = []
    for pod in pods:
        status = pod.get("status", {})
        for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
            for state in (container.get("state") or {}).values():
                reason = state.get("reason", DONE)
                if reason in reasons if reasons else reason != DONE:
                    why = f" ({state['message']})" if state.get("message") else ""
                    said.append(f"{pod['metadata']['name']}, {container['name']}: {reason}{why}")
    return "; ".join(said)


def _pods(provided: Provided, fabric: Fabric) -> list[dict[str, Any]]:
    names = tuple(f"{each['metadata']['name']}-" for each in provided.objects() if "template" in each.get("spec", {}))
    found = provided.run(fabric, "get", "pods", "--all-namespaces", "--output=json")
    pods = json.loads(found.stdout)["items"] if found.succeeded else []
    return [pod for pod in pods if pod["metadata"]["name"].startswith(names)]


def _last_words(provided: Provided, fabric: Fabric, pods: Sequence[Mapping[str, Any]]) -> str:
    """Return what containers printed that do not run: why, the kubelet does not know."""
    words = []
    for pod in pods:
        name, namespace = (pod["metadata"][each] for each in ("name", "namespace"))
        if told([pod]):
            asked = ["logs", name, f"--namespace={namespace}", "--all-containers", "--tail=3"]
            words.append(provided.run(fabric, *asked).stdout.strip())
    return "".join(f"\n{each}" for each in dict.fromkeys(words) if each)


def _kinds(provided: Provided, fabric: Fabric, product: Product) -> list[str]:
    """Name the kinds of objects that are there because of a product, those that it made itself too."""
    of_manifest = {each["metadata"]["name"] for each in provided.objects() if each["kind"] == KINDS}
    ends = tuple(f".{group}" for group in product.groups)
    found = provided.run(fabric, "get", KINDS.lower(), "--output=jsonpath={.items[*].metadata.name}").or_raise()
    return [name for name in found.stdout.split() if name in of_manifest or (ends and name.endswith(ends))]


def _remove(provided: Provided, fabric: Fabric, product: Product) -> None:
    """Remove what the manifest made, and the kinds of objects that the product made; wait until its pods have ended."""
    removing = ["delete", "--ignore-not-found", "--wait=false"]
    provided.run(fabric, *removing, "-f", str(provided.manifest))
    if kinds := _kinds(provided, fabric, product):
        provided.run(fabric, *removing, KINDS.lower(), *kinds)
    left: list[str] = []

    def are_gone() -> bool:
        left[:] = [pod["metadata"]["name"] for pod in _pods(provided, fabric)] + _kinds(provided, fabric, product)
        return not left

    wait_until(
        are_gone,
        f"{product.name} to be gone",
        within_seconds=REMOVED_WITHIN_SECONDS,
        every_seconds=0.5,
        last_seen=lambda: f"still there: {', '.join(left)}",
        do="start a new lab",
    )
