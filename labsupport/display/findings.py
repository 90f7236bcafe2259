"""What a run found, as tables: verdicts, ledger, versions. Reads evidence; judges nothing."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labsupport.display.failures import error_shown
from labsupport.display.markup import Markup, element, join, prose
from labsupport.display.style import AVAILABILITY, VERDICTS, Mark, chip, verdict_mark
from labsupport.display.tables import Cell, Column, facts, table
from labsupport.errors import EvidenceError
from labsupport.experiments.claims import Claim, Ledger, Status
from labsupport.experiments.evidence import UNCLEAR, Evidence, VerdictRecord, read, shown_in_replay

Pages = Mapping[str, str]


@dataclass(frozen=True)
class Finding:
    """One verdict and the evidence it was read from; `live` when this run wrote that evidence."""

    verdict: VerdictRecord
    evidence: Evidence
    live: bool

    @property
    def word(self) -> str:
        """The verdict; "untold" where this computer lacks what its experiment takes, so that nothing was judged."""
        given = self.verdict.given
        return "untold" if self.verdict.verdict == UNCLEAR and given and not given.passed else self.verdict.verdict


@dataclass(frozen=True)
class Findings:
    """The evidence behind the notebooks of a run, and files that could not be read."""

    evidence: tuple[tuple[Evidence, bool], ...]
    unreadable: tuple[EvidenceError, ...] = ()

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(self.evidence + other.evidence, self.unreadable + other.unreadable)

    @property
    def verdicts(self) -> tuple[Finding, ...]:
        return tuple(
            Finding(verdict, evidence, live) for evidence, live in self.evidence for verdict in evidence.verdicts
        )

    def of_claim(self, claim: str) -> Finding | None:
        return next((finding for finding in self.verdicts if finding.verdict.claim == claim), None)

    def of_experiment(self, experiment: str | None) -> tuple[Evidence, bool] | None:
        """Its evidence, and whether that is live."""
        return next((each for each in self.evidence if each[0].experiment == experiment), None)

    def count(self, notebook: str) -> list[tuple[str, int]]:
        """Verdict word and how often, in the order of the words."""
        words: Counter[str] = Counter(each.word for each in self.verdicts if each.evidence.notebook == notebook)
        return [(word, words[word]) for word in VERDICTS if words[word]]

    def sources(self, notebook: str) -> list[Mark]:
        """Live or recorded, and whether with simulated parts; none for a notebook without evidence, as the ledger's."""
        marks = (_marks(evidence, live) for evidence, live in self.evidence if evidence.notebook == notebook)
        return list(dict.fromkeys(mark for each in marks for mark in each))

    def where_from(self, notebook: str) -> str:
        """Live or recorded, and on what."""
        found = [each for each in self.evidence if each[0].notebook == notebook]
        for evidence, live in found[:1]:
            how = "live on" if live else f"recorded, not live: {evidence.recorded} on"
            simulated = f"; simulated: {', '.join(evidence.simulated)}" if evidence.simulated else ""
            replayed = [other.experiment.rpartition("/")[2] for other, is_live in found if live and not is_live]
            rest = f"; recorded: {', '.join(replayed)}" if replayed else ""
            return f"{how} {', '.join(evidence.provenance.versions)}{simulated}{rest}"
        return ""


def collect_findings(
    notebooks: Sequence[str], live: Path, recorded: Path | None, *, passed: Collection[str] = ()
) -> Findings:
    """Read the evidence each notebook wrote; what it did not write was replayed and comes from `recorded`.

    Of a notebook that wrote some, only where it is among `passed`: another may not have come to the rest.
    """
    found = Findings(())
    for notebook in notebooks:
        of_run = sorted((live / notebook).glob("*.json"))
        replayed = sorted((recorded / notebook).glob("*.json")) if recorded else []
        seen = _read_all((path, True) for path in of_run)
        if not of_run:
            seen = _as_replayed(_read_all((path, False) for path in replayed))
        elif notebook in passed:
            names = {path.stem for path in of_run}
            unseen = (path for path in replayed if path.stem.partition("@")[0] not in names)
            others = _as_replayed(_read_all((path, False) for path in unseen))
            # Positions of a widget judge nothing, and nobody need have looked at them.
            seen += Findings(tuple(each for each in others.evidence if each[0].verdicts), others.unreadable)
        found += seen
    return found


def collect_recorded(recorded: Path | None) -> Findings:
    """Read all recorded evidence, whatever ran."""
    found = _read_all((path, False) for path in sorted(recorded.rglob("*.json"))) if recorded else Findings(())
    return _as_replayed(found)


def _as_replayed(found: Findings) -> Findings:
    """Keep what replay shows of each experiment."""
    recorded: dict[str, list[Evidence]] = {}
    for evidence, _ in found.evidence:
        recorded.setdefault(evidence.experiment, []).append(evidence)
    shown = (shown_in_replay(each) for each in recorded.values())
    return Findings(tuple((evidence, False) for evidence in shown if evidence), found.unreadable)


def _read_all(paths: Iterable[tuple[Path, bool]]) -> Findings:
    found: list[tuple[Evidence, bool]] = []
    unreadable = []
    for path, is_live in paths:
        try:
            found.append((read(path), is_live))
        except EvidenceError as problem:
            unreadable.append(problem)
    return Findings(tuple(found), tuple(unreadable))


def settled_shown(findings: Findings, pages: Pages, ledger: Ledger | None) -> Markup:
    """Show every verdict of the run, with the claim's sentence where the ledger can be read."""
    sentences = {claim.id: claim.sentence for claim in ledger.claims} if ledger else {}
    problems = join(error_shown(problem).html for problem in findings.unreadable)
    if not findings.verdicts:
        return join([problems, element("p", "No claim was judged in this run.")])
    columns: list[str | Column] = [
        Column("claim", "code"),
        "verdict",
        Column("sentence, and what decided", "prose"),
        "experiment",
        "source",
    ]
    rows: list[list[Cell]] = [
        [
            finding.verdict.claim,
            verdict_mark(finding.word),
            _decided(finding, sentences),
            _experiment(finding.evidence.experiment, pages),
            _source(finding),
        ]
        for finding in sorted(findings.verdicts, key=lambda each: each.verdict.claim)
    ]
    return join([problems, table("Claims judged in this run", columns, rows).html])


def ledger_shown(ledger: Ledger, findings: Findings, pages: Pages, shelf: Findings) -> Markup:
    """Show every claim by topic: its status and verdict, what this run said, by which experiment, seen on what.

    Args:
        shelf: all recorded evidence, for the claims that are no part of this run.
    """
    settled = [claim for claim in ledger.claims if claim.progress is Status.SETTLED]
    counts = Counter(str(claim.verdict) for claim in settled)
    chips = join((chip(verdict_mark(word), f"{counts[word]} {word}") for word in VERDICTS if counts[word]), " ")
    intro = element("p", f"{len(ledger.claims)} claims, {len(settled)} settled. ", chips)
    parts = []
    for name, topic in ledger.topics.items():
        claims = ledger.of_topic(name)
        rows = [_ledger_row(claim, findings, pages, shelf) for claim in claims]
        columns: list[str | Column] = [
            Column("claim", "code"),
            Column("sentence", "prose"),
            "status",
            "verdict",
            "this run",
            "experiment",
            "seen on",
        ]
        parts.append(element("h2", topic.title, id=name))
        parts.append(table(f"Claims: {topic.title}", columns, rows).html)
    return join([intro, *parts])


def versions_shown(findings: Findings) -> Markup:
    """Show what the evidence was seen on, once per different set."""
    sets: dict[str, list[tuple[Evidence, bool]]] = {}
    for evidence, live in findings.evidence:
        sets.setdefault(f"{live}{evidence.backend}{evidence.provenance.model_dump_json()}", []).append((evidence, live))
    if not sets:
        return element("p", "No evidence was written or replayed in this run.")
    return join(_version_set(group) for group in sets.values())


def _version_set(group: Sequence[tuple[Evidence, bool]]) -> Markup:
    evidence, live = group[0]
    provenance = evidence.provenance
    names = ", ".join(sorted({each.notebook for each, _ in group}))
    columns: list[str | Column] = ["tool", Column("version", "code"), Column("module or package", "code"), "source"]
    rows = [(tool.name, tool.version, tool.module or None, tool.source or None) for tool in provenance.tools]
    return join(
        [
            element("h2", names),
            facts(
                {
                    "Source": AVAILABILITY["live" if live else "recorded"],
                    "Backend": evidence.backend,
                    "Date": str(evidence.recorded),
                    "Engine": provenance.engine,
                    "Cluster": provenance.cluster,
                    "Machine": provenance.machine,
                    "Kernel": provenance.kernel,
                    "Architecture": provenance.architecture,
                    "Simulated": ", ".join(evidence.simulated),
                    "Experiments": ", ".join(sorted(each.trial for each, _ in group)),
                }
            ).html,
            table(f"Tools that took part in {names}", columns, rows).html if rows else None,
        ]
    )


def _ledger_row(claim: Claim, findings: Findings, pages: Pages, shelf: Findings) -> list[Cell]:
    found = findings.of_claim(claim.id)
    of_experiment = [each.of_experiment(claim.experiment) for each in (findings, shelf)]
    found_it = [each for each in of_experiment if each]
    # A run that could not tell has settled nothing.
    seen = next((each for each in found_it if claim.id in each[0].settled), next(iter(found_it), None))
    sentence = join(
        [
            prose(claim.sentence),
            " ",
            element("span", prose(claim.note), class_="lab-muted lab-small") if claim.note else None,
        ]
    )
    return [
        element("span", claim.id, id=claim.id),
        sentence,
        claim.status,
        verdict_mark(str(claim.verdict)) if claim.verdict else None,
        verdict_mark(found.word) if found else None,
        _experiment(claim.experiment, pages) if claim.experiment else None,
        join([chip(AVAILABILITY["live" if seen[1] else "recorded"]), " ", seen[0].seen_on]) if seen else None,
    ]


def _experiment(experiment: str, pages: Pages) -> Cell:
    """Name an experiment by the notebook's number and its own name; link to the notebook where it has a page."""
    notebook, _, trial = experiment.partition("/")
    name = f"{notebook[:2]} · {trial}"
    return element("a", name, href=pages[notebook]) if notebook in pages else name


def _decided(finding: Finding, sentences: Mapping[str, str]) -> Markup:
    record = finding.verdict
    check = record.alternatives.get(record.verdict)
    because = check.sentence if check else "none of the stated alternatives held alone"
    if finding.word == "untold" and record.given:
        because = f"what the experiment takes is not here: {record.given.sentence}"
    reason = element("span", prose(because), class_="lab-seen lab-muted lab-small")
    return join([prose(sentences.get(record.claim, "")), " ", reason])


def _marks(evidence: Evidence, live: bool) -> list[Mark]:
    simulated = [AVAILABILITY["simulated"]] if evidence.simulated else []
    return [AVAILABILITY["live" if live else "recorded"], *simulated]


def _source(finding: Finding) -> Markup:
    marks = _marks(finding.evidence, finding.live)
    said = None if finding.live else element("span", finding.evidence.recorded, class_="lab-whole")
    return join([join((chip(mark) for mark in marks), " "), " ", said])
