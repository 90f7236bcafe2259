"""The widget of every notebook: set the controls, predict, run, compare, read why. It plays positions; it knows none.

`Explorer` works without a browser: CI sweeps `positions()` with `play_all()`.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from labsupport.display.failures import error_shown
from labsupport.display.markup import Markup, Shown, element, join, prose
from labsupport.display.notebook import as_shown
from labsupport.display.origin import LIVE, Origin
from labsupport.display.style import PREDICTED, chip, stylesheet
from labsupport.display.tables import Table, table
from labsupport.errors import LabError
from labsupport.process.progress import Progress

Position = Mapping[str, str]
SECONDS_BETWEEN_DRAWINGS = 0.5


@dataclass(frozen=True)
class Played:
    """What one position showed.

    Args:
        shown: what to look at: a `Shown`, or anything with `.shown()`, or text.
        seen: the answer to the question, as short as a prediction.
        explanation: why it came out so; plain sentences.
    """

    shown: object
    seen: str
    explanation: str = ""


@dataclass(frozen=True)
class Attempt:
    """One position someone ran: what they predicted and what came of it, or why nothing did."""

    position: Position
    prediction: str
    played: Played | None
    error: Exception | None = None

    @property
    def where(self) -> str:
        """The position in words, such as "CMD: exec"."""
        return ", ".join(f"{name}: {option}" for name, option in self.position.items())

    @property
    def as_predicted(self) -> bool | None:
        """None without a prediction or without a result."""
        if self.played is None or not self.prediction.strip():
            return None
        return _plain(self.prediction) == _plain(self.played.seen)

    def shown(self) -> Shown:
        return attempt_shown(self)


@dataclass(frozen=True)
class Question:
    """What the learner predicts: in one of `answers`, or in their own words with `example` as a hint of the form."""

    text: str
    answers: tuple[str, ...] = ()
    example: str = ""


class Explorer:
    """Controls, a prediction, a run, and the comparison of both.

    Args:
        title: the question in a few words.
        controls: name of the parameter → its options, the first of which is set at the start.
        play: runs one position for real, or looks it up in the recording; raises `LabError` when it can't.
        question: what the learner predicts.
        preview: the command a position means, shown before it runs.
        origin: where the results come from; replay carries its banner inside the widget.
        prepare: gets all positions before `play_all` plays each: what can be done for many at once.
        stacked: controls whose options lie upon each other, first one on top, each to be clicked.
    """

    def __init__(
        self,
        title: str,
        controls: Mapping[str, Sequence[str]],
        play: Callable[[Position], Played],
        *,
        question: Question,
        preview: Callable[[Position], str] | None = None,
        origin: Origin = LIVE,
        prepare: Callable[[Sequence[Position]], None] = lambda positions: None,
        stacked: Sequence[str] = (),
    ) -> None:
        for name, options in controls.items():
            if not options or len(set(options)) != len(options):
                raise ValueError(f"control {name}: its options must be there and differ, not {list(options)}")
        self.title = title
        self.controls = {name: tuple(options) for name, options in controls.items()}
        self.question = question
        self.attempts: list[Attempt] = []
        self._play = play
        self._preview = preview
        self._origin = origin
        self._stacked = tuple(stacked)
        self._prepare = prepare
        self._face: Any = None
        self._next_drawing = 0.0
        self._on_attempt: Callable[[Attempt], None] = lambda attempt: None

    def positions(self) -> Iterator[dict[str, str]]:
        """Every combination of the controls, the last control changing fastest."""
        for options in itertools.product(*self.controls.values()):
            yield dict(zip(self.controls, options, strict=True))

    def preview(self, position: Position) -> str:
        """The command that a position stands for; empty where it stands for none."""
        return self._preview(position) if self._preview else ""

    def play(self, position: Position, prediction: str = "") -> Attempt:
        """Play one position and keep the attempt; an error is kept in it, not raised."""
        self._check(position)
        try:
            attempt = Attempt(dict(position), prediction, self._play(position))
        except Exception as error:
            attempt = Attempt(dict(position), prediction, None, error)
        self.attempts.append(attempt)
        self._on_attempt(attempt)
        return attempt

    def when_attempted(self, listener: Callable[[Attempt], None]) -> None:
        """Have someone told of every attempt."""
        self._on_attempt = listener

    def play_all(self) -> list[Attempt]:
        """Play every position, without predictions."""
        self._prepare(list(self.positions()))
        return [self.play(position) for position in self.positions()]

    def listen(self, progress: Progress) -> None:
        """Show how far the position under way is."""
        if self._face is not None and self._face.busy:
            self._face.status = str(_working(progress.text, progress.fraction))

    def show_meanwhile(self, draw: Callable[[], object]) -> None:
        """Show what the position under way has come to: what `draw` returns, as in `Played.shown`.

        To be called as often as there is news: it draws only where someone looks, and not much more often than eyes
        follow. Not read out.
        """
        if self._face is None or not self._face.busy or time.monotonic() < self._next_drawing:
            return
        self._face.meanwhile = str(as_shown(draw()).html)
        self._next_drawing = time.monotonic() + SECONDS_BETWEEN_DRAWINGS

    def table(self) -> Table:
        """What has been tried so far, one row an attempt."""
        columns = [*self.controls, "predicted", "it was"]
        rows = [
            [*attempt.position.values(), attempt.prediction or None, _outcome(attempt)] for attempt in self.attempts
        ]
        return table(self.title, columns, rows, note="tried so far", header_columns=len(self.controls))

    def fallback(self) -> Shown:
        """What stands where widgets do not render: the controls, and what has been tried."""
        rows = [[name, ", ".join(options)] for name, options in self.controls.items()]
        count = len(list(self.positions()))
        known = table(self.title, ["control", "options"], rows, note=f"{count} positions. {self.question.text}")
        first = next(self.positions())
        hint = (
            "This is a widget: in JupyterLab you set the controls, predict and run. Where it does not show, the next "
            "cell can do the same:"
        )
        call = f'_.play({first}, "your prediction")'
        shown = join([element("p", hint, class_="lab-muted"), element("pre", call, class_="lab-value")])
        parts = [known.shown(), Shown(shown, f"{hint}\n{call}")]
        if self.attempts:
            parts.append(self.table().shown())
        parts.insert(0, self._where())
        return Shown(join(part.html for part in parts), "\n\n".join(part.text for part in parts if part.text))

    def _where(self) -> Shown:
        return self._origin.banner() if self._origin.recorded else self._origin.line()

    def _check(self, position: Position) -> None:
        if set(position) != set(self.controls):
            raise ValueError(f"a position sets {', '.join(self.controls)}, not {', '.join(position) or 'nothing'}")
        for name, option in position.items():
            if option not in self.controls[name]:
                raise ValueError(f"{name} can be {', '.join(self.controls[name])}, not {option!r}")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        if self._face is None:
            self._face = self._make_face()
        bundle: dict[str, Any] = dict(self._face._repr_mimebundle_()[0])
        return {**bundle, **self.fallback()._repr_mimebundle_()}

    def _make_face(self) -> Any:
        start = {name: options[0] for name, options in self.controls.items()}
        face = _face_class()(
            view={
                "title": self.title,
                "controls": {name: list(options) for name, options in self.controls.items()},
                "question": self.question.text,
                "answers": list(self.question.answers),
                "example": self.question.example,
                "origin": str(self._where().html),
                "stacked": list(self._stacked),
            },
            position=start,
            preview=self.preview(start),
        )
        face.on_msg(self._asked)
        face.observe(self._moved, "position")
        return face

    def _moved(self, change: Any) -> None:
        if self._face is not None:
            self._face.preview = self.preview(change["new"])

    def _asked(self, _: Any, content: dict[str, Any], __: Any) -> None:
        """Answer the Run button. Nothing may escape: a traceback here would land in the server's log, unseen."""
        face = self._face
        position, prediction = content["run"], str(content.get("prediction", ""))
        # A signal reaches the main thread only. Some servers have widgets run in another, beside the cells.
        face.can_stop = threading.current_thread() is threading.main_thread()
        face.busy, face.result, self._next_drawing = True, "", 0.0
        face.status = str(_working("Running…"))
        try:
            attempt = self.play(position, prediction)
            face.result = str(join([attempt_shown(attempt).html, self._history()]))
        except KeyboardInterrupt:
            face.result = str(element("p", "Stopped, as you asked. Run starts it anew."))
        except Exception as error:
            face.result = str(error_shown(error).html)
        finally:
            face.busy = False
            face.status = face.meanwhile = ""

    def _history(self) -> Markup | None:
        if len(self.attempts) < 2:
            return None
        return element("details", element("summary", f"All {len(self.attempts)} you tried"), self.table().html)


def attempt_shown(attempt: Attempt) -> Shown:
    """Show prediction beside result, the explanation, then what was seen."""
    heading = Shown(element("p", attempt.where, class_="lab-muted lab-small"), attempt.where)
    if attempt.error is not None or attempt.played is None:
        failed = error_shown(attempt.error or RuntimeError("nothing was played"))
        return Shown(join([heading.html, failed.html]), f"{heading.text}\n{failed.text}")
    predicted = attempt.prediction.strip() or "nothing this time"
    mark = None if attempt.as_predicted is None else PREDICTED[attempt.as_predicted]
    versus = element(
        "dl",
        element("dt", "You predicted"),
        element("dd", element("code", predicted) if attempt.prediction.strip() else predicted),
        element("dt", "It was"),
        element("dd", element("code", attempt.played.seen), " ", chip(mark) if mark else None),
        class_="lab-versus",
    )
    what = as_shown(attempt.played.shown)
    why = attempt.played.explanation
    html = join(
        [heading.html, versus, element("p", element("strong", "Why: "), prose(why)) if why else None, what.html]
    )
    told = [
        heading.text,
        f"You predicted: {predicted}",
        f"It was: {attempt.played.seen}" + (f" ({mark.text})" if mark else ""),
    ]
    return Shown(html, "\n".join([*told, *([f"Why: {why}"] if why else []), what.text]))


@cache
def _face_class() -> Any:
    """What the browser and the kernel share. Explorer fills it; explorer.js draws it."""
    # Imported when a widget is shown: the command line, which shows none, must not pay for IPython.
    import anywidget
    import traitlets

    class Face(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget carries no types we can follow
        _esm = (Path(__file__).parent / "explorer.js").read_text(encoding="utf-8")
        _css = stylesheet()
        view = traitlets.Dict().tag(sync=True)
        position = traitlets.Dict().tag(sync=True)
        preview = traitlets.Unicode("").tag(sync=True)
        busy = traitlets.Bool(False).tag(sync=True)
        can_stop = traitlets.Bool(False).tag(sync=True)
        status = traitlets.Unicode("").tag(sync=True)
        meanwhile = traitlets.Unicode("").tag(sync=True)
        result = traitlets.Unicode("").tag(sync=True)

    return Face


def _working(text: str, fraction: float | None = None) -> Markup:
    bar = element("progress", value=f"{fraction:.2f}", max="1") if fraction is not None else None
    return element("span", text, " ", bar, class_="lab-busy")


def _outcome(attempt: Attempt) -> str:
    if attempt.played is not None:
        return attempt.played.seen
    error = attempt.error
    return f"no result: {error.happened if isinstance(error, LabError) else error}"


def _plain(text: str) -> str:
    """Two answers that differ in spaces, quotes or case are the same answer."""
    return "".join(text.split()).replace("'", '"').casefold()
