"""What notebook 09 uses: every claim with its verdict, the evidence behind it, and ways to look through them."""

from labsupport.lessons.ledger.book import Book, Entry, read_book
from labsupport.lessons.ledger.document import ledger_document
from labsupport.lessons.ledger.explorer import claims_explorer
from labsupport.lessons.ledger.pictures import verdicts_figure

EXERCISES: dict[str, object] = {}

__all__ = ["EXERCISES", "Book", "Entry", "claims_explorer", "ledger_document", "read_book", "verdicts_figure"]
