"""Notebook 05's readers: the matrix, the wire, changes, and the exercise with its wrong answers."""

from pathlib import Path
from typing import Any

import pytest

from labsupport.errors import EvidenceError
from labsupport.experiments.exercises import Exercise, Standing
from labsupport.experiments.steps import Step
from labsupport.lessons.cni.exercise import ANSWER, CASES, FAULTS, case_file, diagnosis
from labsupport.lessons.cni.matrix import matrix_table, read_matrix
from labsupport.lessons.cni.namespaces import changes_table, lines_changed
from labsupport.lessons.cni.wire import NOTHING_SEEN, PLAIN, carried_by, goes_to, wire_figure
from labsupport.project import this_project
from tests.scripted import ScriptedRunner

SAID = """\
largest packet\t1450
same node\t10.244.0.3
other node\tno answer
service\t10.244.0.3
name\t10.200.0.2
packet of the largest size\tarrives
packet one byte larger\tno answer
"""


def step(text: str) -> Step:
    return Step("05-cni-plugins/x", 1, ("x",), 0, text, "", 0.1, None, (), "")


def layer(name: str, **fields: str) -> dict[str, Any]:
    return {"name": name, "start": 0, "length": 4, "fields": fields}


def frame(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"seconds": 0.0, "bytes": "00 01 02 03", "layers": list(layers)}


INNER = layer("IPv4", **{"from": "10.244.0.3", "to": "10.244.1.2"})
OUTER = layer("IPv4", **{"from": "10.200.0.2", "to": "10.200.0.3"})


def test_answers_are_told_by_who_has_the_address() -> None:
    matrix = read_matrix(step(SAID), {"here": "10.244.0.3", "host": "10.200.0.2"})
    assert matrix.largest == 1450
    assert matrix.silent == ["other node"]
    assert matrix.asker_seen("service") == "pod here"
    assert matrix.asker_seen("name") == "pod host"
    assert "answers; sees pod here" in matrix_table("t", {"one": matrix}).text


@pytest.mark.parametrize("text", ["", "nonsense", SAID.replace("service", "x"), "\t\n"])
def test_a_matrix_that_lacks_an_answer_is_an_error(text: str) -> None:
    with pytest.raises(EvidenceError, match="kubectl get pods"):
        read_matrix(step(text), {})


def test_what_carries_a_packet() -> None:
    tcp = layer("TCP")
    assert carried_by([frame(layer("Ethernet"), INNER, tcp)]) == PLAIN
    assert carried_by([frame(OUTER, layer("UDP"), INNER, tcp)]) == "UDP"
    assert carried_by([frame(OUTER, layer("UDP"), layer("VXLAN"), layer("Ethernet"), INNER, tcp)]) == "VXLAN"


def test_a_nodes_own_packets_are_not_its_pods() -> None:
    probe = layer("IPv4", **{"from": "10.244.0.3", "to": "10.244.0.1"})
    assert carried_by([frame(OUTER, layer("TCP")), frame(probe, layer("TCP"))]) == NOTHING_SEEN
    with pytest.raises(EvidenceError):
        wire_figure("t", [])


def test_whether_a_packet_goes_to_an_address() -> None:
    frames = [frame(layer("Ethernet"), INNER, layer("TCP"))]
    assert goes_to(frames, "10.244.1.2")
    assert not goes_to(frames, "10.96.0.1")
    with pytest.raises(EvidenceError):
        goes_to([], "10.96.0.1")


def test_changes_are_lines_that_came_and_went() -> None:
    changes = lines_changed(step("a\nb  c\n"), step("b c\nd\n"))
    assert changes == [("came", "d"), ("went", "a")]
    assert "nothing changed" in changes_table("t", {"here": []}).text


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    ANSWER.parent.mkdir(parents=True)
    return tmp_path


def checked(text: str, seed: int = 0) -> tuple[Exercise[Any], Any]:
    ANSWER.write_text(text)
    exercise = diagnosis(ScriptedRunner({}), seed)
    return exercise, exercise.check()


@pytest.mark.parametrize("seed", range(len(CASES)))
def test_the_right_diagnosis_passes(notebooks: Path, seed: int) -> None:
    _, outcome = checked(f"dataplane: {CASES[seed].dataplane}\nfault: {CASES[seed].fault}\n", seed)
    assert outcome.passed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dataplane: [", "cannot be read as YAML"),
        ("- a\n- b\n", "must have two lines"),
        ("dataplane: calico\nfault: policy\n", "dataplane is one of"),
        ("dataplane: bgp\nfault: broken\n", "fault is one of"),
        ("dataplane: bgp\nfault: policy\n", "Compare the largest packet"),
        ("dataplane: flannel-vxlan\nfault: policy\n", "What lies between the two devices?"),
    ],
)
def test_wrong_diagnoses_get_the_hint_for_what_is_wrong(notebooks: Path, text: str, said: str) -> None:
    _, outcome = checked(text)
    assert outcome.standing is Standing.NOT_YET
    assert said in outcome.message


@pytest.mark.parametrize("text", ["", "dataplane:\nfault:\n"])
def test_an_unsolved_cell_is_no_attempt(notebooks: Path, text: str) -> None:
    exercise, outcome = checked(text)
    assert outcome.standing is Standing.NOT_STARTED
    assert "1500" in exercise.hint()


def test_every_case_has_its_results_and_a_known_fault() -> None:
    for number, case in enumerate(CASES):
        text = (this_project().root / "notebooks" / case_file(number)).read_text()
        assert "largest packet\t" in text
        assert case.fault in FAULTS
        assert case.dataplane not in text
