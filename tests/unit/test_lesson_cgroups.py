"""What notebook 01 reads from its commands, predicts and explains: from texts, without an engine."""

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from labsupport.errors import EngineError, EvidenceError, NotRecorded
from labsupport.experiments.exercises import Standing
from labsupport.experiments.steps import Observation, Recording, Step
from labsupport.lessons import cgroups
from labsupport.lessons.cgroups import daemon_json as keys
from labsupport.lessons.cgroups import exercise, explorer
from labsupport.lessons.cgroups import keys as workbench
from labsupport.process.commands import CommandResult, Invocation
from labsupport.project import this_project
from tests.explorers import swept

ID = "a1" * 32
RECORDING = Recording(datetime.date(2026, 1, 2), ("Docker 29",), "a test says so", "private")


def step(stdout: str, *argv: str, exit_code: int = 0, stderr: str = "") -> Step:
    return Step("01-cgroup-drivers/test", 1, argv or ("docker",), exit_code, stdout, stderr, 0.1)


def started(says: str = "") -> Observation:
    return Observation("01-cgroup-drivers/test", "start", {"started": not says, "says": says})


class TestHierarchies:
    V1 = "cgroup /sys/fs/cgroup/memory cgroup rw,nosuid,memory 0 0"
    NAMED = "cgroup /sys/fs/cgroup/systemd cgroup rw,nosuid,name=systemd 0 0"
    V2 = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nosuid 0 0"
    KINDS = "nodev\tcgroup\nnodev\tcgroup2\n"

    def read(self, *lines: str, in_v2: str = "") -> Any:
        return cgroups.read_hierarchies(step("\n".join(lines)), step(in_v2), step(self.KINDS))

    @pytest.mark.parametrize(
        ("lines", "mode"), [((V1, NAMED), "v1"), ((V2,), "v2"), ((V1, V2), "hybrid")], ids=["v1", "v2", "hybrid"]
    )
    def test_the_mode_is_read_from_the_mounts(self, lines: tuple[str, ...], mode: str) -> None:
        assert self.read(*lines).mode == mode

    def test_each_controller_has_its_place(self) -> None:
        found = self.read(self.V1, self.NAMED, self.V2, in_v2="cpu io\n")
        assert [each.controllers for each in found.mounted] == [("memory",), (), ("cpu", "io")]
        assert found.in_both == []
        assert found.kinds == ("cgroup", "cgroup2")
        assert "hybrid" in found.table().text

    def test_a_controller_in_both_is_seen(self) -> None:
        assert self.read(self.V1, self.V2, in_v2="memory").in_both == ["memory"]

    def test_no_hierarchy_is_an_error(self) -> None:
        with pytest.raises(EvidenceError, match="no cgroup hierarchy"):
            self.read("tmpfs /sys/fs/cgroup tmpfs rw 0 0")

    def test_a_directory_that_appears_elsewhere_is_seen(self) -> None:
        assert cgroups.spread(step("/a: /a\n/b: /b\n")) == []
        assert cgroups.spread(step("/a: /a /b\n/b: /b\n")) == ["/a"]

    def test_where_a_driver_is_chosen(self) -> None:
        answers = [step("systemd: yes, cgroup v2: systemd\n"), step("systemd: no, cgroup v2: cgroupfs\n")]
        assert cgroups.where_chosen("systemd", answers) == ["systemd: yes, cgroup v2"]
        assert cgroups.where_chosen("cgroupfs", [*answers, answers[1]]) == ["systemd: no, cgroup v2"]

    def test_a_container_has_one_path_in_every_hierarchy(self) -> None:
        lines = f"4:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/docker/{ID}\n"
        read = cgroups.read_membership(step(lines), step(f"/sys/fs/cgroup/memory/docker/{ID}\n"))
        assert read.kinds == ["/docker/ID"]
        assert set(read.paths) == {"memory", "systemd", "version 2"}

    def test_a_recorded_path_reads_the_same(self) -> None:
        read = cgroups.read_membership(step("0::/system.slice/docker-<container-2>.scope\n"), step(""))
        assert read.kinds == ["/system.slice/docker-ID.scope"]
        assert "/system.slice/docker-ID.scope" in cgroups.side_by_side({"systemd": read}).text


class TestUsage:
    V1 = "10.0 0.1 1 0 0ns 100000000ns\n11.0 0.1 11 10 900000000ns 200000000ns\n"
    V2 = "10.0 0.1 1 0 0us 100000us\n11.0 0.1 11 10 900000us 200000us\n"

    @pytest.mark.parametrize("text", [V1, V2], ids=["version 1", "version 2"])
    def test_both_versions_count_alike(self, text: str) -> None:
        usage = cgroups.read_usage(step(text))
        assert usage.cores("0.1") == pytest.approx(0.1)
        assert usage.throttled_periods("0.1") == 10
        assert usage.throttled_seconds("0.1") == pytest.approx(0.9)
        assert "0.1 cores" in str(usage.figure().html)
        assert "10" in usage.table().text

    @pytest.mark.parametrize(
        "text", ["", "10.0 0.1 1 0 0ns 1ns\n", "find: nothing\n", "1 a 1 0 5s 5s\n2 a 1 0 5s 5s\n"]
    )
    def test_garbage_is_an_error(self, text: str) -> None:
        with pytest.raises(EvidenceError, match=r"sample-cpu\.sh"):
            cgroups.read_usage(step(text))

    def test_the_command_names_every_container(self) -> None:
        assert cgroups.sampling({"a": "1", "b": "2"}, samples=5).endswith("sh -s 5 a=1 b=2")


class TestEndings:
    def test_the_kernels_count_stands_beside_the_exit_code(self) -> None:
        inspected = "\n".join(
            json.dumps({"Name": f"/{name}", "State": {"ExitCode": code, "OOMKilled": oom}})
            for name, code, oom in [("hungry", 137, True), ("child", 0, True)]
        )
        said = step("the child ended with 137\noom_kill 1\n", "docker", "run", "--name", "child")
        ends = cgroups.read_endings(step(inspected), said)
        assert (ends["child"].exit_code, ends["child"].oom_killed, ends["child"].kernel_kills) == (0, True, 1)
        assert ends["hungry"].kernel_kills is None
        assert "hungry" in ends.table().text

    def test_group_kills_are_not_taken_for_kills(self) -> None:
        inspected = json.dumps({"Name": "/c", "State": {"ExitCode": 0, "OOMKilled": False}})
        said = step("oom_group_kill 3\n", "docker", "run", "--name", "c")
        assert cgroups.read_endings(step(inspected), said)["c"].kernel_kills is None

    def test_sizes_are_read_or_refused(self) -> None:
        assert cgroups.sizes(step("       total used\nMem:   24106  1936\nSwap: 0 0\n2\n")) == [24106, 2]
        with pytest.raises(EvidenceError, match="free -m"):
            cgroups.sizes(step("sh: free: not found\n"))

    def test_ps_that_sees_only_itself(self) -> None:
        assert not cgroups.sees_others(step("PID ARGS\n1 ps\n"))
        assert cgroups.sees_others(step("PID ARGS\n1 init\n9 ps\n"))


class TestAbsence:
    def read(self, loud: str = "1\n2\n3\n9\n10\n") -> Any:
        quiet = "\n".join(str(at) for at in range(1, 11))
        return cgroups.read_absence(
            step("the daemon is gone at 3.5\n"), step("850\n"), {"quiet": step(quiet), "loud": step(loud)}
        )

    def test_who_goes_on_and_who_stands_still(self) -> None:
        absence = self.read()
        assert (absence.while_away("quiet"), absence.while_away("loud")) == (2, 0)
        assert absence.afterwards("loud") == 2
        assert absence.longest_pause("loud") == 6
        assert "no daemon" in str(absence.figure().html)

    def test_nothing_noted_is_an_error(self) -> None:
        with pytest.raises(EvidenceError, match="'loud': 0"):
            self.read(loud="")

    def test_lost_numbers_are_found(self) -> None:
        assert cgroups.numbers_lost(step("1\n2\n5\nnoise\n6\n")) == [3, 4]
        assert cgroups.numbers_lost(step("")) == []


class TestDownloads:
    def log(self, *asked: tuple[str, str, float, float]) -> Step:
        keys = ("method", "path", "start", "end")
        return step("\n".join(json.dumps(dict(zip(keys, each, strict=True))) for each in asked))

    def test_layers_at_once_without_the_configuration(self) -> None:
        pulls = cgroups.read_downloads(
            self.log(
                ("HEAD", "/v2/x/manifests/latest", 0, 0),
                ("GET", "/v2/x/blobs/sha256:config", 0, 2),
                ("GET", "/v2/x/blobs/sha256:b", 1, 2),
                ("GET", "/v2/x/blobs/sha256:a", 0, 1.5),
                ("GET", "/v2/x/blobs/sha256:c", 2, 3),
                ("HEAD", "/v2/x/manifests/latest", 4, 4),
                ("GET", "/v2/x/blobs/sha256:a", 5, 6),
            ),
            step("sha256:config\n"),
        )
        assert [pull.most_at_once for pull in pulls] == [2, 1]
        assert [layer.start for layer in pulls[0].layers] == [0, 1, 2]
        told = cgroups.downloads_figure({"with": pulls[0], "without": pulls[1], "again": pulls[1]}).text
        assert "of 3 pulls" in told and "with: at most 2 at once" in told

    def test_levels_are_counted(self) -> None:
        assert cgroups.levels(step("    106 level=info\n      5 level=warning\n")) == {"info": 106, "warning": 5}
        assert cgroups.levels(step("")) == {}


class TestDaemonJson:
    def test_the_sample_is_well_formed(self) -> None:
        sample = this_project().assets / "01-cgroup-drivers" / "daemon.json"
        assert keys.faults_in(sample.read_text()) == []
        assert "well formed" in cgroups.show_file(str(sample)).text

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('{"log-drive": "local"}', "no key is called log-drive"),
            ('{"live-restore": "yes"}', "live-restore: Input should be a valid boolean"),
            ('{"registry-mirrors": ["mirror:5000"]}', "has no scheme"),
            ('{"max-concurrent-downloads": -1}', "greater than or equal to 0"),
            ("{ oops", "not JSON"),
            ("[]", "not an object"),
        ],
    )
    def test_each_fault_is_named(self, text: str, words: str) -> None:
        assert any(words in fault for fault in keys.faults_in(text))

    def test_what_a_value_means_is_not_judged(self) -> None:
        assert keys.faults_in('{"log-driver": "nobody", "storage-driver": "aufs"}') == []

    @pytest.fixture(autouse=True)
    def here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(this_project().notebooks)

    def test_four_judges(self) -> None:
        valid = step("", "dockerd", "--validate", stderr="configuration OK")
        ran = step("", "docker", exit_code=125, stderr="docker: Error response from daemon: no\n\nRun 'docker run'")
        refused = cgroups.read_judged("unified", valid, started("failed to start daemon: not supported").value, None)
        useless = cgroups.read_judged("bad-max-size", valid, started().value, ran)
        assert (refused.is_valid, refused.starts, refused.start_says) == (True, False, "not supported")
        assert (useless.starts, useless.runs, useless.container_says) == (True, False, "no")
        assert refused.agrees and useless.agrees
        assert "configuration OK" in cgroups.judged_table([refused, useless]).text

    def test_a_key_given_as_a_flag_too(self) -> None:
        said = "unable to configure the Docker daemon with file /x/daemon.json: specified both as a flag and"
        invalid = step("", "dockerd", "--validate", "--log-level=info", exit_code=1, stderr=said)
        judged = cgroups.read_judged("flag-and-file", invalid, started(said).value, None)
        assert judged.model_says == "the key log-level is given as a flag too"
        assert judged.validate_says == "specified both as a flag and"
        assert judged.agrees

    def test_refusals_and_effects_are_told(self) -> None:
        assert "no such driver" in cgroups.refusals({"today": started("no such driver"), "old": started()}).text
        shown = cgroups.effects_table([cgroups.Effect("live-restore", {"warn": 7}, f"{'x' * 90}: why")]).text
        assert "containers go on without" in shown
        assert "warn: 7 lines" in shown
        assert "none (a third)" in cgroups.effects_table([cgroups.Effect("log-opts", "x", {}, "a third")]).text
        assert "x: why" in shown and "x" * 80 not in shown

    def test_a_daemon_that_fails_says_why(self) -> None:
        assert cgroups.last_words(step("", stderr="Error response from daemon: x\n")) == "x"
        assert cgroups.last_words(step("")) == ""


class TestExplorer:
    def record(self, exit_code: int = 0, *, oom: bool = False, throttled: int = 0) -> dict[str, Any]:
        samples = [[0.0, 1.0, 0.0, 2, 0], [1.0, 40.0, 0.9, 8, throttled]]
        return {"samples": samples, "exit_code": exit_code, "oom": oom}

    def test_the_end_is_told_in_the_words_of_the_question(self) -> None:
        assert explorer.outcome(self.record()) == explorer.ENDED
        assert explorer.outcome(self.record(137, oom=True)) == explorer.KILLED
        assert explorer.outcome(self.record(2)) == explorer.NO_FORK

    def test_the_command_has_a_flag_for_each_limit_that_is_set(self) -> None:
        position = {"memory": "48m", "cpus": explorer.NONE, "pids": "8"}
        assert explorer.command(position).startswith("docker run --memory 48m --pids-limit 8 --name")

    def test_throttling_is_told_beside_the_end(self) -> None:
        position = {"memory": explorer.NONE, "cpus": "0.25", "pids": explorer.NONE}
        assert "wait in 7 periods" in explorer.explanation(self.record(throttled=7), position)
        assert "wait in" not in explorer.explanation(self.record(), position)

    def test_while_it_runs_the_last_sample_is_told_and_from_the_second_on_there_are_curves(self) -> None:
        samples, position = (
            self.record(throttled=7)["samples"],
            dict.fromkeys(("memory", "cpus", "pids"), explorer.NONE),
        )
        first, second = (explorer._drawn_so_far(samples[:count], position) for count in (1, 2))
        assert first.text == "0.0 s: 1 MB, 2 processes, 0.0 s of processor time"
        assert second.text.startswith("1.0 s: 40 MB, 8 processes, 0.9 s of processor time, had to wait in 7 periods")
        assert second.html.count("<svg") == 3
        # The next drawing replaces it: nothing in it may take the keyboard.
        assert "tabindex" not in second.html and "<summary" not in second.html

    def test_every_figure_says_what_it_shows(self) -> None:
        shown = explorer._drawn(self.record(), {"memory": "48m", "cpus": explorer.NONE, "pids": "8"})
        for words in ("Memory", "Processor time used", "Processes", "at most 40"):
            assert words in shown.text


class TestKeys:
    @pytest.mark.parametrize(
        ("says", "has_effect", "outcome"),
        [
            (("no such key", "", ""), False, workbench.REFUSED),
            (("", "no such driver", ""), False, workbench.NO_ENGINE),
            (("", "", "invalid size"), False, workbench.NO_CONTAINER),
            (("", "", ""), False, workbench.NO_EFFECT),
            (("", "", ""), True, workbench.EFFECT),
        ],
    )
    def test_the_first_judge_that_finds_a_fault_says_how_far_it_gets(
        self, says: tuple[str, str, str], has_effect: bool, outcome: str
    ) -> None:
        assert workbench.outcome(keys.Judged("x", "", *says), has_effect=has_effect) == outcome

    @pytest.mark.parametrize(
        ("content", "seen", "has_effect"),
        [
            ('{"log-opts": {"max-size": "16k"}}', '{"Config": {"max-size": "16k"}}', True),
            ('{"log-opt": ["max-size=16k"]}', '{"Config": {}}', False),
            ('{"storage-driver": "overlay2"}', "overlayfs", False),
        ],
    )
    def test_an_effect_is_what_the_file_asks_for(
        self, tmp_path: Path, content: str, seen: str, has_effect: bool
    ) -> None:
        (tmp_path / "x.json").write_text(content)
        assert workbench._has_effect(tmp_path / "x.json", step(seen)) is has_effect

    def test_where_nothing_was_seen_it_is_not_called_no_effect(self) -> None:
        with pytest.raises(EvidenceError):
            workbench._has_effect(Path("x.json"), step("", exit_code=1, stderr="no such container"))

    def test_every_file_is_there_and_every_way_to_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(this_project().notebooks)
        explorer, attempts = swept("01-cgroup-drivers.keys_explorer")
        assert {each.played.seen for each in attempts if each.played} == set(explorer.question.answers)
        assert sorted(workbench.FOLDER.glob("*.json")) == sorted(map(workbench._file, explorer.positions()))

    def test_the_model_finds_the_faults_of_form_and_no_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """That of `log-opt` too, which the daemon does not find."""
        monkeypatch.chdir(this_project().notebooks)
        for attempt in swept("01-cgroup-drivers.keys_explorer")[1]:
            name = workbench._name(attempt.position)
            by_model = keys.faults_in((workbench.FOLDER / f"{name}.json").read_text()) or workbench.FLAGS.get(name)
            assert bool(by_model) is (attempt.position["what is wrong"] == "the form"), name


class Bench:
    """A workbench whose engine is as a test says."""

    def __init__(self, *, refused: str = "", chatter: str = "level=warning", **info: Any) -> None:
        self.refused = refused
        self.chatter = chatter
        self.info = info

    def start_engine(self, name: str, daemon_json: Any, *, images: Any = ()) -> None:
        if self.refused:
            raise EngineError("dockerd", self.refused, "")

    def run(self, argv: Any, *, within_seconds: float = 60, invocation: Invocation = Invocation()) -> CommandResult:
        answers = {"info": json.dumps(self.info), "inspect": json.dumps(self.info.get("log", {})), "create": "id"}
        said = answers.get(argv[1], self.chatter)
        return CommandResult(tuple(argv), 0, said, "", 0.0)


class TestExercise:
    GOOD: ClassVar[dict[str, Any]] = {
        "DockerRootDir": exercise.VARIATIONS[0].data_root,
        "LiveRestoreEnabled": True,
        "RegistryConfig": {"IndexConfigs": {exercise.VARIATIONS[0].registry: {"Secure": False}}},
        "log": {"Type": "local", "Config": {"max-size": "500k", "max-file": "2"}},
    }

    def check(self, bench: Bench, text: str = '{"debug": false}') -> Any:
        exercise.ANSWER.write_text(text)
        return exercise.write_daemon_json(bench).check()

    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / exercise.ANSWER).parent.mkdir(parents=True)
        monkeypatch.chdir(tmp_path)

    def test_all_five_pass(self) -> None:
        assert self.check(Bench(**self.GOOD)).standing is Standing.PASSED

    @pytest.mark.parametrize(
        ("change", "unmet"),
        [
            ({"refused": "unknown key"}, "the engine starts"),
            ({"DockerRootDir": "/var/lib/docker"}, "data elsewhere"),
            ({"log": {"Type": "json-file", "Config": {}}}, "logs of the local driver, bounded"),
            ({"log": {"Type": "local", "Config": {}}}, "logs of the local driver, bounded"),
            ({"log": {"Type": "local", "Config": {"max-size": "5m"}}}, "logs of the local driver, bounded"),
            ({"LiveRestoreEnabled": False}, "containers outlive the daemon"),
            ({"RegistryConfig": {"IndexConfigs": {}}}, "the registry in plain HTTP"),
        ],
    )
    def test_each_fault_leads_one_step_further(self, change: dict[str, Any], unmet: str) -> None:
        assert self.check(Bench(**{**self.GOOD, **change})).unmet == unmet

    def test_another_seed_asks_for_other_values(self) -> None:
        exercise.ANSWER.write_text("{}x")
        other = exercise.write_daemon_json(Bench(**self.GOOD), seed=1)
        assert "/var/lib/engine" in other.task and "0.4 MB" in other.task
        outcome = other.check()
        assert outcome.unmet == "data elsewhere"
        assert "/var/lib/engine" in outcome.message

    def test_a_daemon_that_chatters_is_told(self) -> None:
        outcome = self.check(Bench(chatter="level=info\nlevel=info", **self.GOOD))
        assert outcome.unmet == "a quiet daemon"
        assert "2 lines" in outcome.message

    @pytest.mark.parametrize("text", ["", "{}", "# Write your answer here, then run this cell.\n"])
    def test_the_unsolved_cell_is_no_attempt(self, text: str) -> None:
        assert self.check(Bench(refused="must not start"), text).standing is Standing.NOT_STARTED

    def test_without_an_engine_it_says_so(self) -> None:
        class Nothing(Bench):
            def start_engine(self, name: str, daemon_json: Any, *, images: Any = ()) -> None:
                raise NotRecorded("start", "nothing is live", "this needs a live engine")

        assert self.check(Nothing()).standing is Standing.UNAVAILABLE


def test_what_comes_from_a_recording_says_so() -> None:
    recorded = replace(step(TestUsage.V1), recorded=RECORDING)
    assert "recorded" in cgroups.read_usage(recorded).table().text
