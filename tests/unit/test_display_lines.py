"""Curves over a common axis: named in words, with shades for what held meanwhile, and the twin of the caller."""

from labsupport.display.figures import Figure, Limit, Line, lines
from labsupport.display.style import SERIES
from labsupport.display.tables import table


def drawn(**changes: object) -> Figure:
    given: dict[str, object] = {
        "alt": "Two curves of which one rises faster",
        "x": "seconds",
        "y": "lines",
        "twin": table("Progress", ["who", "lines"], [["fast", 20], ["slow", 10]]),
    }
    curves = [Line("fast", ((0, 0), (1, 10), (2, 20))), Line("slow", ((0, 0), (2, 10)))]
    return lines("Progress", curves, **{**given, **changes})  # type: ignore[arg-type]


def test_every_curve_and_axis_is_named_and_the_colours_are_the_themes() -> None:
    svg = str(drawn().svg)
    for words in ("fast", "slow", "seconds", "lines", "Two curves of which one rises faster"):
        assert words in svg
    assert SERIES[0].css.split(",")[0] in svg
    assert SERIES[1].css.split(",")[0] in svg


def test_limits_and_spans_are_named() -> None:
    plain = str(drawn().svg)
    svg = str(drawn(limit=Limit(15, "the limit"), spans=[(0.5, 1.5, "daemon away")]).svg)
    assert "the limit" not in plain
    assert "daemon away" not in plain
    assert "the limit" in svg
    assert "daemon away" in svg


def test_the_twin_is_the_callers_table() -> None:
    assert "fast  20" in str(drawn())
