"""Two runners that stand where a trial's commands run: one records another runner, one replays evidence.

Replay never invents: what was not recorded raises NotRecorded and says what it would need.
"""

import datetime
import difflib
import json
import shlex
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from labsupport.errors import NotRecorded, UsageError, WaitExpired
from labsupport.experiments.evidence import Evidence, ObservationRecord, StepRecord, versions_of
from labsupport.experiments.scrubbing import Scrubber, kind_of_ids
from labsupport.experiments.steps import Recording
from labsupport.process.commands import CommandResult, Invocation, Runner

MOST_CHARACTERS = 200_000
PLAIN = Invocation()


class Source(Runner, Protocol):
    """Where a trial's steps and observations come from. `recorded` is None when they are live, or there are none."""

    recorded: Recording | None
    simulated: tuple[str, ...]
    is_live: bool

    def observe(self, name: str, look: Callable[[], Any], *, repeatable: bool = False) -> Any:
        """Return the JSON value `look` reads, or the one recorded under this name, without calling `look`."""
        ...

    def run_again(self, argv: Sequence[str], *, within_seconds: float, invocation: Invocation) -> CommandResult:
        """Run a command that does not depend on what ran before it: its recording may be shown more than once."""
        ...

    def run_at_once(
        self, argv: Sequence[str], *, within_seconds: float, invocations: Sequence[Invocation]
    ) -> list[CommandResult]:
        """Run a command in several ways at the same time; what each left, in the order of `invocations`."""
        ...


class RecordingRunner:
    """Runs commands on another runner and writes down, scrubbed, what they left.

    `require` is called with what is about to be done, and may refuse it.
    """

    recorded: Recording | None = None
    is_live = True

    def __init__(
        self,
        inner: Runner,
        scrubber: Scrubber | None = None,
        simulated: Sequence[str] = (),
        require: Callable[[str], None] = lambda tried: None,
    ) -> None:
        self.inner = inner
        self._require = require
        self.scrubber = scrubber or Scrubber()
        self.simulated = tuple(simulated)
        self.steps: list[StepRecord] = []
        self.observations: list[ObservationRecord] = []

    def run(self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = PLAIN) -> CommandResult:
        self._require(shlex.join(argv))
        run = partial(self.inner.run, argv, within_seconds=within_seconds, invocation=invocation)
        return self._written_down(argv, within_seconds, invocation, run)

    def run_at_once(
        self, argv: Sequence[str], *, within_seconds: float, invocations: Sequence[Invocation]
    ) -> list[CommandResult]:
        self._require(shlex.join(argv))
        with ThreadPoolExecutor(max_workers=len(invocations) or 1) as pool:
            run = partial(self.inner.run, argv, within_seconds=within_seconds)
            running = [pool.submit(run, invocation=each) for each in invocations]
        # One after the other, so that evidence has them in the same order each time.
        asked = zip(invocations, running, strict=True)
        return [self._written_down(argv, within_seconds, each, future.result) for each, future in asked]

    def _written_down(
        self, argv: Sequence[str], within_seconds: float, invocation: Invocation, run: Callable[[], CommandResult]
    ) -> CommandResult:
        asked = _asked(argv, invocation, self.scrubber)
        try:
            result = run()
        except WaitExpired as error:
            happened = self.scrubber.text(error.happened)
            self.steps.append(asked.model_copy(update={"expired": happened, "seconds": within_seconds}))
            raise
        kind = kind_of_ids(argv)
        left = {
            "exit_code": result.exit_code,
            "stdout": self._kept(result.stdout, kind),
            "stderr": self._kept(result.stderr, kind),
            "seconds": round(result.seconds, 1 if result.seconds >= 1 else 2),
        }
        self.steps.append(asked.model_copy(update=left))
        return result

    def run_again(self, argv: Sequence[str], *, within_seconds: float, invocation: Invocation) -> CommandResult:
        return self.run(argv, within_seconds=within_seconds, invocation=invocation)

    def observe(self, name: str, look: Callable[[], Any], *, repeatable: bool = False) -> Any:
        del repeatable
        self._require(f"observe {name}")
        value = json_value(name, look())
        self.observations.append(ObservationRecord(name=name, value=self.scrubber.value(value)))
        return value

    def _kept(self, stream: str, kind: str) -> str:
        text = self.scrubber.text(stream, kind)
        if len(text) <= MOST_CHARACTERS:
            return text
        return f"{text[:MOST_CHARACTERS]}\n… {len(text) - MOST_CHARACTERS} more characters were not recorded\n"


class ReplayRunner:
    """Answers commands and observations from evidence, the same one several times in the order it was recorded."""

    is_live = False

    def __init__(self, evidence: Evidence, reason: str, scrubber: Scrubber | None = None) -> None:
        self.evidence = evidence
        self.scrubber = scrubber or Scrubber()
        self.reason = reason
        self.recorded: Recording | None = recording_of(evidence, reason)
        self.simulated = evidence.simulated
        self._served: dict[tuple[str, str], int] = {}

    def run(self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = PLAIN) -> CommandResult:
        return self._replay(argv, within_seconds, invocation, again=False)

    def run_again(self, argv: Sequence[str], *, within_seconds: float, invocation: Invocation) -> CommandResult:
        return self._replay(argv, within_seconds, invocation, again=True)

    def run_at_once(
        self, argv: Sequence[str], *, within_seconds: float, invocations: Sequence[Invocation]
    ) -> list[CommandResult]:
        return [self.run(argv, within_seconds=within_seconds, invocation=each) for each in invocations]

    def observe(self, name: str, look: Callable[[], Any], *, repeatable: bool = False) -> Any:
        del look
        values = [record.value for record in self.evidence.observations if record.name == name]
        names = [record.name for record in self.evidence.observations]
        number = self._next(f"observe {name}", len(values), names, name, again=repeatable)
        return json.loads(json.dumps(values[number]))

    def _replay(
        self, argv: Sequence[str], within_seconds: float, invocation: Invocation, *, again: bool
    ) -> CommandResult:
        asked = _asked(argv, invocation, self.scrubber)
        records = [record for record in self.evidence.steps if (record.key, record.stdin) == (asked.key, asked.stdin)]
        keys = [record.key for record in self.evidence.steps]
        fed = "" if asked.stdin is None else asked.stdin
        record = records[self._next(shlex.join(argv), len(records), keys, asked.key, fed, again=again)]
        if record.expired is not None or record.exit_code is None:
            raise WaitExpired(
                shlex.join(argv),
                f"when this was recorded: {record.expired}",
                "find out what it waits for; on a live engine it can be tried again",
            )
        return CommandResult(tuple(argv), record.exit_code, record.stdout, record.stderr, record.seconds)

    def _next(self, tried: str, count: int, names: list[str], name: str, fed: str = "", *, again: bool) -> int:
        """The place of the next answer among `count` of the same name, fed the same; a repeatable one starts over."""
        served = self._served.get((name, fed), 0)
        if not count:
            raise self._not_recorded(tried, f"{_closest(name, names)}")
        if served >= count and not again:
            times = "once" if count == 1 else f"{count} times"
            raise self._not_recorded(
                tried, f"it was recorded {times}, and this is one more. Run the cell that opens the trial to start over"
            )
        self._served[name, fed] = served + 1
        return served % count

    def _not_recorded(self, tried: str, why: str) -> NotRecorded:
        where = f"the recording of {self.evidence.experiment} ({self.evidence.recorded})"
        return not_recorded(tried, f"no answer to this is in {where}: {why}", self.reason)


class NothingRecorded:
    """Stands where a trial has no evidence: it can be opened, but answers nothing."""

    recorded: Recording | None = None
    simulated: tuple[str, ...] = ()
    is_live = False

    def __init__(self, experiment: str, reason: str) -> None:
        self.experiment = experiment
        self.reason = reason

    def run(self, argv: Sequence[str], *, within_seconds: float = 60, invocation: Invocation = PLAIN) -> CommandResult:
        raise self._not_recorded(shlex.join(argv))

    def run_again(self, argv: Sequence[str], *, within_seconds: float, invocation: Invocation) -> CommandResult:
        raise self._not_recorded(shlex.join(argv))

    def run_at_once(
        self, argv: Sequence[str], *, within_seconds: float, invocations: Sequence[Invocation]
    ) -> list[CommandResult]:
        raise self._not_recorded(shlex.join(argv))

    def observe(self, name: str, look: Callable[[], Any], *, repeatable: bool = False) -> Any:
        raise self._not_recorded(f"observe {name}")

    def _not_recorded(self, tried: str) -> NotRecorded:
        return not_recorded(tried, f"nothing was recorded of {self.experiment}", self.reason)


def not_recorded(tried: str, happened: str, reason: str) -> NotRecorded:
    """What replay says instead of inventing an answer."""
    return NotRecorded(
        tried,
        happened,
        f"this needs a live engine or cluster; here there are recordings only, because {reason}. "
        "`./lab doctor` says what would change that",
    )


def recording_of(evidence: Evidence, reason: str) -> Recording:
    """What to say above everything that comes from this evidence."""
    return Recording(evidence.recorded, evidence.provenance.versions, reason, evidence.backend)


def recording_of_all(evidence: Sequence[Evidence], reason: str) -> Recording:
    """What to say above a whole notebook: every version that took part, and the day of the oldest evidence."""
    oldest = min(evidence, key=lambda one: one.recorded)
    versions = versions_of([one.provenance for one in evidence])
    return Recording(oldest.recorded, versions, reason, oldest.backend)


def today() -> datetime.date:
    """The day in UTC: the same wherever it is asked."""
    return datetime.datetime.now(datetime.UTC).date()


def json_value(name: str, value: Any) -> Any:
    """Turn a value into what it will be when read back from evidence (tuples become lists).

    Raises:
        UsageError: it holds something JSON has no word for.
    """
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"observe {name!r}",
            f"its value cannot be written to evidence: {error}",
            "return texts, numbers, true/false, None, and lists and dicts of them",
        ) from None


def _asked(argv: Sequence[str], invocation: Invocation, scrubber: Scrubber) -> StepRecord:
    """The record of a command before it ran. Its key has, like a line of shell, place, environment and folder first."""
    words = scrubber.argv(argv)
    settings = [f"{name}={value}" for name, value in sorted(invocation.environment.items())]
    folder = [shlex.join(["cd", *scrubber.argv([str(invocation.folder)])]), "&&"] if invocation.folder else []
    stdin = None if invocation.stdin is None else scrubber.argv([invocation.stdin])[0]
    place = [f"{invocation.place}$"] if invocation.place else []
    return StepRecord(
        key=" ".join([*place, *folder, *map(shlex.quote, scrubber.argv(settings)), shlex.join(words)]).strip(),
        argv=words,
        exit_code=None,
        stdin=stdin,
    )


def _closest(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"the closest it has is `{close[0]}`" if close else f"it has {len(names)} others"
