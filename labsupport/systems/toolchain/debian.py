"""Debian packages: unpacked into the cache for the labs, or installed where builds need them. Publishes nothing.

An installed daemon would start by itself and change this computer; an unpacked one is files in a folder.
"""

import errno
import os
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from labsupport.errors import RequirementMissing, ToolchainError
from labsupport.process.commands import CommandResult, Invocation, Runner
from labsupport.process.progress import Listener, Progress
from labsupport.systems.toolchain.catalogue import DebianSet, Tool

PROGRAM_FOLDERS = ("usr/sbin", "usr/bin", "sbin", "bin", "usr/lib/openvswitch-switch")
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
# Another apt-get of the user's may be running; wait for it rather than fail.
PATIENT = ("-o", "DPkg::Lock::Timeout=120")
STALE_INDEX = re.compile(r"Unable to locate package|no installation candidate|404 +Not Found|Can't find a source")
DISK_FULL = re.compile(r"No space left on device|enough free space")
NO_NETWORK = re.compile(r"Temporary failure resolving|Could not resolve|Unable to connect|Network is unreachable")


class AptGet:
    """Debian's package manager, as far as labs need it."""

    def __init__(self, runner: Runner, listener: Listener) -> None:
        self._runner = runner
        self._listener = listener

    def install(self, packages: Sequence[str], what: str) -> None:
        """Install `packages`; their daemons, if any, would start: only for what builds need.

        Raises:
            RequirementMissing: not root, or not Debian; the message has the command.
        """
        argv = ["apt-get", *PATIENT, "install", "--yes", "--no-install-recommends", *packages]
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise RequirementMissing(
                f"find {what}",
                "it is not installed, and only root can install it",
                f"sudo apt-get install --yes {' '.join(packages)}    (or your system's packages of that kind), "
                "then run the same command again",
            )
        self._listener(Progress(f"Installing {what}: apt-get install {' '.join(packages)} (about 60 MB, 1 min)"))
        self._fresh(argv)

    def unpack(self, debian_set: DebianSet, into: Path) -> dict[str, str]:
        """Unpack a set and the libraries this computer lacks; return each package's version.

        Raises:
            RequirementMissing: this is no Debian, or its package lists are missing and we are not root.
            ToolchainError: a package could not be had or is damaged.
            OSError: the disk is full.
        """
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise RequirementMissing(
                f"apt-get download {' '.join(debian_set.packages)}",
                "this is not Debian or Ubuntu, and the programs are not on PATH",
                f"install your system's packages of {', '.join(debian_set.packages)}, then run the same command again",
            )
        names = " ".join(debian_set.packages)
        self._listener(Progress(f"Unpacking Debian's {names} into the cache (about {debian_set.megabytes} MB)"))
        lacking = self._fresh(["apt-get", "install", "--simulate", "--no-install-recommends", *debian_set.packages])
        wanted = {*debian_set.packages, *re.findall(r"^Inst (\S+)", lacking.stdout, re.MULTILINE)}
        downloads = into / "downloads"
        downloads.mkdir()
        self._fresh(["apt-get", "download", *sorted(wanted)], folder=downloads)
        versions = {}
        for package in sorted(downloads.glob("*.deb")):
            name, version = self._must(
                ["dpkg-deb", "-W", "--showformat=${Package} ${Version}", str(package)]
            ).stdout.split()
            self._must(["dpkg-deb", "--extract", str(package), str(into / "root")])
            versions[name] = version
        shutil.rmtree(downloads)
        return versions

    def _fresh(self, argv: Sequence[str], *, folder: Path | None = None) -> CommandResult:
        """Run apt-get; where its package lists are missing or stale, update them and run it again."""
        invocation = Invocation(environment=QUIET, folder=folder)
        result = self._runner.run(argv, within_seconds=900, invocation=invocation)
        if result.succeeded:
            return result
        if STALE_INDEX.search(result.stdout + result.stderr):
            if os.geteuid() != 0:
                raise RequirementMissing(
                    result.command, result.stderr.strip()[-400:], "sudo apt-get update, then run the same command again"
                )
            self._listener(Progress("Updating Debian's package lists: apt-get update (about 10 MB)"))
            self._must(["apt-get", *PATIENT, "update"])
        return self._must(argv, folder=folder)

    def _must(self, argv: Sequence[str], *, folder: Path | None = None) -> CommandResult:
        result = self._runner.run(argv, within_seconds=900, invocation=Invocation(environment=QUIET, folder=folder))
        if result.succeeded:
            return result
        said = result.stderr.strip()[-800:]
        if DISK_FULL.search(said):
            raise OSError(errno.ENOSPC, said)  # told with all other full disks, by the store
        if NO_NETWORK.search(said):
            raise RequirementMissing(result.command, said, "connect to the network, then run the same command again")
        raise ToolchainError(result.command, said, "remove the cause named above, then run the same command again")


def program_in(root: Path, program: str) -> Path:
    """Return where an unpacked package has its program: Debian's releases differ in /bin and /usr/bin.

    Raises:
        ToolchainError: no package of the set has it.
    """
    for folder in PROGRAM_FOLDERS:
        path = root / folder / program
        if path.is_file() and not (path.is_symlink() and path.readlink().is_absolute()):
            return path
    raise ToolchainError(
        f"find {program} under {root}",
        "none of the unpacked packages has it",
        "correct `package` or `program` in toolchain/versions.toml for this release of Debian",
    )


def environment_for(root: Path) -> dict[str, str]:
    """Return what the programs unpacked under `root` need in their environment to find their own files."""
    folders = [path for pattern in ("usr/lib/*-linux-*", "lib/*-linux-*") for path in sorted(root.glob(pattern))]
    environment = {}
    # A C library of another age than the loader's own crashes every program: images take it, we must not.
    if folders and not any((folder / "libc.so.6").exists() for folder in folders):
        environment["LD_LIBRARY_PATH"] = ":".join(map(str, folders))
    for folder in folders:
        if (folder / "xtables").is_dir():
            environment["XTABLES_LIBDIR"] = str(folder / "xtables")
        if (folder / "rsyslog").is_dir():
            environment["RSYSLOG_MODDIR"] = f"{folder / 'rsyslog'}/"
    if (schemas := root / "usr/share/openvswitch").is_dir():
        environment["OVS_PKGDATADIR"] = str(schemas)
    if (scripts := root / "usr/share/debootstrap").is_dir():
        environment["DEBOOTSTRAP_DIR"] = str(scripts)
    return environment


def write_wrappers(folder: Path, tools: Sequence[Tool], *, published: Path) -> None:
    """Write folder/bin: a wrapper per tool that runs it, in its environment, where `folder` will be published."""
    (folder / "bin").mkdir()
    settings = [
        f"{name}={shlex.quote(value.replace(str(folder), str(published)))}"
        for name, value in environment_for(folder / "root").items()
    ]
    for tool in tools:
        assert tool.debian is not None
        program = published / program_in(folder / "root", tool.debian.program).relative_to(folder)
        wrapper = folder / "bin" / tool.command
        if not settings:  # dockerd mounts docker-init into containers: that must be the program itself
            wrapper.symlink_to(program)
            continue
        command = " ".join([*settings, "exec", shlex.quote(str(program)), '"$@"'])
        wrapper.write_text(f"#!/bin/sh\n{command}\n")
        wrapper.chmod(0o755)
