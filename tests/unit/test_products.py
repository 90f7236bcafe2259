"""What a lab changes in a product's manifest, and what it says of pods that do not run: plain functions."""

import json
from ipaddress import IPv4Network
from typing import Any

import pytest
import yaml

from labsupport.errors import ClusterError, UsageError
from labsupport.systems.dataplanes.named import dataplane_called
from labsupport.systems.dataplanes.product import FOR_GOOD, told
from labsupport.systems.products import PRODUCTS
from labsupport.systems.products.manifest import Image, adapt, image_of
from labsupport.systems.toolchain.catalogue import read_catalogue

PODS = IPv4Network("10.244.0.0/16")
DIGEST = f"sha256:{'a' * 64}"


def workload(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    template = {"spec": {"containers": list(containers), **spec}}
    return {"kind": "DaemonSet", "metadata": {"name": "node"}, "spec": {"template": template}}


def adapted(product: str, *documents: dict[str, Any]) -> tuple[list[dict[str, Any]], tuple[Image, ...]]:
    made = adapt(yaml.safe_dump_all(documents), PRODUCTS[product], "1.2.3", PODS)
    return json.loads(made.text)["items"], made.images


def test_every_product_has_a_file_and_a_dataplane_of_its_own_name() -> None:
    files = read_catalogue().files
    for name, product in PRODUCTS.items():
        assert product.file in files
        assert bool(product.values) == files[product.file].url.endswith(".tgz")
        assert dataplane_called(f"product-{name}").name == f"product-{name}"
    with pytest.raises(UsageError, match="product-antrea"):
        dataplane_called("product-weave")


@pytest.mark.parametrize(
    ("named", "name", "wanted"),
    [
        ("quay.io/calico/node:v3.32.1", "quay.io/calico/node:v3.32.1", "quay.io/calico/node:v3.32.1"),
        ("antrea/agent:latest", "antrea/agent:v1.2.3", "antrea/agent:v1.2.3"),
        ("antrea/agent", "antrea/agent:v1.2.3", "antrea/agent:v1.2.3"),
        ("localhost:5000/agent", "localhost:5000/agent:v1.2.3", "localhost:5000/agent:v1.2.3"),
        (f"quay.io/cilium/cilium:v1.19.6@{DIGEST}", "quay.io/cilium/cilium:v1.19.6", f"quay.io/cilium/cilium@{DIGEST}"),
    ],
)
def test_an_image_is_of_the_products_version_and_asked_for_by_its_digest(named: str, name: str, wanted: str) -> None:
    image = image_of(named, "1.2.3")
    assert (image.name, image.wanted) == (name, wanted)


def test_images_are_taken_from_the_node_and_plugins_go_where_nodes_may_write() -> None:
    main = {"name": "agent", "image": "a/agent:latest", "imagePullPolicy": "Always"}
    first = {"name": "install", "image": f"a/install:v1@{DIGEST}"}
    volumes = [
        {"name": "bin", "hostPath": {"path": "/opt/cni/bin", "type": "Directory"}},
        {"name": "net", "hostPath": {"path": "/etc/cni/net.d"}},
        {"name": "none", "emptyDir": {}},
    ]
    [document], images = adapted("antrea", workload(main, initContainers=[first], volumes=volumes))
    spec = document["spec"]["template"]["spec"]
    [agent], [install] = spec["containers"], spec["initContainers"]
    assert (agent["image"], agent["imagePullPolicy"]) == ("a/agent:v1.2.3", "Never")
    assert (install["image"], install["imagePullPolicy"]) == ("a/install:v1", "Never")
    assert images == (Image("a/agent:v1.2.3"), Image("a/install:v1", DIGEST))
    assert [each.get("hostPath", {}).get("path") for each in spec["volumes"]] == [
        "/run/cni-plugins",
        "/etc/cni/net.d",
        None,
    ]


def test_calico_and_flannel_are_told_the_range_of_pods_whatever_they_had() -> None:
    environment = [{"name": "IP", "value": "autodetect"}, {"name": "CALICO_IPV4POOL_CIDR", "value": "192.168.0.0/16"}]
    node = {"name": "calico-node", "image": "c/node:v3", "env": environment}
    [calico], _ = adapted("calico", workload(node))
    told_it = {each["name"]: each["value"] for each in calico["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert told_it == {"IP": "autodetect", "CALICO_IPV4POOL_CIDR": "10.244.0.0/16"}
    network = json.dumps({"Network": "10.0.0.0/8", "Backend": {"Type": "vxlan"}})
    configuration = {"kind": "ConfigMap", "metadata": {"name": "kube-flannel-cfg"}, "data": {"net-conf.json": network}}
    [flannel], _ = adapted("flannel", configuration)
    assert json.loads(flannel["data"]["net-conf.json"]) == {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}


@pytest.mark.parametrize(
    ("product", "text", "said"),
    [
        ("calico", "kind: ServiceAccount\nmetadata: {name: x}\n", "there is no calico-node/CALICO_IPV4POOL_CIDR"),
        ("flannel", "kind: ConfigMap\nmetadata: {name: other}\n", "there is no kube-flannel-cfg"),
        ("antrea", "a: [", "while parsing"),
        ("antrea", "<html>not found</html>", "no object of Kubernetes"),
        ("antrea", "", "no object of Kubernetes"),
    ],
)
def test_what_is_no_such_manifest_is_refused(product: str, text: str, said: str) -> None:
    with pytest.raises(ClusterError, match=said):
        adapt(text, PRODUCTS[product], "1.2.3", PODS)


def test_what_yaml_takes_for_a_date_stays_a_text() -> None:
    kind = {"kind": "CustomResourceDefinition", "metadata": {"name": "x"}}
    made = adapt(yaml.safe_dump(kind) + "spec: {since: 2026-01-02}\n", PRODUCTS["antrea"], "1", PODS)
    assert json.loads(made.text)["items"][0]["spec"] == {"since": "2026-01-02"}


def test_of_pods_it_is_told_why_they_do_not_run() -> None:
    never = {"waiting": {"reason": "ErrImageNeverPull", "message": "Container image is not present"}}
    statuses = [
        {"name": "install", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}},
        {"name": "agent", "state": never},
    ]
    pods = [
        {"metadata": {"name": "node-x"}, "status": {"initContainerStatuses": statuses[:1]}},
        {"metadata": {"name": "node-y"}, "status": {"containerStatuses": statuses[1:]}},
        {"metadata": {"name": "node-z"}, "status": {"containerStatuses": [{"name": "a", "state": {"running": {}}}]}},
        {"metadata": {"name": "new"}},
    ]
    assert told(pods) == "node-y, agent: ErrImageNeverPull (Container image is not present)"
    assert told(pods, FOR_GOOD) == told(pods)
    assert told(pods[:1], FOR_GOOD) == ""
