"""The user's own engine as a lab's: its commands labelled, what it made known from what others have, all of it removed.

Finds the engine, never starts or ends one, and changes nothing of it but by what a lab's commands make.
"""

import os
import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.errors import RequirementMissing
from labsupport.process.commands import LocalRunner
from labsupport.process.ownership import caller, label, locked
from labsupport.systems.engines import labelled_docker
from labsupport.systems.engines.engine import Engine
from labsupport.systems.engines.journal import Journal
from labsupport.systems.engines.objects import Removed, Snapshot
from labsupport.systems.engines.owned import IMAGES_LOCK, Owned
from labsupport.systems.engines.private import make_client_folder
from labsupport.systems.machines.own_engine import OwnEngine

if TYPE_CHECKING:
    import docker

KIND = "own"
OLDEST_API = (1, 41)
CLIENT_FOLDER, COMMANDS_FOLDER = "docker-config", "bin"
LAUNCHER = '#!/bin/sh\nexec {python} -I -S {program} {folder} "$@"\n'


@dataclass(frozen=True)
class OwnEngineTools:
    """The programs of this computer that talk to it: `docker`, BuildKit's plugin, and where they came from."""

    docker: Path
    buildx: Path
    sources: tuple[Any, ...] = ()


@dataclass
class EngineOfUser(Engine):
    """The user's engine, used by a lab that is not alone there."""

    lab: str = ""
    folder: Path = Path()
    others: Callable[[], Iterable[Path]] = field(default=lambda: (), repr=False)

    @cached_property
    def client(self) -> "docker.DockerClient":
        return OwnEngine(self.host).client

    @property
    def owned(self) -> Owned:
        """What the lab has there."""
        return Owned(self.client, self.lab, self.folder, self.others)

    @property
    def mark(self) -> str:
        """The label on what the lab's commands make."""
        return label(self.lab)

    def remove_since(self, snapshot: Snapshot) -> Removed:
        """Remove what the lab's commands made since; leave what others made, and what was there before."""
        return self.owned.remove(snapshot)

    def note_images(self, tags: Iterable[str], load: Callable[[], None]) -> None:
        """Have images loaded that no command of the lab loads, noting in its journal that they are its."""
        words = ("load", *tags)
        now = labelled_docker.EngineNow(labelled_docker.Settings.read(self.folder))
        journal = Journal(self.folder)
        with locked(self.folder.parent, IMAGES_LOCK):
            named = {tag: image for tag, image in now.look(builds=False).tags.items() if tag in words}
            key = journal.begin(words, was=named)
            now.keep(named)
            load()
            journal.end(key, names={tag: image for tag, image in now.look(builds=False).tags.items() if tag in words})


def use_own_engine(
    lab: str, folder: Path, tools: OwnEngineTools, host: str, others: Callable[[], Iterable[Path]]
) -> EngineOfUser:
    """Set up the lab's `docker` in its run folder, and return the engine.

    Args:
        lab: the lab's name.
        folder: its run folder.
        host: where the engine is.
        others: the run folders of other labs that use this engine now.

    Raises:
        RequirementMissing: it does not answer, or is too old.
    """
    _require_usable(host)
    labelled_docker.Settings(lab, host, str(tools.docker)).write(folder)
    make_client_folder(tools.buildx, folder / CLIENT_FOLDER)
    commands = folder / COMMANDS_FOLDER
    commands.mkdir(exist_ok=True)
    words = {"python": sys.executable, "program": labelled_docker.__file__, "folder": str(folder)}
    launcher = commands / "docker"
    launcher.write_text(LAUNCHER.format(**{name: shlex.quote(word) for name, word in words.items()}))
    launcher.chmod(0o755)
    owner = caller()
    for file in (folder / labelled_docker.SETTINGS, launcher, commands):
        os.chown(file, owner.uid, owner.gid)
    return own_engine(lab, folder, tools, host, others)


def own_engine(
    lab: str, folder: Path, tools: OwnEngineTools, host: str, others: Callable[[], Iterable[Path]]
) -> EngineOfUser:
    """Return the engine of a lab that has been set up."""
    environment = {
        "DOCKER_HOST": host,
        "DOCKER_CONFIG": str(folder / CLIENT_FOLDER),
        "DOCKER_CLI_HINTS": "false",
        "PATH": f"{folder / COMMANDS_FOLDER}:{os.environ.get('PATH', os.defpath)}",
    }
    return EngineOfUser(
        kind=KIND,
        name=f"your own engine at {host}",
        host=host,
        environment=environment,
        runner=LocalRunner(environment),
        log=folder / "log" / "none",
        sources=tools.sources,
        lab=lab,
        folder=folder,
        others=others,
    )


def _require_usable(host: str) -> None:
    engine = OwnEngine(host)
    try:
        version = engine.client.api.api_version
    finally:
        engine.client.close()
    if tuple(map(int, version.split("."))) < OLDEST_API:
        wanted = ".".join(map(str, OLDEST_API))
        raise RequirementMissing(
            f"use your engine at {host}", f"it is too old: API {version}, and a lab needs {wanted}", "update Docker"
        )
