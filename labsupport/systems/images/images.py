"""Has the lab's images on an engine: loaded from the cache, built there the first time. Pulls nothing.

An image in the cache is an archive as `docker save` writes it, under a key that changes with whatever goes into it.
"""

import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from labsupport.errors import EngineError
from labsupport.process.commands import LocalRunner
from labsupport.process.progress import Listener, Progress, silent
from labsupport.project import this_project
from labsupport.systems.engines.engine import Engine
from labsupport.systems.images import staging
from labsupport.systems.images.recipes import DEBIAN_RELEASE, RECIPES, Recipe, recipe_of, tools_of
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.toolchain.catalogue import Platform

if TYPE_CHECKING:
    import docker

# The toolchain's set of Debian packages that images are made of.
PACKAGES = "images"
ARCHIVE = "image.tar"
IDENTITIES = "ids.json"
BUILD_WITHIN_SECONDS = 300
# The date of every file and layer, so that the same inputs make the same digest.
SOURCE_DATE = "1700000000"


class Images:
    """The lab's images on one engine."""

    def __init__(self, engine: Engine, toolchain: Toolchain, listener: Listener = silent) -> None:
        self._engine = engine
        self._toolchain = toolchain
        self._listener = listener
        self._store = toolchain.store
        self._host = LocalRunner()

    def ensure(self, *names: str) -> None:
        """Have images such as `lab/toolbox` on the engine; return at once where they are there.

        Raises:
            UsageError: no lab builds an image of that name.
            RequirementMissing, ToolchainError: something it is made of cannot be had.
            EngineError: the engine could not build or load it.
        """
        for recipe in [recipe_of(name) for name in names]:
            archive = self._archive_of(recipe)
            if not self._is_loaded(recipe, archive):
                self._load(recipe, archive)

    def missing(self, *names: str) -> list[str]:
        """Return those of `names` that `ensure` would have to build, which takes a while."""
        recipes = [recipe_of(name) for name in names]
        return [each.tag for each in recipes if self._toolchain.missing(*tools_of(each)) or not self._cached(each)]

    def _archive_of(self, recipe: Recipe) -> Path:
        self._toolchain.ensure(*tools_of(recipe))
        return self._cached(recipe) or self._build(recipe)

    def _cached(self, recipe: Recipe) -> Path | None:
        return self._store.find(self._area, self._key(recipe))

    @property
    def _area(self) -> str:
        return f"images/{Platform.here()}"

    def _key(self, recipe: Recipe) -> str:
        return f"{recipe.name}-{self._digest(recipe)[:12]}"

    def _digest(self, recipe: Recipe) -> str:
        """Digest of what the image is made of: its Dockerfile, how it is staged, the versions in it, its base."""
        digest = hashlib.sha256(f"{recipe} {SOURCE_DATE} {DEBIAN_RELEASE}".encode())
        digest.update((_folder_of(recipe) / "Dockerfile").read_bytes())
        digest.update(Path(staging.__file__).read_bytes())
        for tool in recipe.tools:
            digest.update(repr(self._origin(tool)).encode())
        if recipe.base:
            digest.update(self._digest(RECIPES[recipe.base]).encode())
        return digest.hexdigest()

    def _origin(self, tool: str) -> object:
        """Say which version of a recipe's tool there is."""
        return self._toolchain.debian_versions(tool) if tool == PACKAGES else self._toolchain.provenance(tool)

    def _build(self, recipe: Recipe) -> Path:
        if recipe.base:
            self.ensure(RECIPES[recipe.base].tag)
        self._listener(
            Progress(f"Building the image {recipe.tag} (about {recipe.seconds} s, {recipe.megabytes} MB), once")
        )
        key = self._key(recipe)
        with (
            self._store.alone(self._listener),
            self._store.publishing(self._area, key) as folder,
            self._store.workspace() as context,
        ):
            shutil.copy(_folder_of(recipe) / "Dockerfile", context)
            self._stage(recipe, context)
            self._run_build(recipe, context, folder / ARCHIVE)
            (folder / IDENTITIES).write_text(json.dumps(_identities(folder / ARCHIVE)))
        return self._store.root / self._area / key

    def _stage(self, recipe: Recipe, context: Path) -> None:
        match recipe.name:
            case "toolbox":
                staging.stage_toolbox(context, self._toolchain.debian_root(PACKAGES), self._host)
            case "debian":
                staging.stage_debian(context, self._toolchain.debian_root(PACKAGES), self._host)
            case _:
                staging.stage_program(context, self._toolchain.path(recipe.name))

    def _run_build(self, recipe: Recipe, context: Path, archive: Path) -> None:
        argv = [
            *("docker", "buildx", "build", "--quiet", "--provenance=false", "--sbom=false", "--network=none"),
            f"--build-arg=SOURCE_DATE_EPOCH={SOURCE_DATE}",
            f"--output=type=docker,dest={archive},name={recipe.tag},rewrite-timestamp=true,compression=uncompressed",
            str(context),
        ]
        result = self._engine.runner.run(argv, within_seconds=BUILD_WITHIN_SECONDS)
        if not result.succeeded:
            raise EngineError(
                result.command,
                result.stderr.strip()[-1500:],
                f"look at toolchain/images/{recipe.name}, then run it again",
            )

    def _is_loaded(self, recipe: Recipe, folder: Path) -> bool:
        from docker.errors import ImageNotFound

        try:
            found = self._client.images.get(recipe.tag)
        except ImageNotFound:
            return False
        return found.id in json.loads((folder / IDENTITIES).read_text())

    def _load(self, recipe: Recipe, folder: Path) -> None:
        from docker.errors import APIError

        try:
            with (folder / ARCHIVE).open("rb") as archive:
                self._client.images.load(archive)
        except APIError as error:
            raise EngineError(
                f"docker load --input {folder / ARCHIVE}",
                str(error.explanation or error),
                f"remove that folder, or `./lab clean --all`; {recipe.tag} is then built again",
            ) from error

    @property
    def _client(self) -> "docker.DockerClient":
        return self._engine.client


def _folder_of(recipe: Recipe) -> Path:
    return this_project().root / "toolchain" / "images" / recipe.name


def _identities(archive: Path) -> list[str]:
    """What an engine may call the image: its manifest's digest in a containerd image store, its config's elsewhere."""
    with tarfile.open(archive) as files:

        def read(name: str) -> list[dict[str, object]]:
            member = files.extractfile(name)
            assert member is not None
            content = json.load(member)
            return list(content["manifests"] if isinstance(content, dict) else content)

        manifests = [str(each["digest"]) for each in read("index.json")]
        configs = [
            "sha256:" + str(each["Config"]).removesuffix(".json").rpartition("/")[2] for each in read("manifest.json")
        ]
    return manifests + configs
