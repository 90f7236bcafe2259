"""What a lab decides before it starts anything: what can be live, and that nothing else is reached."""

import os

import pytest

from labsupport.backends import (
    NOTHING_CHOSEN,
    Backends,
    Existing,
    LabOptions,
    Looks,
    Plan,
    plan,
    takes_a_guest,
    tool_groups,
)
from labsupport.errors import RequirementMissing
from labsupport.lessons.catalog import LESSONS
from labsupport.lessons.needs import Needs
from labsupport.process.commands import LocalRunner
from labsupport.systems.capabilities import Capability
from labsupport.systems.clusters.objects import Snapshot as OnCluster
from labsupport.systems.engines.objects import Snapshot as OnEngine

BOTH = Needs(engine=True, nodes=1)
POSSIBLE = Capability("namespaces machine", True, "root, and a kernel with all namespaces")
NOT_ROOT = Capability("namespaces machine", False, "it takes root", "use `sudo ./lab …`")


def test_root_gets_everything_live() -> None:
    chosen = plan(LabOptions(), POSSIBLE)
    assert (chosen.machine, chosen.why_not(BOTH)) == ("namespaces", "")


def test_an_ordinary_user_gets_recorded_evidence_and_the_reason() -> None:
    chosen = plan(LabOptions(), NOT_ROOT)
    assert chosen.machine is None
    assert "root" in chosen.why_not(BOTH)
    assert tool_groups(chosen.within(BOTH)) == ()


def test_log_collectors_are_not_to_be_had_in_a_container_machine() -> None:
    collectors = Needs(engine=True, tools=("syslog",))
    assert "collectors" in Plan("container").why_not(collectors)
    assert Plan("namespaces").why_not(collectors) == Plan("container").why_not(BOTH) == ""


def test_root_without_the_right_to_namespaces_gets_recorded_evidence_too() -> None:
    contained = Capability("namespaces machine", False, "this root may not make namespaces", "use another computer")
    assert plan(LabOptions(), contained).machine is None
    with pytest.raises(RequirementMissing, match="use another computer"):
        plan(LabOptions(machine="namespaces"), contained)


@pytest.mark.parametrize(
    "asked", [LabOptions(engine="private"), LabOptions(cluster="embedded"), LabOptions(machine="namespaces")]
)
def test_what_is_asked_for_by_name_is_never_replaced_silently(asked: LabOptions) -> None:
    with pytest.raises(RequirementMissing, match="sudo"):
        plan(asked, NOT_ROOT)


def test_replay_of_the_engine_spares_the_cluster_too_unless_that_is_asked_for() -> None:
    assert plan(LabOptions(engine="replay"), POSSIBLE).machine is None
    chosen = plan(LabOptions(engine="replay", cluster="embedded"), POSSIBLE)
    assert chosen.why_not(Needs(engine=True))
    assert chosen.within(BOTH) == Needs(nodes=1)


def test_replay_of_the_cluster_leaves_the_engine_live() -> None:
    assert plan(LabOptions(cluster="replay"), POSSIBLE).within(BOTH) == Needs(engine=True)


def test_needs_add_up() -> None:
    together = Needs(engine=True, images=("lab/toolbox",)) | Needs(nodes=2, images=("lab/agnhost", "lab/toolbox"))
    assert together == Needs(engine=True, nodes=2, images=("lab/agnhost", "lab/toolbox"))


def test_options_come_from_the_environment_where_they_say_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_ENGINE", "replay")
    monkeypatch.setenv("LAB_CLUSTER", "replay")
    assert LabOptions(cluster="embedded").or_from_environment() == LabOptions("replay", "embedded", "auto")
    for name, value in NOTHING_CHOSEN.items():
        monkeypatch.setenv(name, value)
    assert LabOptions().or_from_environment() == LabOptions("auto", "auto", "auto")


def test_options_reach_another_process_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = LabOptions("replay", "auto", "none")
    for name, value in asked.as_environment().items():
        monkeypatch.setenv(name, value)
    assert LabOptions().or_from_environment() == asked
    assert LabOptions().as_environment() == {}


@pytest.mark.parametrize("command", ["docker", "kubectl"])
def test_where_nothing_is_live_commands_reach_nothing_of_the_user(command: str) -> None:
    environment = Backends(Plan(None, "no root", "no root")).environment
    result = LocalRunner(environment).run(["sh", "-c", f"{command} ps"])
    assert result.exit_code == 3
    assert "live in this lab" in result.stderr
    assert environment["DOCKER_HOST"] != os.environ.get("DOCKER_HOST")


def test_what_existed_survives_being_written_down() -> None:
    ids = frozenset({"a", "b"})
    existing = Existing(OnEngine(ids, ids, ids, ids, {"image:latest": "a"}, ids), OnCluster(ids))
    assert Existing.from_json(existing.as_json()) == existing
    assert Existing.from_json(Existing().as_json()) == Existing()


def test_kind_takes_the_labs_engine_and_tools_of_its_own() -> None:
    chosen = plan(LabOptions(cluster="kind"), POSSIBLE)
    assert chosen.within(Needs(nodes=2)) == Needs(engine=True, nodes=2, tools=("kind",))
    assert chosen.within(Needs(engine=True)) == Needs(engine=True)
    assert plan(LabOptions(), POSSIBLE).within(Needs(nodes=2)) == Needs(nodes=2)
    with pytest.raises(RequirementMissing, match="nodes are containers of the lab's engine"):
        plan(LabOptions(engine="replay", cluster="kind"), POSSIBLE)
    with pytest.raises(RequirementMissing, match="sudo"):
        plan(LabOptions(cluster="kind"), NOT_ROOT)


def test_a_notebook_that_takes_more_than_was_tried_on_kind_is_replayed_there_and_says_why() -> None:
    chosen = plan(LabOptions(cluster="kind"), POSSIBLE)
    live = {each.slug[:2] for each in LESSONS if not chosen.why_not(each.needs)}
    assert live == {"00", "02", "03", "04", "06", "07", "08", "09"}
    assert "embedded cluster only" in chosen.why_not(Needs(nodes=2, tools=("bgp",)))
    assert plan(LabOptions(), POSSIBLE).why_not(Needs(nodes=2, tools=("bgp",))) == ""


def test_your_own_engine_needs_no_machine_and_what_takes_one_is_replayed_with_the_reason() -> None:
    chosen = plan(LabOptions(engine="own"), NOT_ROOT)
    assert chosen.machine is None
    assert chosen.is_anything_live
    assert chosen.why_not(Needs(engine=True, tools=("git",))) == ""
    for more in (Needs(engine=True, engines=("old",)), Needs(engine=True, tools=("capture",))):
        assert "no machine of its own" in chosen.why_not(more)
    assert "--engine own was asked for" in chosen.why_not(BOTH)


def test_your_own_cluster_shows_no_audit_log_and_the_engine_beside_it_is_yours_or_recorded() -> None:
    chosen = plan(LabOptions(cluster="own"), POSSIBLE)
    assert "audit log" in chosen.why_not(Needs(nodes=1))
    assert "--cluster own was asked for" in chosen.why_not(Needs(engine=True))
    both = plan(LabOptions(engine="own", cluster="own"), POSSIBLE)
    assert (both.no_engine, both.no_cluster) == ("", "")
    assert plan(LabOptions(engine="replay", cluster="own"), POSSIBLE).no_engine == "--engine replay was asked for"


@pytest.mark.parametrize(
    "asked",
    [
        LabOptions(engine="own", cluster="embedded"),
        LabOptions(engine="private", cluster="own"),
        LabOptions(engine="own", machine="namespaces"),
    ],
)
def test_one_lab_is_on_a_machine_or_on_what_is_yours(asked: LabOptions) -> None:
    with pytest.raises(RequirementMissing, match="two labs"):
        plan(asked, POSSIBLE)


def test_kind_makes_a_cluster_on_your_own_engine_and_what_takes_a_machine_is_replayed_with_the_reason() -> None:
    chosen = plan(LabOptions(engine="own", cluster="kind"), NOT_ROOT)
    assert (chosen.machine, chosen.is_visit, chosen.why_not(BOTH)) == (None, True, "")
    assert chosen.within(Needs(nodes=2)) == Needs(engine=True, nodes=2, tools=("kind",))
    live = {each.slug[:2] for each in LESSONS if not chosen.why_not(each.needs)}
    assert live == {"00", "06", "07", "08", "09"}
    assert "no machine of its own" in chosen.why_not(Needs(engine=True, engines=("old",)))
    assert "embedded cluster only" in chosen.why_not(Needs(nodes=2, tools=("bgp",)))
    with pytest.raises(RequirementMissing, match="two labs"):
        plan(LabOptions(engine="own", cluster="kind", machine="namespaces"), POSSIBLE)


def test_the_right_to_change_a_cluster_reaches_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = LabOptions(cluster="own", allow_cluster_changes=True)
    assert not LabOptions(cluster="own").or_from_environment().allow_cluster_changes
    for name, value in asked.as_environment().items():
        monkeypatch.setenv(name, value)
    assert LabOptions().or_from_environment() == asked
    assert plan(asked, POSSIBLE).may_change_cluster


def test_a_lab_on_what_is_yours_never_runs_in_a_guest_container() -> None:
    def never() -> Capability:
        raise AssertionError("nothing needs to be looked at")

    assert not takes_a_guest(LabOptions(engine="own"), Looks(never, never, never))
    assert not takes_a_guest(LabOptions(cluster="own", engine="replay"), Looks(never, never, never))
