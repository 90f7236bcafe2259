"""What notebook 05 reads of programs in the kernel: maps, metrics, and who answered."""

import json
from typing import Any

import pytest

from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step
from labsupport.lessons.cni.programs import (
    backends,
    counts_table,
    interface_to,
    more,
    named,
    numbers,
    packets,
    shares,
    shares_table,
)


def step(text: str) -> Step:
    return Step("05-cni-plugins/x", 1, ("x",), 0, text, "", 0.1, None, (), "")


def said(value: Any) -> Step:
    return step(json.dumps(value))


def test_the_interface_that_leads_to_a_pod() -> None:
    assert interface_to(step("10.244.0.2 dev veth1a2b3c4d src 10.200.0.2 uid 0 \\    cache")) == "veth1a2b3c4d"
    with pytest.raises(EvidenceError, match="is the pod running"):
        interface_to(step("RTNETLINK answers: Network is unreachable"))


def test_numbers_of_a_map_come_by_place() -> None:
    dump = [{"key": ["0x01"], "formatted": {"key": 1, "value": 7}}, {"formatted": {"key": 0, "value": 3}}]
    assert numbers(said(dump)) == [3, 7]


def test_packets_are_summed_over_directions_and_told_in_plain_words() -> None:
    before = packets(said([{"reason": "Success", "direction": "egress", "packets": 2}]))
    after = packets(
        said(
            [
                {"reason": "Success", "direction": "egress", "packets": 5},
                {"reason": "Success", "direction": "ingress", "packets": 1},
                {"reason": "Policy denied", "direction": "ingress", "packets": 4},
            ]
        )
    )
    assert more(before, after) == {"forwarded": 4, "Policy denied": 4}
    assert more(after, after) == {}


def test_backends_of_one_service_are_in_its_map() -> None:
    services = {
        "10.96.1.2:80/TCP (0)": ["0.0.0.0:0 (6) (0) [ClusterIP, non-routable] "],
        "10.96.1.2:80/TCP (1)": ["10.244.1.9:8080/TCP (6) (1)"],
        "10.96.1.2:80/TCP (2)": ["10.244.0.7:8080/TCP (6) (2)"],
        "10.96.1.20:80/TCP (1)": ["10.244.0.8:8080/TCP (7) (1)"],
        "10.96.1.2:81/TCP (1)": ["backend 3 not found"],
    }
    assert backends(said(services), "10.96.1.2") == ["10.244.0.7", "10.244.1.9"]
    assert backends(said({}), "10.96.1.2") == []


def test_who_answered_how_often() -> None:
    answered = shares(step("many-2\nmany-1\nmany-2\n"))
    assert answered == {"many-1": 1, "many-2": 2}
    assert "10.244.0.9" in shares_table("t", answered, {"many-1": "10.244.0.9"}).text
    assert "many-3" in shares_table("t", answered, {"many-3": "10.244.0.9"}).text
    assert "Policy denied" in counts_table("t", {"before": {}, "after": {"Policy denied": 3}}).text


def test_addresses_get_the_names_of_their_pods() -> None:
    pods = {"items": [{"metadata": {"name": "many-1"}, "status": {"podIP": "10.244.0.9"}}]}
    assert named(["10.244.0.9"], said(pods)) == {"many-1": "10.244.0.9"}
    assert named(["10.244.0.8"], said(pods)) == {"nobody at 10.244.0.8": "10.244.0.8"}
