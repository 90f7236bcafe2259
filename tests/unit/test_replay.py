"""Replay answers what was recorded, as often as it was recorded, says so, and never invents."""

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labsupport.errors import NotRecorded, WaitExpired
from labsupport.experiments.checks import equals, output_contains
from labsupport.experiments.claims import Verdict, parse_ledger
from labsupport.experiments.evidence import Provenance, all_recorded, read, recorded_path, write
from labsupport.experiments.logbook import Live, Logbook, Recorded
from labsupport.experiments.runners import MOST_CHARACTERS, recording_of_all
from labsupport.experiments.scrubbing import Scrubber
from labsupport.experiments.trial import Trial
from labsupport.process.commands import CommandResult, Invocation, Runner
from tests.scripted import InTurn, Reply, Scripted, ScriptedRunner

REASON = "no Docker engine can run here"
CLAIM = {
    "id": "df-08",
    "topic": "d",
    "sentence": "ENTRYPOINT is never overridden.",
    "reading": "refuted",
    "status": "unsettled",
    "verdict": None,
    "experiment": None,
}
LEDGER = parse_ledger(
    {"topics": {"d": {"prefix": "df", "title": "D", "notebook": "06-x"}}, "claims": [CLAIM]}, Path("x")
)
Act = Callable[[Trial], Any]


def never() -> Any:
    raise AssertionError("replay must not look")


def record(folder: Path, act: Act, script: dict[str, Scripted] | Runner, places: dict[str, str] | None = None) -> Any:
    """Run a trial live in one logbook, and make its evidence recorded evidence."""
    runner = ScriptedRunner(script) if isinstance(script, dict) else script
    live = Live(runner, folder / "live", "private", lambda: Provenance(engine="Docker 29.0.1", kernel="Linux 6.18"))
    book = Logbook("06-x", LEDGER, live, scrubber=Scrubber(places))
    seen = act(book.trial("t", settles="df-08"))
    book.close()
    evidence = read(book.written["t"])
    write(evidence, recorded_path(folder / "recorded", evidence.experiment, "private"))
    return seen


def replay(folder: Path, places: dict[str, str] | None = None) -> Trial:
    book = Logbook("06-x", LEDGER, Recorded(folder / "recorded", REASON), scrubber=Scrubber(places))
    return book.trial("t", settles="df-08")


def test_the_whole_of_a_notebook_is_as_old_as_its_oldest_evidence(tmp_path: Path) -> None:
    record(tmp_path, lambda trial: trial.run("docker run x"), {"docker": Reply("hello\n")})
    (new,) = all_recorded(tmp_path / "recorded", "06-x")
    old = new.model_copy(
        update={
            "recorded": new.recorded.replace(year=2025),
            "provenance": Provenance(engine="Docker 20.10", kernel="Linux 6.18"),
        }
    )
    told = recording_of_all([new, old], REASON)
    assert told.date == old.recorded
    assert told.versions == ("Docker 29.0.1 and Docker 20.10", "Linux 6.18")


def test_one_command_with_two_inputs_is_two_answers(tmp_path: Path) -> None:
    def act(trial: Trial) -> list[str]:
        return [trial.run("sh -s", stdin=said).output for said in ("one", "two", "one")]

    script: dict[str, Scripted] = {"sh": lambda argv, invocation: Reply(f"{invocation.stdin} said")}
    assert record(tmp_path, act, script) == ["one said", "two said", "one said"]
    trial = replay(tmp_path)
    assert act(trial) == ["one said", "two said", "one said"]
    with pytest.raises(NotRecorded, match="one more"):
        trial.run("sh -s", stdin="two")


def test_a_replayed_trial_gives_the_same_steps_values_and_verdict(tmp_path: Path) -> None:
    def act(trial: Trial) -> Any:
        step = trial.run("docker run x", stdin="in", environment={"A": "b"})
        config = trial.observe("config", never if trial.recorded else lambda: {"Cmd": ("a",)})
        confirmed = equals(config["Cmd"], ["b"], "CMD")
        judgement = trial.expect("df-08", confirmed=confirmed, refuted=output_contains(step, "hello"))
        return step.stdout, step.stderr, step.exit_code, step.argv, config.value, judgement.verdict

    live = record(tmp_path, act, {"docker": Reply("hello\n", 3, "oops\n", 0.5)})
    assert act(replay(tmp_path)) == live
    assert live[-1] is Verdict.REFUTED


def test_everything_replayed_says_so(tmp_path: Path) -> None:
    def act(trial: Trial) -> list[Any]:
        step, value = trial.run("docker run x"), trial.observe("n", lambda: 1)
        return [step, value, trial.expect("df-08", confirmed=equals(1, 1, "n"), refuted=equals(1, 2, "n"))]

    assert [one.recorded for one in record(tmp_path, act, {"docker": Reply("hello\n")})] == [None] * 3
    trial = replay(tmp_path)
    for one in act(trial):
        assert one.recorded.backend == "private"
        assert one.recorded.versions == ("Docker 29.0.1", "Linux 6.18")
        assert one.recorded.banner.endswith(f"with Docker 29.0.1, Linux 6.18, not live: {REASON}")
        assert repr(one).startswith(one.recorded.banner)
    assert not trial.is_live


def test_simulated_parts_are_carried_everywhere(tmp_path: Path) -> None:
    live = Live(
        ScriptedRunner({"x": Reply()}), tmp_path / "live", "private", lambda: Provenance(kernel="L"), ("nodes",)
    )
    book = Logbook("06-x", LEDGER, live)
    trial = book.trial("t", settles="df-08", simulated=["registry"])
    assert trial.run("x").simulated == ("nodes", "registry")
    assert "SIMULATED here: nodes, registry" in repr(trial.observe("n", lambda: 1))
    trial.expect("df-08", confirmed=equals(1, 1, "n"), refuted=equals(1, 2, "n"))
    assert "(simulated: nodes, registry)" in book.settled()
    book.close()
    write(read(book.written["t"]), recorded_path(tmp_path / "recorded", "06-x/t", "private"))
    assert replay(tmp_path).run("x").simulated == ("nodes", "registry")


def test_a_poll_is_replayed_in_order_and_not_beyond(tmp_path: Path) -> None:
    def poll(trial: Trial) -> list[str]:
        return [trial.run("docker ps").output for _ in range(3)]

    live = record(tmp_path, poll, {"docker ps": InTurn([Reply("starting"), Reply("starting"), Reply("running")])})
    trial = replay(tmp_path)
    assert poll(trial) == live == ["starting", "starting", "running"]
    with pytest.raises(NotRecorded, match="it was recorded 3 times, and this is one more"):
        trial.run("docker ps")


def test_opening_the_trial_again_starts_over(tmp_path: Path) -> None:
    record(tmp_path, lambda trial: trial.run("docker ps"), {"docker": Reply("a")})
    book = Logbook("06-x", LEDGER, Recorded(tmp_path / "recorded", REASON))
    for _ in range(3):
        assert book.trial("t", settles="df-08").run("docker ps").output == "a"


def test_what_does_not_depend_on_before_may_be_shown_again(tmp_path: Path) -> None:
    record(
        tmp_path, lambda trial: (trial.run("docker run --rm x"), trial.observe("n", lambda: 1)), {"docker": Reply("a")}
    )
    trial = replay(tmp_path)
    assert [trial.run("docker run --rm x", repeatable=True).output for _ in range(4)] == ["a"] * 4
    assert [trial.observe("n", never, repeatable=True).value for _ in range(4)] == [1] * 4
    with pytest.raises(NotRecorded):
        trial.run("docker run --rm y", repeatable=True)


ASKED: dict[str, Any] = {"stdin": "in", "environment": {"DOCKER_BUILDKIT": "0"}, "folder": Path("/here")}
NOT_RECORDED: dict[str, Act] = {
    "another command": lambda trial: trial.run("docker run y", **ASKED),
    "another word": lambda trial: trial.run("docker run x --tty", **ASKED),
    "another input": lambda trial: trial.run("docker run x", **{**ASKED, "stdin": "other"}),
    "no input": lambda trial: trial.run("docker run x", **{**ASKED, "stdin": None}),
    "another environment": lambda trial: trial.run(
        "docker run x", **{**ASKED, "environment": {"DOCKER_BUILDKIT": "1"}}
    ),
    "no environment": lambda trial: trial.run("docker run x", **{**ASKED, "environment": None}),
    "another folder": lambda trial: trial.run("docker run x", **{**ASKED, "folder": Path("/elsewhere")}),
    "no folder": lambda trial: trial.run("docker run x", **{**ASKED, "folder": None}),
    "another value": lambda trial: trial.observe("other", never),
}


@pytest.mark.parametrize("name", NOT_RECORDED)
def test_what_a_learner_adds_is_not_invented(tmp_path: Path, name: str) -> None:
    def act(trial: Trial) -> None:
        trial.run("docker run x", **ASKED)
        trial.observe("n", lambda: 1)

    record(tmp_path, act, {"docker": Reply("a")})
    act(replay(tmp_path))
    with pytest.raises(NotRecorded) as caught:
        NOT_RECORDED[name](replay(tmp_path))
    assert "06-x/t" in caught.value.happened
    assert "needs a live engine or cluster" in caught.value.do and REASON in caught.value.do


def test_the_nearest_recorded_command_is_named(tmp_path: Path) -> None:
    record(tmp_path, lambda trial: trial.run("docker run --rm lab/toolbox"), {"docker": Reply("a")})
    with pytest.raises(NotRecorded, match="the closest it has is `docker run --rm lab/toolbox`"):
        replay(tmp_path).run("docker run lab/toolbox")


def test_a_trial_never_recorded_opens_and_answers_nothing(tmp_path: Path) -> None:
    trial = replay(tmp_path)
    assert not trial.is_live
    acts: list[Act] = [
        lambda trial: trial.run("docker ps"),
        lambda trial: trial.run("docker ps", repeatable=True),
        lambda trial: trial.observe("n", never),
    ]
    for act in acts:
        with pytest.raises(NotRecorded, match="nothing was recorded of 06-x/t"):
            act(trial)


def test_an_expired_wait_expires_again(tmp_path: Path) -> None:
    def act(trial: Trial) -> str:
        with pytest.raises(WaitExpired) as caught:
            trial.run("docker wait x", within_seconds=2)
        return caught.value.happened

    live = record(tmp_path, act, {"docker": Reply(expires=True)})
    assert act(replay(tmp_path)) == f"when this was recorded: {live}"


def test_a_replayed_value_cannot_be_spoiled(tmp_path: Path) -> None:
    record(tmp_path, lambda trial: trial.observe("n", lambda: {"a": [1]}), {})
    trial = replay(tmp_path)
    trial.observe("n", never, repeatable=True).value["a"].append(2)
    assert trial.observe("n", never, repeatable=True).value == {"a": [1]}


def test_replay_writes_nothing(tmp_path: Path) -> None:
    record(tmp_path, lambda trial: trial.run("x"), {"x": Reply("a")})
    before = sorted(tmp_path.rglob("*"))
    book = Logbook("06-x", LEDGER, Recorded(tmp_path / "recorded", REASON))
    book.trial("t").run("x")
    book.close()
    assert sorted(tmp_path.rglob("*")) == before


def test_very_long_output_is_recorded_in_part_and_says_so(tmp_path: Path) -> None:
    record(tmp_path, lambda trial: trial.run("x"), {"x": Reply("a" * (MOST_CHARACTERS + 5))})
    assert replay(tmp_path).run("x").stdout.endswith("… 5 more characters were not recorded\n")


class Engine:
    """Stands for an engine: makes containers with ids of its own, so that commands hold what earlier ones printed."""

    def __init__(self, seed: int, folder: str) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.count = itertools.count(1)

    def run(self, argv: Any, *, within_seconds: float = 60, invocation: Invocation = Invocation()) -> CommandResult:
        if argv[1] == "run":
            out = f"{self.random.randbytes(32).hex()}\n"
        elif argv[1] == "ps":
            out = f"{self.random.choice(['Up', 'Exited'])} {next(self.count)}\n"
        else:
            out = f"{argv[2]} in {self.folder}/x at 2026-11-23T01:02:0{self.random.randrange(10)}Z\n"
        return CommandResult(tuple(argv), self.random.choice([0, 1]), out, "", self.random.random())


@pytest.mark.parametrize("seed", range(40))
def test_any_trial_replays_as_it_ran(tmp_path: Path, seed: int) -> None:
    """For any sequence of commands that use ids printed by earlier ones, on another computer, in another folder."""
    plan = random.Random(seed).choices(["run", "run -d", "ps", "logs", "stop", "observe"], k=25)

    def act(trial: Trial) -> list[Any]:
        choose, ids = random.Random(seed), ["web"]
        seen: list[Any] = []
        for verb in plan:
            which = choose.choice(ids)
            if verb == "observe":
                seen.append(("observe", trial.observe("ids", lambda: None).value))
            elif verb.startswith("run"):
                step = trial.run(["docker", *verb.split(), "x"])
                ids.append(step.output if choose.random() < 0.5 else step.output[:12] if trial.is_live else step.output)
                seen.append(step.exit_code)
            else:
                step = trial.run(["docker", verb, which])
                seen.append((step.exit_code, len(step.lines)))
        return seen

    live = record(tmp_path, act, Engine(seed, "/var/lib/labs/lab-3f9a2c"), {"/var/lib/labs/lab-3f9a2c": "<run>"})
    assert act(replay(tmp_path, {"/home/bob/labs": "<run>"})) == live

    again = tmp_path / "again"
    record(again, act, Engine(seed, "/home/bob/labs"), {"/home/bob/labs": "<run>"})
    first, second = (read(folder / "recorded/06-x/t@private.json") for folder in (tmp_path, again))
    assert first == second


def test_a_live_notebook_replays_the_trials_that_cannot_run_there(tmp_path: Path) -> None:
    record(tmp_path, lambda trial: trial.run("docker ps"), {"docker ps": (0, "recorded", "")})
    runner = ScriptedRunner({"docker ps": (0, "live", "")})
    live = Live(
        runner,
        tmp_path / "again",
        "own",
        lambda: Provenance(engine="Docker 29.0.1", kernel="Linux 6.18"),
        replayed={"t": REASON},
        recorded=tmp_path / "recorded",
    )
    book = Logbook("06-x", LEDGER, live)
    trial = book.trial("t", settles="df-08")
    assert trial.run("docker ps").stdout == "recorded"
    assert trial.recorded is not None
    assert trial.recorded.reason == REASON
    assert book.trial("other").run("docker ps").stdout == "live"
    book.close()
    assert list(book.written) == ["other"]


def test_only_the_trials_that_were_asked_for_are_live(tmp_path: Path) -> None:
    record(tmp_path, lambda trial: trial.run("docker ps"), {"docker ps": (0, "recorded", "")})
    runner = ScriptedRunner({"docker ps": (0, "live", "")})
    provenance = Provenance(engine="Docker 29.0.1", kernel="Linux 6.18")
    live = Live(
        runner, tmp_path / "again", "vm", lambda: provenance, recorded=tmp_path / "recorded", only=("other", "more")
    )
    book = Logbook("06-x", LEDGER, live)
    replayed = book.trial("t", settles="df-08")
    assert replayed.run("docker ps").stdout == "recorded"
    assert replayed.recorded is not None
    assert replayed.recorded.reason == "--trials other,more was asked for"
    assert book.trial("other").run("docker ps").stdout == "live"
    book.close()
    assert list(book.written) == ["other"]


TAKES = {**CLAIM, "status": "settled", "verdict": "refuted", "experiment": "06-x/t", "takes": "a kernel with x"}


@pytest.mark.parametrize("can_tell", [True, False])
def test_what_is_settled_reads_alike_where_a_kernel_can_tell_and_where_it_cannot(
    tmp_path: Path, *, can_tell: bool
) -> None:
    ledger = parse_ledger(
        {"topics": {"d": {"prefix": "df", "title": "D", "notebook": "06-x"}}, "claims": [TAKES]}, Path("x")
    )
    live = Live(ScriptedRunner({}), tmp_path, "private", lambda: Provenance(kernel="Linux 6.18"))
    book = Logbook("06-x", ledger, live)
    worked, saw = equals(can_tell, True, "worked"), [equals(1, 2, "n"), equals(1, 1, "n")]
    judged = book.trial("t", settles="df-08").expect("df-08", confirmed=saw[0], refuted=saw[1], given=worked)
    assert judged.word == ("refuted" if can_tell else "unclear")
    assert book.settled() == "df-08    refuted     ENTRYPOINT is never overridden. (takes a kernel with x)"
