"""What people see: every output in two renderings that say the same, escaped, named when it is not live."""

import datetime
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from IPython.core.formatters import DisplayFormatter

from labsupport.display.cards import Card, Part, closing
from labsupport.display.exercises import STANDINGS, exercise_shown, outcome_shown, progress_table
from labsupport.display.failures import error_shown
from labsupport.display.figures import Limit, Measure, bars, dots
from labsupport.display.markup import Markup, Shown, element, prose
from labsupport.display.notebook import as_shown, marking, show
from labsupport.display.origin import LIVE, Origin
from labsupport.display.steps import checks_shown, exit_code_in_words, judgement_shown, step_shown
from labsupport.display.style import (
    AVAILABILITY,
    CHECKED,
    HUES,
    INK,
    LINE,
    MUTED,
    OUTCOMES,
    PANEL,
    PAPER,
    PREDICTED,
    SERIES,
    VERDICTS,
    Hue,
    stylesheet,
)
from labsupport.display.tables import CROWDED_PROSE_EMS, MOST_CODE_LETTERS, PROSE_EMS, Column, facts, table
from labsupport.errors import EngineError, NotRecorded
from labsupport.experiments.checks import all_of, any_of, equals, exit_code_is, output_contains
from labsupport.experiments.claims import Claim, Verdict
from labsupport.experiments.exercises import Exercise, Hint, Outcome, Requirement, Standing
from labsupport.experiments.progress import ExerciseProgress, NotebookProgress, Progress
from labsupport.experiments.steps import Observation, Recording, Step, pasteable
from labsupport.experiments.trial import Judgement

RECORDING = Recording(datetime.date(2026, 11, 23), ("Docker 29.0.1", "Linux 6.18"), "no engine can run here", "private")


MEASURES = [Measure("exec", (0.2,), "stopped by itself"), Measure("shell", (10.2,), "killed")]
ALT = "Bars of the stop times: exec is short, shell lasts the whole grace."


def step(**changes: object) -> Step:
    values: dict[str, object] = {
        "experiment": "06-x/override",
        "number": 1,
        "argv": ("docker", "run", "lab/toolbox", "echo", "a b"),
        "exit_code": 0,
        "stdout": "a b\n",
        "stderr": "",
        "seconds": 0.41,
    }
    return Step(**{**values, **changes})  # type: ignore[arg-type]


def judgement(verdict: Verdict | None = Verdict.REFUTED, **changes: object) -> Judgement:
    claim = Claim(
        id="df-08", topic="dockerfile", sentence="ENTRYPOINT is never overridden.", reading=None, status="unsettled",
        verdict=None, experiment=None,
    )  # fmt: skip
    values: dict[str, object] = {
        "claim": claim,
        "experiment": "06-x/override",
        "verdict": verdict,
        "alternatives": {
            Verdict.CONFIRMED: equals("echo", "entry", "the program"),
            Verdict.REFUTED: equals("echo", "echo", "the program"),
        },
        "given": None,
        "otherwise": None,
        "unclear_because": "" if verdict else "no alternative holds",
        "prediction": "it stays",
        "recorded": None,
        "simulated": (),
    }
    return Judgement(**{**values, **changes})  # type: ignore[arg-type]


class Balance(HTMLParser):
    """Finds elements that are not closed in order."""

    empty = ("br", "hr", "img", "input", "link", "meta")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.empty:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)


def assert_balanced(html: str) -> None:
    balance = Balance()
    balance.feed(html)
    assert not balance.faults
    assert not balance.open


def words(html: str) -> str:
    return " ".join(Markup(html).striptags().split())


def test_an_element_escapes_text_and_keeps_markup() -> None:
    made = element("p", "<b>", Markup("<i>x</i>"), 3, None, class_="a", aria_label='"', hidden=True, id=None)
    assert made == '<p class="a" aria-label="&#34;" hidden>&lt;b&gt;<i>x</i>3</p>'
    assert element("br") == "<br>"


def test_back_ticks_become_code_and_the_rest_is_escaped() -> None:
    assert prose("run `a <b>` & `c`") == "run <code>a &lt;b&gt;</code> &amp; <code>c</code>"


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("hue", [hue for hue in HUES if hue not in (LINE, PANEL, PAPER)], ids=lambda hue: hue.name)
@pytest.mark.parametrize("ground", [PAPER, PANEL], ids=lambda hue: hue.name)
def test_every_colour_of_text_is_readable_in_both_themes(hue: Hue, ground: Hue) -> None:
    assert contrast(hue.light, ground.light) >= 4.5
    assert contrast(hue.dark, ground.dark) >= 4.5


@pytest.mark.parametrize("marks", [VERDICTS, CHECKED, PREDICTED, AVAILABILITY, OUTCOMES, STANDINGS])
def test_states_differ_in_symbol_or_word_never_in_colour_alone(marks: dict[object, object]) -> None:
    told = [(mark.symbol, mark.word) for mark in marks.values()]  # type: ignore[attr-defined]
    assert len(set(told)) == len(told)
    assert all(symbol and word for symbol, word in told)


def test_every_verdict_of_the_ledger_has_a_mark() -> None:
    assert {verdict.value for verdict in Verdict} | {"unclear", "untold"} == set(VERDICTS)


def test_the_stylesheet_defines_every_colour_it_uses_and_loads_nothing() -> None:
    sheet = stylesheet()
    defined = set(re.findall(r"--lab-([a-z0-9-]+):", sheet))
    assert set(re.findall(r"var\(--lab-([a-z0-9-]+)", sheet)) <= defined
    assert "url(" not in sheet and "@import" not in sheet


def test_a_step_shows_command_streams_exit_code_and_seconds() -> None:
    shown = step_shown(step(exit_code=137, stderr="killed\n"))
    assert_balanced(shown.html)
    for part in ("docker run lab/toolbox echo 'a b'", "killed", "stderr", "128 + 9: SIGKILL", "0.41 s", "live"):
        assert part in words(shown.html)
    for part in ("$ docker run lab/toolbox echo 'a b'", "killed", "137", "0.41 s"):
        assert part in shown.text


def test_what_a_command_was_given_to_read_is_folded_below_it() -> None:
    shown = step_shown(step(argv=("sh", "-s"), stdin="echo <one>\necho two\n"))
    assert_balanced(shown.html)
    assert "given to read: 2 lines" in shown.html and "echo &lt;one&gt;\necho two</pre>" in shown.html
    assert "given to read" not in step_shown(step()).html


def test_the_command_of_a_step_can_be_copied_as_it_stands() -> None:
    assert '<pre class="lab-command">docker run lab/toolbox echo &#39;a b&#39;</pre>' in step_shown(step()).html


@pytest.mark.parametrize(
    ("word", "shown"),
    [("a 'b' | c", "\"a 'b' | c\""), ("echo '$$'", "'echo '\"'\"'$$'\"'\"''"), ("a b", "'a b'"), ("ab", "ab")],
)
def test_a_command_has_quotes_that_one_can_read_and_that_change_nothing(word: str, shown: str) -> None:
    assert pasteable(["sh", "-c", word]) == f"sh -c {shown}"
    assert shlex.split(pasteable(["sh", "-c", word])) == ["sh", "-c", word]


def test_output_is_escaped() -> None:
    assert "<script>" not in step_shown(step(stdout="<script>alert(1)</script>", stderr="<script>")).html


def test_long_output_is_folded_and_complete() -> None:
    shown = step_shown(step(stdout="".join(f"line {number}\n" for number in range(60))))
    assert_balanced(shown.html)
    assert "36 more lines of stdout" in shown.html
    assert all(f"line {number}\n" in shown.html or f"line {number}<" in shown.html for number in range(60))


def test_a_silent_step_says_so() -> None:
    assert "(no output)" in step_shown(step(stdout="")).html


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "exit code 0"),
        (1, "exit code 1"),
        (127, "exit code 127 (command not found)"),
        (137, "exit code 137 (128 + 9: SIGKILL)"),
        (143, "exit code 143 (128 + 15: SIGTERM)"),
        (255, "exit code 255"),
    ],
)
def test_exit_codes_are_told_as_a_shell_means_them(code: int, said: str) -> None:
    assert exit_code_in_words(code) == said


@pytest.mark.parametrize(
    "seen",
    [
        step(recorded=RECORDING, simulated=("kubelet",)),
        Observation("06-x/override", "config", {"Cmd": None}, RECORDING, ("kubelet",)),
        judgement(recorded=RECORDING, simulated=("kubelet",)),
    ],
    ids=lambda seen: type(seen).__name__,
)
def test_what_is_recorded_or_simulated_says_so_on_every_output(seen: object) -> None:
    shown = as_shown(seen)
    assert_balanced(shown.html)
    for part in ("recorded", "2026-11-23", "Docker 29.0.1", "simulated", "kubelet"):
        assert part in words(shown.html)
        assert part in shown.text.lower() or part in shown.text
    assert "live" not in words(shown.html)


def shown_by_ipython(thing: object, origin: Origin) -> dict[str, Any]:
    bundle, _ = marking(DisplayFormatter(), lambda: origin).format(thing)
    return bundle  # type: ignore[no-any-return]


UNMARKED = [
    equals("a", "a", "the letter"), table("Seen", ["letter"], [["a"]]), bars("Times", MEASURES, alt=ALT, axis="s"),
    Shown(Markup("<p>a</p>"), "a"), ["a"], {"a": 1}, "a", 1,
]  # fmt: skip


@pytest.mark.parametrize("thing", UNMARKED, ids=lambda thing: type(thing).__name__)
def test_what_does_not_tell_its_origin_gets_a_mark(thing: object) -> None:
    origin = Origin(RECORDING, ("nodes",))
    marked = shown_by_ipython(thing, origin)
    assert_balanced(marked["text/html"])
    assert words(marked["text/html"]).startswith("▤ recorded 2026-11-23 ◇ simulated nodes")
    assert marked["text/plain"].startswith("[recorded: 2026-11-23] [simulated: nodes]\n\n")
    plain = shown_by_ipython(thing, LIVE)
    assert plain["text/plain"] == marked["text/plain"].partition("\n\n")[2]
    assert "lab-origin" not in plain.get("text/html", "")


@pytest.mark.parametrize(
    "thing",
    [
        step(recorded=RECORDING),
        Observation("06-x/override", "said", "one\ntwo", RECORDING),
        judgement(recorded=RECORDING),
        Origin(RECORDING).above(table("Seen", ["letter"], [["a"]]).shown()),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_what_tells_its_origin_tells_it_once(thing: object) -> None:
    bundle = shown_by_ipython(thing, Origin(RECORDING))
    assert bundle["text/html"].count("lab-origin") == 1
    assert len(re.findall("recorded", bundle["text/plain"], re.IGNORECASE)) == 1


@pytest.mark.parametrize(
    "thing",
    [
        Outcome("rewrite", Standing.PASSED, "All is well.", 1, 1),
        Hint("Look again."),
        closing("lab-1", ()),
        closing("lab-1", ("mount /x",)),
        Card("", "06-x", (Part("Docker engine", "live"),)),
        object(),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_what_was_seen_in_no_trial_gets_none(thing: object) -> None:
    assert "recorded" not in str(shown_by_ipython(thing, Origin(RECORDING)))


def test_a_text_that_was_observed_is_shown_line_by_line() -> None:
    shown = as_shown(Observation("06-x/override", "said", "one\ntwo"))
    assert "<pre>one\ntwo</pre>" in shown.html and shown.text == "said:\none\ntwo"


def test_the_card_of_a_lab_with_simulated_parts_names_them_above_all() -> None:
    parts = (Part("Nodes", "simulated", because="no machine can start here"),)
    shown = Card("lab-1", "08-statefulset", parts, origin=Origin(simulated=("nodes",))).shown()
    assert shown.text.startswith("[live] [simulated: nodes]")
    assert "lab-origin" in shown.html
    assert "simulated" not in Card("lab-1", "08-statefulset", ()).shown().text


def test_what_is_live_with_simulated_parts_names_them() -> None:
    shown = step_shown(step(simulated=("kubelet",)))
    assert "simulated kubelet" in words(shown.html) and "kubelet" in shown.text


def test_the_banner_has_date_versions_and_reason() -> None:
    banner = Origin(RECORDING, ("nodes",)).banner()
    for part in ("Recorded, not live", "2026-11-23", "Docker 29.0.1", "Linux 6.18", "no engine can run here", "nodes"):
        assert part in words(banner.html)
    assert "RECORDED, NOT LIVE" in banner.text and "no engine can run here" in banner.text
    assert LIVE.banner().html == ""


def test_a_judgement_shows_every_alternative_and_the_prediction() -> None:
    shown = judgement_shown(judgement())
    assert_balanced(shown.html)
    for part in ("refuted", "df-08", "ENTRYPOINT is never overridden.", "confirmed if", "refuted if", "it stays"):
        assert part in words(shown.html)
        assert part in shown.text
    assert words(shown.html).index("refuted if") < words(shown.html).index("confirmed if")


def test_what_is_empty_is_called_nothing() -> None:
    shown = checks_shown([equals("", "", "what the port says"), equals("shop", "", "what it says")])
    assert "<dt>seen, as expected</dt><dd>nothing</dd>" in shown.html
    assert "<dt>expected</dt><dd>nothing</dd><dt>seen</dt><dd>shop</dd>" in shown.html
    assert "    seen, as expected: nothing" in shown.text and "    expected: nothing" in shown.text


def test_a_check_that_has_a_prediction_shows_it_first_and_escaped() -> None:
    shown = checks_shown([replace(equals("1", "1", "what it says"), prediction="<b>")])
    assert shown.html.startswith("<p>You predicted: <q>&lt;b&gt;</q></p><ul")
    assert shown.text.startswith("you predicted: <b>\n")


def test_checks_that_were_joined_are_told_one_by_one_and_uncut() -> None:
    seen = step(argv=("sh", "-c", f"echo 'a' | grep {'b' * 90}"), stdout="one\ntwo\n", place="old")
    joined = all_of(equals(1, 2, "the number"), any_of(output_contains(seen, "one"), exit_code_is(seen, 1)))
    shown = checks_shown([joined])
    assert_balanced(shown.html)
    assert "…" not in shown.html + shown.text
    said = f"""sh -c "echo 'a' | grep {"b" * 90}\""""
    assert shown.text.splitlines() == [
        "✗ does not hold: all of these",
        "  ✗ does not hold: the number",
        "      expected: 2",
        "      seen:     1",
        "  ✓ holds: at least one of these",
        f"    ✓ holds: output of `{said}` on `old`",
        "        expected: somewhere 'one'",
        "        seen:     one",
        "                  two",
        f"    ✗ does not hold: exit code of `{said}` on `old`",
        "        expected: 1",
        "        seen:     0",
    ]
    assert shown.html.count('<li class="lab-hue-') == 5 and shown.html.count('<ul class="lab-checks">') == 3
    assert "<dt>expected</dt><dd>somewhere &#39;one&#39;</dd><dt>seen</dt><dd>one\ntwo\n</dd>" in shown.html


def test_an_unclear_judgement_says_why() -> None:
    shown = judgement_shown(judgement(None))
    assert "Unclear because no alternative holds" in words(shown.html)


def test_a_table_has_caption_scopes_and_a_text_twin() -> None:
    made = table(
        "Ends", ["form", Column("argv", "code"), Column("s", "number")], [["exec", '["a"]', 0.2], ["shell", None, 10]]
    )
    assert_balanced(made.html)
    assert made.html.count('scope="col"') == 3
    assert made.html.count('scope="row"') == 2
    assert 'tabindex="0"' in made.html and 'aria-label="Ends"' in made.html
    lines = made.text.splitlines()
    assert lines[0] == "Ends"
    assert lines[1].split() == ["form", "argv", "s"]
    assert lines[3].split() == ["exec", '["a"]', "0.20"]
    assert lines[4].split() == ["shell", "-", "10"]


def test_a_column_is_never_narrower_than_its_words_need_nor_wider_than_it_must() -> None:
    columns = ["name", Column("path", "code"), Column("why", "prose")]
    page = table("Seen", columns, [["a", "/docker/ID", "short"], ["b", "x" * 80, "long " * 40]]).html
    assert f"min-width: calc({MOST_CODE_LETTERS}ch + 1.7em)" in page
    assert f"min-width: {PROSE_EMS}em" in page
    assert "min-width: calc(10ch + 1.7em)" in table("Seen", columns, [["a", "/docker/ID", "short"]]).html


def test_several_columns_of_prose_share_the_page() -> None:
    crowded = [Column(name, "prose") for name in ("one", "two", "three")]
    page = table("Seen", ["name", *crowded], [["a", *["words " * 30] * 3]]).html
    assert page.count(f"min-width: {CROWDED_PROSE_EMS}em") == 3


def test_a_table_refuses_a_row_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match="2 columns, but a row of 1"):
        table("Ends", ["a", "b"], [["x"]])


def test_a_new_group_of_rows_is_set_apart() -> None:
    made = table("T", ["a", "b", "c"], [[1, 1, 1], [1, 2, 1], [2, 1, 1]], header_columns=2)
    assert made.html.count("lab-group-start") == 1


def test_facts_leave_out_what_is_empty() -> None:
    assert facts({"a": "1", "b": None, "c": ""}).text == "a  1"


def test_a_figure_has_alt_text_theme_colours_and_a_table() -> None:
    figure = bars("Stop times", MEASURES, alt=ALT, axis="seconds", limit=Limit(10, "grace"))
    assert f'aria-label="{ALT}"' in figure.svg and 'role="img"' in figure.svg
    assert f"var(--lab-ink, {INK.light})" in figure.svg and f"var(--lab-muted, {MUTED.light})" in figure.svg
    bare = re.sub(r"var\([^)]*\)", "", figure.svg)
    assert not re.findall(r"#[0-9a-f]{6}(?![0-9a-f])", bare)
    assert figure.svg.count("<text") >= 6
    assert_balanced(figure.shown().html)
    for part in (ALT, "exec", "stopped by itself", "10.20"):
        assert part in figure.shown().text


def test_bars_tell_groups_apart_without_colour() -> None:
    figure = bars("Stop times", MEASURES, alt=ALT, axis="seconds")
    assert "<pattern" in figure.svg
    assert "stopped by itself" in figure.svg and "killed" in figure.svg


def test_a_figure_is_the_same_every_time_and_shares_no_id_with_another() -> None:
    one = dots("Times", [Measure("a", (1.0, 2.0)), Measure("b", (3.0, 4.0))], alt=ALT, axis="seconds")
    again = dots("Times", [Measure("a", (1.0, 2.0)), Measure("b", (3.0, 4.0))], alt=ALT, axis="seconds")
    other = dots("Times", [Measure("a", (1.0, 2.5)), Measure("b", (3.0, 4.0))], alt=ALT, axis="seconds")
    assert one.svg == again.svg
    assert not set(re.findall(r'\bid="([^"]+)"', one.svg)) & set(re.findall(r'\bid="([^"]+)"', other.svg))
    for target in re.findall(r'(?:href="|url\()#([^")]+)', one.svg):
        assert f'id="{target}"' in one.svg


def test_a_figure_without_a_description_is_refused() -> None:
    with pytest.raises(ValueError, match="alt text"):
        bars("Stop times", MEASURES, alt="a chart", axis="seconds")


def test_no_colour_of_a_series_is_shared() -> None:
    assert len({hue.light for hue in SERIES}) == len(SERIES) == len({hue.dark for hue in SERIES})


def test_a_card_tells_what_is_not_live_and_why() -> None:
    card = Card(
        "lab-3f9a2c",
        "06-x",
        (
            Part("Docker engine", "live", "private engine"),
            Part("Cluster", "unavailable", because="it has no need", change_it="run `./lab start`"),
        ),
        (("Published ports", "169.254.1.2"),),
        (("runc", "1.5.2"),),
        LIVE,
        0.71,
    )
    shown = card.shown()
    assert_balanced(re.sub(r"<style>.*?</style>", "", shown.html, flags=re.DOTALL))
    assert "<style>" in shown.html
    for part in ("lab-3f9a2c", "live", "not available", "it has no need", "./lab start", "169.254.1.2", "0.7 s"):
        assert part in words(shown.html)
        assert part in shown.text


def test_a_card_on_recorded_evidence_begins_with_the_banner() -> None:
    part = Part("Docker engine", "recorded", because="no root")
    shown = Card("", "06-x", (part,), origin=Origin(RECORDING)).shown()
    assert shown.text.startswith("=== RECORDED, NOT LIVE ===")
    assert shown.html.index("Recorded, not live") < shown.html.index("06-x")


@pytest.mark.parametrize(("state", "because"), [("recorded", ""), ("broken", "x")])
def test_a_part_must_say_why_it_is_not_live(state: str, because: str) -> None:
    with pytest.raises(ValueError, match="Docker"):
        Part("Docker engine", state, because=because)


def test_closing_names_every_leftover() -> None:
    assert "nothing left behind" in closing("lab-1", ()).text
    shown = closing("lab-1", ("mount /x", "process 12"))
    assert "mount /x" in shown.html and "process 12" in shown.text and "./lab clean" in shown.text


def test_an_error_of_ours_is_three_sentences_and_another_keeps_its_traceback() -> None:
    shown = error_shown(EngineError("docker run", "it refused <x>", "read `the log`"))
    for part in ("Tried", "docker run", "What happened", "it refused", "What to do", "the log"):
        assert part in words(shown.html)
    assert "<x>" not in shown.html
    assert "lab-hue-careful" in error_shown(NotRecorded("a", "b", "c")).html
    assert "fault" in error_shown(ZeroDivisionError("by zero")).text


def test_show_prints_text_outside_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    show(step())
    assert "$ docker run" in capsys.readouterr().out


def exercise() -> Exercise[str]:
    needed = Requirement[str]("small", lambda seen: seen == "small", lambda seen: f"It is {seen}. Make it `small`.")
    return Exercise("rewrite", "Write a smaller one.", lambda: "big", bool, (needed,), hints=("a", "b"))


def test_an_exercise_and_its_outcome_show_the_next_step() -> None:
    made = exercise()
    assert "Write a smaller one." in words(exercise_shown(made).html)
    shown = outcome_shown(made.check())
    assert_balanced(shown.html)
    for part in ("not yet", "rewrite", "small", "It is big."):
        assert part in words(shown.html)
        assert part in shown.text
    assert "Next: small" in words(shown.html)
    passed = outcome_shown(Outcome("rewrite", Standing.PASSED, "All is well.", 1, 1))
    assert "1 of 1 requirements met" in words(passed.html)


def test_progress_names_exercises_and_attempts() -> None:
    kept = NotebookProgress(predictions=("a", "b"), exercises={"rewrite": ExerciseProgress(attempts=1, passed=True)})
    made = progress_table(Progress(notebooks={"06-x": kept}))
    assert "rewrite" in made.text and "1 attempt" in made.text and "06-x" in made.text
