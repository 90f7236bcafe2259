"""Notebook 07's readers, rules and exercise, on plain values: what they tell apart, and what they refuse."""

import datetime
import json
import re
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from labsupport.display.lives import (
    BETWEEN,
    LONGEST_LINE,
    NARROWEST_STEP,
    Life,
    Turn,
    edges_of,
    lives_figure,
    shortened,
    spans,
)
from labsupport.display.states import BEND, LONGEST_LINE_BELOW, State, Way, bend_of, states_figure
from labsupport.display.style import BAD
from labsupport.display.tables import table
from labsupport.errors import EvidenceError
from labsupport.experiments.exercises import Standing, judge
from labsupport.experiments.steps import Step
from labsupport.lessons import reclaim
from labsupport.lessons.reclaim.ends import RECYCLER, End
from labsupport.lessons.reclaim.exercise import DATA, LOSSES, Rescue
from labsupport.lessons.reclaim.explorer import (
    DYNAMIC,
    FILES,
    RECYCLE,
    STEPS,
    apply_claim,
    apply_command,
    by_the_rules,
    explanation,
    name_of,
)
from labsupport.lessons.reclaim.lives import STRIP, lives_of
from labsupport.lessons.reclaim.phases import Change, changes_of, phases_figure
from labsupport.project import this_project
from tests.explorers import swept
from tests.scripted import ScriptedRunner

SLUG = "07-pv-reclaim"
POSITIONS = [
    {"policy": policy, "volume": volume, "step": step}
    for policy, volume, step in product(("Retain", "Recycle", "Delete"), FILES, STEPS)
]


def step(stdout: str, exit_code: int = 0) -> Step:
    return Step(f"{SLUG}/life", 1, ("kubectl", "get"), exit_code, stdout, "", 0.1)


def record(lane: str, kind: str, *tags: str, volume: str = "shelf", at: float = 0.0) -> dict[str, Any]:
    return {"at": at, "lane": lane, "kind": kind, "tags": list(tags), "volume": volume, "what": " ".join(tags)}


def recycled() -> list[dict[str, Any]]:
    controller = "volume controller"
    return [
        record("you", "volume", "made"),
        record(controller, "volume", "available"),
        record("you", "claim", "made"),
        record(controller, "volume", "bound"),
        record(controller, "claim", "bound"),
        record("disk", "folder", "filled"),
        record("you", "claim", "deleted"),
        record("protection controllers", "claim", "gone"),
        record(controller, "volume", "released"),
        record(controller, "pod", "made"),
        record("kubelet", "pod", "ready"),
        record("disk", "folder", "emptied"),
        record("kubelet", "pod", "succeeded"),
        record(controller, "volume", "unclaimed"),
        record(controller, "volume", "available"),
    ]


class TestLives:
    def test_a_life_has_phases_a_disk_and_those_who_acted_after_release(self) -> None:
        lives = lives_of(recycled())
        assert lives.phases("shelf") == ["Pending", "Available", "Bound", "Released", "Available"]
        assert (lives.phase("shelf"), lives.disk("shelf")) == ("Available", "empty")
        assert lives.actors("shelf") == ["volume controller", "kubelet"]

    def test_a_retained_volume_has_nobody_acting(self) -> None:
        assert lives_of(recycled()[:9]).actors("shelf") == []

    def test_what_a_person_does_after_release_is_told(self) -> None:
        lives = lives_of([*recycled()[:9], record("you", "volume", "policy-set")])
        assert lives.actors("shelf") == ["you"]

    def test_the_end_of_the_claim_logged_late_is_no_act_on_the_volume(self) -> None:
        told = recycled()[:9]
        told[7], told[8] = told[8], told[7]
        assert [each["tags"] for each in told[7:]] == [["released"], ["gone"]]
        assert lives_of(told).actors("shelf") == []

    def test_a_removed_volume_is_gone_and_so_is_its_folder(self) -> None:
        ends = [record("volume controller", "volume", "gone"), record("disk", "folder", "gone")]
        lives = lives_of([*recycled()[:9], *ends])
        assert lives.phases("shelf")[-1] == "gone"
        assert (lives.phase("shelf"), lives.disk("shelf")) == ("gone", "gone")

    def test_several_lives_are_kept_apart_and_what_is_about_none_is_left_out(self) -> None:
        other = [{**each, "volume": "other"} for each in recycled()[:2]]
        lives = lives_of([*recycled(), *other, record("disk", "folder", "filled", volume="")])
        assert list(lives.all) == ["shelf", "other"]
        assert lives.phases("other") == ["Pending", "Available"]

    @pytest.mark.parametrize("records", [[], [record("you", "claim", "made")]])
    def test_a_timeline_without_volumes_is_no_evidence(self, records: list[dict[str, Any]]) -> None:
        with pytest.raises(EvidenceError, match="no volume is in"):
            lives_of(records)

    def test_a_volume_nobody_recorded_is_named(self) -> None:
        with pytest.raises(EvidenceError, match="not among shelf"):
            lives_of(recycled())["elsewhere"]

    def test_the_figure_tells_phases_in_words_and_its_table_has_every_step(self) -> None:
        lives = lives_of(recycled())
        figure = lives.figure("One life")
        assert "shelf: Pending → Available → Bound → Released → Available" in figure.alt
        assert len(figure.table.rows) == len(lives["shelf"].turns)
        assert "volume controller" in figure.svg
        assert "#0069a8" not in figure.svg.replace("var(--lab-series-1, #0069a8)", "")


def kept() -> list[dict[str, Any]]:
    return [{**each, "volume": "kept"} for each in recycled()[:9]]


def taken_back() -> list[dict[str, Any]]:
    """What a later recording has of it: it begins when the volume is there already."""
    controller = "volume controller"
    return [
        record("you", "claim", "made", volume="kept"),
        record("you", "volume", "unclaimed", volume="kept"),
        record(controller, "volume", "available", volume="kept"),
        record(controller, "volume", "bound", volume="kept"),
    ]


def end(name: str, phase: str, began: str = "Bound") -> End:
    return End(name, "local", f"/srv/{name}", began, phase)


class TestPhases:
    def test_a_change_has_its_writer_and_what_was_done_right_before(self) -> None:
        found = list(changes_of([lives_of(recycled())]))
        assert [(each.before, each.after, each.cause) for each in found] == [
            ("not there", "Pending", None),
            ("Pending", "Available", None),
            ("Available", "Bound", ("claim made", "you")),
            ("Bound", "Released", ("claim let go", "protection controllers")),
            ("Released", "Available", ("claim taken off", "volume controller")),
        ]
        assert [each.who for each in found] == ["you", *["volume controller"] * 4]

    def test_a_removed_volume_ends_as_gone(self) -> None:
        ends = [
            record("volume controller", "volume", "deleted"),
            record("protection controllers", "volume", "gone"),
            record("disk", "folder", "gone"),
        ]
        last = list(changes_of([lives_of([*recycled()[:9], *ends])]))[-1]
        asked = ("end asked for", "volume controller")
        assert last == Change("shelf", "Released", "gone", "protection controllers", asked)

    def test_a_later_recording_goes_on_where_the_volume_was(self) -> None:
        found = list(changes_of([lives_of(kept()), lives_of(taken_back())]))
        assert [(each.before, each.after) for each in found[-3:]] == [
            ("Bound", "Released"),
            ("Released", "Available"),
            ("Available", "Bound"),
        ]
        assert (found[-2].cause, found[-1].cause) == (("claim taken off", "you"), None)

    def test_a_volume_made_anew_under_its_name_begins_anew(self) -> None:
        found = list(changes_of([lives_of(kept()), lives_of(kept())]))
        assert [each.after for each in found] == ["Pending", "Available", "Bound", "Released"] * 2
        assert found[4].before == "not there"

    def test_what_was_only_looked_at_is_dashed_where_no_recorded_way_leads_there(self) -> None:
        ends = {each.name: each for each in (end("a", "Failed"), end("b", "Available"), end("c", "Bound"))}
        figure = phases_figure("Phases", lives_of(recycled()), ends=ends)
        assert "Bound → Failed (dashed)" in figure.alt and figure.alt.count("dashed") == 1
        assert "Bound → Available" not in figure.alt
        assert "looked at before and after only" in figure.svg
        assert "not counted: 2 more" in figure.svg
        assert "went no other ways: b, c" in figure.table.text
        # The one of the recording and a; b and c went ways that are drawn, but nobody saw them go.
        assert figure.svg.count("1 end here") == 2 and figure.svg.count(" end here") == 2
        rows = {(row[0], row[1]): row[2:] for row in figure.table.rows}
        assert rows["Bound", "Failed"] == (1, "looked at before and after only", None, "a")

    def test_nothing_is_dashed_or_named_that_nobody_saw(self) -> None:
        figure = phases_figure("Phases", lives_of(kept()), ends={})
        assert "dashed" not in figure.alt + figure.svg
        assert "Failed" not in figure.alt + figure.svg and ">gone<" not in figure.svg

    def test_the_drawing_says_who_how_often_after_what_and_where_volumes_ended(self) -> None:
        told = lives_of([*recycled(), *kept()]), lives_of(taken_back())
        figure = phases_figure("Phases", *told, ends={})
        for words in ("V (2)", "claim taken off", "by V, Y", "1 end here", "Y you", "P protection controllers"):
            assert f">{words}" in figure.svg or f"  {words}" in figure.svg, words
        rows = {(row[0], row[1]): row[2:] for row in figure.table.rows}
        before = "claim taken off by volume controller (1), claim taken off by you (1)"
        assert rows["Released", "Available"] == (2, "volume controller", before, "shelf, kept")

    def test_the_recorded_course_went_all_the_ways_there_are(self) -> None:
        evidence = this_project().recorded_evidence / SLUG / "life@embedded.json"
        recorded = json.loads(evidence.read_text(encoding="utf-8"))
        told = [lives_of(each["value"]) for each in recorded["observations"] if "timeline" in each["name"]]
        assert {(each.before, each.after) for each in changes_of(told)} == {
            ("not there", "Pending"), ("Pending", "Available"), ("Pending", "Bound"), ("Available", "Bound"),
            ("Bound", "Released"), ("Released", "Available"), ("Released", "gone"),
        }  # fmt: skip


class TestStateDiagrams:
    STATES = tuple(State(name, column, 0, BAD) for column, name in enumerate(("a", "b", "c")))

    def test_an_arrow_bows_around_a_state_between_its_ends_and_else_is_straight(self) -> None:
        ways = [Way("a", "c", ()), Way("a", "b", ())]
        assert [bend_of(way, self.STATES, ways) for way in ways] == [BEND, 0.0]

    def test_two_ways_between_the_same_states_do_not_lie_on_each_other(self) -> None:
        there, back = Way("a", "b", ()), Way("b", "a", ())
        assert bend_of(there, self.STATES, [there, back]) > 0
        assert bend_of(back, self.STATES, [there, back]) > 0

    def test_every_state_and_line_is_drawn_in_the_colours_of_the_theme(self) -> None:
        ways = [Way("a", "b", ("once", "again")), Way("b", "a", ("back",), ends_only=True)]
        twin = table("Ways", ["from", "to"], [["a", "b"]])
        figure = states_figure("Ways", self.STATES, ways, alt="Three states in a row.", explained=["below"], twin=twin)
        assert set(re.findall(r"<text[^>]*>([^<]+)</text>", figure.svg)) == {*"abc", "once", "again", "back", "below"}
        assert "a → b; b → a (dashed)" in figure.alt
        assert "stroke: var(--lab-bad" in figure.svg
        assert re.findall(r"(?:fill|stroke): *#[0-9a-f]{6}", figure.svg) == []

    def test_a_line_below_that_is_too_long_is_broken_instead_of_cut(self) -> None:
        twin = table("Ways", ["from", "to"], [["a", "b"]])
        figure = states_figure(
            "Ways", self.STATES, [], alt="Three states in a row.", explained=[60 * "word "], twin=twin
        )
        below = [text for text in re.findall(r"<text[^>]*>([^<]+)</text>", figure.svg) if "word" in text]
        assert len(below) == 3 and max(map(len, below)) <= LONGEST_LINE_BELOW


class TestStrips:
    def test_a_state_spans_its_steps_and_what_is_not_there_has_no_span(self) -> None:
        turns = tuple(Turn(0, "you", "", {"volume": state}) for state in ("", "Bound", "Bound", "", "Bound"))
        assert spans(Life("a", turns), "volume") == [(1, 3, "Bound"), (4, 5, "Bound")]

    @pytest.mark.parametrize(("letters", "shown"), [(9.5, "Available"), (8.9, "Availab…"), (2, "A…"), (0.2, "A…")])
    def test_a_name_is_cut_to_its_room(self, letters: float, shown: str) -> None:
        assert shortened("Available", letters) == shown

    def test_a_step_is_as_wide_as_its_words_need(self) -> None:
        states = ({"volume": "Terminating"}, {"volume": "Bound"}, {"volume": "Bound"}, {"volume": ""})
        edges = edges_of(Life("a", tuple(Turn(0, "you", "", state) for state in states)), ["volume"])
        assert edges[1] >= len("Terminating") and edges[3] - edges[1] >= len("Bound")
        assert edges[4] - edges[3] == pytest.approx(NARROWEST_STEP)

    def test_somebody_without_a_letter_is_drawn_all_the_same(self) -> None:
        life = Life("a", (Turn(0, "a stranger", "", {"volume": "Odd"}),))
        assert "Odd" in lives_figure("Strange", [life], STRIP, alt="A life with a stranger in it.").svg


def volume(name: str, phase: str, message: str = "", **source: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": source, "status": {"phase": phase, "message": message}}


def listed(volumes: Iterable[dict[str, Any]]) -> Step:
    return step(json.dumps({"items": list(volumes)}))


class TestEnds:
    def ends(self) -> dict[str, Any]:
        volumes = [
            volume("a", "Bound", hostPath={"path": "/srv/a"}),
            volume("ab", "Bound", local={"path": "/srv/ab"}),
            volume("c", "Bound", csi={"driver": "x"}),
            volume("odd", "Bound", weird={}),
        ]
        after = [volume("ab", "Failed", "no plugin", local={}), volume("c", "Released"), volume("odd", "Bound")]
        return dict(reclaim.read_ends(listed(volumes), listed(after)))

    def test_what_is_not_listed_any_more_is_gone(self) -> None:
        ends = self.ends()
        assert {name: (end.kind, end.phase) for name, end in ends.items()} == {
            "a": ("hostPath", "gone"),
            "ab": ("local", "Failed"),
            "c": ("CSI", "Released"),
            "odd": ("other", "Bound"),
        }
        assert reclaim.in_phase(ends, "gone") == ["a"]
        assert ends["ab"].said == "no plugin"

    def test_a_file_belongs_to_the_volume_whose_folder_it_is_in(self) -> None:
        assert reclaim.with_file(self.ends(), ["/srv/ab/file", "/var/c"]) == ["ab"]

    def test_the_table_says_of_each_place_whether_the_file_is_there_and_whose_recycler_is(self) -> None:
        files = {"node": ["/srv/a/file"], "machine": []}
        rows = {row[0]: row for row in reclaim.ends_table(self.ends(), files, step(f"pod/{RECYCLER}c")).rows}
        assert rows["a"][4:6] == (True, False)
        assert rows["c"][4:7] == (None, None, True)

    def test_garbage_is_refused(self) -> None:
        with pytest.raises(EvidenceError):
            reclaim.read_ends(step("nothing"), step("nothing"))


class TestForensics:
    def test_counts_are_read_and_fragments_are_not_words(self) -> None:
        printed = "   2000 <secret-of-delete>\n      3 <secret-of-retain>\n      1 <secret-of-re<secret-of-x>\nBinary\n"
        assert reclaim.read_counts(step(printed)) == {"delete": 2000, "retain": 3}
        assert reclaim.read_counts(step("")) == {}

    def test_the_table_has_a_zero_where_nothing_was_found(self) -> None:
        looks = [reclaim.Looked("now", {"a": 2}, {"a": 2, "b": 1})]
        assert [row[1:] for row in reclaim.looks_table(looks, ["a", "b", "c"]).rows] == [(2, 2), (0, 1), (0, 0)]

    @pytest.mark.parametrize(
        ("file", "raw", "who"),
        [(True, True, "whoever may mount"), (False, True, "whoever has the disk"), (False, False, "nobody")],
    )
    def test_who_can_read_follows_from_what_is_left(self, file: bool, raw: bool, who: str) -> None:
        aftermath = reclaim.Aftermath("delete", "gone", file, raw, [])
        assert aftermath.readers.startswith(who)
        assert reclaim.aftermath_table([aftermath]).rows[0][4] == "nobody"


class TestSizes:
    def test_a_full_disk_and_a_folder_are_told_apart(self) -> None:
        log = "disk: dd: error writing 'disk/file': No space left on device\ndisk took 6291456 bytes\n"
        log += "folder took 12582912 bytes\n"
        taken = reclaim.read_sizes(step(log))
        assert {name: each.mebibytes for name, each in taken.items()} == {"disk": 6.0, "folder": 12.0}
        assert "No space left" in taken["disk"].said
        assert [row[3] for row in reclaim.sizes_table(taken, 8).rows] == [False, True]

    def test_a_log_that_tells_nothing_is_refused(self) -> None:
        with pytest.raises(EvidenceError, match="nothing of what was written"):
            reclaim.read_sizes(step("sh: can't open"))


class TestExplorer:
    def test_each_position_has_a_name_and_commands_of_its_own(self) -> None:
        assert len({name_of(position) for position in POSITIONS}) == len(POSITIONS) == 36
        assert len({apply_command(position) for position in POSITIONS}) == 36
        assert all(explanation(position).endswith(".") for position in POSITIONS)

    def test_the_claim_made_again_does_not_make_the_volume_again(self) -> None:
        static = {"policy": RECYCLE, "volume": "local", "step": "same claim again"}
        assert "1,/^---/" in apply_claim(static)
        assert "1,/^---/" not in apply_claim({**static, "volume": DYNAMIC})

    def test_every_position_is_recorded_and_as_ruled(self) -> None:
        _, attempts = swept(SLUG)
        assert [attempt.error for attempt in attempts if attempt.error] == []
        seen = {name_of(each.position): each.played.seen for each in attempts if each.played}
        assert seen == {name_of(position): by_the_rules(position).volume for position in POSITIONS}
        not_as_ruled = [name_of(each.position) for each in attempts if each.played and not _as_ruled(each.played.shown)]
        assert not_as_ruled == []


def _as_ruled(shown: Any) -> bool:
    return all(row[-1] is True for row in shown.rows)


def lost(policy: str, *, claim_ref: dict[str, str] | None, phase: str = "Released") -> dict[str, Any]:
    return {
        "spec": {"persistentVolumeReclaimPolicy": policy, **({"claimRef": claim_ref} if claim_ref else {})},
        "status": {"phase": phase},
    }


def claim(phase: str, *, volume: str = "ledger", uid: str = "new", ending: bool = False) -> dict[str, Any]:
    metadata = {"uid": uid, **({"deletionTimestamp": str(datetime.date.min)} if ending else {})}
    return {"metadata": metadata, "spec": {"volumeName": volume}, "status": {"phase": phase}}


OLD, NEW = {"name": "ledger", "uid": "old"}, {"name": "ledger", "uid": "new"}
STATES = {
    "untouched, kept": (Rescue(False, lost("Retain", claim_ref=OLD)), None),
    "untouched, doomed": (Rescue(True, lost("Delete", claim_ref=OLD), claim("Bound", uid="old", ending=True)), None),
    "the volume deleted": (Rescue(False), "the volume is there"),
    "still doomed": (Rescue(True, lost("Delete", claim_ref=None)), "nothing can be lost"),
    "the claim still ending": (
        Rescue(True, lost("Retain", claim_ref=OLD), claim("Bound", uid="old", ending=True)),
        "the old claim is gone",
    ),
    "claimed again too early": (
        Rescue(False, lost("Retain", claim_ref=OLD), claim("Pending")),
        "the volume is free for the claim",
    ),
    "no claim yet": (Rescue(False, lost("Retain", claim_ref=None)), "the claim is bound"),
    "a claim that asks for too much": (
        Rescue(False, lost("Retain", claim_ref=None), claim("Pending")),
        "the claim is bound",
    ),
    "another volume": (
        Rescue(False, lost("Retain", claim_ref=None), claim("Bound", volume="pvc-1")),
        "to that volume",
    ),
    "emptied": (Rescue(False, lost("Retain", claim_ref=NEW), claim("Bound"), "no such file"), "the data is as it was"),
}


class TestExercise:
    @pytest.mark.parametrize("name", STATES)
    def test_each_state_leads_to_its_step(self, name: str) -> None:
        seen, unmet = STATES[name]
        outcome = judge(reclaim.rescue(ScriptedRunner({})), seen)
        assert outcome.unmet == unmet
        assert outcome.standing is (Standing.NOT_YET if unmet else Standing.NOT_STARTED)

    def test_the_rescued_claim_passes(self) -> None:
        seen = Rescue(False, lost("Retain", claim_ref=NEW), claim("Bound"), DATA)
        assert judge(reclaim.rescue(ScriptedRunner({})), seen).passed

    def test_each_seed_has_its_loss_and_all_files_are_there(self) -> None:
        folder = this_project().assets / SLUG / "exercise"
        assert {path.name for path in folder.glob("lost-*.yaml")} == set(LOSSES)
        for name in ("claim.yaml", "cashier.yaml", "reader.yaml", "lose.sh"):
            assert (Path(folder) / name).is_file()


def test_many_who_acted_stand_in_several_lines_none_of_them_too_long() -> None:
    everybody = [Turn(float(place), who, "acts", {}) for place, who in enumerate([*STRIP.letters, "somebody else"])]
    svg = str(
        lives_figure("All", [Life("all", tuple(everybody))], STRIP, alt="A life in which everybody acts once.").svg
    )
    lines = [line for line in re.findall(r"<text[^>]*>([^<]*)</text>", svg) if BETWEEN.strip() in line]
    assert len(lines) > 1
    assert max(map(len, lines)) <= LONGEST_LINE
    assert not [who for who in STRIP.letters if who not in " ".join(lines)]
