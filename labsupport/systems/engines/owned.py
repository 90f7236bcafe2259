"""What a lab has on an engine that is not its alone, and removing that: what has its label, or is in its journal.

Never goes by what came since: other people make things there meanwhile. What they use of the lab's stays, and is told.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.process.ownership import LABEL_KEY, locked
from labsupport.systems.engines.journal import Journal
from labsupport.systems.engines.labelled_docker import KEPT
from labsupport.systems.engines.labelling import IMAGE_LABEL_KEY
from labsupport.systems.engines.objects import (
    Refusals,
    Removed,
    Snapshot,
    build_cache_of,
    remove_cache_records,
    remove_containers,
    remove_image,
    remove_in_rounds,
    tags_of,
)

if TYPE_CHECKING:
    import docker

# One lab at a time takes images into use or lets go of them: else one removes what another has just found there.
IMAGES_LOCK = ".images-of-engines"
NOTHING_BEFORE = Snapshot(frozenset(), frozenset(), frozenset(), frozenset(), {}, frozenset())


@dataclass(frozen=True)
class Owned:
    """What one lab has there.

    Args:
        lab: its name.
        folder: its run folder, with the journal.
        others: the run folders of other labs that use this engine now: they get what both use.
    """

    client: "docker.DockerClient"
    lab: str
    folder: Path
    others: Callable[[], Iterable[Path]] = field(default=lambda: ())

    def remove(self, before: Snapshot = NOTHING_BEFORE) -> Removed:
        """Remove what the lab has there, but for what was there at `before`; give names back to what they meant."""
        client, journal, refusals = self.client, Journal(self.folder), Refusals()
        entries = journal.entries()
        noted = [identity for entry in entries for identity in entry.containers]
        containers = remove_containers(client, before.containers, refusals, filters=self._label)
        for identity in set(noted) - before.containers:
            refusals.attempt(f"container {identity[:12]}", partial(client.api.remove_container, identity, force=True))
        networks = [
            each["Name"]
            for each in client.api.networks(filters=self._label)
            if each["Id"] not in before.networks
            and refusals.attempt(f"network {each['Name']}", partial(client.api.remove_network, each["Id"]))
        ]
        anonymous = {name for entry in entries for name in entry.volumes}
        volumes = [
            name
            for name in sorted(self._volumes(anonymous) - before.volumes)
            if refusals.attempt(f"volume {name}", partial(client.api.remove_volume, name))
        ]
        with locked(self.folder.parent, IMAGES_LOCK):
            images = self._remove_images(journal, before, refusals)
        cached = frozenset(record for entry in entries for record in entry.cache) - before.build_cache
        return Removed(
            containers=containers,
            networks=tuple(networks),
            volumes=tuple(volumes),
            images=tuple(images),
            build_cache=remove_cache_records(client, cached & build_cache_of(client)) if cached else 0,
            lost=tuple(sorted(before.tags.keys() - self._tags().keys())),
            kept=tuple(refusals.said),
        )

    def left(self) -> list[str]:
        """Name what the lab still has there."""
        api, journal = self.client.api, Journal(self.folder)
        tags = self._tags()
        return [
            *(f"container {each['Id'][:12]}" for each in api.containers(all=True, filters=self._label)),
            *(f"network {each['Name']}" for each in api.networks(filters=self._label)),
            *(f"volume {name}" for name in sorted(self._volumes(set()))),
            *(f"image {tag}" for tag in sorted(tags) if self._is_guard(tag) or self._is_left(tag, tags[tag], journal)),
            *(f"image {image}" for image in sorted(self._nameless(NOTHING_BEFORE))),
        ]

    def _is_left(self, tag: str, image: str, journal: Journal) -> bool:
        return journal.took(tag, image, self._labelled()) and self._other_user(tag) is None

    @property
    def _label(self) -> dict[str, Any]:
        return {"label": f"{LABEL_KEY}={self.lab}"}

    def _volumes(self, noted: set[str]) -> set[str]:
        """Those with the label, and those `noted` that are still there."""
        labelled = self.client.api.volumes(filters=self._label)["Volumes"] or ()
        there = {each["Name"] for each in self.client.api.volumes()["Volumes"] or ()} if noted else set()
        return {each["Name"] for each in labelled} | (noted & there)

    def _tags(self) -> dict[str, str]:
        return tags_of(self.client.api.images(all=True))

    def _remove_images(self, journal: Journal, before: Snapshot, refusals: Refusals) -> list[str]:
        gone = []
        found = self.client.api.images(all=True)
        tags, images, labelled = tags_of(found), {each["Id"] for each in found}, self._labelled()
        for tag, image in sorted(tags.items()):
            if self._is_guard(tag):
                continue
            took = before.tags.get(tag) != image and journal.took(tag, image, labelled)
            if not took or self._hand_over(tag, image, journal):
                continue
            was = before.tags.get(tag) or journal.meant_before(tag, image)
            if was in images:
                refusals.attempt(f"image {tag}", partial(self.client.api.tag, was, tag))
            elif refusals.attempt(f"image {tag}", self._untag(tag)):
                gone.append(tag)
        for tag in filter(self._is_guard, tags.keys() - before.tags.keys()):
            refusals.attempt(f"image {tag}", self._untag(tag))
        return gone + remove_in_rounds(self.client, lambda: self._nameless(before), refusals, force=False)

    def _untag(self, tag: str) -> Callable[[], None]:
        return partial(remove_image, self.client, tag, force=False)

    def _is_guard(self, tag: str) -> bool:
        return tag.startswith(f"{self.lab}/{KEPT}:")

    def _labelled(self) -> set[str]:
        """The images that the lab's builds have made."""
        label = {"label": f"{IMAGE_LABEL_KEY}={self.lab}"}
        return {each["Id"] for each in self.client.api.images(all=True, filters=label)}

    def _nameless(self, before: Snapshot) -> frozenset[str]:
        """The lab's images that have no name, or none any more: one with a name in nobody's journal is somebody's."""
        journal = Journal(self.folder)
        noted = {image for entry in journal.entries() for image in entry.images}
        found = self._labelled()
        named = set(self._tags().values())
        there = {each["Id"] for each in self.client.api.images(all=True)}
        return frozenset(((found | noted) & there) - named - before.images)

    def _hand_over(self, tag: str, image: str, journal: Journal) -> bool:
        """Leave an image to another lab that uses it too, and note there what its name meant before either."""
        theirs = self._other_user(tag)
        if theirs is not None:
            was = {tag: meant} if (meant := journal.meant_before(tag, image)) else {}
            theirs.end(theirs.begin(("load", tag), was=was), names={tag: image})
        return theirs is not None

    def _other_user(self, tag: str) -> Journal | None:
        for journal in map(Journal, self.others()):
            if any(tag in entry.was or tag in (entry.names or {}) for entry in journal.entries()):
                return journal
        return None
