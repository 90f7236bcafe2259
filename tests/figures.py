"""Whether what is drawn can be had without seeing it: a name for every drawing, and a table that says the same."""

import re

FIGURE = re.compile(r"<figure\b.*?</figure>", re.DOTALL)
NAMED_DRAWING = re.compile(r'<svg role="img" aria-label="[^"]+"')
TABLE_TWIN = re.compile(r"<summary>The same as a table</summary>.*<table\b", re.DOTALL)


def figures_in(html: str) -> list[str]:
    return FIGURE.findall(html)


def seen_only(html: str) -> list[str]:
    """Return the beginning of each figure that lacks its table, and of each drawing without name or figure."""
    found = [figure for figure in figures_in(html) if not TABLE_TWIN.search(figure)]
    nameless = re.findall(r"<svg\b[^>]*>", NAMED_DRAWING.sub("", html))
    outside = re.findall(r"<(?:svg|img)\b[^>]*>", FIGURE.sub("", html))
    return [each[:200] for each in (*found, *nameless, *outside)]
