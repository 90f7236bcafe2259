"""Evidence files: read back as written, noticed when changed, never half there."""

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labsupport.errors import EvidenceError, UsageError
from labsupport.experiments.evidence import (
    CheckRecord,
    Evidence,
    ObservationRecord,
    Provenance,
    StepRecord,
    Tool,
    VerdictRecord,
    all_recorded,
    find_recorded,
    forget_live,
    live_path,
    read,
    read_folder,
    recorded_of,
    recorded_path,
    split_experiment,
    versions_of,
    write,
    write_atomically,
)


def evidence(experiment: str = "06-dockerfile/override", backend: str = "private", stdout: str = "a\nb\n") -> Evidence:
    check = CheckRecord(sentence="a is 1", expected="1", seen="1", passed=True)
    return Evidence(
        experiment=experiment,
        backend=backend,
        recorded=datetime.date(2026, 1, 2),
        provenance=Provenance(
            engine="Docker 29.0.1", kernel="Linux 6.18.0", tools=(Tool(name="runc", version="1.5.2", module="m"),)
        ),
        simulated=("nodes",),
        settles=("df-08",),
        steps=(
            StepRecord(key="echo a", argv=("echo", "a"), exit_code=0, stdout=stdout, stdin="", seconds=0.1),
            StepRecord(key="sleep 9", argv=("sleep", "9"), exit_code=None, expired="still running", stderr="x\r\ny"),
        ),
        observations=(ObservationRecord(name="config", value={"a": [1, None, {"b": "é"}]}),),
        checks=(check,),
        verdicts=(VerdictRecord(claim="df-08", verdict="refuted", alternatives={"refuted": check}, given=check),),
    )


@pytest.mark.parametrize("stdout", ["", "\n", "a", "a\n\n", "\r\x00…", "a\nb\n", "[]", "null"])
def test_what_is_written_is_read_back(tmp_path: Path, stdout: str) -> None:
    path = live_path(tmp_path, "06-dockerfile/override")
    written = write(evidence(stdout=stdout), path)
    assert read(path) == written
    assert written.model_copy(update={"digest": ""}) == evidence(stdout=stdout)


def test_writing_the_same_again_changes_no_byte(tmp_path: Path) -> None:
    path = live_path(tmp_path, "06-dockerfile/override")
    write(evidence(), path)
    before = path.read_bytes()
    write(read(path), path)
    assert path.read_bytes() == before


def test_a_line_of_output_is_a_line_of_the_file(tmp_path: Path) -> None:
    path = live_path(tmp_path, "06-dockerfile/override")
    write(evidence(stdout="one\ntwo\n"), path)
    assert '"one",\n' in path.read_text() and '"two",\n' in path.read_text()


def tamper_with(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


TAMPERINGS: dict[str, Callable[[Any], object]] = {
    "a verdict": lambda content: content["verdicts"][0].update(verdict="confirmed"),
    "an output": lambda content: content["steps"][0].update(stdout=["c"]),
    "an exit code": lambda content: content["steps"][0].update(exit_code=1),
    "a value": lambda content: content["observations"][0]["value"].update(a=2),
    "a check": lambda content: content["checks"][0].update(passed=False),
    "the date": lambda content: content.update(recorded="2026-01-03"),
    "a version": lambda content: content["provenance"].update(engine="Docker 30"),
    "simulated parts": lambda content: content.pop("simulated"),
    "a step less": lambda content: content["steps"].pop(),
    "the order": lambda content: content["steps"].reverse(),
    "the digest": lambda content: content.update(digest="0" * 64),
    "no digest": lambda content: content.pop("digest"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_evidence_changed_by_hand_is_noticed(tmp_path: Path, name: str) -> None:
    path = live_path(tmp_path, "06-dockerfile/override")
    write(evidence(), path)
    tamper_with(path, TAMPERINGS[name])
    with pytest.raises(EvidenceError, match=r"its digest does not match its content.*; df-08 rests on it"):
        read(path)


def test_layout_is_no_content(tmp_path: Path) -> None:
    path = live_path(tmp_path, "06-dockerfile/override")
    write(evidence(), path)
    tamper_with(path, lambda content: None)
    assert read(path).trial == "override"


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "an old schema": (
        lambda path: tamper_with(path, lambda content: content.update(schema_version=0)),
        "schema_version 0",
    ),
    "a newer schema": (
        lambda path: tamper_with(path, lambda content: content.update(schema_version=2)),
        "schema_version 2, and this program reads 1",
    ),
    "no schema": (lambda path: tamper_with(path, lambda content: content.pop("schema_version")), "schema_version None"),
    "no mapping": (lambda path: path.write_text("[]"), "schema_version None"),
    "half a file": (lambda path: path.write_text(path.read_text()[:200]), "line"),
    "empty": (lambda path: path.write_text(""), "Expecting value"),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe"), "utf-8"),
    "missing": (lambda path: path.unlink(), "No such file"),
    "an unknown key": (lambda path: tamper_with(path, lambda content: content.update(who="ann")), "who: Extra inputs"),
    "a wrong type": (
        lambda path: tamper_with(path, lambda content: content["steps"][0].update(exit_code="x")),
        "steps.0.exit_code",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_evidence_says_why_and_what_to_do(tmp_path: Path, name: str) -> None:
    path = live_path(tmp_path, "06-dockerfile/override")
    write(evidence(), path)
    spoil, message = UNREADABLE[name]
    spoil(path)
    with pytest.raises(EvidenceError) as caught:
        read(path)
    assert message in caught.value.happened
    assert str(path) in caught.value.tried and "./lab record" in caught.value.do


def test_evidence_under_another_name_is_noticed(tmp_path: Path) -> None:
    path = live_path(tmp_path, "06-dockerfile/override")
    write(evidence(), path)
    path.rename(path.with_name("other.json"))
    with pytest.raises(EvidenceError, match="it was renamed or copied"):
        read(path.with_name("other.json"))


def test_a_failed_write_leaves_the_file_before_it(tmp_path: Path) -> None:
    path = live_path(tmp_path, "06-dockerfile/override")
    write(evidence(), path)
    before = path.read_bytes()
    with pytest.raises(EvidenceError):
        write_atomically(path, "half \udcff")
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["override.json"]


def test_a_full_disk_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "06-dockerfile").write_text("a file where a folder must be")
    with pytest.raises(EvidenceError) as caught:
        write(evidence(), live_path(tmp_path, "06-dockerfile/override"))
    assert caught.value.happened and "free some space" in caught.value.do


# The backend of a live run → that of the recorded evidence it is held against, of private and vm.


def test_evidence_can_be_read_by_others(tmp_path: Path) -> None:
    path = live_path(tmp_path, "06-dockerfile/override")
    write(evidence(), path)
    assert path.stat().st_mode & 0o777 == 0o644


def unclear(backend: str) -> Evidence:
    found = evidence(backend=backend)
    record = found.verdicts[0].model_copy(update={"verdict": "unclear"})
    return found.model_copy(update={"verdicts": (record,)})


@pytest.mark.parametrize(("private", "shown"), [(evidence(), "private"), (unclear("private"), "vm")])
def test_replay_shows_the_evidence_in_which_more_is_settled(tmp_path: Path, private: Evidence, shown: str) -> None:
    for one in (evidence(backend="vm"), private):
        write(one, recorded_path(tmp_path, one.experiment, one.backend))
    found = find_recorded(tmp_path, private.experiment)
    assert found is not None and found.backend == shown
    assert [one.backend for one in recorded_of(tmp_path, private.experiment)] == ["private", "vm"]
    assert [one.backend for one in recorded_of(tmp_path, private.experiment, "vm")] == ["vm", "private"]


def test_a_kernel_of_a_virtual_machine_is_named_as_one() -> None:
    provenance = Provenance(engine="Docker 29.0.1", kernel="Linux 6.1", machine="vm")
    assert provenance.versions == ("Docker 29.0.1", "Linux 6.1 in a virtual machine")
    here = Provenance(engine="Docker 29.0.1", kernel="Linux 6.18")
    assert versions_of([here, provenance]) == ("Docker 29.0.1", "Linux 6.18 and Linux 6.1 in a virtual machine")
    assert "Linux 6.18" not in evidence().seen_on
    there = evidence(backend="vm").model_copy(update={"provenance": provenance})
    assert there.seen_on == "Docker 29.0.1, Linux 6.1 in a virtual machine; 2026-01-02"


def test_the_private_backend_is_preferred(tmp_path: Path) -> None:
    assert find_recorded(tmp_path, "06-dockerfile/override") is None
    assert all_recorded(tmp_path, "06-dockerfile") == []
    for backend in ("own", "kind", "private"):
        write(evidence(backend=backend), recorded_path(tmp_path, "06-dockerfile/override", backend))
        found = find_recorded(tmp_path, "06-dockerfile/override")
        assert found is not None and found.backend == backend
    write(evidence("06-dockerfile/override-again"), recorded_path(tmp_path, "06-dockerfile/override-again", "private"))
    found = find_recorded(tmp_path, "06-dockerfile/override")
    assert found is not None and found.trial == "override"
    assert [(one.trial, one.backend) for one in all_recorded(tmp_path, "06-dockerfile")] == [
        ("override", "private"),
        ("override-again", "private"),
    ]


def test_the_versions_of_several_trials_name_each_program_once() -> None:
    today, both = "Docker 29.0.1 (built here)", "Docker 29.0.1 (built here) and Docker 20.10.24"
    seen_on = [
        Provenance(engine=today, kernel="Linux 6.18.0"),
        Provenance(engine=both, cluster="Kubernetes v1.37", kernel="Linux 6.18.0"),
        Provenance(kernel="Linux 6.19.0"),
    ]
    assert versions_of(seen_on) == (both, "Kubernetes v1.37", "Linux 6.18.0 and Linux 6.19.0")
    assert versions_of(seen_on[:1]) == (today, "Linux 6.18.0")


def test_earlier_live_evidence_can_be_forgotten(tmp_path: Path) -> None:
    for experiment in ("06-dockerfile/override", "06-dockerfile/last", "07-pv/keep"):
        write(evidence(experiment), live_path(tmp_path, experiment))
    forget_live(tmp_path, "06-dockerfile")
    assert [one.experiment for one in read_folder(tmp_path)] == ["07-pv/keep"]


def test_evidence_knows_what_it_left_unjudged() -> None:
    assert evidence().unjudged == ()
    assert evidence().model_copy(update={"settles": ("df-08", "df-09")}).unjudged == ("df-09",)


@pytest.mark.parametrize(
    "name", ["override", "06-x/", "/y", "06-x/a/b", "06-x/../y", "06-x/Über", "06-x/a@b", "06-x/a "]
)
def test_names_that_are_no_experiment(name: str) -> None:
    with pytest.raises(UsageError):
        split_experiment(name)
