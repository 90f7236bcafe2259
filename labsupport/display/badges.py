"""A badge per notebook: a small picture that says whether it passed, and whether live or from a recording.

A badge stands by itself on other people's pages: no style sheet reaches it, and nothing is fetched for it.
"""

from labsupport.display.markup import Markup, element
from labsupport.display.style import HUES, INK, LINE, PAPER, Mark

HEIGHT = 20
CHARACTER_WIDTH = 6.6  # of the widest common sans-serif at 11 px, on the average
PADDING = 6


def badge(title: str, *marks: Mark) -> Markup:
    """Draw a title and, after it, each mark: its symbol, its word, and below both a line in its colour."""
    words = [title, *(mark.text for mark in marks)]
    widths = [round(len(text) * CHARACTER_WIDTH + 2 * PADDING) for text in words]
    colours = [INK.light, *(_colour(mark) for mark in marks)]
    parts: list[Markup] = []
    left = 0
    for text, width, colour in zip(words, widths, colours, strict=True):
        middle = left + width / 2
        parts.append(element("rect", x=left, y=HEIGHT - 3, width=width, height=3, fill=colour))
        parts.append(element("text", text, x=middle, y=13, fill=INK.light, text_anchor="middle"))
        left += width
    return element(
        "svg",
        element("title", ", ".join(words)),
        element("rect", width=left, height=HEIGHT, fill=PAPER.light, stroke=LINE.light),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        width=left,
        height=HEIGHT,
        role="img",
        aria_label=", ".join(words),
        font_family="Verdana, DejaVu Sans, sans-serif",
        font_size=11,
    )


def _colour(mark: Mark) -> str:
    return next(hue.light for hue in HUES if hue.name == mark.hue)
