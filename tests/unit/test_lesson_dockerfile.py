"""What notebook 06 reads from its commands, predicts and explains: from texts, without an engine."""

import datetime
import gzip
import importlib.util
import io
import json
import shutil
import sys
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from labsupport.errors import EvidenceError, NotRecorded
from labsupport.experiments.claims import Ledger
from labsupport.experiments.evidence import find_recorded, recorded_path, write
from labsupport.experiments.exercises import Standing
from labsupport.experiments.logbook import Logbook, Recorded
from labsupport.experiments.runners import RecordingRunner
from labsupport.experiments.steps import Recording, Step
from labsupport.experiments.trial import Trial
from labsupport.lessons.dockerfile import argv_explorer, read_layers, read_matrix, read_stops, rewrite, ways_table
from labsupport.lessons.dockerfile.explorer import combination_at, explanation
from labsupport.lessons.dockerfile.matrix import FORMS, Combination, read_outcome
from labsupport.lessons.dockerfile.stopping import as_typed
from labsupport.project import this_project
from tests.scripted import Reply, ScriptedRunner

ASSETS = this_project().assets / "06-dockerfile-instructions"
COMBINATIONS = [
    Combination(entrypoint, cmd, arguments, override)
    for entrypoint in FORMS
    for cmd in FORMS
    for arguments in (False, True)
    for override in (False, True)
]


RECORDING = Recording(datetime.date(2026, 1, 2), ("Docker 29",), "a test says so", "private")


def recorded(stdout: str, *argv: str) -> Step:
    return replace(step(stdout, *argv), recorded=RECORDING)


def step(stdout: str, *argv: str, exit_code: int = 0, stderr: str = "") -> Step:
    return Step("06-dockerfile-instructions/test", 1, argv or ("docker",), exit_code, stdout, stderr, 0.1)


def report(combination: Combination) -> list[str]:
    """What a container of the matrix would print if the rules held."""
    argv = combination.by_the_rules()
    if not argv:
        return ["docker: Error response from daemon: no command specified"]
    lines = [f"PID 1 {json.dumps(list(argv), separators=(',', ':'))}"]
    return [*lines, f'PID 7 ["{argv[2].split()[0]}","{argv[2].split()[1]}"]'] if argv[0] == "/bin/sh" else lines


class TestMatrix:
    def test_all_combinations_are_read_and_ruled(self) -> None:
        printed = "\n".join("\n".join([each.command, *report(each)]) for each in COMBINATIONS)
        matrix = read_matrix(step(printed))
        assert len(matrix) == 36
        assert [outcome.combination for outcome in matrix] == COMBINATIONS
        assert matrix.against_the_rules() == []
        assert matrix.outcome("shell", arguments=True).program == ("entry", "e1")
        assert matrix.outcome("none", "none").refusal == "no command specified"
        assert matrix.forms_that_hand_cmd_over() == ["exec-exec"]

    @pytest.mark.parametrize(
        ("combination", "argv"),
        [
            (Combination("exec", "exec", False, False), "entry e1 cmd c1"),
            (Combination("exec", "exec", True, False), "entry e1 arg a1"),
            (Combination("exec", "shell", False, False), "entry e1 /bin/sh -c|cmd c1"),
            (Combination("shell", "exec", False, False), "/bin/sh -c|entry e1|cmd c1"),
            (Combination("none", "exec", True, False), "arg a1"),
            (Combination("exec", "exec", False, True), "other"),
            (Combination("shell", "shell", True, True), "other arg a1"),
            (Combination("none", "none", False, False), ""),
        ],
    )
    def test_the_rules_are_those_of_the_reference(self, combination: Combination, argv: str) -> None:
        assert " ".join(combination.by_the_rules()) == argv.replace("|", " ")

    def test_a_container_against_the_rules_is_named(self) -> None:
        combination = Combination("exec", "exec", True, False)
        matrix = read_matrix(step(f'{combination.command}\nPID 1 ["entry","e1","cmd","c1","arg","a1"]'))
        assert matrix.against_the_rules() == [combination.command]

    def test_a_combination_that_did_not_run_is_an_error(self) -> None:
        with pytest.raises(EvidenceError, match="matrix:exec-none"):
            read_matrix(step("")).outcome("exec")

    @pytest.mark.parametrize("lines", [[], ["sh: docker: not found"], ["PID 1 nonsense"]])
    def test_what_is_neither_report_nor_refusal_is_an_error(self, lines: list[str]) -> None:
        with pytest.raises(EvidenceError, match="no report of PID 1"):
            read_outcome(["docker", "run", "matrix:none-exec"], lines)

    def test_the_table_has_a_cell_for_each_container(self) -> None:
        printed = "\n".join("\n".join([each.command, *report(each)]) for each in COMBINATIONS)
        table = read_matrix(step(printed)).table()
        assert len(table.rows) == 9
        assert "its child: entry e1" in table.text
        assert "refused: no command specified" in table.text


class TestExplorer:
    def trial(self) -> Trial:
        def run(argv: object, _: object) -> Reply:
            assert isinstance(argv, list | tuple)
            asked = " ".join(argv)
            combination = next(each for each in COMBINATIONS if each.command == asked)
            lines = report(combination)
            if lines[0].startswith("docker:"):
                return Reply(exit_code=125, stderr="\n".join(lines))
            return Reply("\n".join(lines))

        runner = RecordingRunner(ScriptedRunner({("docker", "run"): run}))
        return Trial("06-dockerfile-instructions/matrix-by-hand", runner, Ledger([], {}))

    def test_every_position_plays_and_is_explained(self) -> None:
        explorer = argv_explorer(self.trial())
        attempts = explorer.play_all()
        assert len(attempts) == 36
        assert [attempt.error for attempt in attempts if attempt.error] == []
        assert all(attempt.played and attempt.played.explanation.endswith(".") for attempt in attempts)

    def test_a_prediction_is_compared_with_what_the_kernel_has(self) -> None:
        explorer = argv_explorer(self.trial())
        position = next(
            each for each in explorer.positions() if combination_at(each) == Combination("shell", "none", True, False)
        )
        assert explorer.play(position, '["/bin/sh", "-c", "entry e1", "arg", "a1"]').as_predicted is True
        assert explorer.play(position, '["entry", "e1", "arg", "a1"]').as_predicted is False

    def test_a_position_that_was_not_recorded_says_what_it_needs_and_invents_nothing(self, tmp_path: Path) -> None:
        recorded = find_recorded(this_project().recorded_evidence, "06-dockerfile-instructions/matrix-by-hand")
        assert recorded is not None
        combination = Combination("exec", "exec", True, False)
        steps = tuple(step for step in recorded.steps if step.key != combination.command)
        assert len(steps) == len(recorded.steps) - 1
        path = recorded_path(tmp_path, recorded.experiment, recorded.backend)
        write(recorded.model_copy(update={"steps": steps}), path)
        book = Logbook(recorded.notebook, Ledger([], {}), Recorded(tmp_path, "no engine can run here"))
        attempts = argv_explorer(book.trial("matrix-by-hand")).play_all()
        unplayed = [attempt for attempt in attempts if attempt.played is None]
        assert [combination_at(attempt.position) for attempt in unplayed] == [combination]
        assert isinstance(unplayed[0].error, NotRecorded)
        assert "needs a live engine or cluster" in unplayed[0].error.do
        assert "no engine can run here" in unplayed[0].error.do

    def test_each_control_stands_for_one_parameter(self) -> None:
        combinations = [combination_at(position) for position in argv_explorer(self.trial()).positions()]
        assert sorted(map(str, combinations)) == sorted(map(str, COMBINATIONS))

    def test_explanations_differ_where_the_rules_do(self) -> None:
        assert "replaced" in explanation(Combination("exec", "exec", False, True))
        assert "never sees" in explanation(Combination("shell", "none", True, False))
        assert "no container" in explanation(Combination("none", "none", False, False))
        assert "appended" in explanation(Combination("exec", "none", True, False))


class TestLayers:
    TEXT = (
        "100\tCOPY root/ /\t\n45\tRUN login\tfound in /root/session\n"
        "0\tRUN rm /root/session\thides /root/session\n-\t(configuration)\t{history}\n"
    )

    def test_places_are_told_by_layer(self) -> None:
        layers = read_layers(step(self.TEXT.format(history="")))
        assert layers.of_run == ["RUN login", "RUN rm /root/session"]
        assert layers.found == ["/root/session, in the layer of RUN login"]
        assert layers.size_bytes == 145
        assert "hides /root/session" in layers.table().text

    def test_the_history_counts_as_a_place(self) -> None:
        layers = read_layers(step("100\tCOPY root/ /\t\n" + "-\t(configuration)\tfound in the history\n"))
        assert layers.found == ["the history, in the configuration"]
        assert "yes" in ways_table({"argument": layers}).text

    @pytest.mark.parametrize("printed", ["", "no such image\n", "100\tCOPY root/ /\t\n"])
    def test_half_an_answer_is_an_error(self, printed: str) -> None:
        with pytest.raises(EvidenceError, match="no list of layers"):
            read_layers(step(printed))


class TestSearchProgram:
    @pytest.fixture
    def program(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location("search_layers", ASSETS / "search_layers.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def saved(self, files: Iterable[tuple[str, bytes]]) -> bytes:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, content in files:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return archive.getvalue()

    @pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
    def test_it_finds_in_layers_and_in_the_history(
        self, program: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, pack: object
    ) -> None:
        assert callable(pack)
        layers = [self.saved([("root/session", b"session=ab")]), self.saved([("root/.wh.session", b"")])]
        history = [
            {"created_by": "RUN /bin/sh -c login # buildkit"},
            {"created_by": "ENV A=session=ff", "empty_layer": True},
            {"created_by": "RUN /bin/sh -c rm   /root/session # buildkit"},
        ]
        blobs = [(f"blobs/{number}", pack(layer)) for number, layer in enumerate(layers)]
        manifest = [{"Config": "blobs/config", "Layers": [name for name, _ in blobs]}]
        saved = self.saved(
            [
                *blobs,
                ("blobs/config", json.dumps({"history": history}).encode()),
                ("manifest.json", json.dumps(manifest).encode()),
            ]
        )
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(saved)))
        program.main(program.re.compile(rb"session=[0-9a-f]"))
        assert capsys.readouterr().out.splitlines()[:2] == [
            "10\tRUN login\tfound in /root/session",
            "0\tRUN rm /root/session\thides /root/session",
        ]

    def test_its_last_line_is_the_configuration(
        self, program: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = json.dumps({"history": [{"created_by": "RUN |1 session=ab x"}]}).encode()
        manifest = json.dumps([{"Config": "c", "Layers": ["l"]}]).encode()
        saved = self.saved([("l", self.saved([])), ("c", config), ("manifest.json", manifest)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(saved)))
        program.main(program.re.compile(rb"session=[0-9a-f]"))
        assert capsys.readouterr().out.splitlines()[-1] == "-\t(configuration)\tfound in the history"


class TestStops:
    STARTED = (
        'stop-dash ["/bin/dash","-c","service"]\nstop-exec ["service"]\nstop-init-dash ["/bin/dash","-c","service"]'
    )
    LOGS = (
        "stop-dash | service: ready as PID 7; PID 1 is: /bin/dash -c service\n"
        "stop-exec | service: ready as PID 1; PID 1 is: /bin/sh /bin/service\n"
        "stop-exec | service: told to stop by TERM\n"
        "stop-init-dash | service: ready as PID 8; PID 1 is: /sbin/docker-init -- /bin/dash -c service\n"
    )

    def event(self, name: str, action: str, key: str, value: int, at_seconds: float) -> str:
        attributes = {"name": name, key: str(value)}
        return json.dumps({"Action": action, "Actor": {"Attributes": attributes}, "timeNano": int(at_seconds * 1e9)})

    def events(self) -> str:
        return "\n".join(
            [
                self.event("stop-exec", "kill", "signal", 15, 10.0),
                self.event("stop-dash", "kill", "signal", 15, 10.0),
                self.event("stop-init-dash", "kill", "signal", 15, 10.0),
                self.event("stop-exec", "die", "exitCode", 0, 10.1),
                self.event("stop-init-dash", "die", "exitCode", 143, 10.2),
                self.event("stop-dash", "kill", "signal", 9, 12.0),
                self.event("stop-dash", "die", "exitCode", 137, 12.1),
                self.event("somebody-elses", "die", "exitCode", 0, 11.0),
            ]
        )

    def stopped(self) -> Step:
        return step("", "sh", "-c", "docker stop --timeout 2 $(docker ps --quiet --filter name=stop-)")

    def test_each_container_has_its_own_end(self) -> None:
        stops = read_stops(step(self.STARTED), self.stopped(), step(self.events()), step(self.LOGS))
        assert [stop.name for stop in stops] == ["exec", "dash", "init-dash"]
        assert (stops.told, stops.killed) == (["exec"], ["dash"])
        assert stops["dash"].signals == ("TERM", "KILL")
        assert stops["dash"].seconds == pytest.approx(2.1)
        assert (stops["exec"].service_pid, stops["dash"].service_pid) == (1, 7)
        assert stops["init-dash"].outcome == "not told: ended"
        assert stops.grace_seconds == 2

    def test_table_and_figure_say_the_same(self) -> None:
        stops = read_stops(step(self.STARTED), self.stopped(), step(self.events()), step(self.LOGS))
        assert "TERM,\N{NO-BREAK SPACE}KILL" in stops.table().text
        assert "(init) /bin/dash -c service" in stops.table().text
        assert "3 containers. 1 of them" in stops.figure().text

    def test_a_missing_end_is_an_error(self) -> None:
        with pytest.raises(EvidenceError, match="stop-dash"):
            read_stops(step(self.STARTED), self.stopped(), step(""), step(self.LOGS))

    def test_words_are_quoted_as_people_do(self) -> None:
        assert as_typed(["dash", "-c", "trap 'kill $!' TERM"]) == "dash -c \"trap 'kill $!' TERM\""
        assert as_typed(["echo", 'a "b" c']) == "echo 'a \"b\" c'"


class TestRecorded:
    """What is made from recorded steps says so itself: a table must not look live."""

    def test_layers(self) -> None:
        layers = read_layers(recorded(TestLayers.TEXT.format(history="")))
        assert "recorded" in layers.table().text
        assert "recorded" in ways_table({"three-runs": layers}).text
        assert "recorded" not in read_layers(step(TestLayers.TEXT.format(history=""))).table().text

    def test_matrix(self) -> None:
        printed = "\n".join("\n".join([each.command, *report(each)]) for each in COMBINATIONS)
        assert "recorded" in read_matrix(recorded(printed)).shown().text

    def test_stops(self) -> None:
        texts = TestStops()
        events = recorded(texts.events())
        stops = read_stops(recorded(texts.STARTED), texts.stopped(), events, recorded(texts.LOGS))
        assert "recorded" in stops.table().text
        assert "recorded" in stops.figure().text


class TestExercise:
    @pytest.fixture(autouse=True)
    def in_a_copy(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        shutil.copytree(ASSETS, tmp_path / "assets" / ASSETS.name)
        monkeypatch.chdir(tmp_path)

    def answer(self, text: str) -> None:
        (Path("assets") / ASSETS.name / "exercise" / "better.Dockerfile").write_text(text)

    @pytest.mark.parametrize("text", [None, "", "# Write your answer here, then run this cell.\n"])
    def test_the_unsolved_cell_asks_nothing_of_the_engine(self, text: str | None) -> None:
        if text is not None:
            self.answer(text)
        runner = ScriptedRunner({})
        assert rewrite(runner).check().standing is Standing.NOT_STARTED
        assert runner.asked == []

    def test_the_bad_one_unchanged_is_no_attempt(self) -> None:
        self.answer((Path("assets") / ASSETS.name / "exercise" / "bad-0.Dockerfile").read_text())
        assert rewrite(ScriptedRunner({})).check().standing is Standing.NOT_STARTED

    def test_a_build_that_fails_is_told_in_the_engines_words(self) -> None:
        self.answer("FROM nowhere\n")
        broken = Reply(exit_code=1, stderr="ERROR: nowhere: not found")
        removed = Reply()
        runner = ScriptedRunner({"docker build": broken, "docker rm": removed, "docker image rm": removed})
        outcome = rewrite(runner).check()
        assert outcome.unmet == "it builds"
        assert "nowhere: not found" in outcome.message
        assert runner.asked[-1][:3] == ("docker", "image", "rm")
