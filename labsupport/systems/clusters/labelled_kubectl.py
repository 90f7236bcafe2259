"""The `kubectl` on the PATH of a lab that shares a namespace with others: `python -m …labelled_kubectl FOLDER …`.

Labels what a command makes as the lab's, so that it can be told from what others have there, and refuses to change what
is not the lab's. All else it hands to the real `kubectl` as it is.
"""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labsupport.process.commands import CommandResult, Invocation, LocalRunner, run_in_front
from labsupport.process.ownership import LABEL_KEY, label

FROM_FILES = {"apply", "create", "replace"}
GENERATORS = {"create", "expose", "autoscale"}
FILES = ("-f", "--filename", "-k", "--kustomize")
WITH_VALUE = {"-n", "--namespace", "--context", "--cluster", "--user", "--kubeconfig", "-s", "--server", "--token"}
ALREADY_THERE = 1


@dataclass(frozen=True)
class Command:
    """A `kubectl` command as typed: the words after `kubectl`, and where among them its verb ends."""

    words: tuple[str, ...]
    place: int

    @classmethod
    def of(cls, words: Sequence[str]) -> "Command":
        place = 0
        while place < len(words) and words[place].startswith("-"):
            place += 2 if words[place] in WITH_VALUE else 1
        return cls(tuple(words), place + 1)

    @property
    def verb(self) -> str:
        return "".join(self.words[self.place - 1 : self.place])

    @property
    def is_rehearsal_of_the_client(self) -> bool:
        return any(word in ("--dry-run=client", "--help", "-h") for word in self.words)

    def split_files(self) -> tuple[list[str], list[str]]:
        """Return the words that name manifests, and the others."""
        files: list[str] = []
        others: list[str] = []
        words = list(self.words)
        while words:
            word = words.pop(0)
            if word in FILES and words:
                files += [word, words.pop(0)]
            elif word.startswith(tuple(f"{each}=" for each in FILES)) or word in ("-R", "--recursive"):
                files.append(word)
            else:
                others.append(word)
        return files, others

    def with_label(self, mark: str) -> tuple[str, ...]:
        """The words of `run`, and of a `delete --all`, that keep to what is the lab's."""
        words = list(self.words)
        if self.verb == "delete" and "--all" in words:
            return tuple(f"--selector={mark}" if word == "--all" else word for word in words)
        for number, word in enumerate(words):
            if word in ("-l", "--labels"):
                return (*words[: number + 1], f"{words[number + 1]},{mark}", *words[number + 2 :])
            if word.startswith("--labels="):
                return (*words[:number], f"{word},{mark}", *words[number + 1 :])
        name = "".join(words[self.place : self.place + 1])
        return (*words[: self.place], f"--labels=run={name},{mark}", *words[self.place :])


def main(folder: Path, words: Sequence[str]) -> int:
    from labsupport.systems.clusters.own_place import Place

    place, command = Place.read(folder), Command.of(words)
    assert place is not None
    mark, kubectl = label(place.lab), place.kubectl
    files, others = command.split_files()
    if command.is_rehearsal_of_the_client:
        return run_in_front([kubectl, *words])
    if command.verb in FROM_FILES and files:
        return _make(kubectl, mark, files, others)
    if command.verb in GENERATORS and len(words) > command.place:
        made = _quietly([kubectl, *words, "--dry-run=client", "-o", "yaml"])
        return _make(kubectl, mark, ["-f", "-"], ["create"], made.stdout) if made.succeeded else _failed(made)
    if command.verb == "run" or (command.verb == "delete" and "--all" in words):
        words = command.with_label(mark)
        _tell(["kubectl", *words])
    return run_in_front([kubectl, *words])


def _make(kubectl: str, mark: str, files: list[str], others: list[str], given: str | None = None) -> int:
    """Do as `others` say with the manifests, each with the lab's label; unless one is there that is not the lab's."""
    if given is None and any(word in ("-", "-f=-", "--filename=-") for word in files):
        given = sys.stdin.read()
    labelled = _quietly([kubectl, "label", "--local", "--overwrite", "-o", "json", *files, mark], given)
    if not labelled.succeeded:
        return _failed(labelled)
    manifests = "\n---\n".join(json.dumps(each) for each in documents_in(labelled.stdout))
    there = _quietly([kubectl, "get", "--ignore-not-found", "-o", "json", "-f", "-"], manifests)
    foreign = [name for each in documents_in(there.stdout) for name in not_of_lab(each, mark)]
    if foreign:
        said = f"{', '.join(foreign)}: there already, and not the lab's, which leaves what others have as it is"
        print(f"kubectl {others[0]}: not done, as of {said}. Choose another name.", file=sys.stderr)
        return ALREADY_THERE
    _tell(["kubectl", *others, *files])
    done = _quietly([kubectl, *others, "-f", "-"], manifests)
    print(done.stdout, end="")
    return _failed(done)


def documents_in(text: str) -> list[dict[str, object]]:
    """Read JSON documents that stand one after the other."""
    decoder, found = json.JSONDecoder(), []
    while text := text.strip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def not_of_lab(document: dict[str, object], mark: str) -> list[str]:
    """Name the objects of a document, which may be a list, that lack the lab's label."""
    items = document.get("items")
    if isinstance(items, list):
        return [name for item in items for name in not_of_lab(item, mark)]
    metadata = document.get("metadata")
    assert isinstance(metadata, dict)
    has = (metadata.get("labels") or {}).get(LABEL_KEY)
    return [] if f"{LABEL_KEY}={has}" == mark else [f"{document['kind']} {metadata['name']}".lower()]


def _quietly(argv: list[str], given: str | None = None) -> CommandResult:
    return LocalRunner().run(argv, within_seconds=120, invocation=Invocation(stdin=given))


def _failed(result: CommandResult) -> int:
    print(result.stderr, end="", file=sys.stderr)
    return result.exit_code


def _tell(argv: list[str]) -> None:
    if os.isatty(sys.stderr.fileno()):
        print(f"lab: labels what this makes as the lab's: {shlex.join(argv)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
