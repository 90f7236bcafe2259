"""What a node of kind boots: a small Debian with systemd, as an image, and what its pods' images are made of.

Owns both in the cache. The programs of a node are not in the image: they are shown to it from the toolchain's folders.
"""

import hashlib
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from labsupport.process.progress import Listener, Progress, silent
from labsupport.project import this_project
from labsupport.systems.clusters import image_files
from labsupport.systems.clusters.image_files import SYSTEM_PATH, ProgramImage, add_tree, write_image
from labsupport.systems.clusters.images import PAUSE_IMAGE
from labsupport.systems.clusters.node import NodePrograms, containerd_configuration
from labsupport.systems.clusters.tools import ClusterTools
from labsupport.systems.engines.engine import Engine
from labsupport.systems.machines.inside.mounts import KERNEL_SETTINGS
from labsupport.systems.machines.seeds import PLANT
from labsupport.systems.machines.systemd_tree import PACKAGES as MACHINE_PACKAGES
from labsupport.systems.machines.systemd_tree import set_up
from labsupport.systems.toolchain.catalogue import Platform
from labsupport.systems.toolchain.debian_tree import make_tree, recipe_of
from labsupport.systems.toolchain.store import Store

AREA = "kind-node"
NAME = "lab/kind-node"
MEGABYTES = 85
# Where a node finds what is shown to it.
PROGRAMS, PLUGINS, IMAGES = Path("/opt/lab/bin"), Path("/opt/cni/bin"), Path("/opt/lab/images")
# A trial that gives a node a disk makes a file system on it: the computer's own programs are not in a node.
PACKAGES = (*MACHINE_PACKAGES, "e2fsprogs")
# What kube-proxy calls.
FIREWALL_PACKAGES = ("base-files", "base-passwd", "libc6", "nftables")
# Nothing that runs in a node reads these.
LEFT_OUT = (
    *("usr/share/doc", "usr/share/info", "usr/share/lintian", "usr/share/locale", "usr/share/man", "usr/share/perl"),
    *("usr/share/perl5", "usr/share/bash-completion", "usr/share/bug", "var/cache", "usr/lib/*/gconv"),
    *("usr/lib/*/perl", "usr/lib/*/perl-base", "usr/lib/*/libperl.so.*", "usr/bin/perl*", "usr/include", "usr/games"),
)
UNITS = ("containerd.service", "etcd.service", "kubelet.service")
# `kind create cluster` waits for systemd to say by which name it has reached multi-user.target.
SETTINGS = "[Manager]\nDefaultTimeoutStopSec=5s\nShowStatus=yes\nStatusUnitFormat=description\n"
ARCHIVE, FIREWALL = "image.tar", "firewall"
# Of its folders: who made the cache need not be who makes images of it.
FIREWALL_MODE = 0o755
REGISTRY = "registry.k8s.io"
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
CONFIG = {
    "Entrypoint": ["/usr/local/bin/entrypoint"],
    "Env": ["container=docker", f"PATH={PROGRAMS}:{SYSTEM_PATH}"],
    # With SIGTERM systemd would begin anew.
    "StopSignal": "SIGRTMIN+3",
}


@dataclass(frozen=True)
class NodeImage:
    """The image in the cache: its name, its archive, and the folder of files that kube-proxy's image has too."""

    name: str
    archive: Path
    firewall: Path

    def put_on(self, engine: Engine) -> None:
        """Have the image on an engine."""

        def load() -> None:
            if not engine.client.images.list(name=self.name):
                with self.archive.open("rb") as archive:
                    engine.client.images.load(archive)

        engine.note_images([self.name], load)


def ensure_node_image(store: Store, version: str, listener: Listener = silent) -> NodeImage:
    """Return the image of a node; make it, once, if it is missing from the cache.

    Args:
        version: of Kubernetes, which kind reads in the image.

    Raises:
        RequirementMissing: this is not Debian or Ubuntu, or its packages cannot be had.
    """
    key = _key(version)
    folder = store.root / AREA / key
    if not folder.is_dir():
        listener(Progress(f"Making the image of kind's nodes from Debian packages (about {MEGABYTES} MB), once"))
        with store.alone(listener), store.publishing(AREA, key) as made, store.workspace() as work:
            _make(made, version, work)
    return NodeImage(f"{NAME}:{key}", folder / ARCHIVE, folder / FIREWALL)


def pod_images(tools: ClusterTools, node: NodeImage) -> list[ProgramImage]:
    """Return the images that kubeadm's pods, and cluster DNS, ask for, each of one of our own programs."""
    proxy = tools.path("kube-proxy")
    return [
        ProgramImage(PAUSE_IMAGE, tools.path("pause")),
        *(ProgramImage(image_of(name, tools), tools.path(name)) for name in (*CONTROL_PLANE, "coredns")),
        ProgramImage(image_of("kube-proxy", tools), proxy, place="usr/local/bin", tree=node.firewall),
    ]


def image_of(program: str, tools: ClusterTools) -> str:
    """Return the name by which kubeadm has the image of a program: in a registry that nothing is pulled from."""
    if program == "coredns":
        return f"{REGISTRY}/coredns/coredns:v{tools.version('coredns')}"
    return f"{REGISTRY}/{program}:v{tools.version('kube-apiserver')}"


def _key(version: str) -> str:
    digest = hashlib.sha256(repr([recipe_of(PACKAGES), recipe_of(FIREWALL_PACKAGES), str(Platform.here())]).encode())
    for part in (LEFT_OUT, SETTINGS, CONFIG, PLANT, KERNEL_SETTINGS, FIREWALL_MODE, _runtime_configuration()):
        digest.update(repr(part).encode())
    digest.update(Path(image_files.__file__).read_bytes())
    for path in sorted(_own_files().rglob("*")):
        digest.update(str(path.relative_to(_own_files())).encode() + (path.read_bytes() if path.is_file() else b""))
    return f"v{version}-{digest.hexdigest()[:12]}"


def _make(made: Path, version: str, work: Path) -> None:
    root = work / "root"
    for tree, packages in ((root, PACKAGES), (made / FIREWALL, FIREWALL_PACKAGES)):
        packed = work / f"{tree.name}-packages"
        packed.mkdir()
        make_tree(tree, packages, packed)
        _leave_out(tree)
    for each in (made / FIREWALL).iterdir():
        if each.is_dir() and not each.is_symlink():
            each.chmod(FIREWALL_MODE)
    set_up(root)
    shutil.copytree(_own_files(), root, dirs_exist_ok=True)
    texts = {
        "etc/systemd/system.conf.d/lab.conf": SETTINGS,
        "etc/containerd/config.toml": _runtime_configuration(),
        "kind/version": f"v{version}",
        "kind/plant-images": PLANT,
        "kind/kernel-settings": "".join(f"{entry} {value}\n" for entry, value in KERNEL_SETTINGS.items()),
    }
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    for folder in (PROGRAMS, PLUGINS, IMAGES, Path("/etc/kubernetes/manifests"), Path("/kind/manifests")):
        (root / folder.relative_to("/")).mkdir(parents=True)
    wanted = root / "etc/systemd/system/multi-user.target.wants"
    wanted.mkdir(exist_ok=True)
    for unit in UNITS:
        (wanted / unit).symlink_to(f"../{unit}")

    def fill(layer: tarfile.TarFile) -> None:
        add_tree(layer, root)

    write_image(made / ARCHIVE, f"{NAME}:{_key(version)}", fill, CONFIG)


def _leave_out(tree: Path) -> None:
    for pattern in LEFT_OUT:
        for path in tree.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _runtime_configuration() -> str:
    return containerd_configuration(
        Path("/var/lib/containerd"), NodePrograms(PROGRAMS, PLUGINS), Path("/etc/cni/net.d")
    )


def _own_files() -> Path:
    return this_project().root / "toolchain" / "images" / "kind-node" / "files"
