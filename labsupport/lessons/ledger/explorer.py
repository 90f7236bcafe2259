"""The widget: a topic and a verdict; how many claims there are of both, and which."""

from labsupport.display.explorer import Explorer, Played, Position, Question
from labsupport.lessons.ledger.book import ANY, Book, words


def claims_explorer(book: Book) -> Explorer:
    """Make the widget."""

    def play(position: Position) -> Played:
        found = book.where(position["topic"], position["verdict"])
        return Played(found.table(), str(len(found.entries)), explanation(found))

    return Explorer(
        "Look through the ledger",
        {"topic": [ANY, *book.topics], "verdict": [ANY, *words()]},
        play,
        question=Question("How many claims will that be?", example="7"),
        preview=lambda position: f'book.where("{position["topic"]}", "{position["verdict"]}").table()',
    )


def explanation(found: Book) -> str:
    """Say what these claims rest on."""
    with_evidence = sum(entry.evidence is not None for entry in found.entries)
    surprising = len(found.surprises().entries)
    said = f"Recorded evidence is behind {with_evidence} of {len(found.entries)}"
    if surprising:
        said += f"; {surprising} came out otherwise than their author had expected"
    return f"{said}."
