"""The ledger: every claim in our words, with its verdict once a maintainer typed one. Holds runs against it.

Must not judge: verdicts of a run come from trials, verdicts of the ledger from people who read the evidence.
"""

import difflib
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from labsupport.errors import LedgerError, UsageError

CLAIM_ID = re.compile(r"([a-z]{2})-\d{2}(-[a-z])?")
EXPERIMENT = re.compile(r"\d{2}-[a-z0-9-]+/[a-z0-9]+(-[a-z0-9]+)*")
NEEDS = "needs "


class Verdict(StrEnum):
    """What an experiment says of a claim. `outdated`: true of a named older version. `conditional`: true only when …"""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    OUTDATED = "outdated"
    CONDITIONAL = "conditional"


class Status(StrEnum):
    """How far a claim is. In the file `needs` is followed by what it needs: a kernel, a product, internet."""

    SETTLED = "settled"
    MECHANISM_SHOWN = "mechanism shown"
    NEEDS = "needs"
    NOT_TESTABLE = "not testable"
    UNSETTLED = "unsettled"


class Topic(BaseModel):
    """A group of claims: the two letters their ids start with, and the notebook that settles them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: str = Field(pattern=r"^[a-z]{2}$")
    title: str = Field(min_length=1)
    notebook: str = Field(pattern=r"^\d{2}-[a-z0-9-]+$")


class Claim(BaseModel):
    """One sentence that could be false. `reading` is what its author expected; the verdict is what experiments said.

    `takes` is what not every computer has and the experiment takes: without it a run cannot tell.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    topic: str
    sentence: str
    reading: Verdict | None
    status: str
    verdict: Verdict | None
    experiment: str | None
    note: str | None = None
    takes: str | None = None

    @property
    def may_be_unclear(self) -> bool:
        """Whether a run somewhere may be unable to tell."""
        return self.progress is Status.NEEDS or self.takes is not None

    @property
    def progress(self) -> Status:
        return Status.NEEDS if self.status.startswith(NEEDS) else Status(self.status)

    @field_validator("id")
    @classmethod
    def _id_has_the_form(cls, value: str) -> str:
        if not CLAIM_ID.fullmatch(value):
            raise ValueError(
                "an id is two letters, two digits, and -a, -b … for the parts of a split claim, as in df-08-a"
            )
        return value

    @field_validator("sentence")
    @classmethod
    def _sentence_is_one(cls, value: str) -> str:
        if not value.endswith(".") or value != " ".join(value.split()) or len(value) < 12:
            raise ValueError("write one sentence on one line, with a full stop at its end")
        return value

    @field_validator("status")
    @classmethod
    def _status_is_known(cls, value: str) -> str:
        plain = {status.value for status in Status} - {Status.NEEDS.value}
        if value not in plain and not (value.startswith(NEEDS) and len(value) > len(NEEDS)):
            raise ValueError(f"a status is one of {', '.join(sorted(plain))}, or “needs” and what it needs")
        return value

    @model_validator(mode="after")
    def _parts_agree(self) -> "Claim":
        if self.experiment is not None and not EXPERIMENT.fullmatch(self.experiment):
            raise ValueError("an experiment is NOTEBOOK/TRIAL, as in 06-dockerfile-instructions/override")
        if self.progress is Status.SETTLED and not (self.verdict and self.experiment):
            raise ValueError("a settled claim has a verdict and the experiment that gave it")
        if self.progress is Status.MECHANISM_SHOWN and not self.experiment:
            raise ValueError("a claim whose mechanism is shown names the experiment that shows it")
        if self.progress is not Status.SETTLED and self.verdict:
            raise ValueError(f"a claim that is “{self.status}” has no verdict: {self.verdict}")
        if self.progress is Status.NOT_TESTABLE and self.experiment:
            raise ValueError("no experiment settles a claim that is not testable")
        if self.progress is Status.NOT_TESTABLE and not self.note:
            raise ValueError("a claim that is not testable says why in its note")
        return self


class _LedgerFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    topics: dict[str, Topic]
    claims: list[Claim]


@dataclass(frozen=True)
class Disagreement:
    """A verdict of a run that is not the ledger's. `ledger` is None where the ledger has none yet."""

    claim: Claim
    ledger: Verdict | None
    run: Verdict | None
    experiment: str

    @property
    def is_error(self) -> bool:
        """Whether the run contradicts the ledger; a verdict the ledger lacks only waits to be typed."""
        return self.run is None or self.ledger is not None

    def __str__(self) -> str:
        seen = self.run or "unclear"
        if self.ledger is None and self.run is not None:
            return f"{self.claim.id}: {self.experiment} says {seen}; the ledger has no verdict yet"
        return f"{self.claim.id}: {self.experiment} says {seen}, the ledger says {self.ledger or 'nothing yet'}"


class Ledger:
    """Every claim by its id, in the order of the file."""

    def __init__(self, claims: Iterable[Claim], topics: Mapping[str, Topic]) -> None:
        self.claims = tuple(claims)
        self.topics = dict(topics)

    @cached_property
    def _by_id(self) -> dict[str, Claim]:
        return {claim.id: claim for claim in self.claims}

    def claim(self, claim_id: str) -> Claim:
        """Return a claim.

        Raises:
            UsageError: there is none; near misses and the parts of a split claim are named.
        """
        if claim_id in self._by_id:
            return self._by_id[claim_id]
        parts = [known for known in self._by_id if known.startswith(f"{claim_id}-")]
        near = parts or difflib.get_close_matches(claim_id, self._by_id, n=3)
        raise UsageError(
            f"look up the claim {claim_id!r}",
            "the ledger has no such claim" + (f"; it has {', '.join(near)}" if near else ""),
            "use an id from notebooks/claims.yaml, or add the claim there",
        )

    def of_notebook(self, notebook: str) -> tuple[Claim, ...]:
        """Claims an experiment of this notebook settles or shows, by the ledger."""
        return tuple(claim for claim in self.claims if (claim.experiment or "").startswith(f"{notebook}/"))

    def of_topic(self, topic: str) -> tuple[Claim, ...]:
        return tuple(claim for claim in self.claims if claim.topic == topic)

    def compare(self, claim_id: str, verdict: Verdict | None, experiment: str) -> Disagreement | None:
        """Hold a run's verdict (None: unclear) against the ledger's; None when they agree.

        A claim that takes what is not everywhere agrees with a run that could not tell; where it can, it says so.
        """
        claim = self.claim(claim_id)
        if verdict is None and claim.may_be_unclear:
            return None
        if verdict is not None and verdict == claim.verdict:
            return None
        return Disagreement(claim, claim.verdict, verdict, experiment)


def load_ledger(path: Path) -> Ledger:
    """Read and validate the ledger.

    Raises:
        LedgerError: it is missing or malformed; every malformed entry is named.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _malformed(path, str(error)) from None
    return parse_ledger(content, path)


def parse_ledger(content: Any, path: Path) -> Ledger:
    """Validate the ledger's content as YAML gives it. Errors as in `load_ledger`."""
    try:
        file = _LedgerFile.model_validate(content)
    except ValidationError as error:
        raise _malformed(path, "\n".join(_told(content, problem) for problem in error.errors())) from None
    problems = [*_repeated(file.claims), *_misplaced(file)]
    if problems:
        raise _malformed(path, "\n".join(problems))
    return Ledger(file.claims, file.topics)


def _repeated(claims: list[Claim]) -> list[str]:
    ids = [claim.id for claim in claims]
    twice = [
        f"{claim_id}: stands there {ids.count(claim_id)} times"
        for claim_id in dict.fromkeys(ids)
        if ids.count(claim_id) > 1
    ]
    split = [
        f"{claim.id}: stands beside its parts {claim.id}-…; a split claim is its parts"
        for claim in claims
        if any(other.startswith(f"{claim.id}-") for other in ids)
    ]
    return twice + split


def _misplaced(file: _LedgerFile) -> list[str]:
    problems = []
    for claim in file.claims:
        topic = file.topics.get(claim.topic)
        if topic is None:
            problems.append(f"{claim.id}: its topic {claim.topic!r} is not one of {', '.join(file.topics)}")
        elif not claim.id.startswith(f"{topic.prefix}-"):
            problems.append(f"{claim.id}: claims of the topic {claim.topic!r} start with {topic.prefix}-")
    return problems


def _told(content: Any, problem: Any) -> str:
    where = list(problem["loc"])
    label = ".".join(map(str, where)) or "the file"
    if len(where) >= 2 and where[0] == "claims" and isinstance(where[1], int):
        entry = content["claims"][where[1]]
        name = entry.get("id", f"entry {where[1] + 1}") if isinstance(entry, dict) else f"entry {where[1] + 1}"
        label = " ".join([str(name), *map(str, where[2:])])
    return f"{label}: {str(problem['msg']).removeprefix('Value error, ')}"


def _malformed(path: Path, happened: str) -> LedgerError:
    return LedgerError(
        f"read the ledger {path}", happened, "correct the named entries; CONTRIBUTING.md shows a whole one"
    )


class _StrictLoader(yaml.SafeLoader):
    """Plain YAML, but a key that stands twice in one mapping is an error instead of the last one winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"{twice!r} stands there twice", node.start_mark)
        return super().construct_mapping(node, deep)
