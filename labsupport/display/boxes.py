"""Boxes within boxes: what holds what. Text in nested frames, so that it reads on a phone and to a screen reader."""

from dataclasses import dataclass

from labsupport.display.figures import Figure
from labsupport.display.markup import Markup, element
from labsupport.display.tables import Table


@dataclass(frozen=True)
class Box:
    """One frame: its name, a line about it, small things in it, and the boxes it holds."""

    name: str
    note: str
    items: tuple[str, ...] = ()
    boxes: tuple["Box", ...] = ()


def boxes(title: str, outermost: Box, *, alt: str, twin: Table) -> Figure:
    """Draw a box with all it holds."""
    return Figure(title, alt, _frame(outermost), twin)


def _frame(box: Box) -> Markup:
    items = element("ul", *(element("li", item) for item in box.items), class_="lab-box-items") if box.items else None
    heading = element("p", element("strong", box.name), " ", element("span", box.note, class_="lab-muted lab-small"))
    held = element("div", *(_frame(each) for each in box.boxes), class_="lab-box-row") if box.boxes else None
    return element("div", heading, items, held, class_="lab-box", role="group", aria_label=box.name)
