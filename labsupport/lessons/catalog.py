"""The notebooks of the course and what each needs to run live. Data only."""

import difflib
from dataclasses import dataclass

from labsupport.errors import UsageError


@dataclass(frozen=True)
class Lesson:
    """One notebook: file name without ending, what it is about, and what must be live for it."""

    slug: str
    topic: str
    engine: bool = False
    images: tuple[str, ...] = ()
    nodes: int = 0

    @property
    def cluster(self) -> bool:
        return self.nodes > 0


LESSONS = (
    Lesson(
        "06-dockerfile-instructions",
        "What Dockerfile instructions really do",
        engine=True,
        images=("lab/toolbox",),
    ),
)


def lesson(slug: str) -> Lesson:
    """Return the notebook with this name; its number alone, or its .ipynb file name, will do.

    Raises:
        UsageError: there is no such notebook; the message names the nearest.
    """
    wanted = slug.rsplit("/", 1)[-1].removesuffix(".ipynb")
    for known in LESSONS:
        if wanted in (known.slug, known.slug[:2]):
            return known
    names = [known.slug for known in LESSONS]
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.3)
    raise UsageError(
        f"open the notebook {slug!r}",
        "there is no notebook of that name",
        f"did you mean {near[0]}?" if near else f"choose one of: {', '.join(names)}",
    )
