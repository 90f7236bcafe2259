"""The image of the container machine: a Debian unpacked from packages, without root and without an image registry.

Owns what is in it and its archive in the cache; puts it onto the user's own engine under a name of its own.
"""

import hashlib
import shutil
import tarfile
from pathlib import Path

from labsupport.errors import MachineError
from labsupport.process.progress import Listener, Progress, silent
from labsupport.project import this_project
from labsupport.systems.machines.own_engine import IMAGE_LABEL, OwnEngine
from labsupport.systems.toolchain.catalogue import Platform
from labsupport.systems.toolchain.debian_tree import ORDINARY_PACKAGES, make_tree, must, recipe_of
from labsupport.systems.toolchain.store import Store

NAME = "labsupport/machine"
AREA = "machine-image"
CONTEXT = "context.tar"
MEGABYTES = 250
# What init.py, engines, clusters and experiments run inside; what these depend on comes along.
PACKAGES = (*ORDINARY_PACKAGES, "conntrack", "e2fsprogs", "ethtool", "git", "kmod", "python3")
# Empty folders in the package, links in a running Debian: containerd writes below /var/run.
LINKS = {"var/run": "../run", "var/lock": "../run/lock"}


def ensure_image(engine: OwnEngine, store: Store, listener: Listener) -> str:
    """Return the image's name on the user's engine; build it there, once, if it is missing.

    Raises:
        RequirementMissing: this is not Debian or Ubuntu, or its packages cannot be had.
        MachineError: the engine did not build it.
    """
    image = f"{NAME}:{_key()}"
    if engine.client.images.list(name=image):
        return image
    context = prepare_image(store, listener)
    listener(Progress(f"Building the image {image} on your own engine, once"))
    _build(engine, image, context)
    return image


def prepare_image(store: Store, listener: Listener = silent) -> Path:
    """Return what the image is built from; make it, once, if it is missing from the cache."""
    context = store.root / AREA / _key() / CONTEXT
    if not context.exists():
        listener(Progress(f"Making the container machine's system from Debian packages (about {MEGABYTES} MB), once"))
        _make(store, _key(), listener)
    return context


def remove_images(engine: OwnEngine) -> list[str]:
    """Remove the images that `ensure_image` made, of whatever age; return their names."""
    found = engine.client.images.list(filters={"label": IMAGE_LABEL})
    names = [tag for image in found for tag in image.tags] or [str(image.id) for image in found]
    for image in found:
        engine.client.images.remove(str(image.id), force=True)
    return names


def _key() -> str:
    inputs = [CONTEXT, LINKS, recipe_of(PACKAGES), str(Platform.here()), _dockerfile().read_text()]
    return hashlib.sha256(repr(inputs).encode()).hexdigest()[:12]


def _dockerfile() -> Path:
    return this_project().root / "toolchain" / "images" / "machine" / "Dockerfile"


def _make(store: Store, key: str, listener: Listener) -> None:
    with store.alone(listener), store.publishing(AREA, key) as made, store.workspace() as work:
        root = work / "root"
        make_tree(root, PACKAGES, work)
        for name, target in LINKS.items():
            (root / name).rmdir()
            (root / name).symlink_to(target)
        words = ["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", f"--directory={root}", "."]
        must(["tar", *words, f"--file={work / 'root.tar'}"])
        shutil.copy(_dockerfile(), work)
        with tarfile.open(made / CONTEXT, "w") as context:
            for name in ("Dockerfile", "root.tar"):
                context.add(work / name, name)


def _build(engine: OwnEngine, image: str, context: Path) -> None:
    from docker.errors import APIError, BuildError

    with context.open("rb") as archive:
        try:
            engine.client.images.build(
                fileobj=archive,
                custom_context=True,
                tag=image,
                labels=dict([IMAGE_LABEL.split("=")]),
                rm=True,
                forcerm=True,
                pull=False,
            )
        except (APIError, BuildError) as error:
            raise MachineError(
                f"docker build --tag {image}", str(error), "free some disk space; then run the same command again"
            ) from error
