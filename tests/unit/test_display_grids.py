"""A grid of letters: what works is a letter, what does not a dot, and the table says the same."""

from labsupport.display.grids import letters_figure
from labsupport.display.tables import table


def test_a_letter_for_what_works_and_a_dot_for_what_does_not() -> None:
    figure = letters_figure(
        "Who reaches whom",
        ["first row", "second row"],
        ["one column"],
        {(0, 0): [True, False], (1, 0): [False, False]},
        letters="AN",
        below="A address, N name",
        corner=("who asks", "who is asked"),
        alt="A grid of two rows and one column.",
        twin=table("Who reaches whom", ["from", "to"], [["first row", True]]),
    )
    texts = figure.svg.split("</text>")
    assert sum(">A" in text[-4:] for text in texts) == 1
    assert sum("·" in text for text in texts) == 3
    assert "first row" in figure.svg
    assert "who is asked →" in figure.svg and "who asks ↓" in figure.svg
    assert "A address, N name" in figure.svg
