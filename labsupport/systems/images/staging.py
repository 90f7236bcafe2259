"""Fills the folders that images are built from: files of unpacked packages, built programs, a debootstrapped system.

Knows no engine: what is built from these folders is another's work.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from labsupport.errors import RequirementMissing, ToolchainError
from labsupport.process.commands import Invocation, Runner
from labsupport.systems.images.recipes import DEBIAN_RELEASE

DEBOOTSTRAP_WITHIN_SECONDS = 900
SHELLS = ("busybox", "dash", "bash")
# What those link against, and what resolves names for them: glibc 2.34 and later has files and DNS in libc itself.
LIBRARIES = ("libc.so.6", "libresolv.so.2", "libtinfo.so.6")
LIBRARY_FOLDERS = ("lib/*-linux-*", "usr/lib/*-linux-*")
EMPTY_FOLDERS = ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/sbin", "var/tmp")
ACCOUNTS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
GROUPS = "root:x:0:\nnogroup:x:65534:\n"
# Left by the packages' installation, different each time, and of no use in an image.
NOT_REPRODUCIBLE = (
    "var/cache/apt/archives/*.deb",
    "var/cache/apt/*.bin",
    "var/cache/ldconfig/aux-cache",
    "var/cache/debconf/*-old",
    "var/lib/apt/lists/*",
    "var/lib/dpkg/*-old",
    "var/log/*.log",
    "var/log/apt/*",
    "etc/machine-id",
    "etc/resolv.conf",
    "etc/hostname",
)


def stage_toolbox(context: Path, debian: Path, runner: Runner) -> None:
    """Put busybox, dash, bash and their libraries into context/root.

    Args:
        debian: an unpacked tree of Debian packages.
    """
    root = context / "root"
    for folder in EMPTY_FOLDERS:
        (root / folder).mkdir(parents=True)
    for folder in ("tmp", "var/tmp"):
        (root / folder).chmod(0o1777)
    (root / "root").chmod(0o700)
    (root / "bin").mkdir()
    for shell in SHELLS:
        _copy(_find(debian, (f"bin/{shell}", f"usr/bin/{shell}")), root / "bin" / shell, debian)
    # Programs name the loader by this path, such as /lib64/ld-linux-x86-64.so.2.
    loader = _find(debian, ("lib64/ld-linux-*", "lib/ld-linux-*", "usr/lib64/ld-linux-*", "usr/lib/ld-linux-*"))
    _copy(loader, root / loader.parent.name / loader.name, debian)
    for library in LIBRARIES:
        found = _find(debian, [f"{folder}/{library}" for folder in LIBRARY_FOLDERS])
        _copy(found, root / "lib" / found.parent.name / library, debian)
    for applet in _applets(root, loader.name, runner):
        link = root / "bin" / applet
        if not link.exists():
            link.symlink_to("busybox")
    (root / "etc/passwd").write_text(ACCOUNTS)
    (root / "etc/group").write_text(GROUPS)


def stage_program(context: Path, program: Path) -> None:
    """Put one program into the context, under its own name."""
    shutil.copyfile(program, context / program.name)
    (context / program.name).chmod(0o755)


def stage_debian(context: Path, debian: Path, downloader: Path, runner: Runner) -> None:
    """Make a Debian system with debootstrap and put it into context/root.tar.

    It is made in mount and process namespaces of its own: what a cut-off run had mounted or started is gone with it.

    Args:
        debian: an unpacked tree of Debian packages, debootstrap among them.
        downloader: a folder with wget, which debootstrap calls.

    Raises:
        RequirementMissing: not root, or the packages cannot be had.
    """
    if os.geteuid() != 0:
        raise RequirementMissing(
            "make a Debian image", "debootstrap takes root", "run it once with sudo: `sudo ./lab …`"
        )
    root = context / "root"
    argv = [
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *("sh", str(_find(debian, ("usr/sbin/debootstrap",)))),
        *("--variant=minbase", *_keyring(debian), DEBIAN_RELEASE, str(root), *_mirror(runner)),
    ]
    invocation = Invocation(
        environment={
            "DEBOOTSTRAP_DIR": str(debian / "usr/share/debootstrap"),
            "PATH": f"{downloader}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C",
        }
    )
    result = runner.run(argv, within_seconds=DEBOOTSTRAP_WITHIN_SECONDS, invocation=invocation)
    if not result.succeeded:
        said = "\n".join((result.stdout + result.stderr).strip().splitlines()[-8:])
        raise RequirementMissing(result.command, said, "connect to the network; this image is made once and then kept")
    for pattern in NOT_REPRODUCIBLE:
        for path in root.glob(pattern):
            if not path.is_dir():
                path.unlink()
    _tar(root, context / "root.tar", runner)
    shutil.rmtree(root)


def _tar(root: Path, archive: Path, runner: Runner) -> None:
    argv = [
        "tar",
        "--create",
        "--sort=name",
        "--mtime=@0",
        "--numeric-owner",
        f"--file={archive}",
        f"--directory={root}",
        ".",
    ]
    runner.run(argv, within_seconds=300).or_raise("free some disk space, then run the same command again")


def _keyring(debian: Path) -> list[str]:
    """Debian's keys from the unpacked packages: another distribution has not got them."""
    keyring = debian / "usr/share/keyrings/debian-archive-keyring.gpg"
    return [f"--keyring={keyring}"] if keyring.exists() else []


def _mirror(runner: Runner) -> list[str]:
    """Where this computer gets its own packages, if those are of the same release; else debootstrap knows a place."""
    result = runner.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages", f"Codename: {DEBIAN_RELEASE}"]
    )
    return result.stdout.split()[:1] if result.succeeded else []


def _applets(root: Path, loader: str, runner: Runner) -> list[str]:
    """Ask busybox for its commands, with the libraries it will have in the image."""
    loader_path = next(root.glob(f"lib*/{loader}"))
    libraries = next(path for path in (root / "lib").iterdir() if path.is_dir())
    argv = [str(loader_path), "--library-path", str(libraries), str(root / "bin/busybox"), "--list"]
    return runner.run(argv).or_raise("is this image made for another processor?").stdout.split()


def _find(root: Path, patterns: Iterable[str]) -> Path:
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            return path
    raise ToolchainError(
        f"find {' or '.join(patterns)} under {root}",
        "none of the unpacked packages has it",
        "`./lab clean --all`, then run the same command again; if it stays, this release of Debian keeps it elsewhere",
    )


def _copy(source: Path, target: Path, tree: Path) -> None:
    """Copy the file that `source` is or links to; an absolute link means a file of `tree`, not of this computer."""
    while source.is_symlink():
        points_to = source.readlink()
        source = tree / points_to.relative_to("/") if points_to.is_absolute() else source.parent / points_to
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)
