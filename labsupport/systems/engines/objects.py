"""What exists on an engine, and removing what came since. Never touches what was there before."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from labsupport.errors import EngineError
from labsupport.process.at_once import each_at_once

if TYPE_CHECKING:
    import docker

# Made by the engine itself on every start.
BUILT_IN_NETWORKS = frozenset({"bridge", "host", "none"})
AT_ONCE = 4


@dataclass(frozen=True)
class Snapshot:
    """Identities of everything on an engine at one moment. `tags` says which image each name meant."""

    containers: frozenset[str]
    networks: frozenset[str]
    volumes: frozenset[str]
    images: frozenset[str]
    tags: dict[str, str]
    build_cache: frozenset[str]


@dataclass(frozen=True)
class Removed:
    """Names of what was removed, by kind.

    `lost` are names from before whose image is gone for good: a build that reuses a name ends the older image.
    `kept` says what stays, as somebody else uses it: on an engine that is not the lab's alone.
    """

    containers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    build_cache: int = 0
    lost: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.containers or self.networks or self.volumes or self.images or self.build_cache)

    def __str__(self) -> str:
        """Say how many of each, such as "2 containers, 1 image"."""
        counts = {
            "container": len(self.containers),
            "network": len(self.networks),
            "volume": len(self.volumes),
            "image": len(self.images),
            "build cache record": self.build_cache,
        }
        return ", ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in counts.items() if n) or "nothing"


@dataclass
class Refusals:
    """Removals the engine refused; told together, after everything else was tried."""

    said: list[str] = field(default_factory=list)

    def attempt(self, what: str, remove: Callable[[], object]) -> bool:
        from docker.errors import APIError, NotFound

        try:
            remove()
        except NotFound:
            return True
        except APIError as error:
            self.said.append(f"{what}: {error.explanation or error}")
            return False
        return True


def take_snapshot(client: "docker.DockerClient") -> Snapshot:
    images = client.api.images(all=True)
    return Snapshot(
        containers=frozenset(each["Id"] for each in client.api.containers(all=True)),
        networks=frozenset(each["Id"] for each in client.api.networks()),
        volumes=frozenset(each["Name"] for each in client.api.volumes()["Volumes"] or ()),
        images=frozenset(each["Id"] for each in images),
        tags=tags_of(images),
        build_cache=build_cache_of(client),
    )


def remove_since(client: "docker.DockerClient", before: Snapshot) -> Removed:
    """Remove what is there now and was not there at `before`; give names back to the images they meant.

    Raises:
        EngineError: the engine refused some of it; all the rest is removed.
    """
    refusals = Refusals()
    removed = Removed(
        containers=remove_containers(client, before.containers, refusals),
        networks=_remove_networks(client, before, refusals),
        volumes=_remove_volumes(client, before, refusals),
        images=_remove_images(client, before, refusals),
        build_cache=_remove_build_cache(client, before),
        lost=_names_without_image(client, before),
    )
    if refusals.said:
        raise EngineError(
            "remove what the last trial made",
            "; ".join(refusals.said),
            "close whatever still uses it, then `./lab reset`",
        )
    return removed


def remove_containers(
    client: "docker.DockerClient", before: frozenset[str], refusals: Refusals, **which: Any
) -> tuple[str, ...]:
    """Remove the containers not there `before`, or `which` of them: as the API's own filters say."""
    new = [each for each in client.api.containers(all=True, **which) if each["Id"] not in before]

    def remove(each: dict[str, Any]) -> bool:
        # Anonymous volumes go with their container.
        removal = partial(client.api.remove_container, each["Id"], v=True, force=True)
        return refusals.attempt(f"container {_name_of(each)}", removal)

    # Each takes as long as its processes and mounts take to end.
    ended = each_at_once(remove, new, most=AT_ONCE)
    return tuple(_name_of(each) for each, gone in zip(new, ended, strict=True) if gone)


def _remove_networks(client: "docker.DockerClient", before: Snapshot, refusals: Refusals) -> tuple[str, ...]:
    new = [
        each
        for each in client.api.networks()
        if each["Id"] not in before.networks and each["Name"] not in BUILT_IN_NETWORKS
    ]
    return tuple(
        each["Name"]
        for each in new
        if refusals.attempt(f"network {each['Name']}", partial(client.api.remove_network, each["Id"]))
    )


def _remove_volumes(client: "docker.DockerClient", before: Snapshot, refusals: Refusals) -> tuple[str, ...]:
    new = [each["Name"] for each in client.api.volumes()["Volumes"] or () if each["Name"] not in before.volumes]
    return tuple(
        name for name in new if refusals.attempt(f"volume {name}", partial(client.api.remove_volume, name, force=True))
    )


def _remove_images(client: "docker.DockerClient", before: Snapshot, refusals: Refusals) -> tuple[str, ...]:
    tags = tags_of(client.api.images(all=True))
    for tag, image in before.tags.items():
        if tags.get(tag) != image:
            refusals.attempt(f"image {tag}", partial(client.api.tag, image, tag))
    new_tags = sorted(tags.keys() - before.tags.keys())
    gone = [tag for tag in new_tags if refusals.attempt(f"image {tag}", partial(remove_image, client, tag))]
    # What is left of them has no name: builds without a tag, layers of the classic builder, images whose name was
    # moved to a newer one. An image goes only after those made from it, so go round until a round changes nothing.
    return (*gone, *remove_in_rounds(client, lambda: _new_images(client, before), refusals))


def remove_in_rounds(
    client: "docker.DockerClient", find: Callable[[], frozenset[str]], refusals: Refusals, *, force: bool = True
) -> list[str]:
    """Remove the images that `find` returns, those first that no other is made from; return what is gone."""
    gone: list[str] = []
    unnamed = find()
    while unnamed:
        attempts = Refusals()
        removals = {image: partial(remove_image, client, image, force=force) for image in unnamed}
        gone += [image for image, removal in removals.items() if attempts.attempt(f"image {image}", removal)]
        left = find()
        if left == unnamed:
            refusals.said += attempts.said
            break
        unnamed = left
    return gone


def remove_image(client: "docker.DockerClient", image: str, *, force: bool = True) -> None:
    """Remove an image, or one name of it; by `force` also where a container was made from it."""
    # Without noprune the engine goes on to the image's parents, and hangs for good where an image is its own parent:
    # 29 makes such a one when an archive is loaded over a name that `docker commit` has given.
    client.api.remove_image(image, force=force, noprune=True)


def _new_images(client: "docker.DockerClient", before: Snapshot) -> frozenset[str]:
    return frozenset(each["Id"] for each in client.api.images(all=True)) - before.images


def _names_without_image(client: "docker.DockerClient", before: Snapshot) -> tuple[str, ...]:
    return tuple(sorted(before.tags.keys() - tags_of(client.api.images(all=True)).keys()))


def _remove_build_cache(client: "docker.DockerClient", before: Snapshot) -> int:
    new = build_cache_of(client) - before.build_cache
    if new and not before.build_cache:
        client.api.prune_builds(all=True)
        return len(new)
    return remove_cache_records(client, new)


def remove_cache_records(client: "docker.DockerClient", new: frozenset[str]) -> int:
    """Remove these records of the build cache; return how many are gone."""
    # A record goes only after those made from it, so go round until a round changes nothing.
    left = new
    while left:
        for record in left:
            client.api.prune_builds(all=True, filters={"id": record})  # type: ignore[arg-type]
        still = build_cache_of(client) & left
        if still == left:
            break
        left = still
    return len(new) - len(left)


def build_cache_of(client: "docker.DockerClient") -> frozenset[str]:
    # client.df() measures images and volumes too, which takes a while; this asks for the one part.
    answer = client.api.get(
        f"{client.api.base_url}/v{client.api.api_version}/system/df", params={"type": "build-cache"}
    )
    answer.raise_for_status()
    usage = answer.json()
    # Since API 1.52 the records stand below BuildCacheUsage; before that, and on request, in BuildCache.
    records = usage.get("BuildCache") or (usage.get("BuildCacheUsage") or {}).get("Items") or ()
    return frozenset(record["ID"] for record in records)


def tags_of(images: Iterable[dict[str, Any]]) -> dict[str, str]:
    return {tag: image["Id"] for image in images for tag in image.get("RepoTags") or () if tag != "<none>:<none>"}


def _name_of(container: dict[str, Any]) -> str:
    names = container.get("Names") or [container["Id"][:12]]
    return str(names[0]).lstrip("/")
