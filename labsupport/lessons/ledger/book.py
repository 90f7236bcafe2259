"""The ledger beside its evidence: what each claim's verdict rests on. Reads both; judges nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labsupport.display.markup import Markup, element, join, prose
from labsupport.display.style import Mark, verdict_mark
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.errors import UsageError
from labsupport.experiments.claims import Claim, Ledger, Verdict, load_ledger
from labsupport.experiments.evidence import Evidence, read_folder
from labsupport.project import this_project

ANY = "any"
NO_VERDICT = "no verdict"


@dataclass(frozen=True)
class Entry:
    """A claim, and the recorded evidence of the experiment that its row names; None where there is none."""

    claim: Claim
    evidence: Evidence | None

    @property
    def word(self) -> str:
        return self.claim.verdict.value if self.claim.verdict else NO_VERDICT

    @property
    def mark(self) -> Mark:
        return verdict_mark(self.word) if self.claim.verdict else Mark("·", self.claim.status, "plain")

    @property
    def is_surprise(self) -> bool:
        """Whether the experiment said something else than its author had expected."""
        return None not in (self.claim.verdict, self.claim.reading) and self.claim.verdict != self.claim.reading

    @property
    def judged(self) -> str:
        """The verdict in the evidence itself; empty where it has none."""
        verdicts = self.evidence.verdicts if self.evidence else ()
        return next((record.verdict for record in verdicts if record.claim == self.claim.id), "")

    @property
    def decided_by(self) -> str:
        """What was seen that decided, in the words of the check; empty without evidence."""
        for record in self.evidence.verdicts if self.evidence else ():
            if record.claim == self.claim.id and record.verdict in record.alternatives:
                return record.alternatives[record.verdict].sentence
        return ""


@dataclass(frozen=True)
class Book:
    """All entries, in the ledger's order, and the titles of its topics."""

    entries: tuple[Entry, ...]
    topics: dict[str, str]

    def where(self, topic: str = ANY, verdict: str = ANY) -> "Book":
        """Return the entries of a topic ("storage-drivers") and a verdict ("refuted", "no verdict").

        Raises:
            UsageError: there is no such topic or verdict.
        """
        for said, known in ((topic, [ANY, *self.topics]), (verdict, [ANY, *words()])):
            if said not in known:
                raise UsageError(f"look for {said!r} in the ledger", "it has none", f"one of: {', '.join(known)}")
        fitting = (
            entry for entry in self.entries if topic in (ANY, entry.claim.topic) and verdict in (ANY, entry.word)
        )
        return Book(tuple(fitting), self.topics)

    def surprises(self) -> "Book":
        """Return the entries whose verdict is not what their author had expected."""
        return Book(tuple(entry for entry in self.entries if entry.is_surprise), self.topics)

    def table(self) -> Table:
        """A row a claim: sentence, verdict, the experiment behind it with what decided, versions and date."""
        columns: list[str | Column] = [
            Column("claim", "code"),
            Column("sentence", "prose"),
            "verdict",
            Column("settled by", "prose"),
            "seen on",
        ]
        return table(f"{len(self.entries)} claims", columns, [_row(entry) for entry in self.entries])

    def reading_table(self) -> Table:
        """A row a claim: what its author expected, and what the experiment said."""
        columns: list[str | Column] = [
            Column("claim", "code"),
            Column("sentence", "prose"),
            "expected",
            "verdict",
            Column("what decided", "prose"),
        ]
        rows: list[Sequence[Cell]] = [
            [entry.claim.id, prose(entry.claim.sentence), entry.claim.reading, entry.mark, entry.decided_by or None]
            for entry in self.entries
        ]
        return table("Where the experiment surprised its author", columns, rows)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return {topic's title: {verdict: number of claims}}."""
        return {
            title: {word: len(self.where(topic, word).entries) for word in words()}
            for topic, title in self.topics.items()
        }

    def disagreeing(self) -> list[str]:
        """Return the claims whose recorded evidence says another verdict than the ledger, or has none: none should."""
        return [entry.claim.id for entry in self.entries if entry.claim.verdict and entry.judged != entry.word]


def words() -> list[str]:
    """Every verdict, and what stands where there is none."""
    return [*(verdict.value for verdict in Verdict), NO_VERDICT]


def read_book(claims: Path | None = None, recorded: Path | None = None) -> Book:
    """Read the ledger and the recorded evidence of this project, unless told where else.

    Raises:
        LedgerError, EvidenceError: one of the files is malformed.
    """
    project = this_project()
    return book_of(load_ledger(claims or project.claims), read_folder(recorded or project.recorded_evidence))


def book_of(ledger: Ledger, evidences: Iterable[Evidence]) -> Book:
    """Put each claim beside the evidence of its experiment; of several backends', the first that settled it."""
    by_experiment: dict[str, list[Evidence]] = {}
    for evidence in evidences:
        by_experiment.setdefault(evidence.experiment, []).append(evidence)
    entries = []
    for claim in ledger.claims:
        found = by_experiment.get(claim.experiment or "", [])
        settling = [each for each in found if claim.id in each.settled]
        entries.append(Entry(claim, next(iter(settling or found), None)))
    return Book(tuple(entries), {name: topic.title for name, topic in ledger.topics.items()})


def _row(entry: Entry) -> list[Cell]:
    claim, evidence = entry.claim, entry.evidence
    note = element("span", " ", prose(claim.note), class_="lab-muted lab-small") if claim.note else None
    return [claim.id, join([prose(claim.sentence), note]), entry.mark, _settled_by(entry), seen_on(evidence) or None]


def seen_on(evidence: Evidence | None) -> str:
    """Say with which engine and cluster, and when; empty without evidence."""
    return evidence.seen_on if evidence else ""


def _settled_by(entry: Entry) -> Markup | None:
    if not entry.claim.experiment:
        return None
    notebook, _, trial = entry.claim.experiment.partition("/")
    link = element("a", f"{notebook[:2]} · {trial}", href=f"{notebook}.ipynb")
    return join([link, element("span", " ", prose(entry.decided_by), class_="lab-muted lab-small")])
