"""The benchmark: what its numbers mean, who is measured when, what survives a failure, and how it is told."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from labsupport.benchmark import page
from labsupport.benchmark.computer import Computer
from labsupport.benchmark.equipment import Equipment, Seen
from labsupport.benchmark.measures import MEASURES, Target
from labsupport.benchmark.readings import disk_megabytes
from labsupport.benchmark.result import Result, result_of
from labsupport.benchmark.rounds import Failure, Log, order_of, run_rounds
from labsupport.benchmark.running import in_words
from labsupport.benchmark.spread import Spread, paired, spread_of
from labsupport.benchmark.subjects import SUBJECTS, Subject, choose, impossible_here
from labsupport.cli import app
from labsupport.errors import EngineError, RequirementMissing, UsageError
from labsupport.project import Project
from labsupport.systems.capabilities import Capability

COMPUTER = Computer(
    kernel="6.18",
    architecture="x86_64",
    processor="Some processor",
    cores=2,
    memory_megabytes=23000,
    cgroup_version=1,
    python="3.11.2",
    load=0.1,
    busy_percent=1.0,
    tools={"etcd": "v3.6.6"},
)


def subject(name: str, measure: Callable[[Equipment], Seen], rounds: int = 5) -> Subject:
    return Subject(name, f"{name}, started", 1, measure, rounds=rounds)


def giving(**values: float) -> Callable[[Equipment], Seen]:
    return lambda _: Seen({name.replace("_", "-"): value for name, value in values.items()})


@pytest.fixture
def equipment(tmp_path: Path) -> Equipment:
    return Equipment(Project(tmp_path))


def measured(equipment: Equipment, *subjects: Subject, rounds: int | None = None) -> Log:
    return run_rounds(equipment, subjects, rounds, lambda *_: None)


def result(log: Log, impossible: Mapping[str, str] | None = None) -> Result:
    started = "2026-11-26T10:00:00+00:00"
    return result_of(log, COMPUTER, version="0.1.0", started=started, seconds=300, impossible=impossible or {})


def example() -> Result:
    log = Log(loads=[0.1, 0.9])
    log.seen["cluster"] = {
        1: Seen({"cluster-ready": 2.0, "cluster-close": 0.5, "cluster-peak": 700.0}),
        2: Seen({"cluster-ready": 4.0, "cluster-close": 0.7, "cluster-peak": None}),
    }
    log.seen["floor"] = {1: Seen({"floor-ready": 1.0}), 2: Seen({"floor-ready": 4.0})}
    log.seen["pods"] = {1: Seen({"pods-100": 9.0}, curve=((1.0, 1.0), (5.0, 60.0), (9.0, 100.0)))}
    log.seen["disk"] = {1: Seen({"cache": 30.0}, parts={"cache": {"area tools": 20.0, "area <images>": 10.0}})}
    return result(log)


def test_the_median_of_an_even_number_is_halfway_between_the_two_in_the_middle() -> None:
    assert spread_of([4.0, 1.0, 2.0, 9.0]) == Spread(3.0, 1.0, 9.0)
    assert spread_of([5.0, 1.0, 3.0]) == Spread(3.0, 1.0, 5.0)


def test_ratios_are_of_the_same_round_and_of_no_other() -> None:
    assert paired({1: 6.0, 2: 9.0, 4: 1.0}, {1: 2.0, 2: 9.0, 3: 1.0}) == {1: 3.0, 2: 1.0}


def test_the_ratio_shown_is_the_median_of_ratios_not_the_ratio_of_medians() -> None:
    ratio = next(one for one in example().measures if one.name == "cluster-to-floor")
    assert ratio.values == (2.0, 1.0)
    assert (ratio.median, ratio.least, ratio.most) == (1.5, 1.0, 2.0)
    assert ratio.target is not None and not ratio.target.met


def test_a_target_may_be_reached_and_not_passed() -> None:
    assert Target(3.0).is_met(3.0) and not Target(3.0).is_met(3.01)
    assert Target(3.0, at_least=True).is_met(3.0) and not Target(3.0, at_least=True).is_met(2.99)


def test_the_order_turns_round_every_round_and_neighbours_stay_neighbours() -> None:
    subjects = [subject("a", giving()), subject("b", giving()), subject("once", giving(), rounds=1)]
    assert [[each.name for each in order_of(subjects, number)] for number in (1, 2, 3)] == [
        ["a", "b", "once"],
        ["b", "a"],
        ["a", "b"],
    ]
    assert [each.name for each in order_of(subjects, 2, rounds=2)] == ["once", "b", "a"]
    assert order_of(subjects, 3, rounds=2) == []


def test_rounds_run_in_that_order(equipment: Equipment) -> None:
    order: list[str] = []

    def noting(name: str) -> Callable[[Equipment], Seen]:
        return lambda _: order.append(name) or Seen({})  # type: ignore[func-returns-value]

    log = measured(equipment, *(subject(name, noting(name)) for name in "ab"), rounds=3)
    assert "".join(order) == "abbaab"
    assert sorted(log.seen["a"]) == [1, 2, 3]
    assert len(log.loads) == 3


def test_a_failure_is_kept_and_the_others_go_on(equipment: Equipment) -> None:
    def fail(_: Equipment) -> Seen:
        raise EngineError("dockerd", "it refused", "read the log")

    log = measured(equipment, subject("engine", fail), subject("floor", giving(floor_ready=2.0)), rounds=2)
    assert [(one.subject, one.round) for one in log.failures] == [("engine", 1), ("engine", 2)]
    assert "it refused" in log.failures[0].error
    assert [one.values for one in result(log).measures] == [(2.0, 2.0)]


def test_ctrl_c_keeps_what_was_measured(equipment: Equipment) -> None:
    rounds = iter([Seen({"floor-ready": 2.0})])

    def stop(_: Equipment) -> Seen:
        try:
            return next(rounds)
        except StopIteration:
            raise KeyboardInterrupt from None

    log = measured(equipment, subject("floor", stop), rounds=5)
    assert log.stopped
    found = result(log)
    assert [one.values for one in found.measures] == [(2.0,)]
    assert "Ctrl-C" in "\n".join(page.remarks(found))


def test_every_measure_belongs_to_a_subject_that_the_page_and_the_help_name() -> None:
    names = [each.name for each in SUBJECTS]
    assert {one.subject for one in MEASURES} == set(names) == set(page.TITLES)
    assert len({one.name for one in MEASURES}) == len({one.title for one in MEASURES}) == len(MEASURES)
    known = {one.name for one in MEASURES}
    assert all(set(one.ratio) <= known for one in MEASURES if one.ratio)
    bench = next(each for each in app.registered_commands if each.callback and each.callback.__name__ == "bench")
    assert bench.callback is not None
    assert not [name for name in names if f"`{name}`" not in (bench.callback.__doc__ or "")]


def test_those_that_a_ratio_compares_stand_side_by_side() -> None:
    names = [each.name for each in SUBJECTS]
    subject_of = {one.name: one.subject for one in MEASURES}
    for one in MEASURES:
        if one.ratio:
            places = [names.index(subject_of[each]) for each in one.ratio]
            assert abs(places[0] - places[1]) == 1, one.name


def test_subjects_are_chosen_by_their_name_or_a_measures() -> None:
    def names(*words: str, notebooks: bool = False) -> list[str]:
        return [each.name for each in choose(words, notebooks=notebooks)]

    assert names("engine", "cluster") == ["cluster", "engine"]
    assert names("second-rest") == ["beside"]
    assert names("cluster-to-floor") == ["cluster", "floor"]
    assert names("kind-to-statefulset") == ["kind", "cluster"]
    assert names("kind-delete") == ["kind"]
    assert not {"notebooks", "vm"} & set(names())
    assert names("vm-ready") == ["vm"]
    assert names(notebooks=True) == [*names(), "notebooks"]
    assert names("disk", notebooks=True) == ["disk", "notebooks"]
    with pytest.raises(UsageError, match="did you mean engine"):
        names("enigne")


def test_what_cannot_be_measured_is_told_with_the_reason() -> None:
    absent = {one.name: one.because for one in example().not_measured}
    assert absent["cluster-rest"] == absent["cluster-cpu"] == "this kernel keeps no such count"
    assert "cluster-peak" not in absent
    assert "kind-create" not in absent


def test_what_a_computer_cannot_have_is_left_out_unless_somebody_asks_for_it() -> None:
    def no_kind() -> Capability:
        return Capability("kind cluster", False, "this is no Debian", "use Debian")

    rare = replace(subject("kind", giving()), possible=no_kind)
    common = replace(subject("engine", giving()), possible=lambda: Capability("engine", True, "root"))
    found = impossible_here([rare, common, subject("floor", giving())], named=False)
    assert found == {"kind": "this is no Debian"}
    with pytest.raises(RequirementMissing, match="no Debian"):
        impossible_here([rare], named=True)
    assert impossible_here([common], named=True) == {}
    told = {one.name: one for one in result(Log(), found).not_measured}
    assert told.keys() == {one.name for one in MEASURES if one.subject == "kind"} >= {"kind-to-statefulset"}
    assert (told["kind-create"].because, told["kind-create"].target) == ("this is no Debian", "at most 11 s")


def test_kind_is_as_many_times_slower_as_it_took_in_the_same_round() -> None:
    log = Log()
    log.seen["kind"] = {1: Seen({"kind-statefulset": 20.0}), 2: Seen({"kind-statefulset": 12.0})}
    log.seen["cluster"] = {1: Seen({"statefulset": 5.0}), 2: Seen({"statefulset": 6.0})}
    ratio = next(one for one in result(log).measures if one.name == "kind-to-statefulset")
    assert ratio.values == (4.0, 2.0)
    assert ratio.target is not None and ratio.target.met and ratio.target.in_words == "at least 3 times"


def test_the_json_is_the_whole_result() -> None:
    found = example()
    data = json.loads(found.model_dump_json())
    assert Result.model_validate(data) == found
    ready = next(one for one in data["measures"] if one["name"] == "cluster-ready")
    assert {key: ready[key] for key in ("unit", "rounds", "values", "median", "least", "most")} == {
        "unit": "s",
        "rounds": [1, 2],
        "values": [2.0, 4.0],
        "median": 3.0,
        "least": 2.0,
        "most": 4.0,
    }
    assert ready["target"] == {"value": 3.0, "at_least": False, "in_words": "at most 3 s", "met": True}
    assert data["computer"]["kernel"] == "6.18" and data["computer"]["tools"] == {"etcd": "v3.6.6"}
    assert data["curves"] == [{"subject": "pods", "round": 1, "points": [[1.0, 1.0], [5.0, 60.0], [9.0, 100.0]]}]
    peak = next(one for one in data["measures"] if one["name"] == "cluster-peak")
    assert peak["rounds"] == [1]


def test_what_misses_its_target_is_named() -> None:
    assert {one.name for one in example().missed} == {"cluster-close", "cluster-to-floor"}


def test_a_busy_computer_is_warned_of() -> None:
    assert COMPUTER.warning == ""
    assert "load 1.4" in COMPUTER.model_copy(update={"load": 1.4}).warning
    assert "40% of 2 cores" in COMPUTER.model_copy(update={"busy_percent": 40.0}).warning


def test_the_page_says_each_figure_again_in_words_and_as_a_table(tmp_path: Path) -> None:
    written = page.write(tmp_path / "bench", example()).read_text()
    figures = written.split("<figure")[1:]
    # cluster: seconds, megabytes, times; floor; pods and their curve; disk and its parts.
    assert len(figures) == 8
    for figure in figures:
        drawn = figure.partition("</figure>")[0]
        assert 'role="img" aria-label="' in drawn
        assert "<summary>The same as a table</summary>" in drawn
        assert "<caption>" in drawn
    assert "from nothing to node Ready: median 3.00 s, 2.00 to 4.00, target at most 3 s, met" in written
    assert "target (s)" in written
    assert "area &lt;images&gt;" in written and "<images>" not in written
    assert Result.model_validate_json((tmp_path / "bench" / "result.json").read_text()) == example()


def test_the_page_stands_alone_and_takes_the_readers_theme(tmp_path: Path) -> None:
    written = page.write(tmp_path, example()).read_text()
    assert "<script" not in written and "src=" not in written and "@import" not in written
    assert "color-scheme: light dark" in written and "light-dark(" in written


def test_the_terminal_shows_medians_targets_failures_and_where_the_page_is(tmp_path: Path) -> None:
    found = example()
    failed = found.model_copy(update={"failures": (Failure("engine", 2, "Tried: dockerd"),)})
    said = in_words(Project(tmp_path), failed)
    assert "✗ missed" in said and "✓ met" in said
    assert "engine failed in round 2: Tried: dockerd" in said
    assert said.endswith("build/bench/index.html")
    assert "1 of 3 targets met by the median. Missed: cluster-to-floor, cluster-close." in said


def test_a_file_of_two_names_takes_its_disk_once(tmp_path: Path) -> None:
    empty = disk_megabytes(tmp_path)
    (tmp_path / "one").write_bytes(os.urandom(1_000_000))
    once = disk_megabytes(tmp_path) - empty
    assert 0.9 < once < 1.1
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    (tmp_path / "three").symlink_to("/")
    assert disk_megabytes(tmp_path) - empty == pytest.approx(once, abs=0.01)
