"""Tells IPython how to show what experiments return, so that a cell may simply end with a step, a check or a table.

It is also the one place that marks what is recorded or simulated and does not say so itself.
"""

from collections.abc import Callable
from typing import Any

from labsupport.display.exercises import exercise_shown, outcome_shown, progress_table
from labsupport.display.markup import Markup, Shown, element
from labsupport.display.origin import LIVE, Origin
from labsupport.display.steps import checks_shown, judgement_shown, observation_shown, step_shown
from labsupport.errors import LabError
from labsupport.experiments.checks import Check
from labsupport.experiments.exercises import Exercise, Outcome
from labsupport.experiments.progress import Progress
from labsupport.experiments.steps import Observation, Step
from labsupport.experiments.trial import Judgement

Showing = Callable[[Any], Shown]
# In a notebook on recorded evidence these are made from it, for all one can see.
PLAIN_VALUES = (bool, int, float, str, list, tuple, dict, set)


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


def install(origin: Callable[[], Origin] = lambda: LIVE) -> bool:
    """Have the running IPython show things our way; False where there is none (a script, a test).

    What does not tell where it comes from gets the mark of `origin` at that moment: a check, a table, a plain value. An
    error of this project shows its three sentences instead of a traceback; the cell fails as before.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        return False
    shell.display_formatter = marking(shell.display_formatter, origin)
    shell.set_custom_exc((LabError,), _tell)
    return True


def marking(before: Any, origin: Callable[[], Origin]) -> Any:
    """Make a display formatter of IPython that shows our things our way, and all others as the one before it does."""
    # Imported when a notebook asks: the command line must not pay for IPython.
    from IPython.core.formatters import DisplayFormatter

    class Marking(DisplayFormatter):  # type: ignore[misc]  # IPython carries no types we can follow
        def format(self, thing: Any, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
            ours = shown_our_way(thing)
            if ours is not None:
                return origin().mark(ours)._repr_mimebundle_(), {}
            bundle, metadata = super().format(thing, include, exclude)
            if type(thing) in PLAIN_VALUES and not origin().is_plain:
                text = bundle["text/plain"]
                bundle |= origin().mark(Shown(element("pre", text, class_="lab-value"), text))._repr_mimebundle_()
            return bundle, metadata

    return Marking(
        parent=before.parent,
        formatters=before.formatters,
        mimebundle_formatter=before.mimebundle_formatter,
        ipython_display_formatter=before.ipython_display_formatter,
    )


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
    ours = shown_our_way(thing)
    if ours is not None:
        return ours
    text = "" if thing is None else str(thing)
    return Shown(element("pre", text) if text else Markup(""), text)


def shown_our_way(thing: object) -> Shown | None:
    """Return how something is shown by itself or by its registered way; None for what has neither."""
    if isinstance(thing, Shown):
        return thing
    way = ways_to_show().get(type(thing))
    if way is not None:
        return way(thing)
    shown = getattr(thing, "shown", None)
    made = shown() if callable(shown) and not isinstance(thing, type) else None
    return made if isinstance(made, Shown) else None


def _tell(shell: Any, kind: type[LabError], error: LabError, trace: Any, tb_offset: int | None = None) -> list[str]:
    lines = [kind.__name__, *str(error).splitlines()]
    shell._showtraceback(kind, error, lines)
    return lines
