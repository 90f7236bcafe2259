"""Tells IPython how to show what experiments return, so that a cell may simply end with a step, a check or a table."""

from collections.abc import Callable
from typing import Any

from labsupport.display.exercises import exercise_shown, outcome_shown, progress_table
from labsupport.display.markup import Markup, Shown, element
from labsupport.display.steps import checks_shown, judgement_shown, observation_shown, step_shown
from labsupport.errors import LabError
from labsupport.experiments.checks import Check
from labsupport.experiments.exercises import Exercise, Outcome
from labsupport.experiments.progress import Progress
from labsupport.experiments.steps import Observation, Step
from labsupport.experiments.trial import Judgement

Showing = Callable[[Any], Shown]


def ways_to_show() -> dict[type, Showing]:
    """Type → how it is shown."""
    return {
        Step: step_shown,
        Observation: observation_shown,
        Check: lambda check: checks_shown([check]),
        Judgement: judgement_shown,
        Exercise: exercise_shown,
        Outcome: outcome_shown,
        Progress: lambda progress: progress_table(progress).shown(),
    }


def install() -> bool:
    """Register every way with the running IPython; False where there is none (a script, a test).

    An error of this project then shows its three sentences instead of a traceback; the cell fails as before.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        return False
    for kind, way in ways_to_show().items():
        shell.display_formatter.mimebundle_formatter.for_type(kind, _bundle_of(way))
    shell.set_custom_exc((LabError,), _tell)
    return True


def show(thing: object) -> None:
    """Display something now, in the middle of a cell: as HTML in a notebook, as text elsewhere."""
    from IPython.core.getipython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        print(as_shown(thing).text)
    else:
        display(as_shown(thing) if type(thing) in ways_to_show() else thing)


def as_shown(thing: object) -> Shown:
    """Return how something is shown: by itself, by its registered way, or as its text."""
    if isinstance(thing, Shown):
        return thing
    way = ways_to_show().get(type(thing))
    if way is not None:
        return way(thing)
    shown = getattr(thing, "shown", None)
    if callable(shown):
        made = shown()
        if isinstance(made, Shown):
            return made
    text = "" if thing is None else str(thing)
    return Shown(element("pre", text) if text else Markup(""), text)


def _bundle_of(way: Showing) -> Callable[..., dict[str, str]]:
    def bundle(thing: Any, include: object = None, exclude: object = None) -> dict[str, str]:
        return way(thing)._repr_mimebundle_(include, exclude)

    return bundle


def _tell(shell: Any, kind: type[LabError], error: LabError, trace: Any, tb_offset: int | None = None) -> list[str]:
    lines = [kind.__name__, *str(error).splitlines()]
    shell._showtraceback(kind, error, lines)
    return lines
