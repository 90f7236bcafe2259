"""CNI products from download to removal, with a stand-in of the tests' own in the place of Calico.

Its manifest comes from a server of files and its image from a registry, both on this computer. It does what products
do: a DaemonSet asks the API server by its Service, copies a plugin of its own to the node, writes a configuration, and
leaves an interface, a chain and files. What it proves is our way with any product: to get it, to apply it, to wait for
it, to connect pods with it, to undo it. It proves nothing about Calico.
"""

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from labsupport.errors import ClusterError, RequirementMissing, WaitExpired
from labsupport.process.commands import LocalRunner
from labsupport.systems.clusters.embedded import EmbeddedCluster, start_embedded_cluster
from labsupport.systems.clusters.image_files import add_tree, write_image
from labsupport.systems.clusters.startup import fabric_of
from labsupport.systems.dataplanes.product import ProductItself
from labsupport.systems.products import PRODUCTS, get_product, why_not_here
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.toolchain.catalogue import PublishedFile, read_catalogue
from tests.clusters import kubectl, machine_tools, tools
from tests.engines import toolchain
from tests.machines import machine_under_test
from tests.serving import files_served, registry_served

PODS = IPv4Network("10.244.0.0/16")
KIND = "things.crd.projectcalico.org"
MANIFEST = """\
apiVersion: v1
kind: ServiceAccount
metadata: {{name: tiny, namespace: kube-system}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: tiny-node, namespace: kube-system}}
spec:
  selector: {{matchLabels: {{app: tiny}}}}
  template:
    metadata: {{labels: {{app: tiny}}}}
    spec:
      hostNetwork: true
      serviceAccountName: tiny
      terminationGracePeriodSeconds: 0
      tolerations: [{{operator: Exists}}]
      containers:
        - name: calico-node
          image: {image}
          command: [/bin/bash, -ec, {script}]
          securityContext: {{privileged: true}}
          env: [{{name: NODE, valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}}}]
          volumeMounts:
            - {{name: plugins, mountPath: /host/plugins}}
            - {{name: configurations, mountPath: /host/configurations}}
            - {{name: state, mountPath: /var/lib/calico}}
      volumes:
        - {{name: plugins, hostPath: {{path: /opt/cni/bin}}}}
        - {{name: configurations, hostPath: {{path: /etc/cni/net.d}}}}
        - {{name: state, hostPath: {{path: /var/lib/calico, type: DirectoryOrCreate}}}}
"""
SCRIPT = """\
exec 3<>/dev/tcp/$KUBERNETES_SERVICE_HOST/$KUBERNETES_SERVICE_PORT
busybox cp /tiny /host/plugins/tiny
busybox ip link add cali0123abc type bridge
echo "$NODE" >/var/lib/calico/nodename
subnet="${CALICO_IPV4POOL_CIDR%.0.0/16}.$((${NODE#node-} - 1)).0/24"
echo '{"cniVersion": "1.0.0", "name": "tiny", "plugins": [{"type": "tiny", "mtu": 1400, "ipam": {"type": "host-local",
"dataDir": "/run/cni-ipam", "ranges": [[{"subnet": "'$subnet'"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}' >/draft
busybox mv /draft /host/configurations/10-tiny.conflist
exec busybox sleep infinity
"""
CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.crd.projectcalico.org}
spec:
  group: crd.projectcalico.org
  scope: Cluster
  names: {plural: things, singular: thing, kind: Thing}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""


@cache
def image(folder: Path) -> Path:
    """Make the image of the tiny product: a shell, and a copy of the plugin ptp by the name of `tiny`."""
    root = toolchain().debian_root("images")

    def fill(layer: tarfile.TarFile) -> None:
        add_tree(layer, root)
        layer.add(toolchain().path("ptp"), "tiny")

    return write_image(folder / "tiny.tar", "tiny", fill, {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]})


class Elsewhere:
    """The place of the internet: a server of files, and a registry with the tiny product's image."""

    def __init__(self, folder: Path, files: str, registry: str) -> None:
        self.folder = folder
        self.files = files
        self.registry = registry

    def push(self, name: str, archive: Path) -> None:
        """Put an image into the registry."""
        words = [str(toolchain().path("skopeo")), "--insecure-policy", "copy", "--dest-tls-verify=false"]
        target = f"docker://{self.registry}/{name}"
        LocalRunner().run([*words, f"oci-archive:{archive}", target], within_seconds=120).or_raise()

    def manifest(self, image: str, *, script: str = SCRIPT) -> bytes:
        return MANIFEST.format(image=f"{self.registry}/{image}", script=json.dumps(script)).encode()

    def toolchain(self, content: bytes, *, served: bytes | None = None, product: str = "calico") -> Toolchain:
        """Return a toolchain that has a product's file from here, noted when it was `content`."""
        file = PRODUCTS[product].file
        (self.folder / "files" / file).write_bytes(content if served is None else served)
        published = PublishedFile(
            version="1.2.3", url=f"{self.files}/{file}", sha256=hashlib.sha256(content).hexdigest()
        )
        noted = read_catalogue()
        cache = self.folder / "cache"
        if not cache.exists():
            cache.mkdir()
            for area in ("tools", "debian", "bin"):
                (cache / area).symlink_to(toolchain().cache / area)
        return Toolchain(cache, catalogue=replace(noted, files={**noted.files, file: published}))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Elsewhere]:
    toolchain().ensure("skopeo", "registry", "images", "kubectl", "ptp")
    (tmp_path / "files").mkdir()
    with files_served(tmp_path / "files") as files, registry_served(tmp_path) as registry:
        yield Elsewhere(tmp_path, files, registry)


def test_a_product_is_downloaded_once_its_images_by_the_digest_of_that_moment(elsewhere: Elsewhere) -> None:
    elsewhere.push("node:v1.2.3", image(elsewhere.folder))
    served = elsewhere.toolchain(elsewhere.manifest("node:latest"))
    ready = get_product("calico", served, PODS)
    assert ready.version == "1.2.3"
    name = f"{elsewhere.registry}/node:v1.2.3"
    [[named, digest]] = ready.digests.items()
    asked = [str(toolchain().path("skopeo")), "inspect", "--tls-verify=false", "--format={{.Digest}}"]
    assert (named, digest) == (name, LocalRunner().run([*asked, f"docker://{name}"]).or_raise().stdout.strip())
    with tarfile.open(ready.archives[0]) as archive:
        member = archive.extractfile("manifest.json")
        assert member is not None
        assert json.load(member)[0]["RepoTags"] == [name]
    shutil.rmtree(elsewhere.folder / "files")
    shutil.rmtree(elsewhere.folder / "images")
    assert get_product("calico", served, PODS) == ready
    assert why_not_here(served)["calico"] == ""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("changed", "the file was deleted"),
        ("no such image", "manifest unknown"),
        ("another digest", "manifest unknown"),
        ("no registry", "connection refused"),
        ("a layer is lost", "reading blob .*404"),
    ],
)
def test_what_cannot_be_had_is_one_clear_error_and_leaves_nothing(elsewhere: Elsewhere, fault: str, said: str) -> None:
    elsewhere.push("node:v1.2.3", image(elsewhere.folder))
    named = {"no such image": "node:v9", "another digest": f"node:v1.2.3@sha256:{'0' * 64}"}.get(fault, "node:latest")
    content = elsewhere.manifest(named)
    if fault == "no registry":
        content = content.replace(elsewhere.registry.encode(), b"127.0.0.1:9")
    served = elsewhere.toolchain(content, served=content + b"# more" if fault == "changed" else content)
    if fault == "a layer is lost":
        for blob in (elsewhere.folder / "images").rglob("data"):
            if blob.stat().st_size > 1_000_000:
                blob.unlink()
    with pytest.raises(RequirementMissing, match=rf"(?s)What happened: .*({said}).*What to do: try again where"):
        get_product("calico", served, PODS)
    assert not (served.cache / "product-images").exists() or not list((served.cache / "product-images").rglob("*.tar"))
    assert not list((served.cache / "partial").iterdir())


def test_a_product_out_of_reach_says_which_host_does_not_answer(elsewhere: Elsewhere) -> None:
    elsewhere.files = "http://127.0.0.1:9"
    nowhere = elsewhere.toolchain(elsewhere.manifest("node:latest"))
    assert why_not_here(nowhere)["calico"] == "127.0.0.1 cannot be reached from here"


def run_pod(cluster: EmbeddedCluster, image: str) -> str:
    """Run a pod on the last node, and return the first three numbers of its address and the size of its packets."""
    made = ["run", "pod-of-it", f"--image={image}", "--image-pull-policy=Never"]
    placed = json.dumps({"spec": {"nodeName": cluster.nodes[-1].name, "terminationGracePeriodSeconds": 0}})
    words = ["kubectl", *made, f"--overrides={placed}", "--command", "--", "busybox", "sleep", "600"]
    cluster.runner.run(words).or_raise()
    kubectl(cluster, "wait --for=condition=Ready pod/pod-of-it --timeout=60s")
    address = kubectl(cluster, "get pod pod-of-it -o jsonpath={.status.podIP}")
    size = kubectl(cluster, "exec pod-of-it -- busybox cat /sys/class/net/eth0/mtu")
    kubectl(cluster, "delete --force pod pod-of-it")
    return f"{address.rpartition('.')[0]}, {size}"


def left_on(cluster: EmbeddedCluster) -> list[str]:
    """Say what of the stand-in is there, on the last node and of objects."""
    look = "ls /etc/cni/net.d /run/cni-plugins /var/lib/calico; ip -brief link; iptables-save"
    lines = cluster.nodes[-1].machine.runner.run(["sh", "-c", look]).stdout.splitlines()
    lines += kubectl(cluster, "get crd,daemonset,serviceaccount,pod -A -o name").splitlines()
    return [line for line in lines if any(word in line for word in ("tiny", "cali", "nodename"))]


@pytest.mark.needs("root", "machine", "cluster")
def test_a_product_connects_pods_of_every_node_and_all_it_left_is_removed(elsewhere: Elsewhere) -> None:
    elsewhere.push("node:v1.2.3", image(elsewhere.folder))
    ready = get_product("calico", elsewhere.toolchain(elsewhere.manifest("node:latest")), PODS)
    [name] = ready.digests
    with machine_under_test(tools=machine_tools()) as machine:
        cluster = start_embedded_cluster(machine, tools(), nodes=2)
        cluster.provide_product(ready)
        before = left_on(cluster)
        cluster.use_dataplane("product-calico")
        for node in cluster.nodes:
            assert node.machine.runner.run(["ls", "/etc/cni/net.d"]).stdout.split() == ["10-tiny.conflist"]
            assert node.machine.runner.run(["ls", "/run/cni-plugins"]).stdout.split() == ["tiny"]
        # What products make besides: rules of their own, and kinds of objects.
        rules = ["sh", "-ec", "iptables -N cali-FORWARD; iptables -I FORWARD -j cali-FORWARD"]
        cluster.nodes[-1].machine.runner.run(rules).or_raise()
        (elsewhere.folder / "crd.yaml").write_text(CRD)
        cluster.apply(elsewhere.folder / "crd.yaml")
        found = " ".join(left_on(cluster))
        assert all(each in found for each in ("cali0123abc", "-j cali-FORWARD", "nodename", KIND, "daemonset", "pod/"))
        assert run_pod(cluster, name) == "10.244.1, 1400"
        cluster.use_dataplane("plain")
        assert (before, left_on(cluster)) == ([], [])
        assert run_pod(cluster, name) == "10.244.1, 1500"
        cluster.close()


@pytest.mark.needs("root", "machine", "cluster")
def test_a_product_that_was_not_given_or_lacks_an_image_or_ends_at_once_says_so(elsewhere: Elsewhere) -> None:
    elsewhere.push("node:v1.2.3", image(elsewhere.folder))
    ready = get_product("calico", elsewhere.toolchain(elsewhere.manifest("node:latest")), PODS)
    with machine_under_test(tools=machine_tools()) as machine:
        cluster = start_embedded_cluster(machine, tools())
        with pytest.raises(ClusterError, match="this cluster was not given it"):
            cluster.use_dataplane("product-calico")
        cluster.provide_product(replace(ready, archives=()))
        with pytest.raises(ClusterError, match=r"tiny-node-\w+, calico-node: ErrImageNeverPull"):
            cluster.use_dataplane("product-calico")
        cluster.use_dataplane("plain")
        assert left_on(cluster) == []
        crashing = elsewhere.manifest(next(iter(ready.digests)).rpartition("/")[2], script="cp /tiny /host")
        cluster.provide_product(get_product("calico", elsewhere.toolchain(crashing), PODS))
        fabric = fabric_of(machine, cluster.nodes, cluster.plan, tools())
        impatient = ProductItself(PRODUCTS["calico"], up_within_seconds=4)
        assert impatient.configuration(cluster.nodes[0]) == ""
        with pytest.raises(WaitExpired, match=r"(?s)tiny-node-\w+, calico-node: .*cp: command not found"):
            impatient.connect(fabric)
        impatient.disconnect(fabric)
        assert left_on(cluster) == []
        cluster.close()


@pytest.mark.needs("helm")
def test_a_chart_becomes_a_manifest(elsewhere: Elsewhere) -> None:
    elsewhere.push("node:v1.2.3", image(elsewhere.folder))
    # Only some of the values of the real chart are used by this one.
    template = elsewhere.manifest("node:v1.2.3").decode().replace("/opt/cni/bin", "{{ .Values.cni.binPath }}")
    files = {"Chart.yaml": "apiVersion: v2\nname: cilium\nversion: 1.2.3\n", "templates/all.yaml": template}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as chart:
        for name, text in files.items():
            member = tarfile.TarInfo(f"cilium/{name}")
            member.size = len(text)
            chart.addfile(member, io.BytesIO(text.encode()))
    ready = get_product("cilium", elsewhere.toolchain(packed.getvalue(), product="cilium"), PODS)
    assert '"path": "/run/cni-plugins"' in ready.manifest
    assert list(ready.digests) == [f"{elsewhere.registry}/node:v1.2.3"]
