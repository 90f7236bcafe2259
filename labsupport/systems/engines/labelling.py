"""What a lab adds to a `docker` command on an engine that is not its alone. Decides; runs nothing, asks no engine.

Standard library only: it is part of the `docker` on the lab's PATH, which starts for every command.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labsupport.process.ownership import label

# Another key than that of containers: these would have it from their image, whoever runs them.
IMAGE_LABEL_KEY = "labsupport.image-of"
# Words before the command that take a word after them.
ELSEWHERE = {"-c", "--context", "-H", "--host"}
WITH_VALUE = ELSEWHERE | {"--config", "-l", "--log-level", "--tlscacert", "--tlscert", "--tlskey"}
MANAGERS = {"container", "image", "network", "volume", "builder", "buildx", "system"}
RUNS = {"run", "create", "container run", "container create"}
LABELLED = {
    *RUNS,
    *("network create", "volume create"),
}
BAKES = {"bake", "buildx bake", "buildx f"}
BUILDS = {"build", "image build", "builder build", "buildx build", "buildx b", *BAKES}
CHANGED = {"commit", "container commit", "import", "image import"}
NAMING = {"tag", "image tag", "pull", "image pull", "load", "image load"}
PRUNED = {"container prune", "image prune", "network prune", "volume prune"}
REMOVING = {"rm", "container rm", *PRUNED}
_SHARED = "that would change the engine for everyone who uses it, and this one is yours, not the lab's"
REFUSED = {
    **dict.fromkeys(("swarm", "service", "stack", "node", "secret", "config", "plugin"), _SHARED),
    **dict.fromkeys(
        ("builder prune", "buildx prune", "system prune"), "it cannot tell what is the lab's from what is yours"
    ),
    **dict.fromkeys(("buildx create", "compose"), "what it makes cannot be labelled as the lab's"),
}
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


@dataclass(frozen=True)
class Command:
    """A `docker` command as typed, and what becomes of it.

    Args:
        words: after `docker`.
        verb: what it does, such as "run" or "network create"; empty where no command is recognised.
        place: where in `words` the verb ends, and options may follow.
    """

    words: tuple[str, ...]
    verb: str
    place: int

    @classmethod
    def of(cls, words: Sequence[str]) -> "Command":
        """Find the verb; a command for another engine has none."""
        place = 0
        while place < len(words) and words[place].startswith("-"):
            if words[place].partition("=")[0] in ELSEWHERE:
                return cls(tuple(words), "", 0)
            place += 2 if words[place] in WITH_VALUE else 1
        verb = " ".join(words[place : place + 1])
        longer = " ".join(words[place : place + 2])
        if verb in MANAGERS and len(longer) > len(verb):
            return cls(tuple(words), longer, place + 2)
        return cls(tuple(words), verb, place + 1 if verb else place)

    @property
    def refused(self) -> str:
        """Why a lab does not run it; empty where it does."""
        asks_for_help = {"--help", "-h"}.intersection(self.words)
        return "" if asks_for_help else REFUSED.get(self.verb, "")

    @property
    def makes_images(self) -> bool:
        """Whether an image may come, or a name may move to another one."""
        return self.verb in BUILDS | CHANGED | NAMING | RUNS

    @property
    def runs(self) -> bool:
        return self.verb in RUNS

    @property
    def names_its_images(self) -> bool:
        """Whether its words have the names of all images that may come: an archive, or file of targets, has its own."""
        return self.verb not in ("load", "image load") and not self.bakes

    @property
    def builds(self) -> bool:
        return self.verb in BUILDS

    @property
    def bakes(self) -> bool:
        """Whether it builds what a file of targets says."""
        return self.verb in BAKES

    @property
    def removes_containers(self) -> bool:
        return self.verb in REMOVING

    def added(self, lab: str) -> tuple[str, ...]:
        """The words that make the lab's mark on what it makes, or keep it to what is the lab's."""
        of_image = f"{IMAGE_LABEL_KEY}={lab}"
        if self.verb in LABELLED:
            return ("--label", label(lab))
        if self.bakes:
            return ("--set", f"*.labels.{of_image}")
        if self.verb in BUILDS:
            return () if self._writes_elsewhere else ("--label", of_image)
        if self.verb in CHANGED:
            return ("--change", f"LABEL {of_image}")
        if self.verb in PRUNED:
            what = of_image if self.verb == "image prune" else label(lab)
            return ("--filter", f"label={what}")
        return ()

    def with_added(self, lab: str) -> tuple[str, ...]:
        """The words to run in their place."""
        return (*self.words[: self.place], *self.added(lab), *self.words[self.place :])

    def names(self, tag: str) -> bool:
        """Whether its words have the name of an image, such as web:latest."""
        wanted = {tag, tag.removesuffix(":latest")}
        return any(_without_registry(part) in wanted for word in self.words[self.place :] for part in _parts(word))

    def volumes(self) -> list[str]:
        """The named volumes that it mounts, which the engine makes where there are none."""
        if not self.runs:
            return []
        return [name for spec in self._mounts() if (name := _volume_in(spec)) and _VOLUME_NAME.fullmatch(name)]

    def _mounts(self) -> Iterator[tuple[str, str]]:
        rest = self.words[self.place :]
        for word, following in zip(rest, (*rest[1:], ""), strict=True):
            option, equals, value = word.partition("=")
            if option in ("-v", "--volume", "--mount"):
                yield option, value if equals else following
            elif word.startswith("-v") and not word.startswith("--"):
                yield "-v", word[2:]

    @property
    def _writes_elsewhere(self) -> bool:
        """Whether a build's result is a file or a folder, and not an image of the engine."""
        rest = self.words[self.place :]
        given = [
            value if equals else following
            for word, following in zip(rest, (*rest[1:], ""), strict=True)
            for option, equals, value in [word.partition("=")]
            if option in ("-o", "--output")
        ]
        return any("dest=" in each or "type=" not in each for each in given)


def _parts(word: str) -> Iterator[str]:
    """A word, and what of it may be a name: after `--tag=`, `-t`, `type=image,name=`."""
    yield word
    yield word.partition("=")[2] if word.startswith("-") else ""
    yield from (piece.removeprefix("name=") for piece in word.split(",") if piece.startswith("name="))
    if word.startswith("-t"):
        yield word[2:]


def _without_registry(name: str) -> str:
    return name.removeprefix("docker.io/").removeprefix("library/")


def _volume_in(spec: tuple[str, str]) -> str:
    option, value = spec
    if option != "--mount":
        name, colon, _ = value.partition(":")
        return name if colon else ""
    fields = dict(field.partition("=")[::2] for field in value.split(","))
    return fields.get("source") or fields.get("src") or "" if fields.get("type", "volume") == "volume" else ""
