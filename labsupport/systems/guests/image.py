"""The image of guest containers: from Debian's own on a registry, else from packages this computer can get."""

import hashlib
import io
import re
import shutil
import tarfile
from pathlib import Path

from labsupport.errors import LabError, MachineError, RequirementMissing
from labsupport.process.progress import Listener, Progress
from labsupport.project import this_project
from labsupport.systems.machines.container_image import LINKS
from labsupport.systems.machines.own_engine import OwnEngine
from labsupport.systems.toolchain.catalogue import Platform
from labsupport.systems.toolchain.debian_tree import ORDINARY_PACKAGES, make_tree, must, recipe_of
from labsupport.systems.toolchain.store import Store

NAME = "labsupport/guest"
LABEL = "labsupport.image=guest"
AREA = "guest-image"
ARCHIVE = "system.tar"
BASE = "debian:12-slim"
MEGABYTES = 200
SETTINGS = ("ENV LANG=C.UTF-8", "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
# What the published base has, and what the Dockerfile adds to it.
PACKAGES = (
    *ORDINARY_PACKAGES,
    "apt",
    "ca-certificates",
    "debianutils",
    "diffutils",
    "dpkg",
    "e2fsprogs",
    "git",
    "kmod",
    "libdevmapper1.02.1",  # the old engine's helpers look for it where it is installed only
    "python3",
    "python3-venv",
    "wget",
)

# With these apt in there gets packages from where this computer does, and pip trusts whom this computer trusts.
OF_THIS_COMPUTER = (
    *("etc/apt/sources.list", "etc/apt/sources.list.d", "etc/apt/trusted.gpg.d"),
    *("usr/share/keyrings", "etc/ssl/certs/ca-certificates.crt"),
)

STATUS = "Status: install ok installed"
# Nobody reads there; the published base has none of it either.
LEFT_OUT = ("man", "locale", "info", "lintian")


def ensure_guest_image(engine: OwnEngine, store: Store, listener: Listener) -> str:
    """Return the image's name on the engine; have it made there, once, if it is missing.

    Raises:
        RequirementMissing: neither the published base nor Debian's packages can be had.
    """
    image = f"{NAME}:{_key()}"
    if engine.client.images.list(name=image):
        return image
    if not system_archive(store).exists():
        listener(Progress(f"Building the image {image} on your own engine, from {BASE} (about {MEGABYTES} MB), once"))
        try:
            return _build(engine, image, listener)
        except RequirementMissing as published:
            if not shutil.which("apt-get"):
                raise
            try:
                make_system(store, listener)
            except LabError as packages:
                happened = f"{published.happened}; nor from packages: {packages.happened}"
                raise RequirementMissing(published.tried, happened, published.do) from packages
    listener(Progress(f"Putting the image {image} onto your own engine, once"))
    return _import(engine, image, system_archive(store))


def system_archive(store: Store) -> Path:
    """Where a system made of packages that this computer can get is, if it was made."""
    return store.root / AREA / _system_key() / ARCHIVE


def make_system(store: Store, listener: Listener) -> Path:
    """Have a system made of Debian packages in the cache, without root and without an image registry; return it.

    Raises:
        RequirementMissing: this is not Debian or Ubuntu, or the packages cannot be had.
    """
    if not system_archive(store).exists():
        listener(Progress(f"Making a Debian from packages instead (about {MEGABYTES} MB), once"))
        with store.alone(listener), store.publishing(AREA, _system_key()) as made, store.workspace() as work:
            root = work / "root"
            make_tree(root, PACKAGES, work)
            _complete(root)
            _say_what_is_installed(root, sorted((work / "packages").glob("*.deb")))
            words = ["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", f"--directory={root}", "."]
            must(["tar", *words, f"--file={made / ARCHIVE}"])
    return system_archive(store)


def _complete(root: Path) -> None:
    """Make it a Debian that can get more packages, without what nobody reads."""
    for name, target in LINKS.items():
        (root / name).rmdir()
        (root / name).symlink_to(target)
    for name in LEFT_OUT:
        shutil.rmtree(root / "usr/share" / name, ignore_errors=True)
    for name in OF_THIS_COMPUTER:
        here, there = Path("/", name), root / name
        if here.is_dir():
            shutil.copytree(here, there, dirs_exist_ok=True)
        elif here.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(here, there)


def _say_what_is_installed(root: Path, packages: list[Path]) -> None:
    """Tell apt in there which packages it has: what it gets later comes without these."""
    with (root / "var/lib/dpkg/status").open("w") as status:
        for package in packages:
            fields = must(["dpkg-deb", "--field", str(package)]).stdout
            status.write(fields.replace("\n", f"\n{STATUS}\n", 1) + "\n")


def remove_guest_images(engine: OwnEngine) -> list[str]:
    """Remove the images made here, of whatever age; return their names."""
    found = engine.client.images.list(filters={"label": LABEL})
    names = [tag for image in found for tag in image.tags]
    for image in found:
        engine.client.images.remove(str(image.id), force=True)
    return names


def _dockerfile() -> bytes:
    return (this_project().root / "toolchain" / "images" / "guest" / "Dockerfile").read_bytes()


def _key() -> str:
    return hashlib.sha256(_dockerfile()).hexdigest()[:12]


def _system_key() -> str:
    return hashlib.sha256(
        repr([recipe_of(PACKAGES), LINKS, LEFT_OUT, STATUS, OF_THIS_COMPUTER, str(Platform.here())]).encode()
    ).hexdigest()[:12]


def _import(engine: OwnEngine, image: str, archive: Path) -> str:
    from docker.errors import APIError

    name, _, tag = image.partition(":")
    try:
        with archive.open("rb") as content:
            engine.client.api.import_image(content, repository=name, tag=tag, changes=[f"LABEL {LABEL}", *SETTINGS])
    except APIError as error:
        raise MachineError(
            f"docker import {archive} {image}",
            str(error.explanation or error),
            "free some disk space; then run the same command again",
        ) from error
    return image


def _build(engine: OwnEngine, image: str, listener: Listener) -> str:
    from docker.errors import APIError, DockerException

    said: list[str] = []
    try:
        steps = engine.client.api.build(
            fileobj=_context(),
            custom_context=True,
            tag=image,
            buildargs={"BASE": BASE},
            labels=dict([LABEL.split("=")]),
            rm=True,
            forcerm=True,
            decode=True,
        )
        for step in steps:
            if line := str(step.get("stream") or step.get("error") or "").strip():
                said = [*said[-3:], line]
                listener(Progress(f"{image}: {line}", _fraction(line)))
            if step.get("error"):
                raise _cannot_build(image, " / ".join(said))
    except DockerException as error:  # also the user's credential helper, which is asked without need
        told = error.explanation if isinstance(error, APIError) else ""
        raise _cannot_build(image, str(told or error)) from error
    return image


def _fraction(line: str) -> float:
    step = re.match(r"Step (\d+)/(\d+)", line)
    return int(step[1]) / int(step[2]) if step else 0.5


def _cannot_build(image: str, said: str) -> RequirementMissing:
    return RequirementMissing(
        f"docker build --tag {image} --build-arg BASE={BASE}",
        said,
        "connect to the network once, then run the same command again; or recorded evidence: --engine replay",
    )


def _context() -> io.BytesIO:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(_dockerfile())
        archive.addfile(entry, io.BytesIO(_dockerfile()))
    context.seek(0)
    return context
