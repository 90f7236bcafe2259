"""Gets a product: its manifest by the checksum noted in versions.toml, then the images it names, into the cache.

Nodes have no way out, so images are pulled here and put on them as archives. A tag may be moved by who owns it: which
digest it had is noted beside the archive.
"""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from urllib.parse import urlsplit

from labsupport.errors import CommandFailed, RequirementMissing, ToolchainError, WaitExpired
from labsupport.process.commands import Invocation, LocalRunner
from labsupport.process.progress import Listener, Progress, silent
from labsupport.systems.products.known import PRODUCTS, Product
from labsupport.systems.products.manifest import Image, adapt
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.toolchain.catalogue import Platform
from labsupport.systems.toolchain.releases import answers

ARCHIVE, ORIGIN = "image.tar", "image.json"
ASKED_WITHIN_SECONDS, PULLED_WITHIN_SECONDS = 30.0, 900.0
HERE = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class ReadyProduct:
    """A product that a cluster can be given.

    Attributes:
        manifest: what to apply.
        archives: its images, as `docker save` writes them.
        digests: name of an image → the digest that the registry had for it.
    """

    product: Product
    version: str
    manifest: str
    archives: tuple[Path, ...]
    digests: Mapping[str, str]


def get_product(name: str, toolchain: Toolchain, pods: IPv4Network, listener: Listener = silent) -> ReadyProduct:
    """Return a product, downloading what of it the cache lacks.

    Args:
        pods: the range of all pods of the cluster it is for.

    Raises:
        RequirementMissing: something cannot be downloaded, or is not what was noted.
        ToolchainError: the chart cannot be made a manifest.
        ClusterError: the manifest is not one that can be told the range of pods.
    """
    product = PRODUCTS[name]
    file, version = toolchain.published_file(product.file), toolchain.version_of_file(product.file)
    text = _template(product, file, toolchain) if product.values else file.read_text(encoding="utf-8")
    adapted = adapt(text, product, version, pods)
    folders = [_pull(image, toolchain, listener) for image in adapted.images]
    origins = [json.loads((folder / ORIGIN).read_text()) for folder in folders]
    digests = {str(origin["image"]): str(origin["digest"]) for origin in origins}
    return ReadyProduct(product, version, adapted.text, tuple(folder / ARCHIVE for folder in folders), digests)


def why_not_here(toolchain: Toolchain) -> dict[str, str]:
    """Say of each product why its manifest cannot be had here; empty where it can, or is in the cache already.

    Takes three seconds at most, and downloads nothing. Whether its images can be had shows when they are pulled.
    """
    urls = {name: toolchain.url_of_missing_file(product.file) for name, product in PRODUCTS.items()}
    hosts = sorted({_host(url) for url in urls.values() if url})
    with ThreadPoolExecutor(max_workers=len(hosts) or 1) as pool:
        reached = dict(zip(hosts, pool.map(answers, hosts), strict=True))
    lost = {name: _host(url) for name, url in urls.items() if url and not reached[_host(url)]}
    return {
        name: f"{urlsplit(lost[name]).hostname} cannot be reached from here" if name in lost else "" for name in urls
    }


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/"


def _template(product: Product, chart: Path, toolchain: Toolchain) -> str:
    settings = [word for key, value in product.values.items() for word in ("--set", f"{key}={value}")]
    words = [str(toolchain.path("helm")), "template", product.name, str(chart), "--namespace=kube-system"]
    version = toolchain.provenance("kubectl").version
    words += [f"--kube-version={version}", "--include-crds", *settings]
    made = LocalRunner({"KUBECONFIG": "/dev/null"}).run(words, within_seconds=ASKED_WITHIN_SECONDS)
    if not made.succeeded:
        do = "correct the values in labsupport/systems/products/known.py"
        raise ToolchainError(made.command, made.stderr.strip()[-1500:], do)
    return made.stdout


def _pull(image: Image, toolchain: Toolchain, listener: Listener) -> Path:
    """Return the folder in the cache with an image's archive; pulled once."""
    area = f"product-images/{Platform.here()}"
    key = f"{image.name.rpartition('/')[2].replace(':', '-')}-{hashlib.sha256(repr(image).encode()).hexdigest()[:12]}"
    if found := toolchain.store.find(area, key):
        return found
    listener(Progress(f"Downloading the image {image.name}"))
    skopeo = str(toolchain.path("skopeo"))
    # As every engine does, talk plainly with a registry on this very computer.
    secure = str(image.name.partition("/")[0].partition(":")[0] not in HERE).lower()
    asked = [skopeo, "inspect", "--no-creds", "--no-tags", f"--tls-verify={secure}", "--format={{.Digest}}"]
    digest = _ask([*asked, f"docker://{image.wanted}"], ASKED_WITHIN_SECONDS)
    source = f"docker://{image.name.rpartition(':')[0]}@{digest}"
    with toolchain.store.alone(listener), toolchain.store.publishing(area, key) as half_made:
        copied = [skopeo, "--insecure-policy", "copy", "--quiet", "--src-no-creds", f"--src-tls-verify={secure}"]
        _ask([*copied, source, f"docker-archive:{half_made / ARCHIVE}:{image.name}"], PULLED_WITHIN_SECONDS)
        (half_made / ORIGIN).write_text(json.dumps({"image": image.name, "digest": digest}) + "\n")
    return toolchain.store.root / area / key


def _ask(words: list[str], within_seconds: float) -> str:
    # Whatever the user has for registries, such as names and passwords, is theirs.
    nothing = Invocation(environment={"REGISTRY_AUTH_FILE": "/dev/null"})
    try:
        return LocalRunner().run(words, within_seconds=within_seconds, invocation=nothing).or_raise().stdout.strip()
    except (CommandFailed, WaitExpired) as error:
        do = "try again where this registry can be reached; one that is changed needs another version in versions.toml"
        raise RequirementMissing(error.tried, error.happened, do) from error
