"""CNI products from download to removal, with a small one of the tests' own in the place of Calico.

Its manifest comes from a server of files and its image from a registry, both on this computer. It does what products
do: a DaemonSet asks the API server by its Service, copies a plugin of its own to the node, and writes a configuration.
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

from labsupport.errors import RequirementMissing
from labsupport.process.commands import LocalRunner
from labsupport.systems.clusters.image_files import add_tree, write_image
from labsupport.systems.products import PRODUCTS, get_product, why_not_here
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.toolchain.catalogue import PublishedFile, read_catalogue
from tests.engines import toolchain
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
          env: [{{name: NODE, valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}}}]
          volumeMounts:
            - {{name: plugins, mountPath: /host/plugins}}
            - {{name: configurations, mountPath: /host/configurations}}
      volumes:
        - {{name: plugins, hostPath: {{path: /opt/cni/bin}}}}
        - {{name: configurations, hostPath: {{path: /etc/cni/net.d}}}}
"""
SCRIPT = """\
exec 3<>/dev/tcp/$KUBERNETES_SERVICE_HOST/$KUBERNETES_SERVICE_PORT
cp /tiny /host/plugins/tiny
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
    toolchain().ensure("products", "registry", "images", "kubectl", "ptp")
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
