"""The image archives in the cache: what an image's key is made of, and which images are there. Knows no engine."""

import hashlib
import json
import tarfile
from pathlib import Path

from labsupport.errors import ToolchainError
from labsupport.project import this_project
from labsupport.systems.images import staging
from labsupport.systems.images.recipes import DEBIAN_RELEASE, RECIPES, Recipe, recipe_of, tools_of
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.toolchain.catalogue import Platform

# The toolchain's set of Debian packages that images are made of.
PACKAGES = "images"
ARCHIVE = "image.tar"
# The date of every file and layer, so that the same inputs make the same digest.
SOURCE_DATE = "1700000000"


class Archives:
    """Images as `docker save` writes them, under keys that change with whatever goes into an image."""

    def __init__(self, toolchain: Toolchain) -> None:
        self._toolchain = toolchain
        self.area = f"images/{Platform.here()}"

    def find(self, recipe: Recipe) -> Path | None:
        """Return the folder of an image's archive, or None. Its tools must be there."""
        return self._toolchain.store.find(self.area, self.key(recipe))

    def key(self, recipe: Recipe) -> str:
        return f"{recipe.name}-{self._digest(recipe)[:12]}"

    def missing(self, *names: str) -> list[str]:
        """Return those of `names` that have to be built before use, which takes a while."""
        recipes = [recipe_of(name) for name in names]
        return [each.tag for each in recipes if self._toolchain.missing(*tools_of(each)) or not self.find(each)]

    def _digest(self, recipe: Recipe) -> str:
        """Digest of the image's Dockerfile, how it is staged, the versions in it, and the same of its base."""
        digest = hashlib.sha256(f"{recipe} {SOURCE_DATE} {DEBIAN_RELEASE}".encode())
        digest.update((dockerfile_of(recipe)).read_bytes())
        digest.update(Path(staging.__file__).read_bytes())
        for tool in recipe.tools:
            digest.update(repr(self._origin(tool)).encode())
        if recipe.base:
            digest.update(self._digest(RECIPES[recipe.base]).encode())
        return digest.hexdigest()

    def _origin(self, tool: str) -> object:
        """Say which version of a recipe's tool there is."""
        return self._toolchain.debian_versions(tool) if tool == PACKAGES else self._toolchain.provenance(tool)


def missing_images(toolchain: Toolchain, *names: str) -> list[str]:
    """Return those of `names`, such as `lab/toolbox`, that have to be built before use, which takes a while."""
    return Archives(toolchain).missing(*names)


def archives_of(toolchain: Toolchain, *names: str) -> tuple[Path, ...]:
    """Return the archive of each of `names`; all must have been built.

    Raises:
        ToolchainError: one was not.
    """
    found = {name: Archives(toolchain).find(recipe_of(name)) for name in names}
    if missing := [name for name, folder in found.items() if folder is None]:
        raise ToolchainError(
            f"find the images {', '.join(missing)} in {toolchain.cache}",
            "they were not built yet",
            "run ./lab run once",
        )
    return tuple(folder / ARCHIVE for folder in found.values() if folder is not None)


def dockerfile_of(recipe: Recipe) -> Path:
    return this_project().root / "toolchain" / "images" / recipe.name / "Dockerfile"


def identities_in(archive: Path) -> list[str]:
    """What an engine may call the image: its manifest's digest in a containerd image store, its config's elsewhere."""
    with tarfile.open(archive) as files:

        def read(name: str) -> list[dict[str, object]]:
            member = files.extractfile(name)
            assert member is not None
            content = json.load(member)
            return list(content["manifests"] if isinstance(content, dict) else content)

        configs = [str(each["Config"]).removesuffix(".json").rpartition("/")[2] for each in read("manifest.json")]
        return [*(str(each["digest"]) for each in read("index.json")), *(f"sha256:{config}" for config in configs)]
