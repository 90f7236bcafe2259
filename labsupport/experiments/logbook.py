"""The trials of one run of a notebook: opens one at a time, writes their evidence, holds verdicts to the ledger.

Live trials run on a runner and are recorded; in replay they are answered from evidence, and nothing is written.
"""

import atexit
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labsupport.errors import LedgerError, UsageError
from labsupport.experiments.claims import Claim, Ledger, Status
from labsupport.experiments.evidence import (
    Evidence,
    Provenance,
    find_recorded,
    live_path,
    split_experiment,
    write,
)
from labsupport.experiments.runners import NothingRecorded, RecordingRunner, ReplayRunner, Source, today
from labsupport.experiments.scrubbing import Scrubber
from labsupport.experiments.trial import Judgement, Trial, check_record, verdict_record
from labsupport.process.commands import Runner


@dataclass(frozen=True)
class Live:
    """Trials run for real on `runner`, and their evidence goes to `folder`.

    `provenance` is asked when a trial ends. `on_close` gets each ended trial, to remove its objects. `replayed` are
    trials that cannot run here, each with the reason; they are answered from evidence in `recorded`. So are all but
    those in `only`, where it names any. `require` is called with what a trial is about to do, and may refuse it.
    """

    runner: Runner
    folder: Path
    backend: str
    provenance: Callable[[], Provenance]
    simulated: tuple[str, ...] = ()
    on_close: Callable[[Trial], None] = lambda trial: None
    replayed: Mapping[str, str] = field(default_factory=dict)
    recorded: Path = Path()
    only: tuple[str, ...] = ()
    require: Callable[[str], None] = lambda tried: None

    def source(self, name: str) -> "Live | Recorded":
        """Where the answers of a trial come from."""
        because = self.replayed.get(name) or not_asked_for(name, self.only)
        return Recorded(self.recorded, because) if because else self


def not_asked_for(name: str, only: Sequence[str]) -> str:
    """Why a trial is replayed where some were asked to be live: the end of “not live: …”; empty for one of those."""
    return "" if not only or name in only else f"--trials {','.join(only)} was asked for"


@dataclass(frozen=True)
class Recorded:
    """Trials are answered from the evidence in `folder`; `reason` says why, as the end of “not live: …”."""

    folder: Path
    reason: str

    def source(self, name: str) -> "Live | Recorded":
        """Where the answers of a trial come from."""
        return self


@dataclass
class Logbook:
    """The trials of one run of a notebook.

    Args:
        notebook: "06-dockerfile-instructions".
        on_predict: gets a trial when the learner predicts in it.
    """

    notebook: str
    ledger: Ledger
    mode: Live | Recorded
    scrubber: Scrubber = field(default_factory=Scrubber.for_this_computer)
    on_predict: Callable[[Trial], None] = lambda trial: None
    trials: dict[str, Trial] = field(default_factory=dict, init=False)
    written: dict[str, Path] = field(default_factory=dict, init=False)
    _current: Trial | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        # A kernel that ends without lab.close() still keeps its last trial's evidence.
        atexit.register(self.close)

    def trial(self, name: str, settles: str | Sequence[str] = (), simulated: Sequence[str] = ()) -> Trial:
        """End the trial before and open the next; opening one by the same name starts it over.

        Args:
            settles: the claims this trial judges.
            simulated: parts that are not the real thing in this trial only.

        Raises:
            UsageError: a name that cannot be one, a claim the ledger lacks or calls not testable.

        In replay a trial without evidence opens too; its first command or observation raises NotRecorded.
        """
        experiment = f"{self.notebook}/{name}"
        split_experiment(experiment)
        claims = (settles,) if isinstance(settles, str) else tuple(settles)
        for claim in claims:
            self._refuse_claim(self.ledger.claim(claim), name)
        self.end_trial()
        trial = Trial(experiment, self._source(experiment, simulated), self.ledger, claims)
        trial.when_predicted(self.on_predict)
        self.trials.pop(name, None)
        self.trials[name] = trial
        self._current = trial
        return trial

    @property
    def latest(self) -> Trial | None:
        """The trial that was opened last, whether or not it has ended."""
        return next(reversed(self.trials.values()), None)

    def settled(self) -> str:
        """What this run settled: a line per claim, in the ledger's order, the same on every run.

        Raises:
            LedgerError: a claim was left unjudged or unclear, or a verdict is not the ledger's; all are named.
        """
        problems = [problem for trial in self.trials.values() for problem in self._problems(trial)]
        judged = {claim: judgement for trial in self.trials.values() for claim, judgement in trial.judgements.items()}
        declared = {claim for trial in self.trials.values() for claim in trial.settles}
        for claim in self.ledger.of_notebook(self.notebook):
            if (claim.id not in declared and claim.verdict is not None) or self._mechanism_is_missing(claim):
                problems.append(f"{claim.id}: {claim.experiment} did not run; run the cells above")
        if problems:
            raise LedgerError(
                f"settle the claims of {self.notebook}",
                "\n" + "\n".join(f"  {problem}" for problem in problems),
                "look at the named trials. When the evidence convinces you that the ledger is wrong, "
                "change notebooks/claims.yaml",
            )
        shown = {claim.id for claim in self.ledger.of_notebook(self.notebook) if _is_shown(claim)}
        lines = [
            _line(judged[claim.id]) if claim.id in judged else _line_of_mechanism(claim)
            for claim in self.ledger.claims
            if claim.id in judged or claim.id in shown
        ]
        return "\n".join(lines) or "No claim is settled here. Every check held."

    def end_trial(self) -> None:
        """End the current trial, if any: its evidence is written, then its objects are removed."""
        trial, self._current = self._current, None
        if trial is None:
            return
        trial.end()
        if not (isinstance(self.mode, Live) and trial.is_live):
            return
        try:
            evidence = evidence_of(trial, self.mode.backend, self.mode.provenance())
            if not evidence.is_empty:
                path = live_path(self.mode.folder, trial.experiment)
                write(evidence, path)
                self.written[trial.name] = path
        finally:
            self.mode.on_close(trial)

    def close(self) -> None:
        """End the current trial. A second call does nothing."""
        atexit.unregister(self.close)
        self.end_trial()

    def _source(self, experiment: str, simulated: Sequence[str]) -> Source:
        scrubber = self.scrubber.fresh()
        mode = self.mode.source(split_experiment(experiment)[1])
        if isinstance(mode, Live):
            return RecordingRunner(mode.runner, scrubber, (*mode.simulated, *simulated), mode.require)
        evidence = find_recorded(mode.folder, experiment)
        if evidence is None:
            return NothingRecorded(experiment, mode.reason)
        return ReplayRunner(evidence, mode.reason, scrubber)

    def _mechanism_is_missing(self, claim: Claim) -> bool:
        return _is_shown(claim) and split_experiment(claim.experiment or "")[1] not in self.trials

    def _problems(self, trial: Trial) -> list[str]:
        problems = [
            f"{claim}: {trial.experiment} says it settles this, and never judged it"
            for claim in trial.settles
            if claim not in trial.judgements
        ]
        for claim, judgement in trial.judgements.items():
            found = self.ledger.compare(claim, judgement.verdict, trial.experiment)
            if found is not None and found.is_error:
                problems.append(f"{found}" + (f": {judgement.unclear_because}" if judgement.unclear_because else ""))
        failed = [check for check in trial.checks if not check.passed]
        return problems + [
            f"{trial.experiment}: {check.sentence}: expected {check.expected}, seen {check.seen}" for check in failed
        ]

    def _refuse_claim(self, claim: Claim, name: str) -> None:
        if claim.progress is Status.NOT_TESTABLE:
            raise UsageError(
                f"open the trial {name!r} to settle {claim.id}",
                f"the ledger calls it not testable: {claim.note}",
                "leave it out, or change the claim's status in notebooks/claims.yaml",
            )
        earlier = next(
            (trial for trial in self.trials.values() if claim.id in trial.settles and trial.name != name), None
        )
        if earlier is not None:
            raise UsageError(
                f"open the trial {name!r} to settle {claim.id}",
                f"the trial {earlier.name!r} of this run settles it already",
                "let one trial settle a claim; another may show more of it without settles=",
            )


def evidence_of(trial: Trial, backend: str, provenance: Provenance) -> Evidence:
    """The evidence of a live trial so far."""
    source = trial.source
    if not isinstance(source, RecordingRunner):
        raise UsageError(f"write the evidence of {trial.experiment}", "it was replayed, not run", "run it live")
    return Evidence(
        experiment=trial.experiment,
        backend=backend,
        recorded=today(),
        provenance=provenance,
        simulated=source.simulated,
        settles=trial.settles,
        steps=tuple(source.steps),
        observations=tuple(source.observations),
        checks=tuple(check_record(check, source.scrubber) for check in trial.checks),
        verdicts=tuple(verdict_record(judgement, source.scrubber) for judgement in trial.judgements.values()),
    )


def _is_shown(claim: Claim) -> bool:
    """Whether the checks of an experiment show how it works, which says nothing of the product itself."""
    return claim.progress is Status.MECHANISM_SHOWN


def _line_of_mechanism(claim: Claim) -> str:
    return f"{claim.id:<8} {'mechanism':<11} {claim.sentence} (shown by {claim.experiment})"


def _line(judgement: Judgement) -> str:
    claim = judgement.claim
    shown = f" (simulated: {', '.join(judgement.simulated)})" if judgement.simulated else ""
    if claim.verdict is not None and claim.takes:
        # The same wherever it runs: a run that cannot tell has said so at its trial.
        return f"{claim.id:<8} {claim.verdict:<11} {claim.sentence} (takes {claim.takes})"
    if judgement.verdict is None:
        return f"{claim.id:<8} {judgement.word:<11} {claim.sentence} ({claim.status})"
    return f"{claim.id:<8} {judgement.word:<11} {claim.sentence}{shown}"
