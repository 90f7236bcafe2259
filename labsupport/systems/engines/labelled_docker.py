"""The `docker` on the PATH of a lab on an engine that is not its alone: `python -I -S labelled_docker.py FOLDER …`.

Adds the lab's label to what a command makes, and says so; notes in the lab's journal what cannot be labelled; keeps the
images of others whose name a command takes. All else it hands to the real `docker` as it is.

Standard library only, and little of that: it starts for every command.
"""

import json
import os
import shlex
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labsupport.systems.engines.labelling import Command

SETTINGS = "own-engine.json"
REFUSED = 125  # what docker itself leaves where it does not come to run anything
KEPT = "kept"


@dataclass(frozen=True)
class Settings:
    """The file of that name in the run folder: the lab's name, where the engine is, and the real `docker`."""

    lab: str
    host: str
    docker: str

    def write(self, folder: Path) -> None:
        (folder / SETTINGS).write_text(json.dumps(vars(self)))

    @classmethod
    def read(cls, folder: Path) -> "Settings":
        return cls(**json.loads((folder / SETTINGS).read_text()))


def main(folder: Path, words: list[str]) -> int:
    from labsupport.systems.engines.labelling import Command

    settings, command = Settings.read(folder), Command.of(words)
    if command.refused:
        said = f"docker {command.verb}: not run, as {command.refused}. The lab's private engine takes it: leave out"
        print(f"{said} --engine own; or type it in a terminal of your own.", file=sys.stderr)
        return REFUSED
    argv = [settings.docker, *command.with_added(settings.lab)]
    if added := command.added(settings.lab):
        _tell(["docker", *argv[1:]], added)
    if not (command.makes_images or command.removes_containers):
        os.execv(argv[0], argv)
    from labsupport.errors import EngineError

    try:
        return _run_noting(folder, settings, command, argv)
    except EngineError:  # it does not answer, which docker says in its own words
        os.execv(argv[0], argv)


def _run_noting(folder: Path, settings: Settings, command: "Command", argv: list[str]) -> int:
    """Run a command, and note in the journal what no label tells."""
    from labsupport.errors import EngineError
    from labsupport.process.commands import run_in_front
    from labsupport.systems.engines.journal import Journal

    engine, journal = EngineNow(settings), Journal(folder)
    if command.removes_containers:
        journal.begin(command.words, volumes=engine.anonymous_volumes())
        return run_in_front(argv)
    engine.label_volumes(command.volumes())
    before = engine.look(builds=command.builds)
    named = {tag: image for tag, image in before.tags.items() if not command.names_its_images or command.names(tag)}
    key = journal.begin(command.words, was=named)
    if not command.runs:  # what runs takes no name from others
        engine.keep({tag: image for tag, image in named.items() if not journal.took(tag, image)})
    code = run_in_front(argv)
    with suppress(EngineError):
        journal.end(key, **engine.look(builds=command.builds).since(before, command, named))
    return code


def _tell(argv: list[str], added: tuple[str, ...]) -> None:
    if os.isatty(sys.stderr.fileno()):
        print(f"lab: adds {shlex.join(added)}: {shlex.join(argv)}", file=sys.stderr)


@dataclass(frozen=True)
class Look:
    """What was on an engine at one moment: names of images, images, what a builder left of containers, build cache."""

    tags: Mapping[str, str]
    images: frozenset[str]
    containers: frozenset[str]
    cache: frozenset[str]

    def since(self, before: "Look", command: "Command", named: Mapping[str, str]) -> dict[str, Any]:
        """What a command did: fields of the journal's entry.

        The classic builder labels only its last image: what came without a name while it worked is taken for the rest.
        """
        changed = {tag: image for tag, image in self.tags.items() if before.tags.get(tag) != image}
        classic = command.builds and os.environ.get("DOCKER_BUILDKIT") == "0"
        everything = classic or not command.names_its_images
        names = {tag: image for tag, image in changed.items() if everything or command.names(tag)}
        nameless = self.images - before.images - set(self.tags.values())
        return {
            "names": {**named, **names},
            "images": sorted(nameless) if classic else [],
            "containers": sorted(self.containers - before.containers) if classic else [],
            "cache": sorted(self.cache - before.cache),
        }


def _is_of_classic_builder(container: Mapping[str, Any]) -> bool:
    """Whether it is as the classic builder leaves one where an instruction fails, which it does not label."""
    return container.get("State") in ("exited", "created") and str(container.get("Command")).startswith("/bin/sh -c")


class EngineNow:
    """What the program asks of the engine, over a plain connection."""

    def __init__(self, settings: Settings) -> None:
        from labsupport.systems.machines.connections import Conversation

        self._lab = settings.lab
        self._engine = Conversation(settings.host)

    def look(self, *, builds: bool) -> Look:
        """Note what is there; containers and build cache only where something is built."""
        images = self._engine.ask("GET", "/images/json?all=1") or []
        usage = self._engine.ask("GET", "/system/df?type=build-cache") or {} if builds else {}
        records = usage.get("BuildCache") or (usage.get("BuildCacheUsage") or {}).get("Items") or ()
        containers = self._engine.ask("GET", "/containers/json?all=1") or [] if builds else []
        return Look(
            {tag: image["Id"] for image in images for tag in image.get("RepoTags") or () if self._is_somebodys(tag)},
            frozenset(image["Id"] for image in images),
            frozenset(each["Id"] for each in containers if _is_of_classic_builder(each)),
            frozenset(record["ID"] for record in records),
        )

    def keep(self, named: Mapping[str, str]) -> None:
        """Give images a second name: an engine drops one for good when its last name moves to another."""
        for image in set(named.values()):
            tag = image.rpartition(":")[2][:12]
            self._engine.ask("POST", f"/images/{image}/tag?repo={self._lab}/{KEPT}&tag={tag}")

    def label_volumes(self, names: list[str]) -> None:
        """Make the volumes that are not there yet, with the lab's label: `--volume` gives them none."""
        from labsupport.process.ownership import LABEL_KEY

        for name in names:
            if self._engine.ask("GET", f"/volumes/{name}") is None:
                self._engine.ask("POST", "/volumes/create", {"Name": name, "Labels": {LABEL_KEY: self._lab}})

    def anonymous_volumes(self) -> list[str]:
        """The volumes without a name of the lab's containers: they stay when these are removed without `--volumes`."""
        containers = self._engine.ask("GET", "/containers/json?all=1") or []
        mounts = [mount for each in containers if self._is_labelled(each) for mount in each.get("Mounts") or ()]
        names = [mount.get("Name", "") for mount in mounts if mount.get("Type") == "volume"]
        return [name for name in names if len(name) == 64 and set(name) <= set("0123456789abcdef")]

    def _is_somebodys(self, tag: str) -> bool:
        """Whether it is a name that somebody gave, and not what stands for none, or one that `keep` gave."""
        return tag != "<none>:<none>" and not tag.startswith(f"{self._lab}/{KEPT}:")

    def _is_labelled(self, container: Mapping[str, Any]) -> bool:
        from labsupport.process.ownership import LABEL_KEY

        return bool((container.get("Labels") or {}).get(LABEL_KEY) == self._lab)


if __name__ == "__main__":
    sys.path.insert(0, __file__.rsplit("/", 4)[0])
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
