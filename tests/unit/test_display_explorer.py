"""The widget without a browser: positions, attempts, errors, and what the Run button answers."""

import datetime
import json
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from labsupport.display.explorer import Attempt, Explorer, Played, Position, Question, attempt_shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.tables import table
from labsupport.errors import NotRecorded
from labsupport.experiments.steps import Recording
from labsupport.process.progress import Progress

CONTROLS = {"ENTRYPOINT": ("none", "exec"), "CMD": ("none", "exec", "shell")}
RECORDING = Recording(datetime.date(2026, 11, 23), ("Docker 29.0.1",), "no engine can run here", "private")


def play(position: Position) -> Played:
    if position["CMD"] == "shell":
        raise NotRecorded("docker run lab/shell", "nothing was recorded for it", "run it live")
    if position == {"ENTRYPOINT": "none", "CMD": "none"}:
        raise ZeroDivisionError("a fault of the lab")
    return Played(table("Seen", ["a"], [["<b>"]]), f'["{position["ENTRYPOINT"]}"]', "Because of `ENTRYPOINT`.")


def explorer(origin: Origin = LIVE) -> Explorer:
    question = Question("Which argv?", example='["a"]')
    return Explorer(
        "PID 1", CONTROLS, play, question=question, preview=lambda at: f"docker run {at['CMD']}", origin=origin
    )


class Browser:
    """What explorer.js does, without drawing: it sends what the form says and reads what the kernel shares."""

    def __init__(self, widget: Explorer) -> None:
        self.bundle = widget._repr_mimebundle_()
        self.face: Any = widget._face

    def run(self, prediction: str = "", **position: str) -> None:
        self.face._handle_custom_msg({"run": position, "prediction": prediction}, [])


def test_positions_are_every_combination_of_the_controls() -> None:
    positions = list(explorer().positions())
    assert len(positions) == 6
    assert positions[0] == {"ENTRYPOINT": "none", "CMD": "none"}
    assert positions[1] == {"ENTRYPOINT": "none", "CMD": "exec"}
    assert len({json.dumps(position) for position in positions}) == 6


def test_play_all_keeps_results_and_errors_alike() -> None:
    attempts = explorer().play_all()
    assert len(attempts) == 6
    assert [type(attempt.error).__name__ for attempt in attempts if attempt.error] == [
        "ZeroDivisionError",
        "NotRecorded",
        "NotRecorded",
    ]


@pytest.mark.parametrize(
    ("prediction", "right"),
    [('["exec"]', True), ("[ 'EXEC' ]", True), ('["none"]', False), ("", None), ("  ", None)],
)
def test_a_prediction_is_compared_without_spaces_quotes_and_case(prediction: str, right: bool | None) -> None:
    attempt = explorer().play({"ENTRYPOINT": "exec", "CMD": "none"}, prediction)
    assert attempt.as_predicted is right


@pytest.mark.parametrize(
    "position",
    [{"ENTRYPOINT": "exec"}, {"ENTRYPOINT": "exec", "CMD": "other"}, {"ENTRYPOINT": "exec", "CMD": "none", "x": "y"}],
)
def test_a_position_that_does_not_exist_is_refused(position: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"CMD|position"):
        explorer().play(position)


@pytest.mark.parametrize("options", [(), ("a", "a")])
def test_controls_need_options_that_differ(options: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="CMD"):
        Explorer("t", {"CMD": options}, play, question=Question("?"))


def test_an_attempt_shows_prediction_result_and_reason_escaped() -> None:
    shown = attempt_shown(explorer().play({"ENTRYPOINT": "exec", "CMD": "none"}, "<i>"))
    for part in (
        "You predicted",
        "It was",
        "not as predicted",
        "Why:",
        "<code>ENTRYPOINT</code>",
        "&lt;i&gt;",
        "&lt;b&gt;",
    ):
        assert part in shown.html
    assert "<i>" not in shown.html
    assert "You predicted: <i>" in shown.text and "(≠ not as predicted)" in shown.text


def test_without_a_prediction_nothing_is_judged() -> None:
    shown = attempt_shown(Attempt({"CMD": "none"}, "", Played("x", "seen")))
    assert "nothing this time" in shown.text and "predicted)" not in shown.text


def test_the_run_button_shows_the_result_and_frees_the_button() -> None:
    browser = Browser(explorer())
    browser.run('["exec"]', ENTRYPOINT="exec", CMD="none")
    assert "as predicted" in browser.face.result
    assert not browser.face.busy
    assert browser.face.status == ""


def test_while_it_runs_the_widget_is_busy_and_shows_progress() -> None:
    seen: list[tuple[bool, str]] = []

    def slow(position: Position) -> Played:
        seen.append((browser.face.busy, browser.face.status))
        widget.listen(Progress("stopping", 0.5))
        seen.append((browser.face.busy, browser.face.status))
        return Played("done", "done")

    widget = Explorer("t", CONTROLS, slow, question=Question("?"))
    browser = Browser(widget)
    browser.run(ENTRYPOINT="exec", CMD="none")
    assert [busy for busy, _ in seen] == [True, True]
    assert "Running" in seen[0][1]
    assert "stopping" in seen[1][1] and "<progress" in seen[1][1]


def test_what_a_run_has_come_to_is_drawn_while_it_runs_and_no_longer() -> None:
    drawn: list[str] = []
    seen: list[str] = []

    def draw(what: str) -> Callable[[], str]:
        def drawing() -> str:
            drawn.append(what)
            return what

        return drawing

    def slow(position: Position) -> Played:
        # The second comes too soon after the first for anyone to see it.
        for what in ("half way", "a moment later"):
            widget.show_meanwhile(draw(what))
        seen.append(browser.face.meanwhile)
        return Played("done", "done")

    widget = Explorer("t", CONTROLS, slow, question=Question("?"))
    widget.show_meanwhile(draw("nobody looks"))
    browser = Browser(widget)
    widget.show_meanwhile(draw("a cell below runs"))
    assert browser.face.meanwhile == ""
    # Each run begins with a drawing of its own, however soon it comes.
    for count in (1, 2):
        browser.run(ENTRYPOINT="exec", CMD="none")
        assert drawn == count * ["half way"]
        assert browser.face.meanwhile == ""
    assert ["half way" in each for each in seen] == [True, True]


def test_a_stop_is_offered_only_where_a_signal_reaches_the_run() -> None:
    widget = explorer()
    browser = Browser(widget)
    browser.run(ENTRYPOINT="exec", CMD="none")
    assert browser.face.can_stop
    thread = threading.Thread(target=browser.run, kwargs={"ENTRYPOINT": "exec", "CMD": "none"})
    thread.start()
    thread.join()
    assert not browser.face.can_stop


def test_progress_of_what_runs_later_does_not_reach_the_widget() -> None:
    widget = explorer()
    browser = Browser(widget)
    widget.listen(Progress("a cell below runs"))
    assert browser.face.status == ""


def test_without_a_browser_the_same_is_shown_by_a_call() -> None:
    widget = explorer()
    said = widget.fallback().text
    call = next(line for line in said.splitlines() if line.startswith("_.play("))
    attempt = eval(call, {"_": widget})
    assert "a fault of the lab" in attempt.shown().text
    assert "You predicted: x" in widget.play({"ENTRYPOINT": "exec", "CMD": "none"}, "x").shown().text


@pytest.mark.parametrize(
    ("position", "said"),
    [
        ({"ENTRYPOINT": "exec", "CMD": "shell"}, "nothing was recorded for it"),
        ({"ENTRYPOINT": "none", "CMD": "none"}, "a fault of the lab"),
        ({"ENTRYPOINT": "nonsense", "CMD": "none"}, "ENTRYPOINT can be"),
    ],
)
def test_errors_appear_in_the_widget(position: dict[str, str], said: str) -> None:
    browser = Browser(explorer())
    browser.run(**position)
    assert said in browser.face.result and 'role="alert"' in browser.face.result
    assert not browser.face.busy


def test_an_interrupt_ends_the_run_politely() -> None:
    def interrupted(position: Position) -> Played:
        raise KeyboardInterrupt

    browser = Browser(Explorer("t", CONTROLS, interrupted, question=Question("?")))
    browser.run(ENTRYPOINT="exec", CMD="none")
    assert "Stopped" in browser.face.result
    assert not browser.face.busy


def test_what_was_tried_is_kept() -> None:
    widget = explorer()
    browser = Browser(widget)
    browser.run("x", ENTRYPOINT="exec", CMD="none")
    browser.run("y", ENTRYPOINT="exec", CMD="exec")
    assert "All 2 you tried" in browser.face.result
    assert len(widget.table().rows) == 2


def test_moving_a_control_changes_the_command() -> None:
    browser = Browser(explorer())
    assert browser.face.preview == "docker run none"
    browser.face.position = {"ENTRYPOINT": "none", "CMD": "exec"}
    assert browser.face.preview == "docker run exec"


def test_where_widgets_do_not_render_a_table_stands_in() -> None:
    widget = explorer(Origin(RECORDING))
    widget.play({"ENTRYPOINT": "exec", "CMD": "none"})
    bundle = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    for rendering in (bundle["text/html"], bundle["text/plain"]):
        for part in (
            "6 positions",
            "ENTRYPOINT",
            "none, exec, shell",
            "tried so far",
            "2026-11-23",
            "no engine can run here",
        ):
            assert part in rendering


def test_on_replay_the_widget_carries_the_banner() -> None:
    view = Browser(explorer(Origin(RECORDING))).face.view
    assert "Recorded, not live" in view["origin"] and "Docker 29.0.1" in view["origin"]


def test_a_widget_that_has_neither_engine_nor_recording_does_not_look_live() -> None:
    nothing = SimpleNamespace(recorded=None, simulated=(), is_live=False)
    view = Browser(explorer(Origin.of_trial(nothing))).face.view
    assert "not available" in view["origin"] and "nothing was recorded of this" in view["origin"]
    assert "lab-hue-good" not in view["origin"]
    live = SimpleNamespace(recorded=None, simulated=(), is_live=True)
    assert "lab-hue-good" in Browser(explorer(Origin.of_trial(live))).face.view["origin"]
