"""A small Debian in a folder: packages and all they depend on, unpacked. Nothing is installed, and no script runs.

Takes no root, so it is the same for everyone. What its user runs in it, and keeps of it, is theirs to decide.
"""

from collections.abc import Sequence
from pathlib import Path

from labsupport.errors import RequirementMissing
from labsupport.process.commands import CommandResult, Invocation, LocalRunner

# What every such tree begins with: a shell and the commands that people type first.
ORDINARY_PACKAGES = (
    *("base-files", "base-passwd", "bash", "coreutils", "dash", "findutils", "gawk", "grep", "gzip", "hostname"),
    *("iproute2", "iptables", "libc-bin", "libseccomp2", "mount", "nftables", "procps", "sed", "tar", "util-linux"),
)
# Since Debian 12 these are links, which packages do not bring; one that brings a folder of that name puts it there.
MERGED = ("bin", "sbin", "lib", "lib64")
FIREWALL = [f"{family}{action}" for family in ("iptables", "ip6tables") for action in ("", "-save", "-restore")]
LINKS = {
    **{f"usr/sbin/{command}": "xtables-nft-multi" for command in FIREWALL},
    "usr/bin/awk": "gawk",
    "usr/bin/sh": "dash",
}
EMPTY_FOLDERS = ("dev", "mnt", "opt", "proc", "root", "run", "sys", "tmp", "var/tmp", "var/log", "var/lib")
WITHIN_SECONDS = 300
# Some hundred MB, over whatever line there is.
DOWNLOADED_WITHIN_SECONDS = 3600


def recipe_of(packages: Sequence[str]) -> list[object]:
    """Return all that decides what `make_tree` makes, for a cache's key."""
    return [tuple(packages), EMPTY_FOLDERS, MERGED, sorted(LINKS.items()), _release()]


def make_tree(root: Path, packages: Sequence[str], work: Path) -> None:
    """Unpack packages, and all they depend on, into `root`; `work` is a folder for what that takes on the way.

    Raises:
        RequirementMissing: this is not Debian or Ubuntu, or the packages cannot be had.
    """
    for folder in EMPTY_FOLDERS:
        (root / folder).mkdir(parents=True)
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in _download(packages, work):
        must(["dpkg-deb", "--extract", str(package), str(root)])
    _complete(root)


def must(argv: Sequence[str], within_seconds: float = WITHIN_SECONDS) -> CommandResult:
    """Run a command of Debian's own."""
    invocation = Invocation(environment={"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"})
    result = LocalRunner().run(argv, within_seconds=within_seconds, invocation=invocation)
    if not result.succeeded:
        raise RequirementMissing(
            result.command,
            (result.stderr.strip() or "it printed nothing")[-600:],
            "it takes Debian or Ubuntu: sudo apt-get update, then run the same command again",
        )
    return result


def _download(packages: Sequence[str], work: Path) -> list[Path]:
    """Get the packages and all they depend on, as for a computer on which nothing is installed."""
    downloads = work / "packages"
    (downloads / "partial").mkdir(parents=True)
    settings = ("Dir::State::status=/dev/null", f"Dir::Cache::archives={downloads}", "Debug::NoLocking=1")
    options = [word for setting in settings for word in ("-o", setting)]
    command = ["apt-get", "install", "--download-only", "--yes", "--no-install-recommends", *options, *packages]
    must(command, DOWNLOADED_WITHIN_SECONDS)
    return sorted(downloads.glob("*.deb"))


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


def _release() -> str:
    release = Path("/etc/os-release")
    lines = release.read_text().splitlines() if release.exists() else []
    return next((line for line in lines if line.startswith("VERSION_CODENAME=")), "")
