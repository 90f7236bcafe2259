"""What a lab changes in a product's manifest, which is as little as nodes without a way out take.

Images are of the product's own version and are there already; plugins go where a dataplane of the lab puts its own;
pods are in the range that the cluster has for them. Reads and returns text; talks to nobody.
"""

import datetime
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

import yaml

from labsupport.errors import ClusterError
from labsupport.systems.clusters.node import MORE_PLUGINS
from labsupport.systems.products.known import Product

USUAL_PLUGINS = "/opt/cni/bin"
# The one in C, where it is there: kinds of objects are thousands of lines.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Document = dict[str, Any]


@dataclass(frozen=True)
class Image:
    """An image that a manifest names.

    Attributes:
        name: by which nodes have it, with a tag.
        digest: of what the manifest wants; empty where it names a tag only.
    """

    name: str
    digest: str = ""

    @property
    def wanted(self) -> str:
        """What to ask a registry for."""
        return f"{self.name.rpartition(':')[0]}@{self.digest}" if self.digest else self.name


@dataclass(frozen=True)
class Adapted:
    """A manifest for a lab's cluster, as JSON, and the images that its nodes must have."""

    text: str
    images: tuple[Image, ...]


def adapt(text: str, product: Product, version: str, pods: IPv4Network) -> Adapted:
    """Return a product's manifest with what is to be changed changed.

    Args:
        version: of the product; its tag is what `latest` stands for.
        pods: the range of all pods of the cluster.

    Raises:
        ClusterError: this is no manifest, or has not the place that the range of pods goes to.
    """
    documents = _read(text, product)
    images: dict[str, Image] = {}
    for spec in _pod_specs(documents):
        for container in _containers(spec):
            image = image_of(str(container["image"]), version)
            images[image.name] = image
            # A node that lacks it says so, where it would otherwise ask a registry that it cannot reach.
            container |= {"image": image.name, "imagePullPolicy": "Never"}
        for volume in spec.get("volumes") or ():
            if (volume.get("hostPath") or {}).get("path") == USUAL_PLUGINS:
                volume["hostPath"] = {"path": MORE_PLUGINS, "type": "DirectoryOrCreate"}
    if product.range_of_pods and not _tell_range(documents, product.range_of_pods.split("/"), str(pods)):
        happened = f"there is no {product.range_of_pods} in it"
        raise ClusterError(f"tell {product.name} {version} the range of pods", happened, "correct known.py")
    everything = {"apiVersion": "v1", "kind": "List", "items": documents}
    return Adapted(json.dumps(everything, indent=1, default=_day), tuple(images[name] for name in sorted(images)))


def image_of(named: str, version: str) -> Image:
    """Read an image's name as a manifest has it: without a tag, or with `latest`, it is the product's version."""
    name, _, digest = named.partition("@")
    place, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return Image(f"{place}{slash}{last}:{f'v{version}' if tag in ('', 'latest') else tag}", digest)


def _read(text: str, product: Product) -> list[Document]:
    try:
        documents = [each for each in yaml.load_all(text, LOADER) if each]
    except yaml.YAMLError as error:
        raise ClusterError(f"read the manifest of {product.name}", str(error), "note another version of it") from error
    if not documents or not all(isinstance(each, dict) and "kind" in each for each in documents):
        happened = "something in it is no object of Kubernetes"
        raise ClusterError(f"read the manifest of {product.name}", happened, "note another version of it")
    return documents


def _pod_specs(documents: Sequence[Document]) -> Iterator[Document]:
    for document in documents:
        template = (document.get("spec") or {}).get("template") if isinstance(document.get("spec"), dict) else None
        if isinstance(template, dict) and "containers" in (template.get("spec") or {}):
            yield template["spec"]


def _containers(spec: Document) -> list[Document]:
    return [*(spec.get("initContainers") or ()), *spec["containers"]]


def _tell_range(documents: Sequence[Document], place: Sequence[str], pods: str) -> bool:
    if len(place) == 2:
        name, variable = place
        found = [each for spec in _pod_specs(documents) for each in _containers(spec) if each["name"] == name]
        for container in found:
            others = [each for each in container.get("env") or () if each["name"] != variable]
            container["env"] = [*others, {"name": variable, "value": pods}]
        return bool(found)
    name, entry, key = place
    for document in documents:
        if document["kind"] == "ConfigMap" and document["metadata"]["name"] == name and entry in document["data"]:
            document["data"][entry] = json.dumps({**json.loads(document["data"][entry]), key: pods})
            return True
    return False


def _day(value: object) -> str:
    """Write what YAML takes for a date, and Kubernetes for a text."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise TypeError(f"{value!r} is of no kind that a manifest has")
