"""Every Runner keeps the same promises: this computer, one that records, one that replays, one that is scripted.

The replaying runner is asked what a recording runner was asked before; the scripted one what its script has.
"""

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest

from labsupport.errors import NotRecorded, WaitExpired
from labsupport.experiments.evidence import Evidence, Provenance
from labsupport.experiments.runners import RecordingRunner, ReplayRunner
from labsupport.process.commands import NO_SUCH_COMMAND, CommandResult, Invocation, LocalRunner, PrefixRunner, Runner
from tests.scripted import InTurn, Reply, Scripted, ScriptedRunner, ScriptRanOut

Ask = Callable[[Runner], object]

COUNT = ["sh", "-c", "echo x >> count; wc -l < count"]


def evidence_from(recording: RecordingRunner) -> Evidence:
    return Evidence(
        experiment="00-contract/promises",
        backend="private",
        recorded=datetime.date(2026, 1, 2),
        provenance=Provenance(kernel="Linux"),
        steps=tuple(recording.steps),
        observations=tuple(recording.observations),
    )


def _local(ask: Ask, script: dict[str, Scripted]) -> Runner:
    return LocalRunner()


def _prefixed(ask: Ask, script: dict[str, Scripted]) -> Runner:
    return PrefixRunner(LocalRunner(), ["env", "--"])


def _recording(ask: Ask, script: dict[str, Scripted]) -> Runner:
    return RecordingRunner(LocalRunner())


def _replaying(ask: Ask, script: dict[str, Scripted]) -> Runner:
    recording = RecordingRunner(LocalRunner())
    ask(recording)
    return ReplayRunner(evidence_from(recording), "this is a test")


def _scripted(ask: Ask, script: dict[str, Scripted]) -> Runner:
    return ScriptedRunner(script)


RUNNERS = {
    "local": _local,
    "prefixed": _prefixed,
    "recording": _recording,
    "replaying": _replaying,
    "scripted": _scripted,
}


@pytest.fixture(params=RUNNERS)
def answers(request: pytest.FixtureRequest) -> Callable[..., object]:
    """Ask one of the runners; the script is for the one that has nothing else to answer from."""

    def answer(ask: Ask, script: dict[str, Scripted]) -> object:
        return ask(RUNNERS[request.param](ask, script))

    return answer


def test_a_result_has_the_words_as_asked(answers: Callable[..., CommandResult]) -> None:
    result = answers(lambda runner: runner.run(["echo", "two words", "$HOME"]), {"echo": Reply("two words $HOME\n")})
    assert result.argv == ("echo", "two words", "$HOME")
    assert result.stdout == "two words $HOME\n"
    assert result.seconds >= 0


def test_a_failure_is_a_result_and_no_exception(answers: Callable[..., CommandResult]) -> None:
    result = answers(lambda runner: runner.run(["sh", "-c", "exit 3"]), {"sh": Reply(exit_code=3)})
    assert (result.exit_code, result.succeeded) == (3, False)


def test_streams_stay_apart(answers: Callable[..., CommandResult]) -> None:
    result = answers(
        lambda runner: runner.run(["sh", "-c", "echo out; echo err >&2"]), {"sh": Reply("out\n", stderr="err\n")}
    )
    assert (result.stdout, result.stderr) == ("out\n", "err\n")


def test_a_command_that_is_not_there_gives_127(answers: Callable[..., CommandResult]) -> None:
    result = answers(
        lambda runner: runner.run(["no-such-command-at-all"]),
        {"no-such": Reply(), "no-such-command-at-all": Reply(exit_code=127)},
    )
    assert result.exit_code == NO_SUCH_COMMAND


def test_death_by_a_signal_gives_128_and_its_number(answers: Callable[..., CommandResult]) -> None:
    result = answers(lambda runner: runner.run(["sh", "-c", "kill -TERM $$"]), {"sh": Reply(exit_code=143)})
    assert result.exit_code == 143


def test_an_expired_wait_raises(answers: Callable[..., WaitExpired]) -> None:
    def ask(runner: Runner) -> WaitExpired:
        with pytest.raises(WaitExpired) as caught:
            runner.run(["sleep", "5"], within_seconds=0.1)
        return caught.value

    error = answers(ask, {"sleep 5": Reply(expires=True)})
    assert "sleep 5" in error.tried
    assert "0.1 s" in error.happened
    assert error.do


def test_the_same_command_twice_is_answered_in_order(answers: Callable[..., list[str]], tmp_path: Path) -> None:
    def ask(runner: Runner) -> list[str]:
        (tmp_path / "count").unlink(missing_ok=True)
        here = Invocation(folder=tmp_path)
        return [runner.run(COUNT, invocation=here).stdout.strip() for _ in range(3)]

    script = {"sh": InTurn([Reply("1\n"), Reply("2\n"), Reply("3\n")])}
    assert answers(ask, script) == ["1", "2", "3"]


def test_input_environment_and_folder_reach_the_command(answers: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "here").write_text("found ")

    def ask(runner: Runner) -> str:
        invocation = Invocation(stdin="typed ", environment={"LAB_WORD": "set"}, folder=tmp_path)
        return runner.run(["sh", "-c", 'cat here -; printf "$LAB_WORD"'], invocation=invocation).stdout

    assert answers(ask, {"sh": Reply("found typed set")}) == "found typed set"


def test_what_is_not_recorded_is_not_invented() -> None:
    replay = ReplayRunner(evidence_from(RecordingRunner(LocalRunner())), "no engine runs here")
    with pytest.raises(NotRecorded, match="no engine runs here"):
        replay.run(["echo", "hello"])


def test_a_scripted_runner_does_not_invent_either() -> None:
    with pytest.raises(ScriptRanOut):
        ScriptedRunner({}).run(["echo", "hello"])
