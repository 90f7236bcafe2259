"""Turns an executed notebook into the body of a page: no script, nothing loaded from the network, failure first."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labsupport.display.failures import Failure
from labsupport.display.markup import Markup, element

# Scripts and widgets need a kernel or the network; a page shows what stands in for them.
SHOWABLE = (
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/latex",
    "text/plain",
)


@dataclass(frozen=True)
class Chapter:
    """An executed notebook as HTML, its outline (level, text, anchor), and its failure where there is one."""

    body: Markup
    outline: tuple[tuple[int, str, str], ...]
    failure: Failure | None


def read_chapter(path: Path) -> Chapter:
    """Render an executed notebook; pictures beside it are put into the page."""
    import nbformat
    from nbconvert.exporters import HTMLExporter, TemplateExporter
    from nbconvert.filters import Highlight2HTML
    from traitlets.config import Config

    settings = Config()
    settings.NbConvertBase.display_data_priority = list(SHOWABLE)
    exporter = HTMLExporter(
        config=settings,
        template_name="book",
        extra_template_basedirs=[str(Path(__file__).parent)],
        embed_images=True,
        mathjax_url="",
        require_js_url="",
    )
    notebook = nbformat.read(path, as_version=4)
    exporter.register_filter("highlight_code", Highlight2HTML(pygments_lexer="ipython3", parent=exporter))
    # Its own step after this one parses the whole page for what our template has: it took most of the time.
    body, _ = TemplateExporter.from_notebook_node(exporter, notebook, {"metadata": {"path": str(path.parent)}})
    return Chapter(Markup(body), tuple(_outline(body)), _failure(notebook))


def with_note(chapter: Chapter, note: Markup) -> Markup:
    """The body with a note right below its title; above all where there is no title."""
    before, title, after = chapter.body.partition("</h1>")
    return Markup(before + title + note + after) if title else note + chapter.body


def outline_shown(chapter: Chapter) -> Markup | None:
    """Show the second-level headings as links, folded away."""
    items = [
        element("li", element("a", text, href=f"#{anchor}")) for level, text, anchor in chapter.outline if level == 2
    ]
    if len(items) < 2:
        return None
    links = element("nav", element("ul", *items), aria_label="In this notebook", class_="contents")
    return element("details", element("summary", "In this notebook"), links)


def _outline(body: str) -> list[tuple[int, str, str]]:
    found = re.findall(r'<h([23]) id="([^"]+)"[^>]*>(.*?)</h\1>', body, flags=re.DOTALL)
    plain = [
        (int(level), re.sub(r"<a class=\"anchor-link\".*?</a>", "", text, flags=re.DOTALL), anchor)
        for level, anchor, text in found
    ]
    return [(level, str(Markup(text).striptags()), anchor) for level, text, anchor in plain]


def _failure(notebook: Any) -> Failure | None:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return Failure(cell.get("id", ""), cell.source, output.ename, output.evalue)
    return None
