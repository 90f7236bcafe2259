"""The widget of every notebook, in every position of every control, on recorded evidence: nothing runs.

A position must play, answer in the words of its question, say why, and show the command it stands for.
"""

import pytest

from labsupport.display.explorer import attempt_shown
from labsupport.project import this_project
from tests.explorers import EXPLORERS, notebook_of, swept
from tests.figures import figures_in, seen_only

# The widgets that draw something of every position; the others show tables.
DRAWN = ("01-cgroup-drivers", "03-storage-drivers", "05-cni-plugins", "08-statefulset")
each_widget = pytest.mark.parametrize("widget", EXPLORERS)


@pytest.fixture(autouse=True)
def beside_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(this_project().notebooks)


def test_every_notebook_with_a_widget_is_swept() -> None:
    sources = sorted(this_project().sources.glob("[0-9][0-9]-*.py"))
    shown = [path.stem for path in sources for _ in range(path.read_text(encoding="utf-8").count("lab.explore("))]
    assert shown == [notebook_of(widget) for widget in EXPLORERS]


@each_widget
def test_every_position_plays_and_says_why(widget: str) -> None:
    explorer, attempts = swept(widget)
    assert len(attempts) == len(list(explorer.positions())) > 1
    assert [(dict(each.position), each.error) for each in attempts if each.error] == []
    silent = [dict(each.position) for each in attempts if each.played and not each.played.explanation.endswith(".")]
    assert silent == []


@each_widget
def test_what_it_was_could_have_been_predicted(widget: str) -> None:
    explorer, attempts = swept(widget)
    seen = {each.played.seen for each in attempts if each.played}
    assert len(seen) > 1, "one answer for all is no question"
    if explorer.question.answers:
        assert seen <= set(explorer.question.answers)
    else:
        assert explorer.question.example


@each_widget
def test_every_position_shows_the_command_it_stands_for(widget: str) -> None:
    explorer, attempts = swept(widget)
    assert [dict(each.position) for each in attempts if not explorer.preview(each.position)] == []


@each_widget
def test_every_figure_of_every_position_has_its_alternative(widget: str) -> None:
    for attempt in swept(widget)[1]:
        shown = attempt_shown(attempt)
        assert bool(figures_in(shown.html)) is (widget in DRAWN), attempt.position
        assert seen_only(shown.html) == [], attempt.position
        assert shown.text.count("\n") >= 3, "what stands where HTML does not"


@pytest.mark.parametrize(
    "html",
    [
        "<figure><svg role='img'></svg></figure>",
        '<figure><svg role="img" aria-label="Two bars"></svg><table></table></figure>',
        '<svg role="img" aria-label="Two bars"></svg>',
        "<figure><summary>The same as a table</summary><table></table><svg></svg></figure>",
    ],
)
def test_a_figure_for_the_eyes_alone_is_found(html: str) -> None:
    """The control: the test above can fail."""
    assert seen_only(html)


@each_widget
def test_a_prediction_that_came_true_is_told_from_one_that_did_not(widget: str) -> None:
    explorer, attempts = swept(widget)
    first = next(each for each in attempts if each.played)
    assert first.played is not None
    assert explorer.play(first.position, first.played.seen).as_predicted is True
    other = next(each.played.seen for each in attempts if each.played and each.played.seen != first.played.seen)
    assert explorer.play(first.position, other).as_predicted is False
    explorer.attempts[-2:] = []
