"""Which images a lab builds, what each is made of, and what that costs. Decides; runs, reads and writes nothing."""

from dataclasses import dataclass

from labsupport.errors import UsageError

PREFIX = "lab/"
DEBIAN_RELEASE = "bookworm"


@dataclass(frozen=True)
class Recipe:
    """One image.

    Args:
        name: after `lab/`; its Dockerfile is toolchain/images/NAME/Dockerfile.
        base: the image it is FROM, without `lab/`, or None.
        tools: tools and groups of the toolchain it is made of, its base apart.
        seconds, megabytes: what making it costs on 2 cores, told before it is spent.
    """

    name: str
    base: str | None
    tools: tuple[str, ...]
    seconds: int
    megabytes: int

    @property
    def tag(self) -> str:
        return f"{PREFIX}{self.name}:latest"


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("toolbox", base=None, tools=("images",), seconds=2, megabytes=6),
        Recipe("agnhost", base="toolbox", tools=("agnhost",), seconds=3, megabytes=70),
        Recipe("registry", base="toolbox", tools=("registry", "slow-link"), seconds=4, megabytes=60),
        Recipe("debian", base=None, tools=("images",), seconds=60, megabytes=150),
    )
}


def recipe_of(image: str) -> Recipe:
    """Return the recipe of `lab/NAME`, with or without `:latest`.

    Raises:
        UsageError: no lab builds that image.
    """
    name = image.removeprefix(PREFIX).removesuffix(":latest")
    if not image.startswith(PREFIX) or name not in RECIPES:
        known = ", ".join(PREFIX + each for each in RECIPES)
        raise UsageError(f"provide the image {image}", "no lab builds it", f"use one of {known}")
    return RECIPES[name]


def full_names(*images: str) -> list[str]:
    """Return the names as an engine lists them, such as lab/toolbox:latest."""
    return [recipe_of(image).tag for image in images]


def tools_of(recipe: Recipe) -> tuple[str, ...]:
    """All the tools and groups that `recipe` and its bases are made of."""
    return (*recipe.tools, *(tools_of(RECIPES[recipe.base]) if recipe.base else ()))
