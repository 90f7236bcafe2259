"""What notebook 03 reads from its commands, works out and explains: from texts, without an engine."""

import importlib.util
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from labsupport.errors import EvidenceError
from labsupport.experiments.claims import Ledger
from labsupport.experiments.exercises import Answer, Exercise, faults_of_exercise
from labsupport.experiments.runners import RecordingRunner
from labsupport.experiments.steps import Observation, Step
from labsupport.experiments.trial import Trial
from labsupport.lessons import storage
from labsupport.lessons.storage.exercise import ANSWER, KEYS, Usage, megabytes, read_prediction, read_usage
from labsupport.lessons.storage.explorer import LAYERS, WHY
from labsupport.lessons.storage.stack import CONTAINER, ENGINES_OWN, Stack, counted
from labsupport.project import this_project
from tests.scripted import Reply, ScriptedRunner

ASSETS = this_project().assets / "03-storage-drivers"
MIB = 1024 * 1024


def step(stdout: str, command: str = "command", *, seconds: float = 0.1, exit_code: int = 0, stderr: str = "") -> Step:
    return Step("03-storage-drivers/test", 1, tuple(command.split()), exit_code, stdout, stderr, seconds)


def layer(*entries: tuple[str, str], engines_own: bool = False, large: int = 0) -> dict[str, object]:
    sizes = {"large": large}
    listed = [{"path": f"/data/{name}", "kind": kind, "bytes": sizes.get(name, 4096)} for name, kind in entries]
    return {"directory": "/somewhere", "bytes": 5000, "engines_own": engines_own, "entries": listed}


def found(
    *, upper: dict[str, object] | None = None, merged: str = "added changed folder folder/other kept large"
) -> str:
    """What show_layers.py prints of the notebook's image."""
    first = [("changed", "file"), ("folder", "folder"), ("folder/inside", "file"), ("kept", "file"),
             ("large", "file"), ("removed", "file")]  # fmt: skip
    lower = [
        layer(),
        layer(*first, large=64 * MIB),
        layer(("added", "file"), ("changed", "file"), ("removed", "whiteout")),
        layer(("folder", "opaque folder"), ("folder/other", "file")),
        layer(engines_own=True),
    ]
    names = [{"path": f"/data/{name}", "kind": "file", "bytes": 0} for name in merged.split()]
    return json.dumps(
        {"container": "web", "mount": "overlay", "work": "/w", "lower": lower, "upper": upper or layer(),
         "merged": names}
    )  # fmt: skip


def stack(**parts: object) -> Stack:
    return storage.read_stack(step(found(**parts)))  # type: ignore[arg-type]


class TestStack:
    def test_layers_are_named_by_their_place_and_the_engines_own_apart(self) -> None:
        assert stack().names == ["layer 1", "layer 2", "layer 3", "layer 4", ENGINES_OWN, CONTAINER]
        assert len(stack().of_image) == 4

    def test_what_each_layer_does(self) -> None:
        read = stack()
        assert read.deeds("layer 1") == []
        assert read.deeds("layer 3") == ["adds added", "replaces changed", "hides removed"]
        assert read.deeds("layer 4") == ["hides folder/inside", "adds folder/other"]
        assert counted(read.effects("layer 3")) == "adds 1, replaces 1, hides 1"

    def test_the_view_by_the_rules_is_what_the_mount_shows(self) -> None:
        assert sorted(stack().view()) == stack().sees
        assert stack().view()["/data/changed"] == "layer 3"
        assert stack().view()["/data/kept"] == "layer 2"

    def test_a_mount_that_shows_something_else_differs(self) -> None:
        assert sorted(stack(merged="added removed").view()) != stack(merged="added removed").sees

    def test_a_whiteout_of_a_folder_hides_all_in_it(self) -> None:
        read = stack(upper=layer(("folder", "whiteout")))
        assert read.deeds(CONTAINER) == ["hides folder", "hides folder/other"]

    def test_a_folder_that_is_there_already_does_nothing(self) -> None:
        assert stack(upper=layer(("folder", "folder"))).deeds(CONTAINER) == []

    @pytest.mark.parametrize("printed", ["", "[]", "{}", '{"lower": 3}', "Traceback", '{"lower": [], "upper": {}}'])
    def test_what_is_no_list_of_layers_is_an_error(self, printed: str) -> None:
        with pytest.raises(EvidenceError):
            storage.read_stack(step(printed))

    def test_a_layer_that_is_not_there_is_an_error(self) -> None:
        with pytest.raises(EvidenceError, match="layer 9"):
            stack().effects("layer 9")

    def test_table_and_figure_say_the_same(self) -> None:
        assert "hides folder/inside" in str(stack().table()).replace("adds folder/other; ", "")
        drawn = str(storage.layers_figure(stack()))
        assert "6 layers" in drawn
        assert "hides (not seen)" in drawn
        assert "from layer 3" in drawn


class TestGrowth:
    def test_bytes_of_the_containers_own_layer_are_followed(self) -> None:
        changed = stack(upper=layer(("large", "file"), large=64 * MIB))
        copied = storage.growth("/data/large", {"nothing": stack(), "changing": changed})
        assert (copied.bytes_after("nothing"), copied.mebibytes_after("changing")) == (0, 64.0)
        assert "64 MiB" in str(copied.figure())


class TestExplorer:
    def explorer(self) -> object:
        runner = RecordingRunner(ScriptedRunner({("python3",): Reply(found())}))
        trial = Trial("03-storage-drivers/layers-by-hand", runner, Ledger([], {}))
        return storage.layers_explorer(trial, {"today": "machine", "old": "old-machine"})

    def test_every_position_plays_and_is_explained(self) -> None:
        explorer = self.explorer()
        attempts = explorer.play_all()  # type: ignore[attr-defined]
        assert len(attempts) == len(LAYERS) * 2
        assert [attempt.error for attempt in attempts if attempt.error] == []
        assert set(LAYERS) == set(WHY)

    def test_a_prediction_is_compared_with_the_folders(self) -> None:
        explorer = self.explorer()
        position = {"layer": "layer 3", "engine": "old"}
        assert explorer.play(position, "Adds 1, replaces 1, hides 1").as_predicted is True  # type: ignore[attr-defined]
        assert explorer.play(position, "adds 2, replaces 0, hides 1").as_predicted is False  # type: ignore[attr-defined]


class TestRounds:
    def rounds(self) -> storage.Rounds:
        made = storage.Rounds(against="overlay2")
        for driver, seconds, kilobytes in (("overlay2", 1.0, 10), ("vfs", 2.0, 60)):
            made.start(driver, step("Used\n100\n"))
            for number in range(1, 6):
                made.add(driver, step("", seconds=seconds * number), step(f"Used\n{100 + kilobytes * number}\n"))
        return made

    def test_ratios_are_of_the_same_round(self) -> None:
        rounds = self.rounds()
        assert rounds.time("vfs").values == (2.0,) * 5
        assert (rounds.disk("vfs").median, rounds.disk("vfs").range) == (6.0, "6.00 to 6.00")
        assert rounds.kilobytes("vfs") == [60] * 5

    def test_one_slow_round_leaves_the_quickest_as_they_are(self) -> None:
        rounds = self.rounds()
        before = rounds.quickest("vfs")
        rounds.add_time("overlay2", step("", seconds=60.0))
        assert rounds.quickest("vfs") == before == 2.0

    def test_figures_leave_the_measure_itself_out_and_have_a_table(self) -> None:
        rounds = self.rounds()
        assert "5 for each of 1 drivers" in str(rounds.time_figure())
        assert "overlay2" in str(rounds.table())
        assert "6.00 to 6.00" in str(rounds.table())
        assert "old" in str(storage.compare_times({"old": rounds}))

    def test_a_workload_that_failed_is_an_error(self) -> None:
        with pytest.raises(EvidenceError, match="no space"):
            self.rounds().add("vfs", step("", exit_code=1, stderr="no space"), step("1"))

    @pytest.mark.parametrize("printed", ["", "Used\n", "df: /var/lib/docker: No such file", "-"])
    def test_a_disk_without_a_number_is_an_error(self, printed: str) -> None:
        with pytest.raises(EvidenceError):
            storage.growth_of({"vfs": step(printed)}, {"vfs": step("1")})

    def test_growth_is_a_difference(self) -> None:
        assert storage.growth_of({"a": step("IUsed\n 10\n")}, {"a": step("IUsed\n 250\n")}) == {"a": 240}

    def test_each_deed_takes_its_part_of_the_disk(self) -> None:
        disks = {"vfs": [step("Used\n10\n"), step("70"), step("75")], "overlay2": [step("0"), step("10"), step("13")]}
        taken = storage.read_taken(disks, "an image", "a container")
        assert taken.by("a container", "vfs") == 5
        assert taken.ratio("vfs", "overlay2") == 5
        assert taken.by("an image", "btrfs") == taken.ratio("btrfs", "vfs") == taken.ratio("vfs", "btrfs") == 0
        assert "overlay2        10            3" in str(taken.table())

    def test_engines_that_did_not_start_are_left_out(self) -> None:
        seen = {"btrfs": {"started": False, "says": "no btrfs"}, "vfs": {"started": True, "says": ""}}
        assert storage.started(Observation("03-storage-drivers/test", "starts", seen)) == ["vfs"]


class TestAnswers:
    def answers(self) -> object:
        starts = {
            "aufs": {"started": False, "says": 'x\nfailed to start daemon: "aufs" is not registered\n'},
            "overlay": {"started": True, "says": ""},
        }
        log = 'time="…" level=warning msg="[graphdriver] WARNING: the aufs storage-driver is deprecated, and …"\n' \
              'time="…" level=error msg="AUFS was not found in /proc/filesystems" storage-driver=aufs\n'  # fmt: skip
        observed = Observation("03-storage-drivers/test", "starts", starts)
        return storage.read_answers(observed, logs={"aufs": step(log), "overlay": step("")})

    def test_the_last_words_are_kept(self) -> None:
        answers = self.answers()
        assert answers["aufs"] == '"aufs" is not registered'  # type: ignore[index]
        assert answers["overlay"] == "(started)"  # type: ignore[index]

    def test_a_log_tells_whether_the_driver_is_known(self) -> None:
        answers = self.answers()
        assert answers.knows("aufs")  # type: ignore[attr-defined]
        assert not answers.knows("overlay")  # type: ignore[attr-defined]
        assert not answers.knows("nosuch")  # type: ignore[attr-defined]
        assert "/proc/filesystems" in str(answers.table({"aufs": ("overlay", "aufs")}))  # type: ignore[attr-defined]


class TestSwitches:
    PRINTED = "driver: overlay2\nimages: lab/toolbox\nother\ncontainers:\nin overlay2, KB: 2000\nin snapshots, KB: 64\n"

    def test_what_an_engine_shows_is_read(self) -> None:
        switches = storage.read_switches({"2-overlay2": step(self.PRINTED)})
        assert switches["2-overlay2"].images == ("lab/toolbox", "other")
        assert switches["2-overlay2"].containers == ()
        assert "none" in str(switches.table())

    def test_a_folder_that_is_not_there_has_no_bytes(self) -> None:
        read = storage.read_switches({"1": step(self.PRINTED.replace(" 2000", ""))})
        assert read["1"].overlay2_kilobytes == 0

    @pytest.mark.parametrize("printed", ["", "driver:\nimages:\n", "sh: docker: not found"])
    def test_garbage_is_an_error(self, printed: str) -> None:
        with pytest.raises(EvidenceError):
            storage.read_switches({"1": step(printed)})


class TestSubvolumes:
    LINE = "ID 7 gen 3 top level 5 parent_uuid {parent} uuid {uuid} path {path}"

    def printed(self, *made: tuple[str, str, str]) -> str:
        lines = [self.LINE.format(uuid=uuid, parent=parent.ljust(36), path=path) for uuid, parent, path in made]
        return "\n".join(lines)

    def test_the_chain_goes_down_from_the_newest(self) -> None:
        step_ = step(self.printed(("a", "-", "base"), ("x", "-", "context"), ("b", "a", "layer"), ("c", "b", "mine")))
        subvolumes = storage.read_subvolumes(step_)
        assert [one.path for one in subvolumes.chain_of_newest()] == ["mine", "layer", "base"]
        assert "nothing: it is the lowest" in str(subvolumes.table())

    @pytest.mark.parametrize("printed", ["", "ERROR: not a btrfs filesystem: /var/lib/docker"])
    def test_garbage_is_an_error(self, printed: str) -> None:
        with pytest.raises(EvidenceError):
            storage.read_subvolumes(step(printed))


SOLUTION = dict(zip(KEYS, (1, 1, 2, 1, 13, 3, 5), strict=True))


def df(images: int, active: int, containers: int, running: int, sizes: tuple[str, str, str]) -> str:
    rows = (
        ("Images", images, active, "20MB", "7MB (30%)"),
        ("Containers", containers, running, sizes[0], sizes[1]),
        ("Local Volumes", 1, 1, sizes[2], "0B (0%)"),
        ("Build Cache", 3, 0, "10MB", "10MB"),
    )
    return "\n".join(
        json.dumps({"Type": kind, "TotalCount": str(total), "Active": str(active), "Size": size, "Reclaimable": free})
        for kind, total, active, size, free in rows
    )


BEFORE = df(3, 1, 1, 1, ("1MB", "0B (0%)", "0B"))
AFTER = df(4, 2, 3, 2, ("14.04MB", "3.02MB (23%)", "5MB"))


class FiveSteps:
    """An engine whose usage grows as the five steps make it grow."""

    def __init__(self, *, fail: bool = False) -> None:
        self.fail, self.taken = fail, False

    def runner(self) -> ScriptedRunner:
        def take(argv: object, invocation: object) -> Reply:
            self.taken = True
            return Reply(exit_code=int(self.fail))

        def usage(argv: object, invocation: object) -> Reply:
            taken, self.taken = self.taken, False
            return Reply(AFTER if taken else BEFORE)

        return ScriptedRunner({("sh",): take, ("docker", "system"): usage, ("docker",): Reply("")})


WRONG = {
    "a second name counted": ({"images_total": 2}, "the number of new images"),
    "the base image active": ({"images_active": 2}, "the number of images that became active"),
    "a stopped container forgotten": ({"containers_total": 1}, "the number of new containers"),
    "a stopped container active": ({"containers_active": 2}, "the number of active containers"),
    "one byte costs one byte": ({"containers_mb": 3}, "the size of the containers in MB"),
    "the volume in the layer": ({"containers_mb": 18}, "the size of the containers in MB"),
    "all of it reclaimable": ({"containers_reclaimable_mb": 13}, "what is reclaimable of the containers"),
    "no volume": ({"volumes_mb": 0}, "the size of the volumes in MB"),
}


class TestExercise:
    @pytest.fixture
    def exercise(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exercise[Usage]:
        (tmp_path / ANSWER).parent.mkdir(parents=True)
        monkeypatch.chdir(tmp_path)
        return storage.predict_usage(FiveSteps().runner())

    def test_it_takes_the_solution_and_leads_each_wrong_answer_on(self, exercise: Exercise[Usage]) -> None:
        def give(text: str) -> None:
            ANSWER.write_text(text)

        def written(numbers: dict[str, int]) -> str:
            return "".join(f"{key}: {value}\n" for key, value in numbers.items())

        answers = [
            Answer(name, lambda change=change: give(written({**SOLUTION, **change})), leads_to)  # type: ignore[misc]
            for name, (change, leads_to) in WRONG.items()
        ]
        answers.append(Answer("no number", lambda: give(written(SOLUTION).replace("13", "much")), "it can be read"))
        answers.append(Answer("a line missing", lambda: give("images_total: 2\n"), "it can be read"))
        answers.append(Answer("the solution", lambda: give(written(SOLUTION)), None))
        assert faults_of_exercise(exercise, answers) == []

    def test_steps_that_fail_are_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / ANSWER).parent.mkdir(parents=True)
        monkeypatch.chdir(tmp_path)
        ANSWER.write_text(json.dumps(SOLUTION))
        assert storage.predict_usage(FiveSteps(fail=True).runner()).check().unmet == "the steps ran"

    @pytest.mark.parametrize("text", ["- 1\n", "a: b: c", "images_total: true\n" + "x: 1\n", "just words"])
    def test_a_prediction_that_cannot_be_read_says_why(self, text: str) -> None:
        numbers, why = read_prediction(text)
        assert not numbers
        assert why

    def test_nothing_written_is_no_prediction(self) -> None:
        assert read_prediction("\n# nothing yet\n") == ({}, "")

    @pytest.mark.parametrize("printed", ["", "TYPE TOTAL", '{"Type": "Images"}'])
    def test_a_usage_that_cannot_be_read_is_an_error(self, printed: str) -> None:
        with pytest.raises(EvidenceError):
            read_usage(printed)

    @pytest.mark.parametrize(("text", "size"), [("13.1MB (23%)", 13.1), ("0B", 0.0), ("1.5kB", 0.0015), ("2GB", 2000)])
    def test_sizes_are_read_in_millions_of_bytes(self, text: str, size: float) -> None:
        assert megabytes(text) == pytest.approx(size)

    def test_the_solution_stands_in_the_notebook(self) -> None:
        source = (this_project().sources / "03-storage-drivers.py").read_text(encoding="utf-8")
        assert all(f"# {key}: {value}\n" in source for key, value in SOLUTION.items())


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("show_layers", ASSETS / "show_layers.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestScript:
    @pytest.mark.parametrize(
        "options",
        [
            ["rw", "lowerdir=/b:/a", "upperdir=/u", "workdir=/w"],
            ["rw", "lowerdir+=/b", "lowerdir+=/a", "upperdir=/u", "workdir=/w"],
        ],
    )
    def test_lower_folders_are_read_lowest_first(self, script: ModuleType, options: list[str]) -> None:
        assert script.directories(options) == (["/a", "/b"], "/u", "/w")

    def test_a_character_device_0_0_is_a_whiteout(self, script: ModuleType, tmp_path: Path) -> None:
        status = tmp_path.lstat()
        device = os.stat_result((stat.S_IFCHR | 0o600, *status[1:]), {"st_rdev": 0})
        assert script.kind_of(tmp_path, device) == "whiteout"
        assert script.kind_of(tmp_path, status) == "folder"

    def test_names_below_data_are_listed_with_what_they_take(self, script: ModuleType, tmp_path: Path) -> None:
        (tmp_path / "data/folder").mkdir(parents=True)
        (tmp_path / "data/folder/file").write_bytes(b"x" * 5000)
        (tmp_path / "elsewhere").write_text("not below data")
        listed = script.entries_of(str(tmp_path))
        assert [(entry["path"], entry["kind"]) for entry in listed] == [
            ("/data/folder", "folder"),
            ("/data/folder/file", "file"),
        ]
        assert listed[1]["bytes"] >= 5000
        assert script.describe(str(tmp_path))["engines_own"] is False


def test_recorded_outputs_say_that_they_are_recorded() -> None:
    from tests.unit.test_lesson_dockerfile import RECORDING

    recorded = replace(step(found()), recorded=RECORDING)
    assert "recorded" in str(storage.layers_figure(storage.read_stack(recorded)))
