"""Builds HTML with its plain-text twin. Knows tags and escaping; decides nothing about looks or content."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

__all__ = ["Markup", "Shown", "element", "join", "prose", "stack"]

_EMPTY_ELEMENTS = frozenset({"br", "hr", "img", "input", "link", "meta"})


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """Build one element; text is escaped, `Markup` is not.

    Attribute names: a trailing underscore goes (`class_`), other underscores become hyphens (`aria_label`).
    A value of None or False leaves the attribute out; True writes it without a value.
    """
    opening = Markup("<") + Markup(tag)
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        opening += Markup(" ") + Markup(name.rstrip("_").replace("_", "-"))
        if value is not True:
            opening += Markup('="') + escape(value) + Markup('"')
    opening += Markup(">")
    if tag in _EMPTY_ELEMENTS:
        return opening
    return opening + join(children) + Markup("</" + tag + ">")


def join(children: Iterable[object], between: object = "") -> Markup:
    """Put children after one another, escaping those that are text; None is left out."""
    return escape(between).join(escape(child) for child in children if child is not None)


def prose(text: str) -> Markup:
    """Escape text; what stands between `back ticks` becomes code."""
    return join(
        element("code", part) if place % 2 else part for place, part in enumerate(re.split(r"`([^`\n]+)`", text))
    )


@dataclass(frozen=True)
class Shown:
    """What a person sees, twice: as HTML and as the plain text that says the same.

    `tells_origin`: it says itself where it comes from, or nothing in it was seen in a trial; no mark is put above it.
    """

    html: Markup
    text: str
    tells_origin: bool = False

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": str(element("div", self.html, class_="lab")), "text/plain": self.text}

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


def stack(*parts: Shown) -> Shown:
    """One below the other; what tells its origin tells it for all."""
    told = any(part.tells_origin for part in parts)
    return Shown(join(part.html for part in parts), "\n\n".join(part.text for part in parts), told)
