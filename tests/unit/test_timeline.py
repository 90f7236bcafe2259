"""The timeline from plain records: order, revisions, changes and causes, whatever the log looks like."""

import json
import random
from typing import Any

import pytest

from labsupport.systems.timeline import timeline_records
from labsupport.systems.timeline.actors import who_wrote

SET_CONTROLLER = "system:serviceaccount:kube-system:statefulset-controller"
BINDER = "system:serviceaccount:kube-system:persistent-volume-binder"
SLICES = "system:serviceaccount:kube-system:endpointslice-controller"
OWNER = {"ownerReferences": [{"kind": "StatefulSet", "name": "web"}]}
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def entry(
    user: str,
    verb: str,
    resource: str,
    name: str,
    at: float,
    revision: int | None = None,
    part: str = "",
    **fields: Any,
) -> dict[str, Any]:
    """One line of an audit log; `fields` are the object's own: spec, status, metadata."""
    metadata = {"name": name, **fields.pop("metadata", {})}
    if revision is not None:
        metadata["resourceVersion"] = str(revision)
    whole = 1_700_000_000 + at
    stamp = f"2023-11-14T22:13:{20 + int(at):02d}.{round(whole % 1 * 1e6):06d}Z"
    return {
        "stage": "ResponseComplete",
        "verb": verb,
        "user": {"username": user},
        "objectRef": {"resource": resource, "namespace": "default", "name": name, "subresource": part},
        "responseStatus": {"code": 201 if verb == "create" else 200},
        "requestReceivedTimestamp": stamp,
        "stageTimestamp": stamp,
        "responseObject": {"kind": resource, "metadata": metadata, **fields},
    }


def pod_spec(name: str) -> dict[str, Any]:
    return {"volumes": [{"persistentVolumeClaim": {"claimName": f"data-{name}"}}]}


def binding(name: str, at: float) -> dict[str, Any]:
    found = entry("system:kube-scheduler", "create", "pods", name, at, part="binding")
    return {**found, "requestObject": {"target": {"name": "node-1"}}, "responseObject": {"kind": "Status"}}


def bound_notice(name: str, revision: int) -> dict[str, Any]:
    metadata = {"name": name, "resourceVersion": str(revision)}
    return {"type": "MODIFIED", "object": {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": "node-1"}}}


def slice_of(*pods: str) -> dict[str, Any]:
    listed = [
        {"targetRef": {"name": pod}, "addresses": [f"10.0.0.{n}"], "conditions": {"ready": True}}
        for n, pod in enumerate(pods)
    ]
    return {"metadata": {"ownerReferences": [{"kind": "Service", "name": "web"}]}, "endpoints": listed}


def story() -> list[dict[str, Any]]:
    """A set of two pods, as an API server would log it."""
    web_0 = {"metadata": OWNER, "spec": pod_spec("web-0")}
    web_1 = {"metadata": OWNER, "spec": pod_spec("web-1")}
    return [
        entry("lab", "create", "services", "web", 0.0, 1),
        entry("lab", "create", "statefulsets", "web", 0.1, 2, spec={"replicas": 2}),
        entry(SLICES, "create", "endpointslices", "web-x", 0.12, 3, **slice_of()),
        entry(SET_CONTROLLER, "create", "persistentvolumeclaims", "data-web-0", 0.2, 4),
        entry(SET_CONTROLLER, "create", "pods", "web-0", 0.21, 5, **web_0),
        entry(
            BINDER, "create", "persistentvolumes", "pvc-1", 0.3, 6,
            spec={"claimRef": {"name": "data-web-0", "namespace": "default"}},
        ),
        entry(BINDER, "update", "persistentvolumeclaims", "data-web-0", 0.4, 7, spec={"volumeName": "pvc-1"}),
        binding("web-0", 0.5),
        entry("system:node:node-1", "patch", "pods", "web-0", 1.0, 9, "status", **web_0, status=READY),
        entry(SLICES, "update", "endpointslices", "web-x", 1.1, 10, **slice_of("web-0")),
        entry(SET_CONTROLLER, "create", "persistentvolumeclaims", "data-web-1", 1.2, 11),
        entry(SET_CONTROLLER, "create", "pods", "web-1", 1.3, 12, **web_1),
    ]  # fmt: skip


def told(log: list[dict[str, Any]], faults: list[dict[str, Any]] | None = None, **more: Any) -> list[dict[str, Any]]:
    return timeline_records(
        [json.dumps(each) for each in log], faults=[json.dumps(each) for each in faults or ()], **more
    )


def cause_of(records: list[dict[str, Any]], what: str) -> str | None:
    record = next(record for record in records if record["what"] == what)
    return next((each["what"] for each in records if each["number"] == record["because"]), None)


class TestOrder:
    @pytest.mark.parametrize("seed", range(8))
    def test_any_order_of_the_log_tells_one_story(self, seed: int) -> None:
        shuffled = story()
        random.Random(seed).shuffle(shuffled)
        assert told(shuffled, notices=[bound_notice("web-0", 8)]) == told(story(), notices=[bound_notice("web-0", 8)])

    @pytest.mark.parametrize("seed", range(4))
    def test_revisions_decide_among_equal_times(self, seed: int) -> None:
        log = [{**each, "stageTimestamp": "2023-11-14T22:13:20Z"} for each in story()]
        random.Random(seed).shuffle(log)
        revisions = [record["revision"] for record in told(log) if record["revision"]]
        assert revisions == sorted(revisions)
        assert {record["at"] for record in told(log)} == {0.0}

    def test_a_clock_that_contradicts_the_revisions_gives_way(self) -> None:
        log = [
            entry("lab", "create", "services", "first", 1.0, 1),
            entry("lab", "create", "services", "second", 0.4, 2),
        ]
        assert [(record["name"], record["at"]) for record in told(log)] == [("first", 0.0), ("second", 0.0)]

    def test_a_watch_knows_the_revision_of_a_binding(self) -> None:
        without = told(story())
        assert next(record for record in without if record["verb"] == "bind")["revision"] is None
        records = told(story(), notices=[bound_notice("web-0", 8)])
        revisions = [record["revision"] for record in records]
        assert revisions == sorted(revisions)
        assert next(record for record in records if record["verb"] == "bind")["revision"] == 8

    def test_a_pod_of_the_same_name_that_was_there_before_is_another(self) -> None:
        log = [binding("web-0", 1.0), entry("system:node:node-1", "patch", "pods", "web-0", 0.5, 30, "status")]
        log[0]["requestObject"]["metadata"] = {"uid": "new"}
        old, new = bound_notice("web-0", 29), bound_notice("web-0", 31)
        old["object"]["metadata"]["uid"], new["object"]["metadata"]["uid"] = "old", "new"
        assert [record["revision"] for record in told(log, notices=[old, new])] == [30, 31]

    def test_a_binding_without_a_revision_that_was_logged_first_comes_after_the_pod_was_made(self) -> None:
        made = entry(SET_CONTROLLER, "create", "pods", "web-0", 1.0, 5, metadata={"uid": "new"})
        bound = binding("web-0", 0.9)
        bound["requestObject"]["metadata"] = {"uid": "new"}
        records = told([bound, made])
        assert [(record["verb"], record["because"]) for record in records] == [("create", None), ("bind", 1)]
        bound["requestObject"]["metadata"] = {"uid": "old"}
        assert [record["verb"] for record in told([bound, made])] == ["bind", "create"]

    def test_seconds_count_from_your_first_request(self) -> None:
        log = [
            entry(BINDER, "update", "persistentvolumeclaims", "left", 0.0, 1),
            entry("lab", "create", "services", "web", 0.5, 2),
            entry(SLICES, "create", "endpointslices", "web-x", 0.7, 3),
        ]
        assert [record["at"] for record in told(log)] == [-0.5, 0.0, 0.2]

    def test_a_write_that_changed_nothing_is_left_out(self) -> None:
        again = entry("lab", "update", "services", "web", 0.9, 1)
        assert len(told([*story(), again])) == len(story())


class TestCauses:
    @pytest.fixture
    def records(self) -> list[dict[str, Any]]:
        answers = [
            {"at": 1_700_000_000 + at, "name": "web-0.web.default.svc.cluster.local", "addresses": addresses}
            for at, addresses in ((0.0, []), (0.9, []), (1.15, ["10.0.0.0"]), (1.3, ["10.0.0.0"]))
        ]
        return told(story(), answers=answers)

    @pytest.mark.parametrize(
        ("what", "cause"),
        [
            ("makes service web", None),
            ("makes set web", None),
            ("makes slice web-x", "makes service web"),
            ("makes claim data-web-0", "makes set web"),
            ("makes pod web-0", "makes set web"),
            ("makes the volume of data-web-0", "makes claim data-web-0"),
            ("gives data-web-0 its volume", "makes the volume of data-web-0"),
            ("puts web-0 on node-1", "gives data-web-0 its volume"),
            ("web-0 is ready", "puts web-0 on node-1"),
            ("lists web-0 at 10.0.0.0, ready", "web-0 is ready"),
            ("makes claim data-web-1", "web-0 is ready"),
            ("makes pod web-1", "web-0 is ready"),
            ("answers web-0.web.default.svc.cluster.local: 10.0.0.0", "lists web-0 at 10.0.0.0, ready"),
        ],
    )
    def test_each_write_has_the_cause_it_waited_for(
        self, records: list[dict[str, Any]], what: str, cause: str | None
    ) -> None:
        assert cause_of(records, what) == cause

    def test_causes_come_earlier(self, records: list[dict[str, Any]]) -> None:
        assert all(record["because"] < record["number"] for record in records if record["because"])

    def test_an_answer_that_stays_the_same_is_told_once(self, records: list[dict[str, Any]]) -> None:
        assert [record["kind"] for record in records].count("name") == 1

    def test_a_parallel_set_waits_for_no_pod(self) -> None:
        log = story()
        log[1]["responseObject"]["spec"]["podManagementPolicy"] = "Parallel"
        assert cause_of(told(log), "makes pod web-1") == "makes set web"

    def test_a_pod_that_is_gone_is_why_it_is_made_again(self) -> None:
        ending: dict[str, Any] = {"metadata": {**OWNER, "deletionTimestamp": "2023-11-14T22:13:25Z"}}
        log = [
            *story(),
            entry("lab", "delete", "pods", "web-0", 5.0, 20, **ending),
            entry("system:node:node-1", "delete", "pods", "web-0", 6.0, 21, **ending),
            entry(SET_CONTROLLER, "create", "pods", "web-0", 6.1, 22, metadata=OWNER),
        ]
        records = told(log)
        assert [record["what"] for record in records[-3:]] == [
            "asks for the end of pod web-0",
            "removes pod web-0",
            "makes pod web-0",
        ]
        assert [record["because"] for record in records[-2:]] == [records[-3]["number"], records[-2]["number"]]


class TestWhatIsLeftOut:
    @pytest.mark.parametrize(
        "line",
        [
            "",
            "{",
            "[]",
            "{}",
            json.dumps({"verb": "create", "objectRef": {"resource": "pods", "name": "x"}}),
            json.dumps({"verb": "create", "objectRef": {"resource": "pods"}, "stageTimestamp": "2023-11-14T22:13:20Z"}),
            json.dumps({"verb": "create", "objectRef": {"resource": "pods", "name": "x"}, "stageTimestamp": "soon"}),
        ],
    )
    def test_lines_that_say_too_little(self, line: str) -> None:
        assert timeline_records([line]) == []

    def test_what_is_not_about_this_namespace_or_no_write(self) -> None:
        elsewhere = entry("lab", "create", "pods", "x", 0, 1)
        elsewhere["objectRef"]["namespace"] = "kube-system"
        rehearsed = {**entry("lab", "create", "pods", "y", 0, 2), "requestURI": "/api/v1/pods?dryRun=All"}
        read = entry("lab", "get", "pods", "z", 0, 3)
        token = entry("system:node:node-1", "create", "pods", "w", 0, part="log")
        lease = entry("system:node:node-1", "update", "leases", "node-1", 0, 4)
        foreign = entry(BINDER, "create", "persistentvolumes", "pv", 0, 5, spec={"claimRef": {"name": "other"}})
        assert told([elsewhere, rehearsed, read, token, lease, foreign]) == []

    def test_nothing_at_all(self) -> None:
        assert timeline_records([]) == []

    def test_a_first_answer_is_no_news_and_one_without_any_write_has_no_cause(self) -> None:
        answers = [{"at": at, "name": "web-0.web", "addresses": [f"10.0.0.{at:.0f}"]} for at in (5.0, 6.0)]
        (record,) = timeline_records([], answers=answers)
        assert (record["who"], record["at"], record["because"]) == ("CoreDNS", 0.0, None)
        assert record["what"] == "answers web-0.web: 10.0.0.6"


class TestWhatWasThereBefore:
    def test_only_what_changes_is_told(self) -> None:
        there = {"endpointslices": [{**slice_of("web-0", "web-1"), "metadata": {"name": "web-x"}}]}
        log = [entry(SLICES, "update", "endpointslices", "web-x", 0.5, 9, **slice_of("web-0"))]
        assert [record["what"] for record in told(log, first=there)] == ["lists web-1 no longer"]

    def test_it_says_who_belongs_to_whom_and_is_no_event_itself(self) -> None:
        there = {"pods": [{"metadata": {"name": "web-0", **OWNER}, "spec": pod_spec("web-0")}]}
        log = [entry(BINDER, "update", "persistentvolumeclaims", "data-web-0", 0.5, 9)]
        assert [record["pod"] for record in told(log, first=there)] == ["web-0"]


class TestRefusals:
    def test_a_refusal_is_the_api_servers_and_causes_nothing(self) -> None:
        refused = entry("lab", "create", "statefulsets", "web", 0.05)
        refused["responseStatus"] = {"code": 422, "message": "no such field"}
        records = told([refused, *story()])
        assert next(record for record in records if "refused" in record["tags"])["who"] == "API server"
        assert cause_of(records, "makes pod web-0") == "makes set web"

    def test_a_refused_creation_is_named_by_what_was_asked(self) -> None:
        refused = entry("lab", "create", "statefulsets", "web", 0)
        del refused["objectRef"]["name"]
        refused |= {
            "responseStatus": {"code": 422, "message": "bad"},
            "responseObject": {"kind": "Status", "message": "bad"},
            "requestObject": {"metadata": {"name": "web"}},
        }
        assert [record["what"] for record in told([refused])] == ["refuses set web: bad"]

    def test_a_conflict_is_bookkeeping_of_its_author(self) -> None:
        conflict = entry(BINDER, "update", "persistentvolumeclaims", "data-web-0", 0.6)
        conflict["responseStatus"] = {"code": 409, "message": "the object has been modified"}
        record = next(record for record in told([*story(), conflict]) if "conflict" in record["tags"])
        assert (record["who"], record["minor"]) == ("volume controller", True)


@pytest.mark.parametrize(
    ("user", "agent", "who"),
    [
        ("lab", "kubectl/v1.37.2", "you"),
        (SET_CONTROLLER, "", "StatefulSet controller"),
        ("system:serviceaccount:kube-system:generic-garbage-collector", "", "other controllers"),
        ("system:kube-scheduler", "", "scheduler"),
        ("system:node:node-2", "", "kubelet on node-2"),
        ("system:apiserver", "", "API server"),
        ("system:kube-controller-manager", "kube-controller-manager/v1.37.2", "other controllers"),
        (
            "system:kube-controller-manager",
            f"kube-controller-manager/v1.37.2 (linux/amd64) kubernetes/4f0e9a3/{SET_CONTROLLER}",
            "StatefulSet controller",
        ),
        ("", "", "you"),
    ],
)
def test_users_have_names_that_readers_know(user: str, agent: str, who: str) -> None:
    assert who_wrote(user, agent) == who


STOP = {"at": 1_700_000_000 + 0.45, "did": "made", "action": "stop", "target": "kube-scheduler"}
START = {**STOP, "at": 1_700_000_000 + 0.48, "did": "undone"}


class TestFaults:
    def test_what_you_stop_is_told_in_the_lanes_of_its_work(self) -> None:
        records = told(story(), faults=[STOP, START])
        found = [record for record in records if record["kind"] == "component"]
        assert [record["what"] for record in found] == ["stops kube-scheduler", "starts kube-scheduler again"]
        assert [record["tags"] for record in found] == [["broken"], ["mended"]]
        assert all(record["who"] == "you" and record["because"] is None for record in found)
        assert [list(record["lanes"]) for record in found] == [["scheduler"], ["scheduler"]]

    def test_what_comes_when_it_is_back_comes_because_it_is_back(self) -> None:
        assert cause_of(told(story(), faults=[STOP, START]), "puts web-0 on node-1") == ("starts kube-scheduler again")
        assert cause_of(told(story()), "puts web-0 on node-1") != "starts kube-scheduler again"

    def test_another_component_has_nothing_to_do_with_it(self) -> None:
        others = [{**each, "target": "kubelet@node-2"} for each in (STOP, START)]
        assert cause_of(told(story(), faults=others), "puts web-0 on node-1") != "starts kubelet@node-2 again"

    def test_a_name_that_nobody_answers_is_not_a_name_that_there_is_not(self) -> None:
        start = 1_700_000_000
        stopped = [{**STOP, "at": start + 2.0, "target": "coredns"}]
        name = "web-0.web.default.svc.cluster.local"
        answers = [
            {"at": start + 1.2, "name": name, "addresses": []},
            {"at": start + 1.3, "name": name, "addresses": ["10.0.0.0"]},
            {"at": start + 2.1, "name": name, "addresses": None},
        ]
        records = told(story(), answers=answers, faults=stopped)
        assert [record["tags"] for record in records if record["kind"] == "name"] == [["named"], ["unanswered"]]
        assert cause_of(records, f"does not answer {name}") == "stops coredns"
