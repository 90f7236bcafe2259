"""The ledger at a glance: how many claims of each topic came out how."""

from typing import TYPE_CHECKING

from labsupport.display.figures import Figure, draw
from labsupport.display.style import HATCHES, PAPER, SERIES
from labsupport.display.tables import Column, table
from labsupport.lessons.ledger.book import Book, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE = "How the claims of each topic came out"


def verdicts_figure(book: Book) -> Figure:
    """Draw one bar a topic, a stretch for each verdict; colour and hatch tell the verdicts apart."""
    counts = book.counts()
    titles = list(counts)

    def paint(axes: "Axes") -> None:
        start = [0] * len(titles)
        for index, word in enumerate(words()):
            values = [counts[title][word] for title in titles]
            colour, hatch = SERIES[index % len(SERIES)].light, HATCHES[index % len(HATCHES)]
            axes.barh(
                titles, values, left=start, height=0.62, label=word,
                color=colour, hatch=hatch, edgecolor=PAPER.light, linewidth=0,
            )  # fmt: skip
            start = [sum(both) for both in zip(start, values, strict=True)]
        axes.invert_yaxis()
        axes.set_xlabel("claims")
        axes.legend(loc="upper center", bbox_to_anchor=(0.3, -0.14), ncols=3, handlelength=1.4)

    twin = table(
        TITLE,
        ["topic", *(Column(word, "number") for word in words())],
        [[title, *counts[title].values()] for title in titles],
    )
    wrong = sum(row["refuted"] + row["outdated"] + row["conditional"] for row in counts.values())
    alt = (
        f"Stacked bars, one a topic. Of {len(book.entries)} claims, {sum(row['confirmed'] for row in counts.values())} "
        f"are confirmed; {wrong} are refuted, outdated, or true only under a condition."
    )
    return draw(TITLE, paint, alt=alt, twin=twin, rows=len(titles) + 2)
