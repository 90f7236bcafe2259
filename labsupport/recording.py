"""Evidence of a whole run: kept as what replay shows (`./lab record`), or held against it (`./lab verify`)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labsupport.backends import Plan
from labsupport.documents import write_documents
from labsupport.errors import RequirementMissing, UsageError
from labsupport.experiments.claims import Disagreement, Ledger, load_ledger
from labsupport.experiments.comparison import Difference, against_ledger, compare_folders, promote, unsupported
from labsupport.experiments.evidence import Evidence, read_folder
from labsupport.lessons.catalog import lesson
from labsupport.lessons.needs import Needs
from labsupport.notebooks import find_trials, outdated, trials_of, with_stored_output
from labsupport.process.ownership import give_to_caller
from labsupport.project import Project


@dataclass(frozen=True)
class Verification:
    """A live run held against recorded evidence and against the ledger.

    `unsupported` are the ledger's settled claims, of all notebooks, that no recorded evidence settles.
    """

    ledger: Ledger
    notebooks: tuple[str, ...]
    verdicts: dict[str, str]
    differences: tuple[Difference, ...]
    disagreements: tuple[Disagreement, ...]
    unsupported: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        matter = any(difference.matters for difference in self.differences)
        return not (matter or self.unsupported or any(found.is_error for found in self.disagreements))

    def as_data(self) -> dict[str, Any]:
        """Everything as JSON-able values."""
        rows = [
            {
                "claim": claim.id,
                "sentence": claim.sentence,
                "status": claim.status,
                "verdict": claim.verdict,
                "verdict_live": self.verdicts.get(claim.id),
                "experiment": claim.experiment,
            }
            for claim in self.ledger.claims
        ]
        return {
            "agrees": self.agrees,
            "notebooks": list(self.notebooks),
            "ledger": rows,
            "differences": [{**asdict(one), "matters": one.matters} for one in self.differences],
            "disagreements": [str(one) for one in self.disagreements],
            "unsupported": list(self.unsupported),
        }

    def as_text(self) -> str:
        """The ledger, a line per claim, and below it what differs and matters."""
        lines = [
            f"{claim.id:<8} {claim.verdict or claim.status:<12} {self._now(claim.id):<18} {claim.sentence}"
            for claim in self.ledger.claims
        ]
        lines += [f"differs: {one}" for one in self.differences if one.matters]
        lines += [f"against the ledger: {one}" for one in self.disagreements if one.is_error]
        lines += [f"without evidence: {one}" for one in self.unsupported]
        noise = sum(not one.matters for one in self.differences)
        judged = len(self.verdicts)
        lines.append(f"{judged} claims judged live in {', '.join(self.notebooks)}; {noise} differences that are noise.")
        lines.append("Live and recorded agree." if self.agrees else "Live and recorded DIFFER.")
        return "\n".join(lines)

    def _now(self, claim: str) -> str:
        return f"live: {self.verdicts[claim]}" if claim in self.verdicts else ""


def live_there(
    project: Project, names: Sequence[str], chosen: Plan, trials: Sequence[str] = ()
) -> tuple[list[str], dict[str, str]]:
    """Return the notebooks that can be live on what was chosen, and why each other one cannot.

    Args:
        names: of notebooks, as `./lab run` takes them; all of them where none is given.
        trials: the only ones to be live, where any is named.

    Raises:
        UsageError: a name means no notebook, or no trial.
        RequirementMissing: none of them can be live.
    """
    found = find_trials(project, names, trials)
    reasons = {one.slug: chosen.why_not(lesson(one.slug).asked_for(trials).needs) for one in found}
    live = [slug for slug, reason in reasons.items() if not reason]
    if not live:
        happened = "; ".join(sorted(set(reasons.values())))
        raise RequirementMissing("hold live evidence against the recorded", happened, "run `./lab doctor`")
    return live, {slug: reason for slug, reason in reasons.items() if reason}


def record(project: Project, executed: Sequence[tuple[str, Path]], trials: Sequence[str] = ()) -> list[Path]:
    """Keep the evidence of notebooks that ran live, and the output of their last cell; return the files written.

    Args:
        trials: the only ones that were to be live, where any is named; the evidence of the others stays.
    """
    written = []
    needing = {claim.id for claim in load_ledger(project.claims).claims if claim.may_be_unclear}
    for slug, path in executed:
        if lesson(slug).needs != Needs():  # one that needs nothing live reads evidence, and leaves none
            written += promote(
                project.live_evidence,
                project.recorded_evidence,
                slug,
                may_be_unclear=needing,
                not_everywhere=lesson(slug).not_everywhere,
                only=_of_notebook(project, slug, trials),
            )
        notebook = project.notebooks / f"{slug}.ipynb"
        text = with_stored_output(notebook.read_text(encoding="utf-8"), path.read_text(encoding="utf-8"))
        notebook.write_text(text, encoding="utf-8")
        written.append(notebook)
    written += write_documents(project)
    for path in written:
        # Under sudo the clone, and what is committed from it, is the caller's.
        give_to_caller(path, 0o644)
        give_to_caller(path.parent, 0o755)
    return written


def require_generated(project: Project) -> None:
    """Make sure, before anything runs for minutes, that what would run is what the sources of notebooks say.

    Raises:
        UsageError: a source was edited, and its notebook not written from it.
    """
    if old := outdated(project):
        happened = f"of another edition than their sources: {', '.join(one.slug for one in old)}"
        raise UsageError("record what notebooks show", happened, "write them from their sources first: ./lab generate")


def require_recorded(project: Project) -> None:
    """Make sure, before anything runs for minutes, that all recorded evidence is as it was recorded.

    Raises:
        EvidenceError: a file was changed by hand or is of another schema; the message names the claims that rest on it.
    """
    for _ in read_folder(project.recorded_evidence):
        pass


def _of_notebook(project: Project, slug: str, trials: Sequence[str]) -> list[str]:
    """Which of these trials a notebook opens."""
    return [trial for trial in trials if trial in trials_of(project.notebooks / f"{slug}.ipynb")]


def verify(project: Project, notebooks: Sequence[str], trials: Sequence[str] = ()) -> Verification:
    """Hold the live evidence of notebooks against the recorded, and their verdicts against the ledger.

    Args:
        trials: the only ones that were to be live, where any is named.
    """
    ledger = load_ledger(project.claims)
    live: list[Evidence] = [one for notebook in notebooks for one in read_folder(project.live_evidence / notebook)]
    return Verification(
        ledger,
        tuple(notebooks),
        {verdict.claim: verdict.verdict for one in live for verdict in one.verdicts},
        tuple(
            compare_folders(
                project.recorded_evidence,
                project.live_evidence,
                notebooks,
                not_everywhere=[each for notebook in notebooks for each in lesson(notebook).not_everywhere],
                only=trials,
            )
        ),
        tuple(against_ledger(ledger, live)),
        tuple(unsupported(ledger, list(read_folder(project.recorded_evidence)))),
    )
