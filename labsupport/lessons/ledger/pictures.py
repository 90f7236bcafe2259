"""The ledger at a glance: how many claims of each topic came out how."""

from labsupport.display.figures import Figure
from labsupport.display.stacks import stacks
from labsupport.lessons.ledger.book import Book


def verdicts_figure(book: Book) -> Figure:
    """Draw one bar a topic, a stretch for each verdict."""
    counts = book.counts()
    confirmed = sum(row["confirmed"] for row in counts.values())
    otherwise = sum(row["refuted"] + row["outdated"] + row["conditional"] for row in counts.values())
    alt = (
        f"Stacked bars, one a topic. Of {len(book.entries)} claims, {confirmed} are confirmed; "
        f"{otherwise} are refuted, outdated, or true only under a condition."
    )
    return stacks("How the claims of each topic came out", counts, alt=alt, axis="claims", names="topic")
