"""A computer whose user has no root, and a Docker engine that shares neither sockets nor, but for one folder, files.

The computer is a namespaces machine, and the engine on it is dialled over TCP, as one in a virtual machine. What the
user keeps in SHARED the engine sees; APART is there in the user's own mount namespace only.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labsupport.process.commands import CommandResult, Invocation, LocalRunner
from labsupport.process.ownership import Owner
from labsupport.process.progress import silent
from labsupport.project import this_project
from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.private import start_daemon
from labsupport.systems.engines.settings import DaemonSettings, EngineFolders
from labsupport.systems.guests import inside
from labsupport.systems.guests.container import VOLUME, VOLUME_LABEL
from labsupport.systems.guests.image import AREA, make_system
from labsupport.systems.machines.machine import Machine, Service
from labsupport.systems.machines.namespaces import start_namespaces_machine
from tests.engines import toolchain, tools

USER = 4242
HOST = "tcp://127.0.0.1:2375"
SHARED, APART = "/tmp/shared", "/mnt"
# An ordinary user in all but one thing: may read whatever folder the interpreter happens to be in.
AS_USER = (
    *("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"),
    *(f"--{kind}=-all,+dac_read_search" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
    "--",
)
# Where the engine does not see it: a file system of the user's own.
WITH_OWN_FILES = f"""
mount -t tmpfs -o mode=755 none {APART}
mkdir {APART}/clone
tar --create --directory {SHARED}/clone --exclude ./.venv . | tar --extract --directory {APART}/clone
mkdir {APART}/clone/.venv
mount --rbind {SHARED}/clone/.venv {APART}/clone/.venv
chown {USER}:{USER} {APART}/clone
cd {APART}/clone
code=0; "$@" || code=$?
cp -a build {SHARED}/build-of-apart
exit $code
"""
PARTS = ("labsupport", "notebooks", "toolchain", "tests")


@dataclass(frozen=True)
class Desktop:
    """A computer with such an engine. `clone` is the user's, as this process sees it."""

    machine: Machine
    engine: Engine
    clone: Path

    def lab(self, *words: str, apart: bool = False, stdin: str | None = None, **environment: str) -> CommandResult:
        """Run `./lab` as the user, in the clone that the engine shares, or in one that it does not."""
        invocation = Invocation(stdin=stdin, environment={**_environment(), **environment})
        return self.machine.runner.run(_argv(words, apart), within_seconds=300, invocation=invocation)

    def start_lab(self, *words: str) -> Service:
        """Start the same and go on; its log is the machine's log/user.log."""
        return self.machine.start("user", _argv(words, False), environment=_environment())

    def objects(self) -> set[str]:
        """Name what is on the engine."""
        client = self.engine.client
        found = [*client.containers.list(all=True, ignore_removed=True), *client.volumes.list()]
        return {f"{type(each).__name__} {each.id}" for each in [*found, *client.networks.list()]}


@contextmanager
def desktop() -> Iterator[Desktop]:
    """Give a desktop whose engine can have a guest container at once: image base, tools and packages are there."""
    make_system(toolchain().store, silent)
    folders = [tools().programs, toolchain().bin_folder("machine")]
    machine = start_namespaces_machine(owner=Owner.this_process(), tools=folders, visible=[this_project().root])
    try:
        settings = DaemonSettings().as_daemon_json() | {"hosts": [HOST], "tls": False}
        engine = start_daemon(machine, tools(), EngineFolders(machine.folder / "engine"), settings)
        account = f"learner:x:{USER}:{USER}::{SHARED}/home:/bin/sh"
        machine.runner.run(["sh", "-c", 'echo "$0" >>/etc/passwd', account]).or_raise()
        clone = _make_clone(machine.folder / "private" / SHARED.lstrip("/"))
        machine.runner.run(["mount", "--bind", sys.prefix, f"{SHARED}/clone/.venv"]).or_raise()
        _fill_volume(engine, machine.folder / "engine/docker/volumes" / VOLUME / "_data")
        yield Desktop(machine, engine, clone)
        engine.close()
    finally:
        machine.close()


def _argv(words: Sequence[str], apart: bool) -> list[str]:
    lab = [*AS_USER, "./lab", *words]
    if apart:
        return ["unshare", "--mount", "sh", "-ec", WITH_OWN_FILES, "sh", *lab]
    return ["sh", "-c", f'cd {SHARED}/clone && exec "$@"', "sh", *lab]


def _environment() -> dict[str, str]:
    paths = {"HOME": f"{SHARED}/home", "TMPDIR": f"{SHARED}/home", "LAB_CACHE": str(toolchain().cache)}
    return {**paths, "DOCKER_HOST": HOST, "LAB_RUN_ROOT": f"{SHARED}/home/labs", "PYTHONDONTWRITEBYTECODE": "1"}


def _make_clone(folder: Path) -> Path:
    project = this_project().root
    clone = folder / "clone"
    clone.mkdir(parents=True)
    for part in PARTS:
        shutil.copytree(project / part, clone / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("lab", "requirements.lock", "pyproject.toml"):
        shutil.copy2(project / part, clone / part)
    (clone / ".venv").mkdir()
    (folder / "home").mkdir()
    for path in [clone, folder / "home", *clone.rglob("*")]:
        os.chown(path, USER, USER, follow_symlinks=False)
    return clone


def _fill_volume(engine: Engine, volume: Path) -> None:
    """Put into the guest containers' volume what they would get and build for some 20 minutes."""
    engine.client.volumes.create(VOLUME, labels=VOLUME_LABEL)
    cache = volume / "cache"
    cache.mkdir()
    for area in toolchain().cache.iterdir():
        if area.is_dir() and area.name not in ("bin", "build", "partial", AREA):
            _copy(area, cache)
    for wrapper in cache.glob("debian/*/*/bin/*"):
        _say_where_it_is_now(wrapper)
    for clone in (f"{SHARED}/clone", f"{APART}/clone"):
        environment = volume / "venvs" / hashlib.sha256(clone.encode()).hexdigest()[:12]
        environment.mkdir(parents=True)
        for part in ("lib", "share", "etc", "requirements.lock"):
            _copy(Path(sys.prefix) / part, environment)
        (environment / "bin").mkdir()
        for script in (Path(sys.prefix) / "bin").iterdir():
            if script.is_file() and not script.is_symlink():
                _copy(script, environment / "bin")
        (environment / "bin/python").symlink_to("/usr/bin/python3")
        (environment / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")


def _say_where_it_is_now(wrapper: Path) -> None:
    """Wrappers of unpacked programs, and links to them, have the whole path of the cache they were made in."""
    old, new = str(toolchain().cache), inside.CACHE_FOLDER
    if wrapper.is_symlink():
        target = str(wrapper.readlink()).replace(old, new)
        wrapper.unlink()
        wrapper.symlink_to(target)
    else:
        text = wrapper.read_text().replace(old, new)
        wrapper.unlink()  # another link to it is in this computer's own cache
        wrapper.write_text(text)
        wrapper.chmod(0o755)


def _copy(source: Path, target: Path) -> None:
    """Copy as links to the same files where that can be: they are large, and only read."""
    if not LocalRunner().run(["cp", "-a", "--link", str(source), str(target)]).succeeded:
        LocalRunner().run(["cp", "-a", str(source), str(target)], within_seconds=120).or_raise()
