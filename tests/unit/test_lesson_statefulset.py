"""What notebook 08 reads from its commands, predicts and explains: from texts and recordings, without a cluster."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from labsupport.errors import EvidenceError
from labsupport.experiments.exercises import judge
from labsupport.experiments.steps import Step
from labsupport.lessons.statefulset import (
    Replacement,
    ablation_table,
    alive_on,
    identity_of,
    mounts_table,
    names_table,
    nodes_of,
    placement_table,
    pod_addresses,
    read_ablations,
    read_answer,
    read_connections,
    read_mounts,
    share_a_node,
    stuck,
    stuck_state,
    stuck_table,
)
from labsupport.lessons.statefulset.exercise import FAULTS, FOLDER, Attempt
from labsupport.lessons.statefulset.explorer import (
    CONTROLLERS,
    NOTHING,
    ORDERED,
    PARALLEL,
    SCHEDULER,
    STOPPABLE,
    Choice,
    apply_command,
    by_the_rules,
    explanation,
    in_short,
    is_as_ruled,
    of_set,
    recorded_order,
)
from labsupport.lessons.statefulset.names import Answer
from labsupport.lessons.statefulset.story import story_of
from labsupport.project import this_project
from tests.explorers import swept
from tests.scripted import ScriptedRunner

SLUG = "08-statefulset"
ASSETS = this_project().assets / SLUG


def step(stdout: str, command: str = "kubectl get pods", stderr: str = "", exit_code: int = 0) -> Step:
    return Step(f"{SLUG}/test", 1, tuple(command.split()), exit_code, stdout, stderr, 0.1)


def event(number: int, kind: str, name: str, *tags: str, because: int | None = None) -> dict[str, Any]:
    return {
        "number": number, "at": number / 10, "who": "somebody", "lane": "somebody", "row": 0, "verb": "create",
        "kind": kind, "name": name, "pod": name.removeprefix("data-") if kind in ("pod", "claim") else "",
        "what": f"{name} {' '.join(tags)}", "tags": list(tags), "minor": False, "revision": number, "because": because,
    }  # fmt: skip


class TestStory:
    story = story_of(
        [
            event(1, "set", "web", "refused"),
            event(2, "set", "web", "made"),
            event(3, "claim", "data-web-0", "made", because=2),
            event(4, "pod", "web-0", "made", because=2),
            event(5, "pod", "web-1", "made", because=2),
            event(6, "pod", "web-0", "bound", because=4),
            event(7, "pod", "web-0", "ready", because=6),
            event(8, "pod", "web-2", "made", because=7),
        ]
    )

    def test_it_starts_with_what_nothing_caused_and_was_not_refused(self) -> None:
        assert self.story.starts == ["somebody: web made"]
        assert self.story.refusals == ["web refused"]

    @pytest.mark.parametrize("tag", ["named", "unanswered"])
    def test_an_answer_of_dns_is_no_write_and_starts_nothing(self, tag: str) -> None:
        story = story_of([event(1, "set", "web", "made"), event(2, "name", "web-0.web", tag)])
        assert story.starts == ["somebody: web made"]

    def test_steps_come_in_the_order_of_the_events(self) -> None:
        wanted = ["pod gets its node", "claim made", "pod made"]
        assert self.story.steps("web-0", *wanted) == ["claim made", "pod made", "pod gets its node"]

    def test_causes_and_authors_are_found_by_step_and_pod(self) -> None:
        assert self.story.cause("pod made", "web-2") == "web-0 ready"
        assert self.story.author("pod made", "web-2") == "somebody"
        with pytest.raises(EvidenceError, match="web-9"):
            self.story.cause("pod made", "web-9")

    def test_pods_on_their_way_are_counted_at_their_most(self) -> None:
        assert self.story.most_on_their_way() == 2
        assert story_of([event(1, "set", "web", "made")]).most_on_their_way() == 0

    def test_nothing_recorded_is_an_error_that_says_so(self) -> None:
        with pytest.raises(EvidenceError, match="nothing was written"):
            story_of([])

    def test_a_part_of_it_is_about_some_sets_only(self) -> None:
        assert len(self.story.about("web").records) == 8
        assert [
            each["name"] for each in story_of([event(1, "pod", "db-0"), event(2, "pod", "web-0")]).about("db").records
        ] == ["db-0"]

    def test_figures_say_their_point(self) -> None:
        assert "web-0, web-1, web-2" in self.story.figure().alt
        assert "claim made, pod made, pod gets its node, pod ready" in self.story.journey("web-0").alt
        assert len(self.story.table().rows) == 8


MOUNTINFO = """\
77 297 254:0 /runs/x/private/var/lib/disk /var/lib/kubelet/pods/1b-2/volumes/kubernetes.io~local-volume/disk rw shared:191 - ext4 /dev/vda rw
79 297 0:54 / /var/lib/kubelet/pods/1b-2/volumes/kubernetes.io~projected/kube-api-access-f rw shared:8 - tmpfs tmpfs rw
nonsense
"""  # noqa: E501


class TestMounts:
    def test_kinds_and_places_are_read(self) -> None:
        mounts = read_mounts(step(MOUNTINFO))
        assert [mount.volume_kind for mount in mounts] == ["local-volume", "projected"]
        assert [mount.file_system for mount in mounts] == ["ext4", "tmpfs"]

    def test_a_container_has_places_without_a_kind(self) -> None:
        (mount,) = read_mounts(step("9 8 254:0 /private/var/lib/disk /data rw,relatime - ext4 /dev/vda rw\n"))
        assert (mount.place, mount.volume_kind) == ("/data", "")

    def test_the_table_shows_the_nodes_own_paths(self) -> None:
        text = mounts_table([], read_mounts(step(MOUNTINFO))).text
        assert "/var/lib/disk" in text
        assert "private" not in text


ANSWERED = """\
Server:\t\t10.96.0.10
Address:\t10.96.0.10:53

Name:\tnamed-0.named.default.svc.cluster.local
Address: 10.244.0.19

"""
ASK = "kubectl exec probe -- nslookup named-0.named.default.svc.cluster.local"


def pods(*states: tuple[str, str, bool]) -> Step:
    items = [
        {
            "metadata": {"name": name},
            "status": {"podIP": address, "conditions": [{"type": "Ready", "status": str(ready)}]},
        }
        for name, address, ready in states
    ]
    return step(json.dumps({"items": items}))


class TestNames:
    def test_the_address_of_the_name_is_read_not_the_servers(self) -> None:
        assert read_answer(step(ANSWERED, ASK)) == Answer("named-0.named.default.svc.cluster.local", "10.244.0.19")

    def test_no_such_name_is_an_answer(self) -> None:
        said = "Server:\t10.96.0.10\n\n** server can't find x: NXDOMAIN\n"
        assert read_answer(step(said, ASK, exit_code=1)).word == "NXDOMAIN"

    def test_no_answer_is_none(self) -> None:
        with pytest.raises(EvidenceError, match="connection timed out"):
            read_answer(step(";; connection timed out; no servers could be reached\n", ASK, exit_code=1))

    def test_names_stand_beside_the_state_of_their_pod(self) -> None:
        seen = pods(("named-0", "10.0.0.1", True), ("unready-0", "10.0.0.2", False))
        answers = [Answer("named-0.named.x", "10.0.0.1"), Answer("unready-0.unready.x", "")]
        assert [row[1:] for row in names_table(answers, seen).rows] == [
            ("10.0.0.1", "10.0.0.1", True),
            ("NXDOMAIN", "10.0.0.2", False),
        ]
        assert pod_addresses(seen) == {"named-0": "10.0.0.1", "unready-0": "10.0.0.2"}


def test_a_replacement_tells_what_stayed_and_what_is_new() -> None:
    def identity(uid: str, address: str) -> Any:
        pod = {
            "metadata": {"name": "web-0", "uid": uid},
            "spec": {
                "hostname": "web-0",
                "volumes": [{"persistentVolumeClaim": {"claimName": "data-web-0"}}, {"projected": {}}],
            },
            "status": {"podIP": address},
        }
        claim = {"spec": {"volumeName": "pvc-1"}}
        return identity_of(step(json.dumps(pod)), step(json.dumps(claim)), Answer("web-0.web", address))

    replacement = Replacement(identity("a", "10.0.0.1"), identity("b", "10.0.0.2"))
    assert replacement.kept == ["name", "host name", "claim", "volume", "DNS name"]
    assert replacement.new == ["unique id", "address", "DNS answers"]
    assert len(replacement.table().rows) == 8


def choice(replicas: int = 3, policy: str = ORDERED, partition: int = 0, stopped: str = NOTHING) -> Choice:
    return Choice(replicas, policy, partition, stopped)


class TestExplorer:
    def test_every_position_is_recorded_and_as_ruled(self) -> None:
        _, attempts = swept(SLUG)
        assert len(attempts) == 24
        assert [attempt.error for attempt in attempts if attempt.error] == []
        assert not [each.position for each in attempts if each.played and "NOT as ruled" in str(each.played.shown)]
        seen = {tuple(each.position.values()): each.played.seen for each in attempts if each.played}
        assert seen["3", ORDERED, "0", NOTHING] == "then 0 1 2, update 2 1 0"
        assert seen["3", ORDERED, "2", "kube-scheduler"] == "meanwhile 0, then 1 2, update 2"
        assert seen["1", PARALLEL, "2", CONTROLLERS] == "then 0"

    @pytest.mark.parametrize(
        ("position", "ruled"),
        [
            (choice(), ([], [0, 1, 2], [2, 1, 0])),
            (choice(partition=2), ([], [0, 1, 2], [2])),
            (choice(replicas=1, partition=2), ([], [0], [])),
            (choice(stopped="kube-scheduler"), ([0], [1, 2], [2, 1, 0])),
            (choice(policy=PARALLEL, stopped=SCHEDULER), ([0, 1, 2], [], [2, 1, 0])),
            (choice(stopped="kube-controller-manager"), ([], [0, 1, 2], [2, 1, 0])),
        ],
    )
    def test_rules(self, position: Choice, ruled: tuple[list[int], ...]) -> None:
        assert tuple(by_the_rules(position).values()) == ruled

    @pytest.mark.parametrize(
        ("then", "update", "policy", "ruled"),
        [
            ([0, 1, 2], [2, 1, 0], ORDERED, True),
            ([0, 2, 1], [2, 1, 0], ORDERED, False),
            ([0, 2, 1], [2, 1, 0], PARALLEL, True),
            ([0, 1, 2], [1, 2, 0], PARALLEL, False),
            ([0, 1], [2, 1, 0], PARALLEL, False),
            ([0, 1, 2], [], ORDERED, False),
        ],
    )
    def test_a_recording_is_held_against_them(
        self, then: list[int], update: list[int], policy: str, ruled: bool
    ) -> None:
        recorded = {"meanwhile": [], "then": then, "update": update}
        assert is_as_ruled(by_the_rules(choice(policy=policy)), recorded, policy) is ruled

    def test_a_set_is_told_apart_from_its_neighbours(self) -> None:
        stop = {**event(1, "component", "etcd", "broken"), "lanes": {"API server": 1}}
        records = [
            stop,
            event(2, "set", "ordered-3-0", "made"),
            event(3, "set", "ordered-3-2", "made"),
            event(4, "pod", "ordered-3-0-0", "made", because=2),
            {**event(5, "pod", "ordered-3-0-0"), "minor": True},
            {**event(6, "component", "etcd", "mended"), "lanes": {"API server": 1}},
            event(7, "pod", "ordered-3-0-1", "made", because=5),
            event(8, "pod", "ordered-3-0-0", "made", because=4),
        ]
        kept = of_set(records, "ordered-3-0")
        assert [record["number"] for record in kept] == [1, 2, 3, 4, 5, 6]
        assert [record["because"] for record in kept] == [None, None, 2, None, None, 3]
        assert in_short(recorded_order(story_of(kept)), ORDERED) == "meanwhile 0, then 1, update 0"

    def test_every_position_says_why(self) -> None:
        told = [
            explanation(choice(r, p, n, s))
            for r in (1, 3)
            for p in (ORDERED, PARALLEL)
            for n in (0, 2)
            for s in STOPPABLE
        ]
        assert all(len(each.split()) > 10 for each in told)

    def test_the_command_is_one_to_paste(self) -> None:
        assert "s/NAME/parallel-3-2/; s/REPLICAS/3/" in apply_command([choice(policy=PARALLEL, partition=2)], "first")


def placed(*pods: tuple[str, str, bool, bool]) -> Step:
    """Pods: name, node, ready, to end."""
    items = [
        {
            "metadata": {
                "name": name,
                "labels": {"app": name.split("-")[0]},
                **({"deletionTimestamp": "x"} if ends else {}),
            },
            "spec": {"nodeName": node} if node else {},
            "status": {
                "conditions": [
                    {"type": "Ready", "status": str(ready)},
                    {"type": "PodScheduled", "status": str(bool(node)), **({} if node else {"message": "no room"})},
                ]
            },
        }
        for name, node, ready, ends in pods
    ]
    return step(json.dumps({"items": items}))


class TestPlacement:
    pods = placed(("a-0", "node-1", True, False), ("a-1", "node-1", True, False), ("b-0", "", False, False))

    def test_nodes_of_one_set(self) -> None:
        assert nodes_of(self.pods, "a") == {"a-0": "node-1", "a-1": "node-1"}
        assert share_a_node(nodes_of(self.pods, "a"))
        assert nodes_of(self.pods, "b") == {"b-0": ""}
        assert not share_a_node({"b-0": "", "b-1": "", "b-2": "node-1"})

    def test_the_table_has_the_schedulers_words(self) -> None:
        assert "no room" in placement_table(self.pods).text

    def test_a_pod_that_is_to_end_is_not_alive(self) -> None:
        lost = placed(
            ("kept-0", "node-2", False, True), ("moved-x", "node-2", True, True), ("moved-y", "node-1", True, False)
        )
        assert alive_on(lost) == {"kept": "", "moved": "node-1"}


FILES = """\
u_str ESTAB 0 0 /run/labs/cluster/control-plane/etcd.sock 11 * 12 users:(("etcd",pid=5,fd=9))
u_str ESTAB 0 0 * 12 * 11 users:(("kube-apiserver",pid=6,fd=7))
u_str ESTAB 0 0 /run/containerd/containerd.sock 13 * 14 users:(("containerd",pid=8,fd=9))
u_str ESTAB 0 0 * 14 * 13 users:(("kubelet",pid=9,fd=9))
u_str LISTEN 0 4096 /run/labs/cluster/control-plane/etcd.sock 10 * 0 users:(("etcd",pid=5,fd=8))
u_str ESTAB 0 0 /run/labs/cluster/control-plane/etcd.sock 15 * 99
"""
PORTS = """\
ESTAB 0 0 10.200.0.1:6443 10.200.0.1:5000 users:(("kube-apiserver",pid=6,fd=1))
ESTAB 0 0 10.200.0.1:5000 10.200.0.1:6443 users:(("kube-scheduler",pid=7,fd=1))
ESTAB 0 0 10.200.0.1:5000 10.200.0.1:9443 users:(("other",pid=7,fd=1))
TIME-WAIT 0 0 10.200.0.1:5001 10.200.0.1:6443
"""


class TestConnections:
    def test_who_is_at_the_other_end(self) -> None:
        found = read_connections(step(FILES), step(PORTS), step(PORTS.replace("kube-scheduler", "kubelet")))
        assert found.of("etcd") == ["kube-apiserver"]
        assert found.of("kube-apiserver") == ["kube-scheduler", "kubelet"]
        assert "kube-scheduler, kubelet" in found.table().text

    def test_nothing_found_is_nobody(self) -> None:
        found = read_connections(step("nonsense\n\n"), step(""))
        assert (found.of("etcd"), found.of("kube-apiserver")) == ([], [])


def test_templates_beside_the_pods_that_do_or_do_not_follow_them() -> None:
    def several(*items: dict[str, Any]) -> Step:
        return step(json.dumps({"items": items}))

    def of_image(image: str, name: str) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": {"containers": [{"image": image}]}, "status": {}}

    def its_set(name: str) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": {"template": of_image("good", "")}}

    waiting = {"status": {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImageNeverPull"}}}]}}
    sets = several(its_set("parallel"), its_set("stuck"))
    pods = several({**of_image("bad", "stuck-1"), **waiting}, of_image("good", "parallel-1"))
    assert stuck_state(sets, pods) == {"parallel": ["good", "good"], "stuck": ["good", "bad"]}
    assert stuck_table(sets, pods).rows == (
        ("the template of stuck", "good", None), ("stuck-1", "bad", "ErrImageNeverPull"),
        ("the template of parallel", "good", None), ("parallel-1", "good", None),
    )  # fmt: skip


class TestAblation:
    def records(self) -> list[dict[str, Any]]:
        def part(number: int, tag: str) -> dict[str, Any]:
            return {**event(number, "component", "kube-scheduler", tag), "lanes": {"scheduler": 4}}

        return [
            event(1, "pod", "old-0", "ready"),
            part(2, "broken"),
            event(3, "set", "more", "scaled"),
            event(5, "pod", "more-0", "made"),
            part(6, "mended"),
            event(7, "pod", "more-0", "bound"),
            {**event(9, "component", "etcd", "broken"), "lanes": {"API server": 1}},
            event(10, "pod", "more-0", "ready"),
        ]

    said = step("container: started again\nby address: served\nby name: not served\n")

    def test_steps_are_told_apart_by_when_they_came(self) -> None:
        (found,) = read_ablations(story_of(self.records()), {"kube-scheduler": "more-0"}, {"kube-scheduler": self.said})
        assert found.meanwhile == ("set scaled", "pod made")
        assert found.later == ("pod gets its node", "pod running", "pod ready")
        assert found.halted_before == "pod gets its node"
        assert not found.resumed
        assert found.fails == ["by name"]
        text = ablation_table([found]).text
        assert "meanwhile" in text
        assert "later" in text

    def test_what_had_come_before_the_component_stopped_is_not_missed(self) -> None:
        begun = [event(0, "set", "more", "made"), event(0, "pod", "more-0", "made"), event(0, "pod", "more-0", "bound")]
        records = [*begun, *(each for each in self.records() if each["number"] not in (3, 5, 7))]
        (found,) = read_ablations(story_of(records), {"kube-scheduler": "more-0"}, {"kube-scheduler": self.said})
        assert (found.before, found.meanwhile) == (("set scaled", "pod made", "pod gets its node"), ())
        assert found.halted_before == "pod running"
        assert found.title == "kube-scheduler, after “pod gets its node”"
        assert "· before" in ablation_table([found]).text

    def test_a_set_that_was_scaled_for_another_pod_was_not_for_this_one(self) -> None:
        records = [event(0, "set", "more", "scaled"), *(each for each in self.records() if each["number"] != 3)]
        (found,) = read_ablations(story_of(records), {"kube-scheduler": "more-0"}, {"kube-scheduler": self.said})
        assert (found.before, found.halted_before) == ((), "set scaled")

    def test_a_script_that_said_nothing_proves_nothing(self) -> None:
        (found,) = read_ablations(story_of(self.records()), {"kube-scheduler": "more-0"}, {"kube-scheduler": step("")})
        assert found.fails == ["container", "by address", "by name"]

    def test_what_was_not_stopped_is_an_error(self) -> None:
        with pytest.raises(EvidenceError, match="coredns was broken"):
            read_ablations(story_of(self.records()), {"coredns": "more-0"}, {"coredns": self.said})


def running(**changed: Any) -> Attempt:
    """An attempt in which all is well, but for what is changed."""
    container = {"readinessProbe": {}, "volumeMounts": [{"mountPath": "/data"}]}
    spec = {
        "replicas": 2,
        "template": {"spec": {"containers": [container]}},
        "volumeClaimTemplates": [{}],
    }
    pod = {
        "metadata": {"name": "db-0"},
        "status": {"conditions": [], "containerStatuses": [{"state": {"running": {}}}]},
    }
    claim = {"metadata": {"name": "data-db-0"}, "spec": {"storageClassName": "fast"}, "status": {"phase": "Bound"}}
    good = Attempt("text", the_set={"spec": spec, "status": {"readyReplicas": 2}}, pods=(pod,), claims=(claim,))
    return dataclasses.replace(good, **changed)


def pod_that(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "db-0"}, "status": status}


UNPLACED = pod_that(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes match"}])
NO_IMAGE = pod_that(containerStatuses=[{"state": {"waiting": {"reason": "ErrImageNeverPull", "message": "no x"}}}])
CRASHED = pod_that(containerStatuses=[{"state": {"terminated": {"exitCode": 1}}}])
PENDING = {"metadata": {"name": "data-db-0"}, "spec": {"storageClassName": "fast"}, "status": {"phase": "Pending"}}


class TestExercise:
    @pytest.mark.parametrize(
        ("seen", "unmet", "word"),
        [
            (Attempt("text", said="unknown field"), "the API server takes it", "unknown field"),
            (running(claims=(PENDING,)), "the claims are bound", "'fast'"),
            (running(pods=(UNPLACED,)), "the pods have a node", "0/1 nodes match"),
            (running(pods=(NO_IMAGE,)), "the image is there", "ErrImageNeverPull"),
            (running(pods=(CRASHED,)), "the containers stay up", "exit code 1"),
            (running(the_set={"spec": {"replicas": 2}, "status": {}}), "the pods are ready", "0 of 2"),
            (running(the_set={}), "the pods are ready", "describe"),
            (
                running(the_set={"spec": {"replicas": 1}, "status": {"readyReplicas": 1}}),
                "nothing was taken away",
                "2 replicas, the readiness probe, the claim `data`, its place /data",
            ),
            (running(), None, "nothing was taken away"),
        ],
    )
    def test_each_state_leads_to_its_next_step(self, seen: Attempt, unmet: str | None, word: str) -> None:
        outcome = judge(stuck(ScriptedRunner({})), seen)
        assert outcome.unmet == unmet
        assert word in outcome.message

    def test_the_seed_chooses_the_fault(self) -> None:
        tasks = [stuck(ScriptedRunner({}), seed).task for seed in range(len(FAULTS))]
        assert all(name in task for name, task in zip(FAULTS, tasks, strict=True))

    @pytest.mark.parametrize("text", ["", "# only a comment\n", (ASSETS / "exercise" / FAULTS[0]).read_text()])
    def test_nothing_written_yet_is_no_attempt(
        self, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        FOLDER.mkdir(parents=True)
        (FOLDER / FAULTS[0]).write_text((ASSETS / "exercise" / FAULTS[0]).read_text())
        (FOLDER / "mended.yaml").write_text(text)
        outcome = stuck(ScriptedRunner({})).check()
        assert (outcome.standing, outcome.met) == ("not started", 0)


def documents(path: Path) -> Sequence[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


@pytest.mark.parametrize("path", sorted(ASSETS.rglob("*.yaml")), ids=lambda path: path.name)
def test_manifests_pull_nothing(path: Path) -> None:
    """The node has lab/toolbox; without a policy kubelet would try to pull it, as it has no tag."""
    for each in documents(path):
        spec = each["spec"].get("template", each).get("spec", {}) if each.get("kind") in ("StatefulSet", "Pod") else {}
        for container in spec.get("containers", ()):
            assert container.get("imagePullPolicy") == "Never" or path.name == "broken.yaml"


def test_each_fault_is_one_line() -> None:
    texts = [(ASSETS / "exercise" / name).read_text().splitlines() for name in FAULTS]
    lines = [set(text) for text in texts]
    common = set.intersection(*lines)
    assert all(len(each - common) <= 5 for each in lines)
    assert len({tuple(text) for text in texts}) == len(FAULTS)
