"""The widget: a topic and a verdict; how many claims there are of both, and which."""

from labsupport.display.explorer import Explorer, Played, Position, Question
from labsupport.lessons.ledger.book import ANY, Book, words


def claims_explorer(book: Book) -> Explorer:
    """Make the widget."""

    def play(position: Position) -> Played:
        found = book.where(position["topic"], position["verdict"])
        return Played(found.table(), str(len(found.entries)))

    return Explorer(
        "Look through the ledger",
        {"topic": [ANY, *book.topics], "verdict": [ANY, *words()]},
        play,
        question=Question("How many claims will that be?", example="7"),
    )
