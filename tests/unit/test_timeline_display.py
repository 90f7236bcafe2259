"""How a timeline is drawn: lanes in order, a line for each pod, everything in the table too."""

from typing import Any

import pytest

from labsupport.display.timeline import Lanes, Silence, look_of, timeline_figure, timeline_table

ROWS = {"you": 0, "StatefulSet controller": 2, "kubelet": 5}


def record(number: int, lane: str, kind: str, name: str, *tags: str, **fields: Any) -> dict[str, Any]:
    pod = name if kind == "pod" else ""
    plain = {"who": lane, "verb": "create", "pod": pod, "what": f"{kind} {name} {' '.join(tags)}", "revision": number}
    told = {"number": number, "at": number / 10, "lane": lane, "row": ROWS[lane], "kind": kind, "name": name}
    return {**plain, **told, "tags": list(tags), "minor": False, "because": None, **fields}


def records(pods: int) -> list[dict[str, Any]]:
    found = [record(1, "you", "set", "web", "made")]
    for ordinal in range(pods):
        number = len(found) + 1
        found.append(record(number, "StatefulSet controller", "pod", f"web-{ordinal}", "made", because=number - 1))
        found.append(record(number + 1, "kubelet", "pod", f"web-{ordinal}", "ready", because=number))
    return found


def test_lanes_are_in_the_order_of_the_work_and_pods_in_counting_order() -> None:
    lanes = Lanes(tuple(reversed(records(11))), evenly=False)
    assert lanes.names == ["you", "StatefulSet controller", "kubelet"]
    assert lanes.pods == [f"web-{ordinal}" for ordinal in range(11)]


@pytest.mark.parametrize("pods", [1, 3, 10])
def test_a_pods_line_stays_inside_its_lane_and_is_its_own(pods: int) -> None:
    lanes = Lanes(tuple(records(pods)), evenly=False)
    for each in lanes.records:
        _, y = lanes.place(each)
        lane = lanes.names.index(each["lane"])
        assert lanes.borders[lane] < y < lanes.borders[lane + 1]
    assert len({lanes.line("kubelet", pod) for pod in lanes.pods}) == pods


def test_a_lane_without_pods_is_low() -> None:
    borders = Lanes(tuple(records(10)), evenly=False).borders
    assert borders[1] - borders[0] < (borders[2] - borders[1]) / 2


@pytest.mark.parametrize("pods", [1, 3, 10])
@pytest.mark.parametrize("evenly", [False, True])
def test_the_figure_names_lanes_and_has_every_event_in_its_table(pods: int, evenly: bool) -> None:
    figure = timeline_figure("Pods", records(pods), alt="Pods come one by one.", evenly=evenly)
    assert len(figure.table.rows) == 1 + 2 * pods
    for lane in ROWS:
        assert lane in figure.svg
    assert f"{1 + 2 * pods} events in 3 lanes: you, StatefulSet controller, kubelet" in figure.alt
    assert "pod made" in figure.svg
    assert "#0069a8" not in figure.svg.replace("var(--lab-series-1, #0069a8)", "")


def test_one_pods_story_has_what_directly_caused_it_and_no_more() -> None:
    figure = timeline_figure("web-1", records(3), alt="The way of one pod.", of_pod="web-1")
    assert [row[0] for row in figure.table.rows] == [3, 4, 5]


def test_pods_of_two_sets_are_told_apart() -> None:
    both = [*records(1), record(9, "kubelet", "pod", "db-0", "ready")]
    figure = timeline_figure("Two sets", both, alt="Pods of two sets side by side.")
    assert ">db-0<" in figure.svg
    assert ">web-0<" in figure.svg


def test_what_is_unknown_is_drawn_as_other_and_notes_small() -> None:
    assert look_of(record(1, "you", "service", "web", "made")).name == "other object made or changed"
    assert look_of(record(1, "you", "set", "web")).name == "bookkeeping"
    assert look_of(record(1, "you", "set", "web", "refused")).name == "refused"


def test_the_table_tells_causes_by_number() -> None:
    table = timeline_table("All", records(1))
    assert [row[-1] for row in table.rows] == [None, 1, 2]


def test_a_lane_in_which_something_stood_still_is_marked_from_then_until_it_went_on() -> None:
    stop = {**record(7, "you", "component", "kubelet@node-1", "broken"), "lanes": {"kubelet": 5}}
    start = {**record(9, "you", "component", "kubelet@node-1", "mended"), "lanes": {"kubelet": 5}}
    whole = Lanes((*records(3), stop, start), evenly=False)
    assert whole.silences == [Silence("kubelet", stop["at"], start["at"], "node-1")]
    for_ever = Lanes((*records(1), stop, record(8, "you", "set", "web", "made")), evenly=True)
    assert for_ever.silences == [Silence("kubelet", 4.0, 5.0, "node-1")]
    drawn = timeline_figure("Stopped", whole.records, alt="A kubelet stands still.").svg
    assert "stands still" in drawn and "only node-1" in drawn


@pytest.mark.parametrize(("name", "node"), [("node-2", "node-2"), ("kube-scheduler", ""), ("etcd", "")])
def test_only_what_is_of_one_node_is_said_to_be(name: str, node: str) -> None:
    stop = {**record(7, "you", "component", name, "broken"), "lanes": {"scheduler": 5}}
    assert [silence.node for silence in Lanes((*records(1), stop), evenly=False).silences] == [node]


def test_what_stood_still_has_its_lane_though_nothing_came_from_it() -> None:
    stop = {**record(2, "you", "component", "etcd", "broken"), "lanes": {"API server": 1}}
    assert Lanes((*records(1), stop), evenly=False).names[:2] == ["you", "API server"]
