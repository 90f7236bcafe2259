"""How far a learner is: which predictions were made, which were right, which exercises passed. A small JSON file.

Neither the words of a prediction nor anything of the learner's computer, name or answers is kept.
"""

import json
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labsupport.errors import EvidenceError
from labsupport.experiments.evidence import write_atomically

SCHEMA_VERSION = 1


class ExerciseProgress(BaseModel):
    """Attempts counts the checks of something attempted; the check of an unsolved cell is none.

    `unmet` is the requirement that the last of them found unmet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: int = Field(default=0, ge=0)
    passed: bool = False
    unmet: str = ""


class JudgedPredictions(BaseModel):
    """How often a position of a widget was predicted as it came out, and how often not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    right: int = Field(default=0, ge=0)
    wrong: int = Field(default=0, ge=0)


class NotebookProgress(BaseModel):
    """`predictions` are experiments with a prediction in words, which nobody judges; `judged` are those of a widget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    predictions: tuple[str, ...] = ()
    judged: dict[str, JudgedPredictions] = {}
    exercises: dict[str, ExerciseProgress] = {}


class Progress(BaseModel):
    """Everything kept, by notebook."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    notebooks: dict[str, NotebookProgress] = {}

    def notebook(self, notebook: str) -> NotebookProgress:
        return self.notebooks.get(notebook, NotebookProgress())


class ProgressFile:
    """The progress of one learner, kept in one file. Each change is read, made and written at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Progress:
        """What is kept; nothing when there is no file yet.

        Raises:
            EvidenceError: the file is not progress, or of another schema.
        """
        try:
            progress = Progress.model_validate_json(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Progress()
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise self._unreadable(str(error).splitlines()[0]) from None
        if progress.schema_version != SCHEMA_VERSION:
            raise self._unreadable(
                f"it has schema_version {progress.schema_version}, and this program reads {SCHEMA_VERSION}"
            )
        return progress

    def predicted(self, experiment: str) -> None:
        """Keep that a prediction was made in an experiment, such as "06-dockerfile-instructions/override"."""
        notebook, _, trial = experiment.partition("/")

        def add(old: NotebookProgress) -> NotebookProgress:
            return old.model_copy(update={"predictions": tuple(sorted({*old.predictions, trial}))})

        self._change(notebook, add)

    def judged(self, notebook: str, position: str, *, right: bool) -> None:
        """Count a prediction of a position of a widget, such as "CMD: exec"."""

        def add(old: NotebookProgress) -> NotebookProgress:
            before = old.judged.get(position, JudgedPredictions())
            now = JudgedPredictions(right=before.right + right, wrong=before.wrong + (not right))
            return old.model_copy(update={"judged": {**old.judged, position: now}})

        self._change(notebook, add)

    def attempted(self, notebook: str, exercise: str, *, unmet: str | None) -> None:
        """Count an attempt at an exercise, which left a requirement unmet, or none; passed once is passed for good."""

        def add(old: NotebookProgress) -> NotebookProgress:
            before = old.exercises.get(exercise, ExerciseProgress())
            passed = before.passed or unmet is None
            now = ExerciseProgress(attempts=before.attempts + 1, passed=passed, unmet=unmet or "")
            return old.model_copy(update={"exercises": {**old.exercises, exercise: now}})

        self._change(notebook, add)

    def forget(self, notebook: str | None = None) -> None:
        """Forget one notebook, or all."""
        if notebook is None:
            self.path.unlink(missing_ok=True)
        else:
            self._change(notebook, lambda _: NotebookProgress())

    def _change(self, notebook: str, change: Callable[[NotebookProgress], NotebookProgress]) -> None:
        progress = self.read()
        notebooks = {**progress.notebooks, notebook: change(progress.notebook(notebook))}
        content = Progress(notebooks=dict(sorted(notebooks.items()))).model_dump(mode="json")
        write_atomically(self.path, json.dumps(content, indent=1) + "\n")

    def _unreadable(self, happened: str) -> EvidenceError:
        return EvidenceError(
            f"read the progress {self.path}", happened, "move the file away; the next exercise starts a new one"
        )
