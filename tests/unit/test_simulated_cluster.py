"""The cluster with simulated nodes: when it is chosen, what its nodes may say, what it may touch of this computer."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from labsupport.backends import LabOptions, plan, tool_groups
from labsupport.errors import RequirementMissing
from labsupport.lessons.catalog import LESSONS, Lesson
from labsupport.lessons.needs import Needs
from labsupport.systems.capabilities import Capability
from labsupport.systems.clusters.control_plane import Addresses, ControlPlane
from labsupport.systems.clusters.dns import corefile
from labsupport.systems.clusters.network import NetworkPlan
from labsupport.systems.clusters.simulated import nodes, volumes
from labsupport.systems.clusters.simulated.startup import free_ports
from labsupport.systems.timeline.actors import LANES, lane_of, lanes_of_component, who_wrote, works_for

NOT_ROOT = Capability("namespaces machine", False, "it takes root", "use `sudo ./lab …`")
POSSIBLE = Capability("namespaces machine", True, "root, and a kernel with all namespaces")
AT_HAND = Capability("simulated nodes", True, "its programs are here")
NOT_HERE = Capability("simulated nodes", False, "kwok: not here")
SOME = Needs(nodes=2, images=("lab/toolbox",), tools=("ext4",), local_path=True, simulated_nodes=True)


def stages() -> dict[str, Any]:
    return {each["metadata"]["name"]: each["spec"] for each in yaml.safe_load_all(nodes.STAGES.read_text())}


def test_who_can_have_no_machine_gets_simulated_nodes_where_they_will_do_and_are_at_hand() -> None:
    chosen = plan(LabOptions(), NOT_ROOT, AT_HAND)
    assert (chosen.machine, chosen.simulates, chosen.is_anything_live) == (None, True, True)
    assert chosen.why_not(SOME) == ""
    assert chosen.within(SOME) == Needs(nodes=2, simulated_nodes=True)
    assert "kwok" not in str(plan(LabOptions(), NOT_ROOT, NOT_HERE))
    assert not plan(LabOptions(), NOT_ROOT, NOT_HERE).is_anything_live
    assert plan(LabOptions(), POSSIBLE, AT_HAND).machine == "namespaces"


def test_what_takes_real_nodes_or_an_engine_is_replayed_and_the_reason_says_what_is_missing() -> None:
    chosen = plan(LabOptions(), NOT_ROOT, AT_HAND)
    assert "takes real ones" in chosen.why_not(Needs(nodes=2))
    assert "it takes root" in chosen.why_not(Needs(nodes=2))
    assert "it takes root" in chosen.why_not(Needs(engine=True, nodes=1, simulated_nodes=True))
    assert chosen.why_not(Needs()) == ""
    assert chosen.within(Needs(engine=True, nodes=2, tools=("capture",))) == Needs()


@pytest.mark.parametrize("asked", [LabOptions(engine="replay"), LabOptions(cluster="replay")])
def test_replay_that_was_asked_for_starts_no_simulation(asked: LabOptions) -> None:
    assert not plan(asked, NOT_ROOT, AT_HAND).simulates


def test_asked_for_by_name_they_are_had_whatever_else_could_be_and_beside_nothing_that_takes_a_machine() -> None:
    chosen = plan(LabOptions(cluster="simulated"), POSSIBLE)
    assert (chosen.machine, chosen.simulates) == (None, True)
    assert "was asked for" in chosen.why_not(Needs(engine=True))
    assert tool_groups(chosen.within(SOME)) == ("control-plane", "coredns", "simulated-nodes")
    with pytest.raises(RequirementMissing, match="--engine private beside"):
        plan(LabOptions(cluster="simulated", engine="private"), POSSIBLE)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.slug)
def test_what_takes_real_nodes_is_said_of_recorded_experiments_only_and_with_a_reason(lesson: Lesson) -> None:
    recorded = {file.name.partition("@")[0] for file in Path("notebooks/evidence", lesson.slug).glob("*.json")}
    assert lesson.real_nodes.keys() <= recorded
    assert all(lesson.real_nodes.values())
    assert lesson.needs.simulated_nodes == bool(lesson.real_nodes)


def test_nothing_opens_a_readiness_gate_but_who_writes_its_condition() -> None:
    written = str(stages()["pod-runs"]["next"])
    assert "conditionType" not in written
    assert "{{ if .spec.readinessGates }}" in written


def test_no_pod_completes_but_that_of_a_job() -> None:
    completing = [name for name, spec in stages().items() if "Succeeded" in str(spec["next"])]
    assert completing == ["pod-completes"]
    owners = [each for each in stages()["pod-completes"]["selector"]["matchExpressions"] if "owner" in each["key"]]
    assert [each["values"] for each in owners] == [["Job"]]


def test_a_node_says_that_it_is_simulated_wherever_one_looks_and_has_no_address() -> None:
    node = nodes.simulated_node("node-2", 1, NetworkPlan(), "0.8.0")
    assert node["spec"]["podCIDR"] == "10.244.1.0/24"
    info = node["status"]["nodeInfo"]
    for what in ("kubeletVersion", "containerRuntimeVersion", "osImage", "kernelVersion"):
        assert "simulated-by-kwok-0.8.0" in info[what]
    assert {each["type"] for each in node["status"]["addresses"]} == {"Hostname"}


def test_what_kwok_writes_is_never_taken_for_a_kubelets_or_the_learners() -> None:
    who = who_wrote(nodes.USER)
    assert who == "simulated kubelet"
    assert lane_of(who) in LANES
    assert works_for(who, "kwok")
    assert lanes_of_component("kwok") == (who,)


def test_the_control_plane_is_reached_on_this_computer_only(tmp_path: Path) -> None:
    here = Addresses("127.0.0.1", "127.0.0.1", 7001, 7002, only_here=True)
    words = ControlPlane(tmp_path / "plane", here, NetworkPlan()).api_server(Path("/x"))
    assert {"--bind-address=127.0.0.1", "--secure-port=7001", "--endpoint-reconciler-type=none"} <= set(words)
    names = corefile(kubeconfig="/k", port=7002, only_at="127.0.0.1")
    assert names.count("bind 127.0.0.1") == names.count(".:7002") + 1 == 2
    assert "8181" not in names
    assert "bind" not in corefile(kubeconfig="/k")
    assert len(set(free_ports(3))) == 3


def volume_event(user: str, path: str, verb: str = "create") -> str:
    request = {"spec": {"hostPath": {"path": path}}}
    who = f"system:serviceaccount:kube-system:{user}"
    return json.dumps(
        {
            "verb": verb,
            "user": {"username": who},
            "objectRef": {"resource": "persistentvolumes"},
            "requestObject": request,
        }
    )


def test_only_folders_that_the_controllers_made_are_removed() -> None:
    lines = [
        volume_event("persistent-volume-binder", "/tmp/hostpath_pv/1-2"),
        volume_event("persistent-volume-binder", "/tmp/hostpath_pv/../home"),
        volume_event("persistent-volume-binder", "/tmp/hostpath_pv/1-3", verb="update"),
        volume_event("somebody", "/tmp/hostpath_pv/theirs"),
        '{"persistentvolumes" "create" broken',
    ]
    assert list(volumes.made_volumes(iter(lines))) == [Path("/tmp/hostpath_pv/1-2")]


def test_volumes_in_a_folder_that_is_nobodys_or_everybodys_are_promised_and_in_no_other(tmp_path: Path) -> None:
    place = tmp_path / "place"
    assert volumes.why_no_place(place) == ""
    volumes.have_place(place)
    assert place.stat().st_mode & 0o7777 == 0o1777
    assert volumes.why_no_place(place) == ""
    place.rmdir()
    place.symlink_to(tmp_path)
    assert str(place) in volumes.why_no_place(place)


def test_a_volume_of_this_computers_own_folders_is_refused() -> None:
    policy = volumes.rule()[0][1]["spec"]
    assert policy["failurePolicy"] == "Fail"
    assert "startsWith('/tmp/hostpath_pv/')" in policy["validations"][0]["expression"]
    assert volumes.rule()[1][1]["spec"]["validationActions"] == ["Deny"]
