"""Trials run, judge and settle; a verdict comes from what was seen, and never by accident."""

import datetime
import json
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from labsupport.errors import EvidenceError, LedgerError, UsageError, WaitExpired
from labsupport.experiments.checks import Check, contains, differs, equals, exit_code_is, output_is
from labsupport.experiments.claims import Ledger, Verdict, parse_ledger
from labsupport.experiments.evidence import Provenance, Tool, read
from labsupport.experiments.logbook import Live, Logbook
from labsupport.experiments.runners import today
from labsupport.experiments.scrubbing import Scrubber
from labsupport.experiments.trial import Trial, words_of
from labsupport.process.commands import Invocation, LocalRunner
from tests.scripted import InTurn, Reply, Scripted, ScriptedRunner

NOTEBOOK = "06-dockerfile"
CONTAINER = "4f3a" * 16
PROVENANCE = Provenance(
    engine="Docker 29.0.1", kernel="Linux 6.18.0", tools=(Tool(name="runc", version="1.5.2", source="built here"),)
)


def claim(number: str, verdict: str | None = None, status: str = "", experiment: str | None = None) -> dict[str, Any]:
    return {
        "id": f"df-{number}",
        "topic": "dockerfile",
        "sentence": f"Claim {number} is a sentence.",
        "reading": verdict,
        "status": status or ("settled" if verdict else "unsettled"),
        "verdict": verdict,
        "experiment": experiment or (f"{NOTEBOOK}/override" if verdict else None),
        "note": "A note.",
    }


def ledger(*claims: dict[str, Any]) -> Ledger:
    topics = {"dockerfile": {"prefix": "df", "title": "Dockerfile", "notebook": NOTEBOOK}}
    return parse_ledger({"topics": topics, "claims": list(claims)}, Path("claims.yaml"))


class Desk:
    """A live logbook whose engine is a script; it remembers which trials lost their objects."""

    def __init__(self, folder: Path, script: dict[str, Scripted], *claims: dict[str, Any]) -> None:
        self.runner = ScriptedRunner(script)
        self.ended: list[str] = []
        self.folder = folder
        live = Live(
            self.runner,
            folder,
            "private",
            lambda: PROVENANCE,
            on_close=lambda trial: self.ended.append(trial.name),
        )
        self.logbook = Logbook(
            NOTEBOOK,
            ledger(*(claims or [claim("08"), claim("09")])),
            live,
            scrubber=Scrubber({"/var/lib/labs/x": "<run>"}),
        )

    def evidence(self, trial: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / NOTEBOOK / f"{trial}.json").read_text())
        return content


MakeDesk = Callable[..., Desk]


@pytest.fixture
def desk(tmp_path: Path) -> MakeDesk:
    def make(*claims: dict[str, Any], **script: Scripted) -> Desk:
        return Desk(tmp_path, {**script} or {"docker": Reply("hello\n")}, *claims)

    return make


# What a step is


def test_a_step_has_what_the_command_left(desk: MakeDesk) -> None:
    step = desk(docker=Reply("a\nb\n", 3, "oops", 0.25)).logbook.trial("override").run("docker run --rm 'x y'")
    assert step.argv == ("docker", "run", "--rm", "x y")
    assert (step.exit_code, step.lines, step.output, step.stderr, step.seconds) == (3, ["a", "b"], "a\nb", "oops", 0.25)
    assert (step.command, step.number, step.experiment) == ("docker run --rm 'x y'", 1, f"{NOTEBOOK}/override")
    assert step.recorded is None and not step.succeeded


def test_one_command_runs_at_several_places_at_once_and_is_written_down_in_their_order(desk: MakeDesk) -> None:
    both, said = threading.Barrier(2), {"slow": threading.Event(), "quick": threading.Event()}

    def answer(argv: Sequence[str], invocation: Invocation) -> Reply:
        both.wait(timeout=5)  # one alone would wait here in vain
        if invocation.place == "slow":
            said["quick"].wait(timeout=5)
        said[invocation.place].set()
        return Reply(f"{invocation.stdin} from {invocation.place}\n")

    there = desk(docker=answer)
    trial = there.logbook.trial("override")
    steps = trial.run_at_once("docker build .", on=["slow", "quick"], stdin="FROM x", environment={"A": "b"})
    assert [(step.place, step.output, step.number) for step in steps] == [
        ("slow", "FROM x from slow", 1),
        ("quick", "FROM x from quick", 2),
    ]
    there.logbook.close()
    keys = [step["key"] for step in there.evidence("override")["steps"]]
    assert keys == ["slow$ A=b docker build .", "quick$ A=b docker build ."]


def test_output_can_be_read_as_json(desk: MakeDesk) -> None:
    trial = desk(docker=InTurn([Reply('{"a": [1]}'), Reply("a: 1", exit_code=1)])).logbook.trial("override")
    assert trial.run("docker inspect x").json() == {"a": [1]}
    with pytest.raises(EvidenceError, match="its output is not JSON"):
        trial.run("docker inspect x").json()


@pytest.mark.parametrize("command", ["docker ps | wc -l", "a && b", "a > f", "a ; b", "a 2>&1", "sleep 5 &"])
def test_what_only_a_shell_could_do_is_refused(command: str) -> None:
    with pytest.raises(UsageError, match=r"sh -c '…'"):
        words_of(command)


def test_words_are_split_as_a_shell_would() -> None:
    assert words_of("sh -c 'a | b && c' \"x y\"") == ["sh", "-c", "a | b && c", "x y"]
    assert words_of(["echo", "|"]) == ["echo", "|"]
    for broken in ("echo 'open", "", "   "):
        with pytest.raises(UsageError):
            words_of(broken)


def test_an_ended_trial_refuses_and_says_which_cell_to_run(desk: MakeDesk) -> None:
    book = desk().logbook
    first = book.trial("override", settles="df-08")
    step = first.run("docker run x")
    book.trial("other")
    acts: list[Callable[[], object]] = [
        lambda: first.run("docker ps"),
        lambda: first.observe("x", lambda: 1),
        lambda: first.predict("x"),
        lambda: first.check(exit_code_is(step, 0)),
        lambda: first.expect("df-08", confirmed=output_is(step, "a"), refuted=output_is(step, "b")),
    ]
    for act in acts:
        with pytest.raises(UsageError, match=r"run the cell with lab\.trial\('override', …\) again"):
            act()


# How a claim is judged


def judged(desk: Desk, **alternatives: Any) -> Any:
    trial = desk.logbook.trial("override", settles=["df-08", "df-09"])
    return trial.expect("df-08", **alternatives)


def shown(value: str) -> Check:
    return equals("seen", value, "the output")


@pytest.mark.parametrize(
    ("alternatives", "verdict", "because"),
    [
        ({"confirmed": shown("seen"), "refuted": shown("b")}, Verdict.CONFIRMED, ""),
        ({"confirmed": shown("a"), "refuted": shown("seen")}, Verdict.REFUTED, ""),
        ({"confirmed": shown("a"), "refuted": shown("b"), "outdated": shown("seen")}, Verdict.OUTDATED, ""),
        ({"refuted": shown("a"), "conditional": shown("seen")}, Verdict.CONDITIONAL, ""),
        ({"confirmed": shown("a"), "refuted": shown("b")}, None, "no alternative holds"),
        (
            {"confirmed": shown("seen"), "refuted": contains("seen", "s", "the output")},
            None,
            "2 alternatives hold at once: confirmed, refuted",
        ),
        (
            {"confirmed": shown("seen"), "refuted": shown("b"), "given": equals(127, 0, "the exit code")},
            None,
            "the experiment itself did not work",
        ),
        ({"confirmed": shown("seen"), "given": equals(0, 0, "code"), "otherwise": "refuted"}, Verdict.CONFIRMED, ""),
        ({"confirmed": shown("a"), "given": equals(0, 0, "code"), "otherwise": "refuted"}, Verdict.REFUTED, ""),
        ({"refuted": shown("a"), "given": equals(0, 0, "code"), "otherwise": "conditional"}, Verdict.CONDITIONAL, ""),
        ({"confirmed": shown("a"), "given": equals(127, 0, "code"), "otherwise": "refuted"}, None, "did not work"),
    ],
)
def test_the_verdict_is_the_one_alternative_that_holds(
    desk: MakeDesk, alternatives: Any, verdict: Verdict | None, because: str
) -> None:
    judgement = judged(desk(), **alternatives)
    assert judgement.verdict is verdict
    assert because in judgement.unclear_because
    assert judgement.word == (verdict.value if verdict else "unclear")


UNDECIDABLE: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "no alternative is given"),
    "only one": ({"confirmed": shown("a")}, "a single alternative"),
    "one, otherwise, nothing given": ({"confirmed": shown("a"), "otherwise": "refuted"}, "a single alternative"),
    "one, given, no otherwise": ({"confirmed": shown("a"), "given": shown("b")}, "a single alternative"),
    "the same check": ({"confirmed": shown("a"), "refuted": shown("a")}, "two alternatives have the same check"),
    "the same question": (
        {"confirmed": equals("seen", "a", "the output"), "outdated": equals("seen", "a", "the output")},
        "two alternatives have the same check",
    ),
    "the alternative given": (
        {"confirmed": shown("a"), "given": shown("a"), "otherwise": "refuted"},
        "two alternatives have the same check",
    ),
    "a check and its opposite": (
        {"confirmed": shown("a"), "refuted": differs("seen", "a", "the output")},
        "anything but",
    ),
    "otherwise beside two": (
        {"confirmed": shown("a"), "refuted": shown("b"), "otherwise": "outdated"},
        "otherwise='outdated' beside confirmed, refuted",
    ),
    "otherwise the same": ({"confirmed": shown("a"), "given": shown("b"), "otherwise": "confirmed"}, "otherwise="),
    "otherwise no verdict": ({"confirmed": shown("a"), "given": shown("b"), "otherwise": "false"}, "otherwise='false'"),
    "a truth value": ({"confirmed": True, "refuted": shown("a")}, "True is not a check"),
}


@pytest.mark.parametrize("name", UNDECIDABLE)
def test_an_expectation_that_cannot_tell_is_refused(desk: MakeDesk, name: str) -> None:
    alternatives, message = UNDECIDABLE[name]
    with pytest.raises(UsageError) as caught:
        judged(desk(), **alternatives)
    assert message in caught.value.happened


def test_a_check_and_its_opposite_are_fine_when_the_experiment_is_known_to_have_worked(desk: MakeDesk) -> None:
    opposite = differs("seen", "a", "the output")
    judgement = judged(desk(), confirmed=shown("a"), refuted=opposite, given=equals(0, 0, "the exit code"))
    assert judgement.verdict is Verdict.REFUTED


def test_a_failed_command_is_no_answer(desk: MakeDesk) -> None:
    """The trap that `given` is for: docker is not there, and the claim would have been "refuted"."""
    book = desk(docker=Reply("", 127, "docker: not found")).logbook
    trial = book.trial("override", settles="df-08")
    step = trial.run("docker run x")
    judgement = trial.expect("df-08", given=exit_code_is(step, 0), confirmed=output_is(step, "a"), otherwise="refuted")
    assert judgement.verdict is None
    with pytest.raises(LedgerError, match=r"df-08: .* says unclear"):
        book.settled()


def test_only_declared_claims_are_judged(desk: MakeDesk) -> None:
    trial = desk().logbook.trial("override", settles="df-09")
    with pytest.raises(UsageError, match="settles='df-08'"):
        trial.expect("df-08", confirmed=shown("a"), refuted=shown("b"))


def test_judging_again_replaces(desk: MakeDesk) -> None:
    book = desk().logbook
    trial = book.trial("override", settles="df-08")
    trial.expect("df-08", confirmed=shown("a"), refuted=shown("b"))
    trial.expect("df-08", confirmed=shown("seen"), refuted=shown("b"))
    assert book.settled() == "df-08    confirmed   Claim 08 is a sentence."


def test_a_judgement_reads_well(desk: MakeDesk) -> None:
    trial = desk().logbook.trial("override", settles="df-08")
    trial.predict("it cannot")
    text = repr(trial.expect("df-08", confirmed=shown("a"), refuted=shown("seen")))
    assert text.splitlines() == [
        "df-08 refuted: Claim 08 is a sentence.",
        "you predicted: it cannot",
        "✓ holds: refuted if the output",
        "    seen, as expected: seen",
        "✗ does not hold: confirmed if the output",
        "    expected: a",
        "    seen:     seen",
    ]


def test_a_prediction_stands_above_the_first_check_where_no_verdict_shows_it(desk: MakeDesk) -> None:
    trial = desk().logbook.trial("override", settles="df-08")
    first, second = equals(1, 1, "one"), equals(2, 2, "two")
    assert "predicted" not in str(trial.check(first))
    trial.predict("one, I think")
    # Whoever runs the cell again sees it again.
    for _ in range(2):
        assert str(trial.check(first)).splitlines()[:2] == ["you predicted: one, I think", "✓ holds: one"]
    assert "predicted" not in str(trial.check(second))
    trial.predict("it is refuted")
    assert "you predicted" in repr(trial.expect("df-08", confirmed=shown("a"), refuted=shown("seen")))
    assert "predicted" not in str(trial.check(first))


# What a notebook settles


def test_settled_says_the_same_whatever_the_order(desk: MakeDesk) -> None:
    def run(*order: str) -> str:
        book = desk(claim("08", "confirmed"), claim("09")).logbook
        for number in order:
            trial = book.trial(f"trial-{number}" if number != "08" else "override", settles=f"df-{number}")
            trial.expect(f"df-{number}", confirmed=shown("seen"), refuted=shown("b"))
        book.close()
        return book.settled()

    assert (
        run("08", "09")
        == run("09", "08")
        == ("df-08    confirmed   Claim 08 is a sentence.\ndf-09    confirmed   Claim 09 is a sentence.")
    )


def test_every_problem_is_named_at_once(desk: MakeDesk) -> None:
    claims = [claim("05", "confirmed"), claim("06", "confirmed"), claim("07"), claim("08", "refuted")]
    book = desk(*claims).logbook
    trial = book.trial("several", settles=["df-06", "df-07", "df-08"])
    trial.expect("df-06", confirmed=shown("a"), refuted=shown("seen"))
    trial.expect("df-08", confirmed=shown("a"), refuted=shown("b"))
    trial.check(equals(10.2, 3, "the stop time"))
    with pytest.raises(LedgerError) as caught:
        book.settled()
    assert [line.strip() for line in caught.value.happened.strip().splitlines()] == [
        "df-07: 06-dockerfile/several says it settles this, and never judged it",
        "df-06: 06-dockerfile/several says refuted, the ledger says confirmed",
        "df-08: 06-dockerfile/several says unclear, the ledger says refuted: no alternative holds",
        "06-dockerfile/several: the stop time is 3: expected 3, seen 10.2",
        "df-05: 06-dockerfile/override did not run; run the cells above",
    ]


def test_a_mechanism_is_named_by_the_trial_that_shows_it_and_has_no_verdict(desk: MakeDesk) -> None:
    mechanism = claim("08", status="mechanism shown", experiment=f"{NOTEBOOK}/override")
    book = desk(mechanism).logbook
    with pytest.raises(LedgerError, match="df-08: 06-dockerfile/override did not run"):
        book.settled()
    trial = book.trial("override")
    trial.check(equals(1, 1, "one"))
    assert book.settled() == "df-08    mechanism   Claim 08 is a sentence. (shown by 06-dockerfile/override)"
    trial.check(equals(2, 1, "one"))
    with pytest.raises(LedgerError, match="expected 1, seen 2"):
        book.settled()


def test_a_verdict_the_ledger_lacks_is_no_error(desk: MakeDesk) -> None:
    book = desk().logbook
    book.trial("override", settles="df-08").expect("df-08", confirmed=shown("seen"), refuted=shown("b"))
    assert "df-08" in book.settled()


def test_a_prediction_that_fails_is_a_result(desk: MakeDesk) -> None:
    book = desk(claim("08", "refuted")).logbook
    trial = book.trial("override", settles="df-08")
    trial.predict("confirmed")
    trial.expect("df-08", confirmed=shown("a"), refuted=shown("seen"))
    assert "refuted" in book.settled()


def test_a_trial_opened_again_starts_over(desk: MakeDesk) -> None:
    book = desk().logbook
    book.trial("override", settles="df-08").expect("df-08", confirmed=shown("a"), refuted=shown("b"))
    again = book.trial("override", settles="df-08")
    assert again.judgements == {}
    again.expect("df-08", confirmed=shown("seen"), refuted=shown("b"))
    assert "confirmed" in book.settled()


@pytest.mark.parametrize(
    ("name", "settles", "message"),
    [
        ("Override", "df-08", "a name is lower-case letters"),
        ("../x", "df-08", "a name is lower-case letters"),
        ("a--b", (), "a name is lower-case letters"),
        ("override", "df-88", "the ledger has no such claim"),
        ("override", "df-12", "the ledger calls it not testable: A note."),
        ("second", "df-08", "the trial 'first' of this run settles it already"),
    ],
)
def test_a_trial_that_makes_no_sense_is_refused(desk: MakeDesk, name: str, settles: Any, message: str) -> None:
    made = desk(claim("08"), claim("12", status="not testable"))
    first = made.logbook.trial("first", settles="df-08")
    with pytest.raises(UsageError) as caught:
        made.logbook.trial(name, settles=settles)
    assert message in caught.value.happened
    assert first.is_open and made.ended == []


# When a trial ends


def test_opening_the_next_writes_evidence_then_removes_objects(desk: MakeDesk) -> None:
    made = desk()
    made.logbook.trial("first").run("docker run x")
    assert made.ended == []
    made.logbook.trial("second").run("docker run y")
    assert (made.ended, made.evidence("first")["steps"][0]["key"]) == (["first"], "docker run x")
    made.logbook.close()
    made.logbook.close()
    assert made.ended == ["first", "second"]
    assert sorted(made.logbook.written) == ["first", "second"]


def test_a_trial_that_saw_nothing_leaves_no_file(desk: MakeDesk) -> None:
    made = desk()
    made.logbook.trial("first")
    made.logbook.close()
    assert made.ended == ["first"] and list(made.folder.rglob("*.json")) == []


def test_objects_go_even_when_evidence_cannot_be_written(desk: MakeDesk) -> None:
    made = desk()
    made.logbook.trial("first").run("docker run x")
    (made.folder / NOTEBOOK).write_text("a file where a folder must be")
    with pytest.raises(EvidenceError):
        made.logbook.close()
    assert made.ended == ["first"]


def test_evidence_has_all_that_was_seen_and_nothing_of_the_learner(desk: MakeDesk) -> None:
    made = desk(
        docker=InTurn([Reply(f"{CONTAINER}\n"), Reply("at /var/lib/labs/x/y 2026-11-23T01:02:03Z\n", 1, "e", 3.14159)])
    )
    trial = made.logbook.trial("override", settles="df-08")
    trial.predict("my secret thought")
    started = trial.run("docker run -d x")
    trial.run(
        f"docker logs {started.output}",
        stdin="typed",
        environment={"DOCKER_BUILDKIT": "0"},
        folder=Path("/var/lib/labs/x"),
    )
    trial.observe("config", lambda: {"Id": CONTAINER, "Cmd": ("a", "b")})
    trial.check(equals(started.output, CONTAINER, "the id"))
    trial.expect("df-08", confirmed=equals(1, 1, "a"), refuted=equals(1, 2, "a"))
    made.logbook.close()
    content = made.evidence("override")
    assert "my secret thought" not in json.dumps(content)
    digest = content.pop("digest")
    assert len(digest) == 64
    assert content == {
        "schema_version": 1,
        "experiment": "06-dockerfile/override",
        "backend": "private",
        "recorded": str(today()),
        "provenance": {
            "kernel": "Linux 6.18.0",
            "engine": "Docker 29.0.1",
            "tools": [{"name": "runc", "version": "1.5.2", "source": "built here"}],
        },
        "settles": ["df-08"],
        "steps": [
            {
                "key": "docker run -d x",
                "argv": ["docker", "run", "-d", "x"],
                "exit_code": 0,
                "stdout": ["<container-1>", ""],
            },
            {
                "key": "cd '<run>' && DOCKER_BUILDKIT=0 docker logs '<container-1>'",
                "argv": ["docker", "logs", "<container-1>"],
                "exit_code": 1,
                "stdin": ["typed"],
                "stdout": ["at <run>/y <time>", ""],
                "stderr": ["e"],
                "seconds": 3.1,
            },
        ],
        "observations": [{"name": "config", "value": {"Id": "<container-1>", "Cmd": ["a", "b"]}}],
        "checks": [
            {
                "sentence": "the id is <container-1>",
                "expected": "<container-1>",
                "seen": "<container-1>",
                "passed": True,
            }
        ],
        "verdicts": [
            {
                "claim": "df-08",
                "verdict": "confirmed",
                "alternatives": {
                    "confirmed": {"sentence": "a is 1", "expected": "1", "seen": "1", "passed": True},
                    "refuted": {"sentence": "a is 2", "expected": "2", "seen": "1", "passed": False},
                },
            }
        ],
    }


def test_placeholders_count_from_one_in_every_trial(desk: MakeDesk) -> None:
    made = desk(docker=InTurn([Reply(f"{CONTAINER}\n"), Reply("9b1c" * 16)]))
    for name in ("first", "second"):
        made.logbook.trial(name).run("docker run -d x")
    made.logbook.close()
    assert made.evidence("first")["steps"][0]["stdout"][0] == "<container-1>"
    assert made.evidence("second")["steps"][0]["stdout"][0] == "<container-1>"


def test_a_wait_that_ran_out_is_in_evidence(desk: MakeDesk) -> None:
    made = desk(docker=Reply(expires=True))
    trial = made.logbook.trial("slow")
    with pytest.raises(WaitExpired):
        trial.run("docker wait x", within_seconds=2)
    made.logbook.close()
    assert made.evidence("slow")["steps"][0]["expired"] == "still running after 2 s; it was killed"


def test_what_the_learner_sees_is_not_scrubbed(desk: MakeDesk) -> None:
    trial = desk(docker=Reply(f"{CONTAINER}\n")).logbook.trial("override")
    assert trial.run("docker run -d x").output == CONTAINER
    assert trial.observe("id", lambda: CONTAINER).value == CONTAINER


@pytest.mark.parametrize("value", [{1, 2}, datetime.date(2026, 1, 1), b"x", float("nan"), {"a": [object()]}])
def test_only_json_can_be_observed(desk: MakeDesk, value: object) -> None:
    trial = desk().logbook.trial("override")
    with pytest.raises(UsageError, match="cannot be written to evidence"):
        trial.observe("x", lambda: value)


def test_a_live_observation_is_what_will_be_read_back(desk: MakeDesk) -> None:
    made = desk()
    trial = made.logbook.trial("override")
    live = trial.observe("x", lambda: {1: ("a", None)}).value
    made.logbook.close()
    assert live == {"1": ["a", None]} == read(made.logbook.written["override"]).observations[0].value


def test_predictions_are_told_to_whoever_listens(desk: MakeDesk) -> None:
    told: list[Trial] = []
    book = desk().logbook
    book.on_predict = told.append
    book.trial("override").predict("yes")
    assert [(trial.experiment, trial.prediction) for trial in told] == [("06-dockerfile/override", "yes")]


def test_an_empty_prediction_is_none(desk: MakeDesk) -> None:
    book = desk().logbook
    book.on_predict = lambda trial: pytest.fail("nothing was predicted")
    trial = book.trial("override")
    trial.predict(" ")
    assert trial.prediction is None


def test_an_empty_prediction_takes_back_the_one_before_which_was_about_something_else(desk: MakeDesk) -> None:
    trial = desk().logbook.trial("override", settles="df-08")
    trial.predict("it cannot")
    trial.predict("")
    assert "predicted" not in repr(trial.expect("df-08", confirmed=shown("a"), refuted=shown("seen")))


def test_a_kernel_that_ends_writes_the_last_trial(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from labsupport.experiments.claims import parse_ledger
from labsupport.experiments.evidence import Provenance
from labsupport.experiments.logbook import Live, Logbook
from labsupport.process.commands import Invocation, LocalRunner
ledger = parse_ledger({{"topics": {{}}, "claims": []}}, Path("x"))
facts = Provenance(kernel="Linux")
folder = Path({str(tmp_path)!r})
live = Live(LocalRunner(), folder, "private", lambda: facts, on_close=lambda trial: print("removed", trial.name))
Logbook("06-x", ledger, live).trial("last").run("echo hello")
"""
    result = LocalRunner().run([sys.executable, "-c", program])
    assert (result.stdout, result.stderr) == ("removed last\n", "")
    assert read(tmp_path / "06-x" / "last.json").steps[0].stdout == "hello\n"
