"""How an error looks: three lines for one of ours, the cell for a notebook that stopped. Raises and hides nothing."""

import traceback
from dataclasses import dataclass

from labsupport.display.markup import Markup, Shown, element, join, prose
from labsupport.display.style import AVAILABILITY
from labsupport.errors import LabError, NotRecorded


@dataclass(frozen=True)
class Failure:
    """The cell that stopped a notebook, and what it said."""

    cell_id: str
    source: str
    name: str
    message: str


def error_shown(error: Exception) -> Shown:
    """Show an error as three lines: what was tried, what happened, what to do. A fault of ours keeps its traceback."""
    if isinstance(error, LabError):
        hue = AVAILABILITY["recorded"].hue if isinstance(error, NotRecorded) else "bad"
        pairs = (("Tried", error.tried), ("What happened", error.happened), ("What to do", error.do))
        items = join(join([element("dt", name), element("dd", prose(value))]) for name, value in pairs)
        return Shown(_panel(hue, element("dl", items, class_="lab-facts")), str(error))
    said = f"The lab itself has a fault here: {type(error).__name__}: {error}"
    where = element("pre", "".join(traceback.format_exception(error)))
    return Shown(_panel("bad", element("p", said), element("details", element("summary", "Where"), where)), said)


def failure_shown(failure: Failure) -> Markup:
    """Show what stopped a notebook: the error's words first, then the cell."""
    link = element("a", "the cell that failed", href=f"#cell-{failure.cell_id}")
    return _panel(
        "bad",
        element("p", f"✗ This notebook stopped: {failure.name}", class_="lab-heading"),
        element("pre", failure.message, class_="message"),
        element("p", "It came from ", link, ":"),
        element("pre", failure.source, class_="message"),
    )


def _panel(hue: str, *children: object) -> Markup:
    return element("div", *children, class_=f"lab-panel lab-edge lab-hue-{hue}", role="alert")
