"""Has the lab's images on an engine: loaded from the cache, built there the first time. Pulls nothing."""

import json
import shutil
from contextlib import suppress
from pathlib import Path

from labsupport.errors import EngineError
from labsupport.process.commands import LocalRunner
from labsupport.process.progress import Listener, Progress, silent
from labsupport.systems.engines.engine import Engine
from labsupport.systems.images import staging
from labsupport.systems.images.archives import ARCHIVE, PACKAGES, SOURCE_DATE, Archives, dockerfile_of, identities_in
from labsupport.systems.images.recipes import RECIPES, Recipe, recipe_of, tools_of
from labsupport.systems.toolchain import Toolchain

IDENTITIES = "ids.json"
BUILD_WITHIN_SECONDS = 300


class Images:
    """The lab's images on one engine."""

    def __init__(self, engine: Engine, toolchain: Toolchain, listener: Listener = silent) -> None:
        self._engine = engine
        self._toolchain = toolchain
        self._listener = listener
        self._archives = Archives(toolchain)
        self._host = LocalRunner()

    def ensure(self, *names: str) -> None:
        """Have images such as `lab/toolbox` on the engine; return at once where they are there.

        Raises:
            UsageError: no lab builds an image of that name.
            RequirementMissing, ToolchainError: something it is made of cannot be had.
            EngineError: the engine could not build or load it.
        """
        for recipe in [recipe_of(name) for name in names]:
            self._toolchain.ensure(*tools_of(recipe))
            folder = self._archives.find(recipe) or self._build(recipe)
            if not self._is_loaded(recipe, folder):
                self._load(recipe, folder)

    def _build(self, recipe: Recipe) -> Path:
        if recipe.base:
            self.ensure(RECIPES[recipe.base].tag)
        self._listener(
            Progress(f"Building the image {recipe.tag} (about {recipe.seconds} s, {recipe.megabytes} MB), once")
        )
        store, area, key = self._toolchain.store, self._archives.area, self._archives.key(recipe)
        with store.alone(self._listener), store.publishing(area, key) as folder, store.workspace() as context:
            shutil.copy(dockerfile_of(recipe), context)
            self._stage(recipe, context)
            self._run_build(recipe, context, folder / ARCHIVE)
            (folder / IDENTITIES).write_text(json.dumps(identities_in(folder / ARCHIVE)))
        return store.root / area / key

    def _stage(self, recipe: Recipe, context: Path) -> None:
        match recipe.name:
            case "toolbox":
                staging.stage_toolbox(context, self._toolchain.debian_root(PACKAGES), self._host)
            case "debian":
                downloader = self._toolchain.bin_folder("wget")
                staging.stage_debian(context, self._toolchain.debian_root(PACKAGES), downloader, self._host)
            case _:
                for tool in recipe.tools:
                    staging.stage_program(context, self._toolchain.path(tool))

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
                f"look at {dockerfile_of(recipe)}, then run the same command again",
            )

    def _is_loaded(self, recipe: Recipe, folder: Path) -> bool:
        from docker.errors import ImageNotFound

        try:
            found = self._engine.client.images.get(recipe.tag)
        except ImageNotFound:
            return False
        return found.id in json.loads((folder / IDENTITIES).read_text())

    def _drop(self, recipe: Recipe) -> None:
        """Take the name off another image that has it: the engine would mix what it knows of both."""
        from docker.errors import ImageNotFound

        with suppress(ImageNotFound):
            self._engine.client.images.remove(recipe.tag, force=True, noprune=True)

    def _load(self, recipe: Recipe, folder: Path) -> None:
        from docker.errors import APIError, ImageLoadError

        try:
            with (folder / ARCHIVE).open("rb") as archive:
                self._drop(recipe)
                self._engine.client.images.load(archive)
        except (APIError, ImageLoadError) as error:
            raise EngineError(
                f"docker load --input {folder / ARCHIVE}",
                str(getattr(error, "explanation", None) or error),
                f"remove {folder}; {recipe.tag} is then built again",
            ) from error
