"""The image of the container machine: a Debian unpacked from packages, without root and without an image registry.

Owns what is in it and its archive in the cache; puts it onto the user's own engine under a name of its own.
"""

import hashlib
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

from labsupport.errors import MachineError, RequirementMissing
from labsupport.process.commands import CommandResult, Invocation, LocalRunner
from labsupport.process.progress import Listener, Progress, silent
from labsupport.project import this_project
from labsupport.systems.machines.own_engine import IMAGE_LABEL, OwnEngine
from labsupport.systems.toolchain.catalogue import Platform
from labsupport.systems.toolchain.store import Store

NAME = "labsupport/machine"
AREA = "machine-image"
CONTEXT = "context.tar"
MEGABYTES = 250
# What init.py, engines, clusters and experiments run inside; what these depend on comes along.
PACKAGES = (
    *("base-files", "base-passwd", "bash", "conntrack", "coreutils", "dash", "e2fsprogs", "ethtool", "findutils"),
    *("gawk", "grep", "gzip", "hostname", "iproute2", "iptables", "kmod", "libc-bin", "libseccomp2", "mount"),
    *("nftables", "procps", "python3", "sed", "tar", "util-linux"),
)
# Since Debian 12 these are links, which packages do not bring; unpacking follows them.
MERGED = ("bin", "sbin", "lib", "lib64")
FIREWALL = [f"{family}{action}" for family in ("iptables", "ip6tables") for action in ("", "-save", "-restore")]
LINKS = {
    **{f"usr/sbin/{command}": "xtables-nft-multi" for command in FIREWALL},
    "usr/bin/awk": "gawk",
    "usr/bin/sh": "dash",
}
EMPTY_FOLDERS = ("dev", "mnt", "opt", "proc", "root", "run", "sys", "tmp", "var/tmp", "var/log", "var/lib")
EXTRACT_WITHIN_SECONDS = 300


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
    inputs = [
        CONTEXT,
        EMPTY_FOLDERS,
        PACKAGES,
        MERGED,
        sorted(LINKS.items()),
        str(Platform.here()),
        _dockerfile().read_text(),
        _release(),
    ]
    return hashlib.sha256(repr(inputs).encode()).hexdigest()[:12]


def _dockerfile() -> Path:
    return this_project().root / "toolchain" / "images" / "machine" / "Dockerfile"


def _release() -> str:
    release = Path("/etc/os-release")
    lines = release.read_text().splitlines() if release.exists() else []
    return next((line for line in lines if line.startswith("VERSION_CODENAME=")), "")


def _make(store: Store, key: str, listener: Listener) -> None:
    with store.alone(listener), store.publishing(AREA, key) as made, store.workspace() as work:
        root = work / "root"
        for folder in EMPTY_FOLDERS:
            (root / folder).mkdir(parents=True)
        for name in MERGED:
            (root / "usr" / name).mkdir(parents=True)
            (root / name).symlink_to(f"usr/{name}")
        for package in _download(work):
            _must(["dpkg-deb", "--extract", str(package), str(root)])
        _complete(root)
        words = ["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", f"--directory={root}", "."]
        _must(["tar", *words, f"--file={work / 'root.tar'}"])
        shutil.copy(_dockerfile(), work)
        with tarfile.open(made / CONTEXT, "w") as context:
            for name in ("Dockerfile", "root.tar"):
                context.add(work / name, name)


def _download(work: Path) -> list[Path]:
    """Get the packages and all they depend on, as for a computer on which nothing is installed; it takes no root."""
    packages = work / "packages"
    (packages / "partial").mkdir(parents=True)
    settings = ("Dir::State::status=/dev/null", f"Dir::Cache::archives={packages}", "Debug::NoLocking=1")
    options = [word for setting in settings for word in ("-o", setting)]
    _must(["apt-get", "install", "--download-only", "--yes", "--no-install-recommends", *options, *PACKAGES])
    return sorted(packages.glob("*.deb"))


def _complete(root: Path) -> None:
    """Do what the packages' own scripts would, as far as it matters here."""
    for name, target in LINKS.items():
        link = root / name
        if not link.exists() and not link.is_symlink():
            link.symlink_to(target)
    for name in ("passwd", "group"):
        (root / "etc" / name).write_bytes((root / "usr/share/base-passwd" / f"{name}.master").read_bytes())
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    for folder in ("tmp", "var/tmp"):
        (root / folder).chmod(0o1777)


def _must(argv: Sequence[str]) -> CommandResult:
    environment = {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    invocation = Invocation(environment=environment)
    result = LocalRunner().run(argv, within_seconds=EXTRACT_WITHIN_SECONDS, invocation=invocation)
    if not result.succeeded:
        raise RequirementMissing(
            result.command,
            (result.stderr.strip() or "it printed nothing")[-600:],
            "it takes Debian or Ubuntu: sudo apt-get update, then run the same command again",
        )
    return result


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
