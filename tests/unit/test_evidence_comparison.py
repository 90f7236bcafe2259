"""Live evidence against recorded: what matters, what is noise, and how recorded evidence comes to be."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labsupport.errors import EvidenceError
from labsupport.experiments.claims import Ledger, parse_ledger
from labsupport.experiments.comparison import (
    Kind,
    against_ledger,
    compare,
    compare_folders,
    promote,
    unsupported,
)
from labsupport.experiments.evidence import (
    CheckRecord,
    Evidence,
    ObservationRecord,
    Provenance,
    StepRecord,
    Tool,
    VerdictRecord,
    find_recorded,
    live_path,
    read,
    read_folder,
    recorded_path,
    write,
)


def check(passed: bool = True, sentence: str = "a is 1") -> CheckRecord:
    return CheckRecord(sentence=sentence, expected="1", seen="1", passed=passed)


def step(key: str = "docker run x", exit_code: int | None = 0, **more: Any) -> StepRecord:
    return StepRecord(
        key=key, argv=tuple(key.split()), exit_code=exit_code, **{"stdout": "a\n", "seconds": 1.0, **more}
    )


def verdict(word: Any = "refuted", claim: str = "df-08", **more: Any) -> VerdictRecord:
    return VerdictRecord(claim=claim, verdict=word, alternatives={"refuted": check()}, **more)


def evidence(experiment: str = "06-x/t", **more: Any) -> Evidence:
    fields: dict[str, Any] = {
        "experiment": experiment,
        "backend": "private",
        "recorded": datetime.date(2026, 1, 2),
        "provenance": Provenance(engine="Docker 29.0.1", kernel="Linux 6.18"),
        "settles": ("df-08",),
        "steps": (step(), step("docker ps")),
        "observations": (ObservationRecord(name="config", value={"a": 1}),),
        "checks": (check(sentence="b is 1"),),
        "verdicts": (verdict(),),
    }
    return Evidence(**{**fields, **more})


MATTERS: dict[str, tuple[dict[str, Any], Kind]] = {
    "another verdict": ({"verdicts": (verdict("confirmed"),)}, Kind.VERDICT),
    "unclear": ({"verdicts": (verdict("unclear"),)}, Kind.VERDICT),
    "not judged": ({"verdicts": ()}, Kind.VERDICT),
    "one more verdict": ({"verdicts": (verdict(), verdict(claim="df-09"))}, Kind.VERDICT),
    "another exit code": ({"steps": (step(exit_code=137), step("docker ps"))}, Kind.EXIT_CODE),
    "a failed check": ({"checks": (check(False, "b is 1"),)}, Kind.CHECK),
    "another check": ({"checks": (check(sentence="c is 1"),)}, Kind.CHECK),
    "no check": ({"checks": ()}, Kind.CHECK),
    "an alternative that fails": (
        {"verdicts": (verdict().model_copy(update={"alternatives": {"refuted": check(False)}}),)},
        Kind.CHECK,
    ),
    "a new given": ({"verdicts": (verdict(given=check()),)}, Kind.CHECK),
    "another command": ({"steps": (step("docker run y"), step("docker ps"))}, Kind.NOT_RECORDED),
    "a command less": ({"steps": (step(),)}, Kind.NOT_RUN),
    "another input": ({"steps": (step(stdin="x"), step("docker ps"))}, Kind.NOT_RECORDED),
    "a wait that ran out": ({"steps": (step(exit_code=None, expired="late"), step("docker ps"))}, Kind.EXPIRED),
    "an observation less": ({"observations": ()}, Kind.NOT_RUN),
    "other claims": ({"settles": ("df-09",)}, Kind.CLAIMS),
    "simulated parts": ({"simulated": ("nodes",)}, Kind.SIMULATED),
}

NOISE: dict[str, tuple[dict[str, Any], Kind | None]] = {
    "nothing": ({}, None),
    "another day": ({"recorded": datetime.date(2027, 1, 2)}, None),
    "a little slower": ({"steps": (step(seconds=1.4), step("docker ps"))}, None),
    "another order": ({"steps": (step("docker ps"), step())}, None),
    "much slower": ({"steps": (step(seconds=9), step("docker ps"))}, Kind.SECONDS),
    "another output": ({"steps": (step(stdout="b\n"), step("docker ps"))}, Kind.OUTPUT),
    "another error output": ({"steps": (step(stderr="b\n"), step("docker ps"))}, Kind.OUTPUT),
    "another value": ({"observations": (ObservationRecord(name="config", value={"a": 2}),)}, Kind.VALUE),
    "more turns of a poll": ({"steps": (step(), step("docker ps", 1), step("docker ps"))}, Kind.REPEATS),
    "another version": ({"provenance": Provenance(engine="Docker 30", kernel="Linux 6.18")}, Kind.VERSIONS),
    "another tool": (
        {"provenance": Provenance(engine="Docker 29.0.1", kernel="Linux 6.18", tools=(Tool(name="a", version="1"),))},
        Kind.VERSIONS,
    ),
    "another backend": ({"backend": "own"}, Kind.BACKEND),
    "what a check saw": (
        {"checks": (CheckRecord(sentence="b is 1", expected="1", seen="2", passed=True),)},
        None,
    ),
}


@pytest.mark.parametrize("name", MATTERS)
def test_what_matters(name: str) -> None:
    change, kind = MATTERS[name]
    found = compare(evidence(), evidence(**change))
    assert kind in {difference.kind for difference in found if difference.matters}
    assert found[0].matters
    assert str(found[0]).startswith("06-x/t: ")


@pytest.mark.parametrize("name", NOISE)
def test_what_is_noise(name: str) -> None:
    change, kind = NOISE[name]
    found = compare(evidence(), evidence(**change))
    assert [difference.kind for difference in found] == ([kind] if kind else [])
    assert not any(difference.matters for difference in found)


def test_a_poll_that_ends_otherwise_matters() -> None:
    longer = (step(), step("docker ps"), step("docker ps", 1))
    assert Kind.EXIT_CODE in {difference.kind for difference in compare(evidence(), evidence(steps=longer))}


def both(tmp_path: Path, recorded: list[Evidence], live: list[Evidence]) -> list[str]:
    for one in recorded:
        write(one, recorded_path(tmp_path / "recorded", one.experiment, one.backend))
    for one in live:
        write(one, live_path(tmp_path / "live", one.experiment))
    return [
        str(found) for found in compare_folders(tmp_path / "recorded", tmp_path / "live", ["06-x"]) if found.matters
    ]


def test_whole_notebooks_agree_or_the_experiment_is_named(tmp_path: Path) -> None:
    assert both(tmp_path / "a", [evidence()], [evidence()]) == []
    assert both(tmp_path / "b", [evidence()], []) == [
        "06-x/t: not run of the experiment: recorded there, live it did not run"
    ]
    assert both(tmp_path / "c", [], [evidence()]) == [
        "06-x/t: not recorded of the experiment: recorded nothing, live it ran: `./lab record` it"
    ]
    assert both(tmp_path / "d", [], [evidence("07-y/t")]) == []


CLAIM = {"topic": "d", "sentence": "A claim is a sentence.", "reading": "refuted", "status": "settled"}


def ledger(verdict: str, experiment: str) -> Ledger:
    claim = {**CLAIM, "id": "df-08", "verdict": verdict, "experiment": experiment}
    return parse_ledger(
        {"topics": {"d": {"prefix": "df", "title": "D", "notebook": "06-x"}}, "claims": [claim]}, Path("claims.yaml")
    )


def test_evidence_is_held_against_the_ledger() -> None:
    assert against_ledger(ledger("refuted", "06-x/t"), [evidence()]) == []
    (found,) = against_ledger(ledger("confirmed", "06-x/t"), [evidence()])
    assert found.is_error and "06-x/t says refuted, the ledger says confirmed" in str(found)
    (found,) = against_ledger(ledger("refuted", "06-x/t"), [evidence(verdicts=(verdict("unclear"),))])
    assert found.is_error


def test_a_settled_claim_without_its_evidence_is_named() -> None:
    assert unsupported(ledger("refuted", "06-x/t"), [evidence()]) == []
    assert unsupported(ledger("refuted", "06-x/other"), [evidence()]) != []
    assert unsupported(ledger("refuted", "06-x/t"), []) == [
        "df-08: the ledger says 06-x/t settled it, and there is no such evidence"
    ]


def test_a_mechanism_without_the_evidence_that_shows_it_is_named() -> None:
    claim = {**CLAIM, "id": "df-08", "status": "mechanism shown", "verdict": None, "experiment": "06-x/t"}
    topics = {"d": {"prefix": "df", "title": "D", "notebook": "06-x"}}
    shown = parse_ledger({"topics": topics, "claims": [claim]}, Path("claims.yaml"))
    assert unsupported(shown, [evidence(verdicts=())]) == []
    assert unsupported(shown, []) == [
        "df-08: the ledger says 06-x/t shows its mechanism, and there is no such evidence"
    ]


def test_live_evidence_becomes_recorded_evidence(tmp_path: Path) -> None:
    live, recorded = tmp_path / "live", tmp_path / "recorded"
    write(evidence(), live_path(live, "06-x/t"))
    write(evidence("06-x/gone"), recorded_path(recorded, "06-x/gone", "private"))
    write(evidence("06-x/other", backend="own"), recorded_path(recorded, "06-x/other", "own"))
    assert promote(live, recorded, "06-x") == [recorded / "06-x" / "t@private.json"]
    assert [one.experiment for one in read_folder(recorded)] == ["06-x/other", "06-x/t"]
    found = find_recorded(recorded, "06-x/t")
    assert found is not None and found.model_copy(update={"digest": ""}) == evidence()


@pytest.mark.parametrize(
    ("change", "is_rewritten"),
    [
        ({"recorded": datetime.date(2027, 1, 2)}, False),
        ({"recorded": datetime.date(2027, 1, 2), "steps": (step(seconds=1.2), step("docker ps"))}, False),
        ({"steps": (step(seconds=9), step("docker ps"))}, True),
        ({"steps": (step(stdout="b\n"), step("docker ps"))}, True),
        ({"provenance": Provenance(engine="Docker 30", kernel="Linux 6.18")}, True),
        ({"checks": (CheckRecord(sentence="b is 1", expected="1", seen="2", passed=True),)}, True),
    ],
)
def test_recording_again_rewrites_only_what_changed(tmp_path: Path, change: dict[str, Any], is_rewritten: bool) -> None:
    live, recorded = live_path(tmp_path / "live", "06-x/t"), recorded_path(tmp_path / "recorded", "06-x/t", "private")
    write(evidence(), recorded)
    before = recorded.read_bytes()
    write(evidence(**change), live)
    assert promote(tmp_path / "live", tmp_path / "recorded", "06-x") == [recorded]
    assert (recorded.read_bytes() != before) is is_rewritten


def test_what_not_every_computer_can_have_is_missed_by_nobody_and_kept(tmp_path: Path) -> None:
    live, recorded, rare = tmp_path / "live", tmp_path / "recorded", evidence(experiment="06-x/rare")
    write(evidence(), live_path(live, "06-x/t"))
    kept = write(rare, recorded_path(recorded, "06-x/rare", "private"))
    write(evidence(), recorded_path(recorded, "06-x/t", "private"))
    assert not compare_folders(recorded, live, ["06-x"], not_everywhere=["06-x/rare"])
    promote(live, recorded, "06-x", not_everywhere=["06-x/rare"])
    assert read(recorded_path(recorded, "06-x/rare", "private")) == kept
    write(evidence(experiment="06-x/rare", checks=()), live_path(live, "06-x/rare"))
    found = compare_folders(recorded, live, ["06-x"], not_everywhere=["06-x/rare"])
    assert any(one.matters for one in found)
    promote(live, recorded, "06-x", not_everywhere=["06-x/rare"])
    (live / "06-x" / "rare.json").unlink()
    promote(live, recorded, "06-x")
    assert not recorded_path(recorded, "06-x/rare", "private").exists()


def test_a_run_is_held_against_the_recording_that_it_is_nearest_to(tmp_path: Path) -> None:
    """One kernel lacks what another has: what was seen on either is nothing new, and a mixture of both is."""
    recorded = tmp_path / "recorded"
    lacks = {"verdicts": (verdict("unclear"),), "steps": (step(exit_code=1),)}
    has = {"verdicts": (verdict(),), "steps": (step(),)}
    write(evidence(**lacks), recorded_path(recorded, "06-x/t", "private"))
    write(evidence(backend="vm", **has), recorded_path(recorded, "06-x/t", "vm"))

    def found(backend: str, seen: dict[str, Any]) -> list[Kind]:
        write(evidence(backend=backend, **seen), live_path(tmp_path / "live", "06-x/t"))
        return [one.kind for one in compare_folders(recorded, tmp_path / "live", ["06-x"])]

    assert found("private", lacks) == found("vm", has) == []
    assert found("private", has) == [Kind.BACKEND]
    assert found("private", {**lacks, "steps": (step(),)})[0] is Kind.EXIT_CODE


def test_of_trials_that_were_asked_for_nobody_misses_the_others_and_theirs_stays(tmp_path: Path) -> None:
    live, recorded = tmp_path / "live", tmp_path / "recorded"
    for name in ("06-x/t", "06-x/other"):
        write(evidence(name), recorded_path(recorded, name, "private"))
    write(evidence(steps=(step(stdout="b\n"),)), live_path(live, "06-x/t"))
    assert any(one.matters for one in compare_folders(recorded, live, ["06-x"]))
    assert not any(
        one.matters and one.experiment != "06-x/t" for one in compare_folders(recorded, live, ["06-x"], only=["t"])
    )
    other = recorded_path(recorded, "06-x/other", "private").read_bytes()
    assert promote(live, recorded, "06-x", only=["t"]) == [recorded_path(recorded, "06-x/t", "private")]
    assert recorded_path(recorded, "06-x/other", "private").read_bytes() == other
    assert compare_folders(recorded, live, ["06-x"], only=["t"]) == []
    with pytest.raises(EvidenceError, match="no live evidence of other"):
        promote(live, recorded, "06-x", only=["t", "other"])


def test_what_could_not_tell_settles_nothing() -> None:
    rests = ledger("refuted", "06-x/t")
    assert unsupported(rests, [evidence()]) == []
    assert "df-08" in unsupported(rests, [evidence(verdicts=(verdict("unclear"),))])[0]


def test_recording_again_mends_a_broken_file(tmp_path: Path) -> None:
    recorded = recorded_path(tmp_path / "recorded", "06-x/t", "private")
    recorded.parent.mkdir(parents=True)
    recorded.write_text("{")
    write(evidence(), live_path(tmp_path / "live", "06-x/t"))
    promote(tmp_path / "live", tmp_path / "recorded", "06-x")
    assert [one.experiment for one in read_folder(tmp_path / "recorded")] == ["06-x/t"]


UNFIT: dict[str, Callable[[Path], object]] = {
    "there is no live evidence": lambda live: None,
    "06-x/t left df-08 unjudged": lambda live: write(evidence(verdicts=()), live_path(live, "06-x/t")),
    "df-08 unjudged or unclear": lambda live: write(
        evidence(verdicts=(verdict("unclear"),)), live_path(live, "06-x/t")
    ),
    "a check does not hold": lambda live: write(evidence(checks=(check(False),)), live_path(live, "06-x/t")),
    "its digest": lambda live: _spoil(write(evidence(), live_path(live, "06-x/t")), live_path(live, "06-x/t")),
}


def _spoil(_: Evidence, path: Path) -> None:
    path.write_text(path.read_text().replace("refuted", "confirmed"))


@pytest.mark.parametrize("message", UNFIT)
def test_what_is_not_fit_is_not_recorded(tmp_path: Path, message: str) -> None:
    live, recorded = tmp_path / "live", tmp_path / "recorded"
    write(evidence("06-x/before"), recorded_path(recorded, "06-x/before", "private"))
    if message != "there is no live evidence":
        write(evidence("06-x/a"), live_path(live, "06-x/a"))
    UNFIT[message](live)
    with pytest.raises(EvidenceError) as caught:
        promote(live, recorded, "06-x")
    assert message in caught.value.happened
    assert [path.name for path in (recorded / "06-x").iterdir()] == ["before@private.json"]


def test_addresses_that_a_cluster_gives_out_are_no_difference_and_others_are() -> None:
    recorded = evidence(steps=(step("probe 10.244.0.3 10.96.81.96"),))
    assert not list(compare(recorded, evidence(steps=(step("probe 10.244.0.2 10.96.7.1"),))))
    assert [one for one in compare(recorded, evidence(steps=(step("probe 10.200.0.2 10.96.7.1"),))) if one.matters]
