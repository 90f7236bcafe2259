"""A git repository that builds can fetch from."""

from typing import TYPE_CHECKING, Any

from labsupport.experiments.steps import Observation
from labsupport.experiments.trial import Trial

if TYPE_CHECKING:
    from labsupport.backends.places import Places


def git_served(trial: Trial, places: "Places", name: str, *, at: str) -> Observation:
    """Serve a new repository with one file at an address of the lab's machine until the trial ends; return {"url"}."""

    def look() -> dict[str, Any]:
        from labsupport.systems.machines.repositories import serve_repository

        served = serve_repository(places.server(), name, at)
        places.undo_at_the_end(f"the repository {name}", served.end)
        return {"url": served.url, "commands": list(served.commands)}

    return trial.observe(f"repository {name}", look)
