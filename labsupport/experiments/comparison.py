"""Live evidence held against recorded evidence: which differences matter, which are noise. Changes no evidence.

`promote` is the one way live evidence becomes recorded evidence.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from labsupport.errors import EvidenceError
from labsupport.experiments.claims import Disagreement, Ledger, Status, Verdict
from labsupport.experiments.evidence import (
    UNCLEAR,
    Evidence,
    StepRecord,
    read,
    read_folder,
    recorded_of,
    recorded_path,
    split_experiment,
    write,
)

# What a cluster gives out to pods and Services, in whatever order they come: another in every run.
ASSIGNED_ADDRESS = re.compile(r"\b10\.(?:96|244)\.\d{1,3}\.\d{1,3}\b")


class Kind(StrEnum):
    """What differs. The first group matters; the second is noise."""

    VERDICT = "verdict"
    EXIT_CODE = "exit code"
    CHECK = "check"
    CLAIMS = "claims settled"
    SIMULATED = "simulated parts"
    NOT_RECORDED = "not recorded"
    NOT_RUN = "not run"
    EXPIRED = "wait expired"

    OUTPUT = "output"
    VALUE = "observed value"
    SECONDS = "seconds"
    REPEATS = "repeats"
    VERSIONS = "versions"
    BACKEND = "backend"


NOISE = frozenset({Kind.OUTPUT, Kind.VALUE, Kind.SECONDS, Kind.REPEATS, Kind.VERSIONS, Kind.BACKEND})
SLOWER_BY = 1.5
SECONDS_APART = 1.0


@dataclass(frozen=True)
class Difference:
    """One difference between what was recorded and what was seen live."""

    kind: Kind
    experiment: str
    where: str
    recorded: str
    live: str

    @property
    def matters(self) -> bool:
        return self.kind not in NOISE

    def __str__(self) -> str:
        return f"{self.experiment}: {self.kind} of {self.where}: recorded {self.recorded}, live {self.live}"


def compare(recorded: Evidence, live: Evidence) -> list[Difference]:
    """Every difference between two trials of one experiment, those that matter first."""
    found = [
        *_verdicts(recorded, live),
        *_checks(recorded, live),
        *_steps(recorded, live),
        *_observations(recorded, live),
        *_whole(recorded, live),
    ]
    return sorted(found, key=lambda difference: not difference.matters)


def compare_folders(
    recorded_folder: Path,
    live_folder: Path,
    notebooks: Iterable[str],
    *,
    not_everywhere: Collection[str] = (),
    only: Collection[str] = (),
) -> list[Difference]:
    """Compare all of some notebooks: every recorded experiment must have run, every run one must be recorded.

    Args:
        not_everywhere: experiments that take what not every computer can have; nobody misses either half of them.
        only: the trials that were asked to be live, where not all were; nobody misses the others.

    Raises:
        EvidenceError: a file cannot be read.
    """
    found: list[Difference] = []
    for notebook in notebooks:
        live = {evidence.experiment: evidence for evidence in read_folder(live_folder / notebook)}
        names = {evidence.experiment for evidence in read_folder(recorded_folder / notebook)}
        for experiment in sorted(names | live.keys()):
            if experiment in not_everywhere and not (experiment in names and experiment in live):
                continue
            if only and split_experiment(experiment)[1] not in only:
                continue
            seen = live.get(experiment)
            recorded = recorded_of(recorded_folder, experiment, seen.backend if seen else "")
            found += _nearest(experiment, recorded, seen)
    return found


def against_ledger(ledger: Ledger, evidence: Sequence[Evidence]) -> list[Disagreement]:
    """Every verdict in evidence that is not the ledger's, among the experiments the ledger names and any other."""
    found = []
    for one in evidence:
        for record in one.verdicts:
            verdict = None if record.verdict == UNCLEAR else Verdict(record.verdict)
            disagreement = ledger.compare(record.claim, verdict, one.experiment)
            if disagreement is not None:
                found.append(disagreement)
    return found


def unsupported(ledger: Ledger, evidence: Sequence[Evidence]) -> list[str]:
    """Every claim settled, or shown in its mechanism, by an experiment whose evidence is not there, or cannot tell."""
    judged = {(claim, one.experiment) for one in evidence for claim in one.settled}
    ran = {one.experiment for one in evidence}
    lacking = [
        (claim, "settled it")
        for claim in ledger.claims
        if claim.progress is Status.SETTLED and (claim.id, claim.experiment) not in judged
    ]
    lacking += [
        (claim, "shows its mechanism")
        for claim in ledger.claims
        if claim.progress is Status.MECHANISM_SHOWN and claim.experiment not in ran
    ]
    return [
        f"{claim.id}: the ledger says {claim.experiment} {what}, and there is no such evidence"
        for claim, what in lacking
    ]


def promote(
    live_folder: Path,
    recorded_folder: Path,
    notebook: str,
    *,
    may_be_unclear: Collection[str] = (),
    not_everywhere: Collection[str] = (),
    only: Collection[str] = (),
) -> list[Path]:
    """Make the evidence of a live run the recorded evidence of a notebook; return its files.

    A file whose experiment was seen again, the same but for the day and a little time, stays as it is. Experiments
    of the same backend that no longer exist lose their files. Nothing is written when any file is bad.

    Args:
        may_be_unclear: claims that need what is not everywhere, so that a run here may not be able to tell.
        not_everywhere: experiments that take what not every computer can have; theirs stays when they did not run.
        only: the trials that were asked to be live, where not all were; the evidence of the others stays as it is.

    Raises:
        EvidenceError: there is none, a trial left a claim unjudged or unclear, a check failed, or a file is bad.
    """
    evidence = list(read_folder(live_folder / notebook))
    if missing := sorted({*only} - {one.trial for one in evidence}):
        raise _not_fit(notebook, f"there is no live evidence of {', '.join(missing)}")
    if not evidence:
        raise _not_fit(notebook, f"there is no live evidence in {live_folder / notebook}")
    for one in evidence:
        _refuse_unfit(notebook, one, may_be_unclear)
    written = [recorded_path(recorded_folder, one.experiment, one.backend) for one in evidence]
    for one, path in zip(evidence, written, strict=True):
        if not _seen_again(path, one):
            write(one, path)
    for backend in {one.backend for one in evidence} if not only else ():
        kept = [recorded_path(recorded_folder, experiment, backend) for experiment in not_everywhere]
        for path in (recorded_folder / notebook).glob(f"*@{backend}.json"):
            if path not in written and path not in kept:
                path.unlink()
    return written


def _seen_again(path: Path, live: Evidence) -> bool:
    try:
        recorded = read(path)
    except EvidenceError:
        # Missing, or broken: recording anew is the way to mend it.
        return False
    fleeting: Any = {"recorded": True, "digest": True, "steps": {"__all__": {"seconds"}}}
    same = recorded.model_dump(exclude=fleeting) == live.model_dump(exclude=fleeting)
    return same and not compare(recorded, live)


def _refuse_unfit(notebook: str, one: Evidence, may_be_unclear: Collection[str]) -> None:
    unclear = [record.claim for record in one.verdicts if record.verdict == UNCLEAR]
    open_claims = [*one.unjudged, *(claim for claim in unclear if claim not in may_be_unclear)]
    if open_claims:
        raise _not_fit(notebook, f"{one.experiment} left {', '.join(open_claims)} unjudged or unclear")
    failed = [check.sentence for check in one.checks if not check.passed]
    if failed:
        raise _not_fit(notebook, f"{one.experiment}: a check does not hold: {'; '.join(failed)}")


def _nearest(experiment: str, recorded: Sequence[Evidence], live: Evidence | None) -> list[Difference]:
    """Return how live evidence differs from what was recorded; of several, from that to which it is nearest.

    What was seen depends on what a kernel has: a run that saw what was seen on one of them has seen nothing new.
    """
    if recorded and live is not None:
        compared = (compare(one, live) for one in recorded)
        return min(compared, key=lambda differences: sum(one.matters for one in differences))
    if live is not None:
        return [Difference(Kind.NOT_RECORDED, experiment, "the experiment", "nothing", "it ran: `./lab record` it")]
    return [Difference(Kind.NOT_RUN, experiment, "the experiment", "there", "it did not run")]


def _verdicts(recorded: Evidence, live: Evidence) -> Iterator[Difference]:
    before = {record.claim: record.verdict for record in recorded.verdicts}
    now = {record.claim: record.verdict for record in live.verdicts}
    for claim in sorted(before.keys() | now.keys()):
        if before.get(claim) != now.get(claim):
            yield Difference(
                Kind.VERDICT, live.experiment, claim, before.get(claim, "none"), now.get(claim, "none")
            )  # fmt: skip
    if recorded.settles != live.settles:
        yield Difference(Kind.CLAIMS, live.experiment, "the trial", str(recorded.settles), str(live.settles))


def _checks(recorded: Evidence, live: Evidence) -> Iterator[Difference]:
    before, now = _held(recorded), _held(live)
    for where in [*now, *(where for where in before if where not in now)]:
        if before.get(where) != now.get(where):
            yield Difference(
                Kind.CHECK, live.experiment, where, _word(before.get(where)), _word(now.get(where))
            )  # fmt: skip


def _held(evidence: Evidence) -> dict[str, bool]:
    held = {check.sentence: check.passed for check in evidence.checks}
    for record in evidence.verdicts:
        held |= {f"{record.claim} {verdict}": check.passed for verdict, check in record.alternatives.items()}
        held |= {f"{record.claim} given": record.given.passed} if record.given else {}
    return held


def _word(passed: bool | None) -> str:
    return "no such check" if passed is None else "holds" if passed else "does not hold"


def _steps(recorded: Evidence, live: Evidence) -> Iterator[Difference]:
    before, now = _by_key(recorded), _by_key(live)
    for key in now:
        if key not in before:
            yield Difference(Kind.NOT_RECORDED, live.experiment, key[0], "nothing", "it ran")
    for key, old in before.items():
        if key not in now:
            yield Difference(Kind.NOT_RUN, live.experiment, key[0], "it ran", "nothing")
        else:
            yield from _repeated(live.experiment, key[0], old, now[key])


def _by_key(evidence: Evidence) -> dict[tuple[str, str | None], list[StepRecord]]:
    steps: dict[tuple[str, str | None], list[StepRecord]] = {}
    for step in evidence.steps:
        steps.setdefault((ASSIGNED_ADDRESS.sub("<address>", step.key), step.stdin), []).append(step)
    return steps


def _repeated(experiment: str, where: str, old: list[StepRecord], new: list[StepRecord]) -> Iterator[Difference]:
    """Compare a command's runs one by one; when a poll took more or fewer turns, what it ended with."""
    if len(old) != len(new):
        yield Difference(Kind.REPEATS, experiment, where, str(len(old)), str(len(new)))
        old, new = old[-1:], new[-1:]
    for before, now in zip(old, new, strict=True):
        if (before.expired is None) != (now.expired is None):
            yield Difference(Kind.EXPIRED, experiment, where, before.expired or "no", now.expired or "no")
        elif before.exit_code != now.exit_code:
            yield Difference(Kind.EXIT_CODE, experiment, where, str(before.exit_code), str(now.exit_code))
        if (before.stdout, before.stderr) != (now.stdout, now.stderr):
            yield Difference(Kind.OUTPUT, experiment, where, _first_other(before, now), _first_other(now, before))
        slow, fast = max(before.seconds, now.seconds), min(before.seconds, now.seconds)
        if slow - fast > SECONDS_APART and slow > fast * SLOWER_BY:
            yield Difference(Kind.SECONDS, experiment, where, f"{before.seconds:g}", f"{now.seconds:g}")


def _first_other(one: StepRecord, other: StepRecord) -> str:
    lines, others = (one.stdout + one.stderr).splitlines(), (other.stdout + other.stderr).splitlines()
    return repr(next((line for line in lines if line not in others), ""))


def _observations(recorded: Evidence, live: Evidence) -> Iterator[Difference]:
    before = {one.name: one.value for one in recorded.observations}
    now = {one.name: one.value for one in live.observations}
    for name in now.keys() - before.keys():
        yield Difference(Kind.NOT_RECORDED, live.experiment, f"observation {name}", "nothing", "it was read")
    for name, value in before.items():
        if name not in now:
            yield Difference(Kind.NOT_RUN, live.experiment, f"observation {name}", "it was read", "nothing")
        elif value != now[name]:
            yield Difference(Kind.VALUE, live.experiment, name, _brief(value), _brief(now[name]))


def _whole(recorded: Evidence, live: Evidence) -> Iterator[Difference]:
    if recorded.simulated != live.simulated:
        yield Difference(Kind.SIMULATED, live.experiment, "the trial", str(recorded.simulated), str(live.simulated))
    if recorded.backend != live.backend:
        yield Difference(Kind.BACKEND, live.experiment, "the trial", recorded.backend, live.backend)
    if recorded.provenance != live.provenance:
        before, now = recorded.provenance.versions, live.provenance.versions
        yield Difference(Kind.VERSIONS, live.experiment, "the trial", ", ".join(before), ", ".join(now))


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"


def _not_fit(notebook: str, happened: str) -> EvidenceError:
    return EvidenceError(
        f"record {notebook}", happened, f"run all of it live (`./lab run {notebook}`) until it settles, then record"
    )
