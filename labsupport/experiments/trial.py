"""A trial: one execution of an experiment. It runs, observes and judges; its answers come from one `Source`.

Must not know what an engine or cluster is, nor decide where evidence goes: the logbook does.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labsupport.errors import UsageError
from labsupport.experiments.checks import Check
from labsupport.experiments.claims import Claim, Ledger, Verdict
from labsupport.experiments.evidence import CheckRecord, VerdictRecord
from labsupport.experiments.runners import Source
from labsupport.experiments.scrubbing import Scrubber
from labsupport.experiments.steps import Observation, Recording, Step, pasteable
from labsupport.process.commands import CommandResult, Invocation
from labsupport.process.waiting import patiently

__all__ = ["Judgement", "Observation", "Step", "Trial"]

UNCLEAR = "unclear"
SHELL_WORDS = frozenset(["|", "||", "&&", ">", ">>", "<", "<<", ";", "&", "2>&1", "2>", "&>"])


@dataclass(frozen=True, repr=False)
class Judgement:
    """How a claim was judged: every alternative with its check, and the verdict; None when unclear, with the reason."""

    claim: Claim
    experiment: str
    verdict: Verdict | None
    alternatives: Mapping[Verdict, Check]
    given: Check | None
    otherwise: Verdict | None
    unclear_because: str
    prediction: str | None
    recorded: Recording | None
    simulated: tuple[str, ...]

    @property
    def word(self) -> str:
        return self.verdict.value if self.verdict else UNCLEAR

    @property
    def stated(self) -> list[tuple[Verdict, Check]]:
        """The alternatives with their checks, that of the verdict first."""
        return sorted(self.alternatives.items(), key=lambda item: item[0] != self.verdict)

    def __repr__(self) -> str:
        lines = [self.recorded.banner] if self.recorded else []
        lines += [f"SIMULATED here: {', '.join(self.simulated)}"] if self.simulated else []
        lines += [f"{self.claim.id} {self.word}: {self.claim.sentence}"]
        lines += [f"you predicted: {self.prediction}"] if self.prediction else []
        lines += [f"unclear because {self.unclear_because}"] if self.verdict is None else []
        for verdict, check in self.stated:
            lines += check.lines(f"{verdict} if ")
        lines += [f"{self.otherwise} otherwise"] if self.otherwise else []
        lines += self.given.lines("given ") if self.given is not None else []
        return "\n".join(lines)


class Trial:
    """One execution of an experiment. `lab.trial(…)` opens it; opening the next one ends it."""

    def __init__(self, experiment: str, source: Source, ledger: Ledger, settles: Sequence[str] = ()) -> None:
        self.experiment = experiment
        self.settles = tuple(settles)
        self.prediction: str | None = None
        self._prediction_told_by: Check | Judgement | None = None
        self.judgements: dict[str, Judgement] = {}
        self.checks: list[Check] = []
        self.is_open = True
        self.source = source
        self._ledger = ledger
        self._steps = 0
        self._on_predict: Callable[[Trial], None] = lambda trial: None
        self._on_doing: Callable[[str], None] = lambda what: None

    @property
    def recorded(self) -> Recording | None:
        """None when this trial is live."""
        return self.source.recorded

    @property
    def is_live(self) -> bool:
        return self.source.is_live

    @property
    def simulated(self) -> tuple[str, ...]:
        return self.source.simulated

    @property
    def name(self) -> str:
        return self.experiment.partition("/")[2]

    def predict(self, text: str) -> None:
        """Keep the learner's prediction beside the verdict. It is shown, never judged, and not written to evidence.

        An empty text, as the notebooks come with, predicts nothing: what was predicted before was about something else.
        """
        self._refuse_if_ended(f"predict {text!r}")
        self.prediction = text if text.strip() else None
        self._prediction_told_by = None
        if self.prediction:
            self._on_predict(self)

    def when_predicted(self, listener: Callable[["Trial"], None]) -> None:
        """Have someone told of every prediction."""
        self._on_predict = listener

    def when_doing(self, listener: Callable[[str], None]) -> None:
        """Have someone told of every command, and of what else is looked at, as it begins."""
        self._on_doing = listener

    def run(
        self,
        command: str | Sequence[str],
        *,
        within_seconds: float | None = None,
        stdin: str | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        on: str = "",
        repeatable: bool = False,
    ) -> Step:
        """Run one command, without a shell, to its end.

        Args:
            command: words as one types them; a pipe is `sh -c 'one | two'`. Or the words themselves.
            on: the place where it runs, such as "machine", the lab's machine, or "old", an engine of an older release;
                without it, this computer, where `docker` and `kubectl` are those of the lab.
            within_seconds: a minute, where it is not given; longer where the computer is slow.
            repeatable: the command does not depend on what ran before it (`docker run --rm …`), so that in replay its
                recording may be shown as often as asked.

        Raises:
            WaitExpired: it did not end in time; it was killed.
            NotRecorded: in replay, when nothing was recorded for it.
        """
        self._refuse_if_ended(command if isinstance(command, str) else shlex.join(command))
        argv = words_of(command)
        invocation = Invocation(stdin, dict(environment or {}), folder, on)
        run = self.source.run_again if repeatable else self.source.run
        self._on_doing(pasteable(argv))
        result = run(argv, within_seconds=within_seconds or patiently(60), invocation=invocation)
        return self._step(argv, invocation, result)

    def run_at_once(
        self,
        command: str | Sequence[str],
        *,
        on: Sequence[str],
        within_seconds: float | None = None,
        stdin: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> list[Step]:
        """Run one command at several places at the same time, as `run` does; a step for each, in the order of `on`.

        Their seconds say nothing: they share the processors.
        """
        self._refuse_if_ended(command if isinstance(command, str) else shlex.join(command))
        argv = words_of(command)
        asked = [Invocation(stdin, dict(environment or {}), None, place) for place in on]
        self._on_doing(pasteable(argv))
        results = self.source.run_at_once(argv, within_seconds=within_seconds or patiently(60), invocations=asked)
        return [self._step(argv, each, result) for each, result in zip(asked, results, strict=True)]

    def _step(self, argv: Sequence[str], asked: Invocation, result: CommandResult) -> Step:
        self._steps += 1
        return Step(
            self.experiment, self._steps, tuple(argv), result.exit_code, result.stdout, result.stderr,
            result.seconds, self.recorded, self.simulated, asked.place, asked.stdin or "",
        )  # fmt: skip

    def observe(self, name: str, look: Callable[[], Any], *, repeatable: bool = False) -> Observation:
        """Keep the JSON value that `look` reads from an API; in replay the recorded one, without calling `look`."""
        self._refuse_if_ended(f"observe {name!r}")
        self._on_doing(name)
        value = self.source.observe(name, look, repeatable=repeatable)
        return Observation(self.experiment, name, value, self.recorded, self.simulated)

    def check(self, check: Check) -> Check:
        """Keep a check that is no claim of the ledger; one that does not hold is an error when the notebook settles.

        The first after a prediction shows it, where no verdict has.
        """
        self._refuse_if_ended(check.sentence)
        self.checks.append(check)
        if self._prediction_told_by is None:
            self._prediction_told_by = check
        return replace(check, prediction=self.prediction) if self._prediction_told_by == check else check

    def expect(
        self,
        claim: str,
        *,
        confirmed: Check | None = None,
        refuted: Check | None = None,
        conditional: Check | None = None,
        outdated: Check | None = None,
        given: Check | None = None,
        otherwise: str | None = None,
    ) -> Judgement:
        """Judge a claim: the verdict is the one alternative whose check holds; none or several make it unclear.

        Args:
            given: a check that the experiment itself worked; when it does not hold, nothing is judged.
            otherwise: the verdict when a single alternative does not hold. Needs `given`, or a command that
                failed for another reason would be taken for an answer.

        Raises:
            UsageError: the alternatives could not tell the verdicts apart; it says why.
        """
        self._refuse_if_ended(f"expect {claim}")
        stated = {
            Verdict.CONFIRMED: confirmed,
            Verdict.REFUTED: refuted,
            Verdict.CONDITIONAL: conditional,
            Verdict.OUTDATED: outdated,
        }
        alternatives = {verdict: check for verdict, check in stated.items() if check is not None}
        _refuse_undecidable(claim, self.settles, alternatives, given, otherwise)
        verdict, because = _decide(alternatives, given, Verdict(otherwise) if otherwise else None)
        judgement = Judgement(
            self._ledger.claim(claim), self.experiment, verdict, alternatives, given,
            Verdict(otherwise) if otherwise else None, because, self.prediction, self.recorded, self.simulated,
        )  # fmt: skip
        self.judgements[claim] = judgement
        if self._prediction_told_by is None:
            self._prediction_told_by = judgement
        return judgement

    def end(self) -> None:
        """Refuse every later command."""
        self.is_open = False

    def _refuse_if_ended(self, tried: str) -> None:
        if not self.is_open:
            raise UsageError(
                tried,
                f"the trial {self.name!r} has ended: another was opened, or the lab was closed",
                f"run the cell with lab.trial({self.name!r}, …) again",
            )


def words_of(command: str | Sequence[str]) -> list[str]:
    """Split a command as a shell would, and refuse what only a shell could do with it.

    Raises:
        UsageError: no words, an open quote, or a pipe, redirection or list outside quotes.
    """
    if not isinstance(command, str):
        return list(command)
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(command, f"it cannot be split into words: {error}", "close the quote") from None
    if not words:
        raise UsageError("run an empty command", "it has no words", "write the command")
    found = next((word for word in words if word in SHELL_WORDS), None)
    if found:
        raise UsageError(
            command,
            f"{found!r} is for a shell, and no shell runs this: the program would get it as an argument",
            "put the line into one: sh -c '…'",
        )
    return words


def verdict_record(judgement: Judgement, scrubber: Scrubber) -> VerdictRecord:
    """What evidence keeps of a judgement: all but the learner's prediction."""
    return VerdictRecord(
        claim=judgement.claim.id,
        verdict=judgement.verdict.value if judgement.verdict else "unclear",
        alternatives={
            verdict.value: check_record(check, scrubber) for verdict, check in judgement.alternatives.items()
        },
        given=check_record(judgement.given, scrubber) if judgement.given is not None else None,
        otherwise=judgement.otherwise.value if judgement.otherwise else None,
    )


def check_record(check: Check, scrubber: Scrubber) -> CheckRecord:
    return CheckRecord(
        sentence=scrubber.text(check.sentence),
        expected=scrubber.text(check.expected),
        seen=scrubber.text(check.seen),
        passed=check.passed,
    )


def _decide(
    alternatives: Mapping[Verdict, Check], given: Check | None, otherwise: Verdict | None
) -> tuple[Verdict | None, str]:
    if given is not None and not given.passed:
        return None, f"the experiment itself did not work: expected that {given.sentence}, seen {given.seen}"
    held = [verdict for verdict, check in alternatives.items() if check.passed]
    if len(held) == 1:
        return held[0], ""
    if held:
        return None, f"{len(held)} alternatives hold at once: {', '.join(held)}"
    return (otherwise, "") if otherwise else (None, "no alternative holds")


def _refuse_undecidable(
    claim: str,
    settles: Sequence[str],
    alternatives: Mapping[Verdict, Check],
    given: Check | None,
    otherwise: str | None,
) -> None:
    """Refuse an expectation whose outcome would not depend on what was seen, or would for the wrong reason."""

    def refuse(happened: str, do: str) -> UsageError:
        return UsageError(f"trial.expect({claim!r}, …)", happened, do)

    if claim not in settles:
        raise refuse(f"the trial says it settles {', '.join(settles) or 'nothing'}", f"open it with settles={claim!r}")
    if not alternatives:
        raise refuse("no alternative is given", "give confirmed=… and refuted=…, each a check")
    checks = [*alternatives.values(), *([given] if given is not None else [])]
    for number, check in enumerate(checks):
        if not isinstance(check, Check):
            raise refuse(f"{check!r} is not a check", "use equals(…), output_is(…), exit_code_is(…) and their like")
        if any(check is other or check.is_same_as(other) for other in checks[:number]):
            raise refuse(f"two alternatives have the same check: {check.sentence}", "say what each would look like")
    if otherwise is not None and (otherwise not in set(Verdict) or otherwise in alternatives or len(alternatives) > 1):
        raise refuse(
            f"otherwise={otherwise!r} beside {', '.join(alternatives)}",
            f"otherwise is another one of {', '.join(Verdict)}, and stands beside one alternative only",
        )
    if len(alternatives) == 1 and (otherwise is None or given is None):
        raise refuse(
            "a single alternative: whatever went wrong would look like an answer",
            "state what would be seen if the claim were false (refuted=…); where that is anything else, "
            "give otherwise='refuted' and given=… (a check that the experiment itself worked)",
        )
    values = list(alternatives.values())
    if given is None and len(values) == 2 and values[0].is_opposite_of(values[1]):
        raise refuse(
            "one alternative is “anything but” the other: whatever went wrong would look like an answer",
            "say what exactly would be seen, or add given=… (a check that the experiment itself worked)",
        )
