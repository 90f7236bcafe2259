"""Evidence: what one trial saw, with where it comes from. Owns the file format, its digest, and atomic writing.

Must not run, judge or scrub anything: it is handed scrubbed values.
"""

import datetime
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidationError, ValidationInfo, field_validator

from labsupport.errors import EvidenceError, UsageError
from labsupport.process.ownership import VIRTUAL_KIND

SCHEMA_VERSION = 1
UNCLEAR = "unclear"
TRIAL_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
PREFERRED_BACKENDS = ("private", "embedded", "kind", "own", VIRTUAL_KIND)

# One line of output is one line of the file, so that recording anew shows what changed.
Text = Annotated[str, PlainSerializer(lambda text: text.split("\n"), return_type=list[str])]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("stdin", "stdout", "stderr", mode="before", check_fields=False)
    @classmethod
    def _join_lines(cls, value: Any, _: ValidationInfo) -> Any:
        return "\n".join(value) if isinstance(value, list) else value


class Tool(_Record):
    """A program that took part: its version, Go module or package, and whether it is a release or was built here."""

    name: str
    version: str
    module: str = ""
    source: str = ""


class Provenance(_Record):
    """What the evidence was seen on. Texts say product and version, such as "Docker 29.0.1"."""

    kernel: str
    engine: str | None = None
    cluster: str | None = None
    machine: str | None = None
    architecture: str | None = None
    tools: tuple[Tool, ...] = ()

    @property
    def versions(self) -> tuple[str, ...]:
        """What a banner names."""
        where = f"{self.kernel} in a virtual machine" if self.machine == VIRTUAL_KIND else self.kernel
        return tuple(text for text in (self.engine, self.cluster, where) if text)


def versions_of(all_seen_on: Sequence[Provenance]) -> tuple[str, ...]:
    """What a banner over several trials names: each engine, cluster and kernel that took part in any of them, once."""
    fields = [[getattr(one, field) or "" for one in all_seen_on] for field in ("engine", "cluster")]
    fields.append([one.versions[-1] for one in all_seen_on])
    parts = [dict.fromkeys(part for text in texts for part in text.split(" and ") if part) for texts in fields]
    return tuple(" and ".join(names) for names in parts if names)


class StepRecord(_Record):
    """One command as it was asked and what it left. `expired` has the message of a wait that ran out instead.

    `key` is the command as one could paste it, with what replay must match beside its words.
    """

    key: str
    argv: tuple[str, ...]
    exit_code: int | None
    stdin: Text | None = None
    stdout: Text = ""
    stderr: Text = ""
    seconds: float = 0.0
    expired: str | None = None


class ObservationRecord(_Record):
    name: str
    value: Any


class CheckRecord(_Record):
    sentence: str
    expected: str
    seen: str
    passed: bool


class VerdictRecord(_Record):
    """How a claim was judged: the verdict or "unclear", and every alternative that was stated with its check."""

    claim: str
    verdict: Literal["confirmed", "refuted", "outdated", "conditional", "unclear"]
    alternatives: dict[str, CheckRecord]
    given: CheckRecord | None = None
    otherwise: str | None = None


class Evidence(_Record):
    """What one trial saw. `digest` covers everything else, so that a file edited by hand is noticed."""

    schema_version: Literal[1] = 1
    experiment: str
    backend: str
    recorded: datetime.date
    provenance: Provenance
    simulated: tuple[str, ...] = ()
    settles: tuple[str, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    observations: tuple[ObservationRecord, ...] = ()
    checks: tuple[CheckRecord, ...] = ()
    verdicts: tuple[VerdictRecord, ...] = ()
    digest: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")

    @property
    def notebook(self) -> str:
        return self.experiment.partition("/")[0]

    @property
    def trial(self) -> str:
        return self.experiment.partition("/")[2]

    @property
    def seen_on(self) -> str:
        """On which engine and cluster, and when, in a few words."""
        # A kernel is named where it is not that of an ordinary computer.
        kernel = self.provenance.versions[-1] if self.backend == VIRTUAL_KIND else ""
        systems = [text for text in (self.provenance.engine, self.provenance.cluster, kernel) if text]
        return f"{', '.join(systems).replace(' (built here)', '')}; {self.recorded}"

    @property
    def is_empty(self) -> bool:
        """Whether nothing was seen and nothing was meant to be settled: such a trial leaves no file."""
        return not (self.steps or self.observations or self.checks or self.settles)

    @property
    def settled(self) -> frozenset[str]:
        """Claims it judged one way or the other."""
        return frozenset(record.claim for record in self.verdicts if record.verdict != UNCLEAR)

    @property
    def unjudged(self) -> tuple[str, ...]:
        """Claims the trial said it settles and did not judge."""
        judged = {record.claim for record in self.verdicts}
        return tuple(claim for claim in self.settles if claim not in judged)

    def computed_digest(self) -> str:
        """SHA-256 over everything but the digest, in one canonical spelling."""
        content = json.dumps(self.model_dump(mode="json", exclude={"digest"}), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def sealed(self) -> "Evidence":
        """The same with its digest filled in."""
        return self.model_copy(update={"digest": self.computed_digest()})


def live_path(folder: Path, experiment: str) -> Path:
    """Where a live run writes: FOLDER/NOTEBOOK/TRIAL.json."""
    notebook, trial = split_experiment(experiment)
    return folder / notebook / f"{trial}.json"


def recorded_path(folder: Path, experiment: str, backend: str) -> Path:
    """Where recorded evidence lies: FOLDER/NOTEBOOK/TRIAL@BACKEND.json."""
    notebook, trial = split_experiment(experiment)
    return folder / notebook / f"{trial}@{backend}.json"


def split_experiment(experiment: str) -> tuple[str, str]:
    """Split "06-dockerfile-instructions/override" into notebook and trial.

    Raises:
        UsageError: either is not lower-case words joined by hyphens.
    """
    notebook, slash, trial = experiment.partition("/")
    if not (slash and TRIAL_NAME.fullmatch(notebook) and TRIAL_NAME.fullmatch(trial)):
        raise UsageError(
            f"name an experiment {experiment!r}",
            "a name is lower-case letters, digits and single hyphens",
            "call it, say, 06-dockerfile-instructions/override",
        )
    return notebook, trial


def write(evidence: Evidence, path: Path) -> Evidence:
    """Seal evidence and put it in its file at once: a reader sees the old file or the new one, never a half.

    Raises:
        EvidenceError: the file cannot be written; what was there before is still there.
    """
    sealed = evidence.sealed()
    content = {"schema_version": SCHEMA_VERSION, **sealed.model_dump(mode="json", exclude_defaults=True)}
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return sealed


def write_atomically(path: Path, text: str) -> None:
    """Replace a text file in one move.

    Raises:
        EvidenceError: it cannot be written; what was there before is still there.
    """
    half: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            half = Path(file.name)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        half.chmod(0o644)
        half.replace(path)
    except (OSError, UnicodeError) as error:
        happened = getattr(error, "strerror", None) or str(error)
        raise EvidenceError(f"write {path}", happened, "free some space, or make the folder writable") from error
    finally:
        if half is not None:
            half.unlink(missing_ok=True)


def read(path: Path) -> Evidence:
    """Read one evidence file.

    Raises:
        EvidenceError: it is missing, not evidence, of another schema, or was changed after it was written.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise _unreadable(path, str(error)) from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise _unreadable(path, f"it has schema_version {version!r}, and this program reads {SCHEMA_VERSION}")
    try:
        evidence = Evidence.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise _unreadable(path, f"{where}: {first['msg']} (and {error.error_count() - 1} more)") from None
    if evidence.digest != evidence.computed_digest():
        rests = f"; {', '.join(evidence.settles)} rests on it" if evidence.settles else ""
        changed = "its digest does not match its content: it was changed after it was recorded"
        raise _unreadable(path, f"{changed}{rests}")
    if path.name.partition("@")[0].removesuffix(".json") != evidence.trial:
        raise _unreadable(path, f"it is the evidence of {evidence.experiment}: it was renamed or copied")
    return evidence


def read_folder(folder: Path) -> Iterator[Evidence]:
    """Read every evidence file below a folder, by path. Errors as in `read`."""
    for path in sorted(folder.rglob("*.json")):
        yield read(path)


def recorded_of(folder: Path, experiment: str, backend: str = "") -> list[Evidence]:
    """Read all recorded evidence of an experiment: that of `backend` first, then as backends are preferred."""
    notebook, trial = split_experiment(experiment)
    paths = {path.stem.partition("@")[2]: path for path in (folder / notebook).glob(f"{trial}@*.json")}
    return [read(paths[each]) for each in sorted(paths, key=lambda each: (each != backend, _preference(each)))]


def shown_in_replay(recorded: Iterable[Evidence]) -> Evidence | None:
    """Choose what replay shows of one experiment's evidence: the backend's in which most claims are settled.

    Of several as good, that of the preferred backend; None when there is none.
    """
    preferred = sorted(recorded, key=lambda one: _preference(one.backend))
    return max(preferred, key=lambda one: len(one.settled), default=None)


def find_recorded(folder: Path, experiment: str) -> Evidence | None:
    """Read what replay shows of an experiment; None when there is none."""
    return shown_in_replay(recorded_of(folder, experiment))


def all_recorded(folder: Path, notebook: str) -> list[Evidence]:
    """Read what replay shows of a notebook: the recorded evidence of each of its experiments, by name."""
    names = sorted({path.stem.partition("@")[0] for path in (folder / notebook).glob("*.json")})
    return [found for name in names if (found := find_recorded(folder, f"{notebook}/{name}"))]


def forget_live(folder: Path, notebook: str) -> None:
    """Remove what earlier live runs of a notebook wrote, so that the next comparison sees this run only."""
    for path in (folder / notebook).glob("*.json"):
        path.unlink(missing_ok=True)


def _preference(backend: str) -> tuple[int, str]:
    """Sort backends by: the preferred ones in their order, then others by name."""
    known = backend in PREFERRED_BACKENDS
    return PREFERRED_BACKENDS.index(backend) if known else len(PREFERRED_BACKENDS), backend


def _unreadable(path: Path, happened: str) -> EvidenceError:
    return EvidenceError(
        f"read the evidence {path}",
        happened,
        "restore the file (`git checkout` it), or record it anew with `./lab record` on a live engine",
    )
