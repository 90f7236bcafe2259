"""What a daemon says when it is started in a certain way."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labsupport.errors import CommandFailed, EngineError
from labsupport.experiments.steps import Observation
from labsupport.experiments.trial import Trial

if TYPE_CHECKING:
    from labsupport.systems.engines.engine import Engine


Start = Callable[[], "Engine"]
DaemonJson = Mapping[str, Any]


def engine_started(trial: Trial, name: str, start: Start, *, repeatable: bool = False) -> Observation:
    """Start an engine; return {"started", "says"}: whether it answers, and what the daemon said if not."""
    return trial.observe(f"start of the engine {name}", lambda: _outcome(start), repeatable=repeatable)


def engines_started(trial: Trial, starts: Mapping[str, Start]) -> Observation:
    """Start several engines at the same time; return {name: {"started", "says"}}."""

    def look() -> dict[str, Any]:
        with ThreadPoolExecutor(max_workers=len(starts)) as pool:
            return dict(zip(starts, pool.map(_outcome, starts.values()), strict=True))

    return trial.observe(f"start of the engines {', '.join(starts)}", look)


def contents(engines: "str | Mapping[str, str | DaemonJson]") -> "Iterator[tuple[str, Path | DaemonJson]]":
    """Give the daemon.json of each engine, with its name: as given, or the files NAME.json of a folder."""
    given = (
        {file.stem: str(file) for file in sorted(Path(engines).glob("*.json"))} if isinstance(engines, str) else engines
    )
    for name, content in given.items():
        yield name, Path(content) if isinstance(content, str) else content


def _outcome(start: Start) -> dict[str, Any]:
    try:
        start()
    except (EngineError, CommandFailed) as error:
        return {"started": False, "says": error.happened}
    return {"started": True, "says": ""}
