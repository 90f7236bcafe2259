"""The ledger beside its evidence: what each row rests on, and rows whose evidence says something else."""

import datetime

import pytest

from labsupport.errors import UsageError
from labsupport.experiments.claims import Claim, Ledger, Topic, Verdict
from labsupport.experiments.evidence import CheckRecord, Evidence, Provenance, VerdictRecord
from labsupport.lessons.ledger import Book, claims_explorer, ledger_document, read_book, verdicts_figure
from labsupport.lessons.ledger.book import ANY, book_of

TOPICS = {"nets": Topic(prefix="nw", title="Nets", notebook="04-nets")}


def claim(number: int, verdict: str | None, reading: str = "confirmed", status: str = "settled") -> Claim:
    experiment = f"04-nets/try-{number}" if verdict else None
    return Claim(
        id=f"nw-0{number}", topic="nets", sentence=f"Sentence number {number}.", reading=Verdict(reading),
        status=status, verdict=Verdict(verdict) if verdict else None, experiment=experiment,
    )  # fmt: skip


def evidence(number: int, verdict: str) -> Evidence:
    check = CheckRecord(sentence=f"what was seen in {number}", expected="1", seen="1", passed=True)
    judged = VerdictRecord(claim=f"nw-0{number}", verdict=verdict, alternatives={verdict: check})  # type: ignore[arg-type]
    return Evidence(
        experiment=f"04-nets/try-{number}", backend="private", recorded=datetime.date(2026, 1, 2),
        provenance=Provenance(kernel="Linux 6", engine="Docker 29 (built here)"), verdicts=(judged,),
    )  # fmt: skip


def book(*rows: tuple[Claim, Evidence | None]) -> Book:
    return book_of(Ledger([row for row, _ in rows], TOPICS), [each for _, each in rows if each])


@pytest.fixture
def three() -> Book:
    return book(
        (claim(1, "confirmed"), evidence(1, "confirmed")),
        (claim(2, "refuted"), evidence(2, "refuted")),
        (claim(3, None, status="unsettled"), None),
    )


def test_a_row_says_what_decided_on_what_and_when(three: Book) -> None:
    row = three.table().text.splitlines()[3]
    assert all(said in row for said in ("nw-01", "04 · try-1", "what was seen in 1", "Docker 29; 2026-01-02"))


def test_the_page_has_status_verdict_experiment_and_versions_of_every_row(three: Book) -> None:
    rows = [line for line in ledger_document(three).splitlines() if line.startswith("| nw-")]
    link = "[04 · try-1](../notebooks/04-nets.ipynb)"
    assert rows[0] == f"| nw-01 | Sentence number 1. | settled | **confirmed** | {link} | Docker 29; 2026-01-02 |"
    assert rows[2] == "| nw-03 | Sentence number 3. | unsettled |  |  |  |"


def test_rows_are_found_by_topic_and_verdict(three: Book) -> None:
    assert [entry.claim.id for entry in three.where("nets", "refuted").entries] == ["nw-02"]
    assert [entry.claim.id for entry in three.where(verdict="no verdict").entries] == ["nw-03"]
    with pytest.raises(UsageError, match="one of: any, nets"):
        three.where("gardening")


def test_a_surprise_is_a_verdict_its_author_had_not_expected(three: Book) -> None:
    assert [entry.claim.id for entry in three.surprises().entries] == ["nw-02"]


def test_a_verdict_without_evidence_or_with_other_evidence_is_found() -> None:
    odd = book((claim(1, "confirmed"), evidence(1, "refuted")), (claim(2, "refuted"), None))
    assert odd.disagreeing() == ["nw-01", "nw-02"]


def test_the_figure_tells_the_same_as_its_table(three: Book) -> None:
    figure = verdicts_figure(three)
    assert "Of 3 claims, 1 are confirmed; 1 are refuted" in figure.alt
    assert figure.table.rows == (("Nets", 1, 1, 0, 0, 1),)


def test_every_position_of_the_widget_counts_what_it_shows() -> None:
    of_course = read_book()
    attempts = claims_explorer(of_course).play_all()
    assert not [attempt.error for attempt in attempts if attempt.error]
    by_topic = [
        int(attempt.played.seen)
        for attempt in attempts
        if attempt.played and attempt.position["verdict"] == ANY and attempt.position["topic"] != ANY
    ]
    assert sum(by_topic) == len(of_course.entries)


def test_what_the_course_says_is_what_its_evidence_says() -> None:
    assert read_book().disagreeing() == []
