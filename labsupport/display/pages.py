"""A page that stands by itself: its style is in it, it needs no script and no network, and takes the reader's theme."""

from collections.abc import Sequence
from pathlib import Path

from labsupport.display.markup import Markup, element
from labsupport.display.style import stylesheet


def write_page(path: Path, title: str, body: Markup, links: Sequence[tuple[str, str]]) -> None:
    """Write one page.

    Args:
        links: (file, name) of the pages of which this is one, for its top.
    """
    book = (Path(__file__).parent / "book" / "book.css").read_text(encoding="utf-8")
    shown = [element("a", name, href=page, aria_current="page" if page == path.name else None) for page, name in links]
    page = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", title),
            element("style", Markup(stylesheet() + book)),
        ),
        element(
            "body",
            element(
                "div",
                element("a", "Skip to the content", href="#content", class_="skip"),
                element("header", element("nav", *shown, class_="top", aria_label="Pages")),
                element("main", body, id="content"),
                class_="page",
            ),
            class_="lab lab-book",
        ),
        lang="en",
    )
    path.write_text(f"<!doctype html>\n{page}\n", encoding="utf-8")
