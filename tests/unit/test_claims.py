"""The ledger is read strictly, and a run is held against it."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labsupport.errors import LedgerError, UsageError
from labsupport.experiments.claims import Ledger, Status, Verdict, load_ledger, parse_ledger
from labsupport.project import this_project

SETTLED = {
    "id": "df-08",
    "topic": "dockerfile",
    "sentence": "ENTRYPOINT is never overridden.",
    "reading": "refuted",
    "status": "settled",
    "verdict": "refuted",
    "experiment": "06-dockerfile/override",
}
UNSETTLED = {**SETTLED, "id": "df-09-a", "status": "unsettled", "verdict": None, "experiment": None}
NOT_TESTABLE = {**UNSETTLED, "id": "df-10", "reading": None, "status": "not testable", "note": "A count of others."}
LEDGER = {
    "topics": {"dockerfile": {"prefix": "df", "title": "Dockerfile", "notebook": "06-dockerfile"}},
    "claims": [SETTLED, UNSETTLED, NOT_TESTABLE],
}


def ledger(change: Callable[[Any], object] = lambda content: None) -> Ledger:
    content = copy.deepcopy(LEDGER)
    change(content)
    return parse_ledger(content, Path("claims.yaml"))


def _set(entry: int, **values: object) -> Callable[[Any], object]:
    return lambda content: content["claims"][entry].update(values)


MALFORMED: dict[str, tuple[Callable[[Any], object], str]] = {
    "twice": (lambda content: content["claims"].append(SETTLED), "df-08: stands there 2 times"),
    "beside its parts": (_set(1, id="df-08-a"), "df-08: stands beside its parts"),
    "an id of no form": (_set(0, id="DF8"), "DF8 id: an id is two letters"),
    "another topic": (_set(0, topic="cgroups"), "its topic 'cgroups' is not one of dockerfile"),
    "another prefix": (_set(0, id="cg-08"), "cg-08: claims of the topic 'dockerfile' start with df-"),
    "no such verdict": (_set(0, verdict="true"), "df-08 verdict: Input should be 'confirmed'"),
    "no such reading": (_set(0, reading="R"), "df-08 reading"),
    "no such status": (_set(0, status="done"), "df-08 status: a status is one of"),
    "needs nothing": (_set(1, status="needs "), "df-09-a status: a status is one of"),
    "settled without a verdict": (_set(0, verdict=None), "df-08: a settled claim has a verdict and the experiment"),
    "settled by nothing": (_set(0, experiment=None), "df-08: a settled claim has a verdict and the experiment"),
    "shown by nothing": (_set(1, status="mechanism shown"), "df-09-a: a claim whose mechanism is shown names"),
    "shown, with a verdict": (
        _set(0, status="mechanism shown"),
        "df-08: a claim that is “mechanism shown” has no verdict",
    ),
    "unsettled with a verdict": (_set(1, verdict="refuted"), "df-09-a: a claim that is “unsettled” has no verdict"),
    "needs something, with a verdict": (_set(0, status="needs ipvlan"), "df-08: a claim that is “needs ipvlan”"),
    "not testable, with an experiment": (_set(2, experiment="06-x/y"), "df-10: no experiment settles"),
    "not testable, without why": (_set(2, note=None), "df-10: a claim that is not testable says why"),
    "an experiment of no form": (_set(0, experiment="override"), "df-08: an experiment is NOTEBOOK/TRIAL"),
    "half a sentence": (_set(0, sentence="ENTRYPOINT is never"), "df-08 sentence: write one sentence"),
    "two lines": (_set(0, sentence="ENTRYPOINT is\nnever overridden."), "df-08 sentence: write one sentence"),
    "an unknown key": (_set(0, sentense="x"), "df-08 sentense: Extra inputs are not permitted"),
    "a key too few": (lambda content: content["claims"][0].pop("reading"), "df-08 reading: Field required"),
    "no claims": (lambda content: content.pop("claims"), "claims: Field required"),
    "no mapping": (lambda content: content["claims"].append("df-11"), "entry 4"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_ledger_names_the_entry(name: str) -> None:
    change, message = MALFORMED[name]
    with pytest.raises(LedgerError) as caught:
        ledger(change)
    assert message in caught.value.happened


def test_every_malformed_entry_is_named_at_once() -> None:
    def change(content: Any) -> None:
        _set(0, status="done")(content)
        _set(1, reading="R")(content)

    with pytest.raises(LedgerError) as caught:
        ledger(change)
    assert "df-08 status" in caught.value.happened and "df-09-a reading" in caught.value.happened


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("topics: {}\nclaims: [\n", "line 3"),
        ("topics: {}\nclaims: []\nclaims: []\n", "'claims' stands there twice"),
        ("- a\n", "the file"),
        ("", "the file"),
    ],
)
def test_a_file_that_is_no_ledger(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "claims.yaml").write_text(text)
    with pytest.raises(LedgerError) as caught:
        load_ledger(tmp_path / "claims.yaml")
    assert message in caught.value.happened and "claims.yaml" in caught.value.tried


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="No such file"):
        load_ledger(tmp_path / "claims.yaml")


def test_a_claim_is_found_or_its_neighbours_are_named() -> None:
    assert ledger().claim("df-08").verdict is Verdict.REFUTED
    with pytest.raises(UsageError, match="it has df-09-a"):
        ledger().claim("df-09")
    with pytest.raises(UsageError, match="df-08"):
        ledger().claim("df-80")


def test_statuses_are_words() -> None:
    changed = ledger(_set(1, status="needs the ipvlan kernel module"))
    assert [claim.progress for claim in changed.claims] == [Status.SETTLED, Status.NEEDS, Status.NOT_TESTABLE]


@pytest.mark.parametrize(
    ("claim", "verdict", "told", "is_error"),
    [
        ("df-08", Verdict.REFUTED, None, None),
        ("df-08", Verdict.CONFIRMED, "df-08: 06-x/y says confirmed, the ledger says refuted", True),
        ("df-08", None, "df-08: 06-x/y says unclear, the ledger says refuted", True),
        ("df-09-a", Verdict.CONFIRMED, "df-09-a: 06-x/y says confirmed; the ledger has no verdict yet", False),
        ("df-09-a", None, "df-09-a: 06-x/y says unclear, the ledger says nothing yet", True),
    ],
)
def test_a_run_is_held_against_the_ledger(
    claim: str, verdict: Verdict | None, told: str | None, is_error: bool | None
) -> None:
    found = ledger().compare(claim, verdict, "06-x/y")
    assert (str(found) if found else None, found.is_error if found else None) == (told, is_error)


def test_where_a_claim_cannot_be_told_the_ledger_says_what_it_needs() -> None:
    needing = ledger(_set(1, status="needs a kernel with ipvlan", experiment="06-dockerfile/ipvlan"))
    assert needing.compare("df-09-a", None, "06-dockerfile/ipvlan") is None
    where_it_can = needing.compare("df-09-a", Verdict.CONFIRMED, "06-dockerfile/ipvlan")
    assert where_it_can is not None
    assert not where_it_can.is_error
    unsettled = ledger().compare("df-09-a", None, "06-dockerfile/ipvlan")
    assert unsettled is not None
    assert unsettled.is_error


def test_the_ledger_of_the_course_is_well_formed() -> None:
    course = load_ledger(this_project().claims)
    assert {claim.id[:2] for claim in course.claims} == {topic.prefix for topic in course.topics.values()}
    # Rows stay for good: 94 rows of the article, and the parts of those that were split.
    assert len({claim.id[:5] for claim in course.claims}) == 94
    assert {"cg-10", "lg-12", "cn-08"} <= {c.id for c in course.claims if c.progress is Status.NOT_TESTABLE}
    sentences = [claim.sentence for claim in course.claims]
    assert len(set(sentences)) == len(sentences)
