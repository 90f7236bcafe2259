"""The report: complete, offline, failure first, and honest about replay."""

import dataclasses
import datetime
import re
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from labsupport.display.findings import Findings, settled_shown
from labsupport.display.report import ExecutedNotebook, write_report
from labsupport.experiments.evidence import (
    CheckRecord,
    Evidence,
    Provenance,
    Tool,
    VerdictRecord,
    live_path,
    recorded_path,
    write,
)

LEDGER = """
topics:
  dockerfile: {prefix: df, title: Dockerfile, notebook: 06-x}
claims:
  - {id: df-08, topic: dockerfile, sentence: ENTRYPOINT is never overridden., reading: refuted, status: settled,
     verdict: refuted, experiment: 06-x/override, note: "`--entrypoint` replaces it."}
  - {id: df-09, topic: dockerfile, sentence: Arguments are appended to ENTRYPOINT., reading: conditional,
     status: unsettled, verdict: null, experiment: null}
  - {id: df-10, topic: dockerfile, sentence: Both combine., reading: confirmed, status: settled,
     verdict: confirmed, experiment: 08-z/elsewhere}
"""


def evidence(experiment: str, claim: str, verdict: str) -> Evidence:
    check = CheckRecord(sentence="`docker run` prints hello", expected="hello", seen="hello", passed=True)
    return Evidence(
        experiment=experiment,
        backend="private",
        recorded=datetime.date(2026, 11, 23),
        provenance=Provenance(
            kernel="Linux 6.18",
            engine="Docker 29.0.1",
            tools=(Tool(name="runc", version="1.5.2", source="built here"),),
        ),
        settles=(claim,),
        verdicts=(VerdictRecord(claim=claim, verdict=verdict, alternatives={verdict: check}),),  # type: ignore[arg-type]
    )


def notebook(path: Path, *, fails: bool = False) -> ExecutedNotebook:
    outputs = [
        new_output("stream", name="stdout", text="\x1b[31mred\x1b[0m <tag>"),
        new_output(
            "display_data",
            {
                "application/vnd.jupyter.widget-view+json": {"model_id": "abc"},
                "text/html": "<p>the fallback</p>",
                "text/plain": "the fallback as text",
            },
        ),
        new_output("display_data", {"application/javascript": "alert(1)", "text/plain": "instead of a script"}),
        new_output("execute_result", {"text/plain": "<plain & simple>"}, execution_count=1),
    ]
    failing = new_code_cell("1/0", id="failing-cell")
    if fails:
        failing.outputs = [
            new_output("error", ename="EngineError", evalue="Tried: x\nWhat happened: <y>", traceback=["a", "b"])
        ]
    cells = [
        new_markdown_cell("# What is it?\n\nSome `code` and $x$."),
        new_code_cell("engine = 'auto'", metadata={"tags": ["parameters"]}),
        new_markdown_cell("## First part"),
        new_code_cell("print('a')", outputs=outputs),
        new_markdown_cell("## Second part"),
        failing,
    ]
    nbformat.write(new_notebook(cells=cells), path)
    return ExecutedNotebook(
        slug=path.stem,
        title="What is it?",
        path=path,
        outcome="failed" if fails else "passed",
        seconds=1.25,
        cells=3,
        cells_done=2 if fails else 3,
        error="EngineError: <y>" if fails else "",
    )


@pytest.fixture
def pages(tmp_path: Path) -> dict[str, str]:
    claims = tmp_path / "claims.yaml"
    claims.write_text(LEDGER)
    live, recorded = tmp_path / "live", tmp_path / "recorded"
    write(evidence("06-x/override", "df-08", "refuted"), live_path(live, "06-x/override"))
    write(evidence("07-y/replayed", "df-09", "conditional"), recorded_path(recorded, "07-y/replayed", "private"))
    write(evidence("08-z/elsewhere", "df-10", "confirmed"), recorded_path(recorded, "08-z/elsewhere", "private"))
    notebooks = [notebook(tmp_path / "06-x.ipynb"), notebook(tmp_path / "07-y.ipynb", fails=True)]
    front = write_report(
        tmp_path / "out", notebooks, evidence=live, claims=claims, facts={"Version": "0.1.0"}, recorded=recorded
    )
    assert front == tmp_path / "out" / "index.html"
    return {path.name: path.read_text() for path in front.parent.glob("*.html")}


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", html, flags=re.DOTALL).split())


def test_every_page_is_there_and_every_link_leads_somewhere(pages: dict[str, str]) -> None:
    assert set(pages) == {"index.html", "ledger.html", "versions.html", "06-x.html", "07-y.html"}
    for html in pages.values():
        for target in re.findall(r'href="([^"]+)"', html):
            page, _, anchor = target.partition("#")
            assert not page or page in pages, target
            assert not anchor or f'id="{anchor}"' in (pages[page] if page else html), target


def test_nothing_is_loaded_from_anywhere(pages: dict[str, str]) -> None:
    for html in pages.values():
        assert "<script" not in html
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', html)
        assert "@import" not in html and "url(http" not in html


def test_every_page_is_made_for_a_phone_and_has_one_title(pages: dict[str, str]) -> None:
    for name, html in pages.items():
        assert 'name="viewport"' in html and '<html lang="en">' in html, name
        assert html.count("<h1") == 1, name


def test_the_front_page_tells_outcome_verdicts_and_facts(pages: dict[str, str]) -> None:
    text = text_of(pages["index.html"])
    for part in ("1 of 2 notebooks passed", "0.1.0", "2/3", "1.2", "1 refuted", "ENTRYPOINT is never overridden."):
        assert part in text
    assert text.index("&lt;y&gt;") < text.index("Executed notebooks")


def test_replayed_verdicts_never_look_live(pages: dict[str, str]) -> None:
    rows = [text_of(row) for row in pages["index.html"].split("<tr")[1:]]
    ran = next(row for row in rows if "06 · override" in row)
    replayed = next(row for row in rows if "07 · replayed" in row)
    assert "live" in ran and "recorded" not in ran
    assert "recorded" in replayed and "live" not in replayed and "2026-11-23" in replayed
    for page, mark, other in (("06-x.html", "● live", "▤ recorded"), ("07-y.html", "▤ recorded", "● live")):
        row = next(row for row in pages["index.html"].split("<tr")[1:] if f'href="{page}"' in row)
        for shown in (text_of(row), text_of(pages[page])):
            assert mark in shown and other not in shown
    assert "recorded, not live" in text_of(pages["07-y.html"])


def test_every_notebook_has_a_badge_that_needs_no_style_sheet(pages: dict[str, str], tmp_path: Path) -> None:
    badges = {path.stem: path.read_text() for path in (tmp_path / "out" / "badges").iterdir()}
    assert set(badges) == {"06-x", "07-y"}
    assert ">✓ passed<" in badges["06-x"] and ">● live<" in badges["06-x"]
    assert ">✗ failed<" in badges["07-y"] and ">▤ recorded<" in badges["07-y"]
    for svg in badges.values():
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg" and int(root.attrib["width"]) > 100
        assert "var(" not in svg and "class=" not in svg and "href" not in svg


def test_what_ran_with_simulated_parts_says_so_on_each_page_and_on_its_badge(tmp_path: Path) -> None:
    claims, live = tmp_path / "claims.yaml", tmp_path / "live"
    claims.write_text(LEDGER)
    seen = evidence("06-x/override", "df-08", "refuted").model_copy(update={"simulated": ("nodes", "containers")})
    write(seen, live_path(live, "06-x/override"))
    executed = notebook(tmp_path / "06-x.ipynb")
    front = write_report(tmp_path / "out", [executed], evidence=live, claims=claims, facts={})
    rows = [text_of(row) for row in front.read_text().split("<tr")[1:]]
    of_notebook, of_claim = (next(row for row in rows if what in row) for what in ("What is it?", "06 · override"))
    assert "● live ◇ simulated" in of_notebook and "● live ◇ simulated" in of_claim
    assert "simulated: nodes, containers" in text_of((front.parent / "06-x.html").read_text())
    assert ">◇ simulated<" in (front.parent / "badges" / "06-x.svg").read_text()


def test_experiments_that_a_live_notebook_replayed_are_shown_as_recorded_once_it_has_passed(tmp_path: Path) -> None:
    claims, live, recorded = tmp_path / "claims.yaml", tmp_path / "live", tmp_path / "recorded"
    claims.write_text(LEDGER)
    write(evidence("06-x/override", "df-08", "refuted"), live_path(live, "06-x/override"))
    write(evidence("06-x/other", "df-09", "confirmed"), recorded_path(recorded, "06-x/other", "private"))
    executed = notebook(tmp_path / "06-x.ipynb")

    def source_of(executed: ExecutedNotebook) -> str:
        front = write_report(
            tmp_path / "out", [executed], evidence=live, claims=claims, facts={}, recorded=recorded
        ).read_text()
        return next(text_of(row) for row in front.split("<tr")[1:] if "What is it?" in row)

    assert "● live ▤ recorded" in source_of(executed)
    assert "recorded: other" in text_of((tmp_path / "out" / "06-x.html").read_text())
    assert "recorded" not in source_of(dataclasses.replace(executed, outcome="failed"))


def test_a_failed_notebook_begins_with_its_error_and_cell(pages: dict[str, str]) -> None:
    html = pages["07-y.html"]
    assert html.index("This notebook stopped: EngineError") < html.index("First part")
    assert html.index("What happened: &lt;y&gt;") < html.index("First part")
    assert "<y>" not in html
    assert 'href="#cell-failing-cell"' in html and 'id="cell-failing-cell"' in html


def test_a_chapter_shows_what_stands_in_for_widgets_and_scripts(pages: dict[str, str]) -> None:
    html = pages["06-x.html"]
    assert "the fallback" in html and "the fallback as text" not in html
    assert "instead of a script" in html and "alert(1)" not in html
    assert "&lt;plain &amp; simple&gt;" in html and "&lt;tag&gt;" in html
    assert 'class="ansi-red-fg"' in html


def test_the_ledger_shows_every_claim_and_what_this_run_said(pages: dict[str, str]) -> None:
    text = text_of(pages["ledger.html"])
    for part in ("3 claims, 2 settled", "df-08", "df-09", "unsettled", "--entrypoint", "Dockerfile"):
        assert part in text
    assert 'href="06-x.html"' in pages["ledger.html"]


def test_every_row_of_the_ledger_has_status_verdict_experiment_and_versions(pages: dict[str, str]) -> None:
    rows = {claim: text_of(row) for row in pages["ledger.html"].split("<tr")[1:] for claim in re.findall("df-..", row)}
    assert "settled ≠ refuted ≠ refuted 06 · override ● live Docker 29.0.1; 2026-11-23" in rows["df-08"]
    assert "unsettled" in rows["df-09"] and "Docker" not in rows["df-09"]
    # It was no part of this run: what it rests on is on the shelf.
    assert "settled ✓ confirmed - 08 · elsewhere ▤ recorded Docker 29.0.1; 2026-11-23" in rows["df-10"]


def test_what_a_computer_cannot_tell_is_not_called_unclear(tmp_path: Path) -> None:
    unclear = evidence("06-x/t", "df-08", "unclear")
    given = CheckRecord(sentence="`modprobe ipvlan` exits with 0", expected="0", seen="1", passed=False)
    lacks = unclear.verdicts[0].model_copy(update={"given": given})
    found = Findings(((unclear.model_copy(update={"verdicts": (lacks,)}), True),))
    assert found.count("06-x") == [("untold", 1)]
    said = text_of(settled_shown(found, {}, None))
    assert "○ not to be told here" in said and "is not here: modprobe ipvlan exits with 0" in said
    # Where it could have told, it is.
    able = lacks.model_copy(update={"given": given.model_copy(update={"passed": True})})
    found = Findings(((unclear.model_copy(update={"verdicts": (able,)}), True),))
    assert found.count("06-x") == [("unclear", 1)]
    assert "? unclear" in text_of(settled_shown(found, {}, None))


def test_the_versions_name_tools_and_their_source(pages: dict[str, str]) -> None:
    text = text_of(pages["versions.html"])
    for part in ("Docker 29.0.1", "Linux 6.18", "runc", "1.5.2", "built here", "live", "recorded"):
        assert part in text


def test_unreadable_evidence_and_ledger_are_told_and_stop_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "live" / "06-x" / "override.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    made = notebook(tmp_path / "06-x.ipynb")
    front = write_report(
        tmp_path / "out", [made], evidence=tmp_path / "live", claims=tmp_path / "none.yaml", facts={}, recorded=None
    )
    assert "override.json" in front.read_text()
    assert "none.yaml" in (front.parent / "ledger.html").read_text()


def test_a_notebook_that_left_no_file_still_has_a_page(tmp_path: Path) -> None:
    made = ExecutedNotebook("06-x", "Title", tmp_path / "none.ipynb", "failed", 0.1, 3, 0, "the kernel died")
    front = write_report(tmp_path / "out", [made], evidence=tmp_path, claims=tmp_path / "none.yaml", facts={})
    assert "the kernel died" in (front.parent / "06-x.html").read_text()


def test_a_notebook_that_stopped_outside_its_cells_says_why(tmp_path: Path) -> None:
    made = dataclasses.replace(notebook(tmp_path / "06-x.ipynb"), outcome="failed", error="the kernel died")
    front = write_report(tmp_path / "out", [made], evidence=tmp_path, claims=tmp_path / "none.yaml", facts={})
    assert "the kernel died" in (front.parent / "06-x.html").read_text()


def test_writing_again_removes_pages_of_notebooks_that_did_not_run(tmp_path: Path) -> None:
    one, other = notebook(tmp_path / "06-x.ipynb"), notebook(tmp_path / "07-y.ipynb")
    for notebooks in ([one, other], [one]):
        write_report(tmp_path / "out", notebooks, evidence=tmp_path, claims=tmp_path / "none.yaml", facts={})
    assert not (tmp_path / "out" / "07-y.html").exists()
    assert not (tmp_path / "out" / "badges" / "07-y.svg").exists()
