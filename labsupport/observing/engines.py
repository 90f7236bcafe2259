"""What a daemon says when it is started in a certain way."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labsupport.errors import EngineError
from labsupport.experiments.steps import Observation
from labsupport.experiments.trial import Trial

if TYPE_CHECKING:
    from labsupport.systems.engines.engine import Engine


def engine_started(trial: Trial, name: str, start: Callable[[], "Engine"]) -> Observation:
    """Start an engine; return {"started", "says"}: whether it answers, and what the daemon said if not."""

    def look() -> dict[str, Any]:
        try:
            start()
        except EngineError as error:
            return {"started": False, "says": error.happened}
        return {"started": True, "says": ""}

    return trial.observe(f"start of the engine {name}", look)
