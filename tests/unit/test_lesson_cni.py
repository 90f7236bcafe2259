"""Notebook 05's readers: the matrix, the wire, changes, and the exercise with its wrong answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from labsupport.errors import ClusterError, EvidenceError
from labsupport.experiments.claims import Ledger
from labsupport.experiments.exercises import Exercise, Standing
from labsupport.experiments.runners import NothingRecorded, RecordingRunner
from labsupport.experiments.steps import Observation, Step
from labsupport.experiments.trial import Trial
from labsupport.lessons.cni.exercise import ANSWER, CASES, FAULTS, case_file, diagnosis
from labsupport.lessons.cni.explorer import path_explorer
from labsupport.lessons.cni.flows import flows_table, packets_dropped, read_flows
from labsupport.lessons.cni.matrix import Matrix, matrix_table, read_matrix
from labsupport.lessons.cni.namespaces import changes_table, lines_changed
from labsupport.lessons.cni.path import ARRIVING, BETWEEN, LEAVING
from labsupport.lessons.cni.products import PRODUCTS, findings_of, products_table, told_route, try_products
from labsupport.lessons.cni.states import refusals_table, with_ipam
from labsupport.lessons.cni.whole import CUT_OFF, GOES_ON, Findings, dataplanes_table, what_became_of
from labsupport.lessons.cni.wire import NOTHING_SEEN, PLAIN, carried_by, goes_to, wire_figure
from labsupport.project import this_project
from tests.scripted import Reply, ScriptedRunner

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


FLOWS = """\
 cookie=0x0, duration=4.8s, table=40, n_packets=7, n_bytes=84, priority=50,ip,nw_dst=10.244.1.2 actions=drop
 cookie=0x0, duration=4.8s, table=40, n_packets=2, n_bytes=8, priority=200,ip,in_port=gw0 actions=resubmit(,50)
 cookie=0x0, duration=4.8s, table=40, n_packets=9, n_bytes=80, priority=0 actions=resubmit(,50)
"""


def test_flows_are_read_in_the_order_they_are_searched() -> None:
    flows = read_flows(step(FLOWS))
    assert [(flow.priority, flow.match, flow.packets) for flow in flows] == [
        (200, "ip,in_port=gw0", 2),
        (50, "ip,nw_dst=10.244.1.2", 7),
        (0, "", 9),
    ]
    assert packets_dropped(step(FLOWS)) == 7
    assert packets_dropped(step("NXST_FLOW reply\n")) == 0


def test_flows_side_by_side_show_what_came() -> None:
    text = flows_table("t", {"before": step(FLOWS.split("\n", 1)[1]), "after": step(FLOWS)}).text
    assert "—" in next(line for line in text.splitlines() if "drop" in line)


@pytest.mark.parametrize(
    ("lines", "became"),
    [
        ("answers\nanswers\n", GOES_ON),
        ("answers\nno answer\nno answer\n", CUT_OFF),
    ],
)
def test_what_became_of_a_pod_that_kept_asking(lines: str, became: str) -> None:
    assert what_became_of(step(lines)) == became


@pytest.mark.parametrize("lines", ["", "nonsense\n", "no answer\n", "answers\nno answer\nanswers\n"])
def test_answers_that_tell_nothing_are_an_error(lines: str) -> None:
    with pytest.raises(EvidenceError, match="the answers were"):
        what_became_of(step(lines))


def test_all_dataplanes_side_by_side() -> None:
    matrix = read_matrix(step(SAID), {"here": "10.244.0.3"})
    asked = Matrix({**matrix.answers, "from the node": "10.244.0.1"}, matrix.addresses)
    one = Findings(asked, "Geneve", {"deny": matrix}, CUT_OFF)
    text = dataplanes_table("t", {"ovs": one, "bare": Findings(matrix, "VXLAN")}).text
    rows = {line.split("  ")[0]: line for line in text.splitlines()}
    assert "answers" in rows["from the node: a pod on the other node"]
    assert "not asked" in rows["from the node: a pod on the other node"]
    assert "no answer" in rows["“deny”: another pod asks"]
    assert CUT_OFF in rows["“deny” added while it asks"]


def test_a_widget_looks_at_what_was_recorded() -> None:
    tcp = layer("TCP")
    geneve = frame(OUTER, layer("UDP"), layer("Geneve"), layer("Ethernet"), INNER, tcp)
    paths = {"ovs": {LEAVING: [frame(layer("Ethernet"), INNER, tcp)], BETWEEN: [geneve], ARRIVING: []}}
    trial = Trial("05-cni-plugins/x", NothingRecorded("05-cni-plugins/x", "a test"), Ledger([], {}))
    leaving, between, arriving = path_explorer(trial, paths).play_all()
    assert leaving.played and leaving.played.seen == PLAIN
    assert between.played and between.played.seen == "Geneve"
    assert arriving.error


def test_a_configuration_with_another_way_to_addresses() -> None:
    changed = json.loads(with_ipam('{"type": "bridge", "ipam": {"type": "host-local"}}', type="nobody"))
    assert changed == {"type": "bridge", "ipam": {"type": "nobody"}}
    refusals = {"no program": step('{"code": 4, "msg": "not found"}')}
    assert "not found" in refusals_table("t", refusals).text


ADDRESSES = {"near": "10.244.0.1", "far": "10.244.0.2", "here": "10.244.0.3"}
PODS = [
    {"kind": "Pod", "metadata": {"name": name}, "status": {"podIP": address}} for name, address in ADDRESSES.items()
]
INTO_TUNNEL = "10.244.0.0/26 via 10.200.0.3 dev tunl0 proto bird onlink \n"
SERVICE = {"kind": "Service", "metadata": {"name": "web"}, "spec": {"clusterIP": "10.96.0.9"}}
ASKED = {
    ("kubectl", "get", "pods,services"): Reply(json.dumps({"items": [*PODS, SERVICE]})),
    ("kubectl", "exec", "here", "--", "sh", "/probe/matrix"): Reply(SAID),
    ("kubectl", "exec", "here", "--", "sh", "/probe/keep-asking", "enough"): Reply("answers\nno answer\n"),
    ("kubectl", "exec", "host"): Reply("from the node\t10.200.0.2\n"),
    ("ip", "-oneline", "route", "get", "fibmatch", ADDRESSES["far"]): Reply(INTO_TUNNEL),
    (): Reply(),
}


class LabWithProducts:
    """A lab that reaches some products, of which some do not come up; not live, it has no evidence either."""

    def __init__(self, *reached: str, broken: str = "", live: bool = True) -> None:
        self.is_live = live
        self.products_out_of_reach = {name: "" if name in reached else "its host is far" for name in PRODUCTS}
        self.opened: list[str] = []
        self._broken = broken

    def trial(self, name: str) -> Trial:
        self.opened.append(name)
        experiment = f"05-cni-plugins/{name}"
        live = RecordingRunner(ScriptedRunner(ASKED))
        return Trial(experiment, live if self.is_live else NothingRecorded(experiment, "a test"), Ledger([], {}))

    def connect_pods_by_product(self, trial: Trial, name: str) -> Observation:
        if name == self._broken:
            raise ClusterError("connect pods", "its image is not there", "get it again")
        return Observation(trial.experiment, name, {"version": "1.2.3"})


def test_products_in_reach_are_asked_and_of_the_others_it_is_said_why_not() -> None:
    lab = LabWithProducts("calico", "antrea", broken="antrea")
    tried = try_products(lab)
    assert lab.opened == ["product-calico", "product-antrea"]
    states = {name: (each.state, each.said) for name, each in tried.items()}
    assert states == {
        "calico": ("live", "version 1.2.3"),
        "antrea": ("unavailable", "connect pods: its image is not there"),
        "cilium": ("unavailable", "its host is far"),
        "flannel": ("unavailable", "its host is far"),
    }
    found = findings_of(tried)
    assert list(found) == ["calico itself"]
    assert found["calico itself"].meanwhile == CUT_OFF
    assert "not looked at" in dataplanes_table("t", found).text
    shown = products_table("t", tried).text
    assert "its host is far" in shown
    assert shown.count("dev tunl0 proto bird: not the wire itself") == 1


@pytest.mark.parametrize(
    ("route", "told"),
    [
        (INTO_TUNNEL, "dev tunl0 proto bird: not the wire itself"),
        ("10.244.1.0/26 via 10.200.0.3 dev eth0 proto bird \n", "dev eth0 proto bird: the wire itself"),
        (
            "10.244.1.0/26 via 10.244.1.0 dev vxlan.calico onlink \n",
            "dev vxlan.calico proto not told: not the wire itself",
        ),
        ("", "none"),
    ],
)
def test_a_route_of_bgp_into_a_tunnel_is_told_from_one_to_the_wire(route: str, told: str) -> None:
    assert told_route(step(route)) == told


def test_where_nothing_is_live_or_recorded_no_product_took_part() -> None:
    tried = try_products(LabWithProducts(*PRODUCTS, live=False))
    assert {each.state for each in tried.values()} == {"unavailable"}
    assert findings_of(tried) == {}
