"""Evidence tables: HTML with caption and scoped headers, and the text twin. Knows nothing of what the rows mean."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from labsupport.display.markup import Markup, Shown, element, join
from labsupport.display.style import Mark, chip

Cell = str | int | float | bool | Mark | Markup | None
Kind = Literal["text", "prose", "code", "number"]

# How narrow a column may get before the table scrolls: letters of code, and ems of prose, alone and among others.
MOST_CODE_LETTERS = 24
PROSE_EMS, CROWDED_PROSE_EMS = 17.0, 11.0
EMS_A_LETTER = 0.5


@dataclass(frozen=True)
class Column:
    """A heading, and how its cells are set: text, prose (long text), code, number (to the right)."""

    name: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Table:
    """Rows under a caption. The first `header_columns` cells of a row name it."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    header_columns: int = 1

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.caption}: {len(self.columns)} columns, but a row of {len(row)} cells: {row!r}")

    @property
    def html(self) -> Markup:
        head = element("tr", *(element("th", column.name, scope="col", class_=_css(column)) for column in self.columns))
        caption = element("caption", self.caption, _note(self.note))
        lines = [self._line(row, before) for row, before in zip(self.rows, (None, *self.rows), strict=False)]
        table = element("table", caption, element("thead", head), element("tbody", *lines))
        return element("div", table, class_="lab-scroll", role="region", tabindex="0", aria_label=self.caption)

    def _line(self, row: tuple[Cell, ...], before: tuple[Cell, ...] | None) -> Markup:
        cells = []
        for index, (column, cell) in enumerate(zip(self.columns, row, strict=True)):
            if index < self.header_columns:
                # Code that names a row is never broken, and so needs no least width.
                least = self._least_widths[index] if column.kind == "prose" else None
                cells.append(element("th", _cell_html(cell), scope="row", class_=_css(column), style=least))
            else:
                cells.append(element("td", _cell_html(cell), class_=_css(column), style=self._least_widths[index]))
        new_group = self.header_columns > 1 and before is not None and before[0] != row[0]
        return element("tr", *cells, class_="lab-group-start" if new_group else None)

    @cached_property
    def _least_widths(self) -> list[str | None]:
        """For each column a style that keeps it from getting too narrow for what it has; long words may break."""
        prose = sum(column.kind == "prose" for column in self.columns)
        most = {"code": MOST_CODE_LETTERS, "prose": PROSE_EMS if prose < 3 else CROWDED_PROSE_EMS}
        styles: list[str | None] = []
        for index, column in enumerate(self.columns):
            texts = [_cell_text(row[index]) for row in self.rows]
            if column.kind == "code":
                longest = max((len(word) for text in texts for word in text.split()), default=0)
                styles.append(f"min-width: calc({min(longest, most['code'])}ch + 1.7em)")
            elif column.kind == "prose":
                longest = max((len(text) for text in texts), default=0)
                styles.append(f"min-width: {min(longest * EMS_A_LETTER + 1.7, most['prose']):.1f}em")
            else:
                styles.append(None)
        return styles

    @property
    def text(self) -> str:
        lines = [[column.name for column in self.columns], *([_cell_text(cell) for cell in row] for row in self.rows)]
        widths = [max(len(line[index]) for line in lines) for index in range(len(self.columns))]
        rule = ["-" * width for width in widths]
        kinds = [column.kind for column in self.columns]
        set_lines = [_set_line(line, widths, kinds) for line in (lines[0], rule, *lines[1:])]
        return "\n".join([self.caption + (f" ({self.note})" if self.note else ""), *set_lines])

    def shown(self) -> Shown:
        return Shown(self.html, self.text)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return self.shown()._repr_mimebundle_()

    def __str__(self) -> str:
        return self.text


def table(
    caption: str,
    columns: Sequence[str | Column],
    rows: Iterable[Sequence[Cell]],
    *,
    note: str = "",
    header_columns: int = 1,
) -> Table:
    """Make a table; a column given as text is a text column."""
    made = tuple(column if isinstance(column, Column) else Column(column) for column in columns)
    return Table(caption, made, tuple(tuple(row) for row in rows), note, header_columns)


def facts(pairs: Mapping[str, Cell]) -> Shown:
    """Name and value pairs, one below the other."""
    shown = {name: value for name, value in pairs.items() if value not in (None, "")}
    items = join(join([element("dt", name), element("dd", _cell_html(value))]) for name, value in shown.items())
    width = max((len(name) for name in shown), default=0)
    return Shown(
        element("dl", items, class_="lab-facts"),
        "\n".join(f"{name:<{width}}  {_cell_text(value)}" for name, value in shown.items()),
    )


def _css(column: Column) -> str | None:
    return None if column.kind == "text" else f"lab-{column.kind}"


def _note(note: str) -> Markup | None:
    return element("span", " ", note, class_="lab-muted") if note else None


def _cell_html(cell: Cell) -> object:
    if isinstance(cell, Mark):
        return chip(cell)
    return cell if isinstance(cell, Markup) else _cell_text(cell)


def _cell_text(cell: Cell) -> str:
    match cell:
        case None:
            return "-"
        case bool():
            return "yes" if cell else "no"
        case Mark():
            return cell.text
        case float():
            return f"{cell:.2f}" if abs(cell) < 100 else f"{cell:.0f}"
        case Markup():
            return cell.striptags()
        case _:
            return " ↵ ".join(str(cell).splitlines()) if "\n" in str(cell) else str(cell)


def _set_line(line: Sequence[str], widths: Sequence[int], kinds: Sequence[Kind]) -> str:
    cells = [
        cell.rjust(width) if kind == "number" else cell.ljust(width)
        for cell, width, kind in zip(line, widths, kinds, strict=True)
    ]
    return "  ".join(cells).rstrip()
