"""The page of what runs where: its cells are what labs decide, and change with it."""

from dataclasses import replace

import pytest

from labsupport.backends import LabOptions, Plan, plan
from labsupport.backends.parity import parity_document, places_of_labs
from labsupport.experiments.claims import Ledger, load_ledger
from labsupport.lessons.catalog import LESSONS, Lesson, lesson
from labsupport.lessons.needs import Needs
from labsupport.project import this_project
from labsupport.systems.capabilities import Capability

POSSIBLE = Capability("namespaces machine", True, "root")
NOT_ROOT = Capability("namespaces machine", False, "it takes root")
AT_HAND = Capability("simulated nodes", True, "its programs are here")
FIRST_PLACE = 2  # after the notebook's name and its claims
ENGINE_WITH_KIND = FIRST_PLACE + 4
SIMULATED_NODES = FIRST_PLACE + 6
VIRTUAL_MACHINE = FIRST_PLACE + 7


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return load_ledger(this_project().claims)


def rows(page: str) -> list[list[str]]:
    """The table's rows, its head and the line below that left out."""
    lines = [line for line in page.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def reason(page: str, cell: str) -> str:
    number = cell.rpartition(" ")[2]
    return next(line.partition(". ")[2] for line in page.splitlines() if line.startswith(f"{number}. "))


def test_every_notebook_has_a_row_and_every_place_a_column(ledger: Ledger) -> None:
    found = rows(parity_document(ledger))
    assert [slug for row in found[:-1] for slug in [row[0][1:].partition("]")[0]]] == [each.slug for each in LESSONS]
    assert {len(row) for row in found} == {FIRST_PLACE + len(places_of_labs())}


def test_a_cell_is_what_a_lab_there_would_decide(ledger: Ledger) -> None:
    page = parity_document(ledger)
    of_kind, of_container, own_engine, without_machine = 1, 2, 3, 6
    chosen = {
        of_kind: plan(LabOptions(cluster="kind"), POSSIBLE),
        of_container: Plan("container"),
        own_engine: plan(LabOptions(engine="own")),
        without_machine: plan(LabOptions(), NOT_ROOT, AT_HAND),
    }
    for row, about in zip(rows(page), LESSONS, strict=False):
        for place, decided in chosen.items():
            cell, why = row[FIRST_PLACE + place], decided.why_not(about.needs)
            assert cell.startswith("recorded" if why else "live"), (about.slug, cell)
            assert not why or reason(page, cell) == why


def test_claims_are_settled_live_where_their_notebook_is_live(ledger: Ledger) -> None:
    *notebooks, total = rows(parity_document(ledger))
    rare = [one.experiment for one in ledger.claims if one.verdict and one.takes]
    for column in range(FIRST_PLACE, len(total)):
        live = [row for row in notebooks if row[column].startswith("live")]
        of_live = [one for one in rare if any(f"[{one.partition('/')[0]}]" in row[0] for row in live)]
        wholly = sum(int(row[1]) for row in live) - (0 if column == VIRTUAL_MACHINE else len(of_live))
        trials = {
            ENGINE_WITH_KIND: [f"{about.slug}/{trial}" for about in LESSONS for trial in about.on_a_machine],
            SIMULATED_NODES: [f"{about.slug}/{trial}" for about in LESSONS for trial in about.real_nodes],
        }
        in_part = sum(one.experiment in trials.get(column, ()) for one in ledger.claims)
        assert (in_part > 0) == (column in trials)
        assert total[column] == f"**{wholly - in_part}**"
    assert total[VIRTUAL_MACHINE] == total[1] == f"**{sum(one.verdict is not None for one in ledger.claims)}**"


def test_a_notebook_that_comes_to_need_more_changes_its_cell(ledger: Ledger) -> None:
    def on_kind(about: Lesson) -> str:
        return rows(parity_document(ledger, [about]))[0][FIRST_PLACE + 1]

    stateful = lesson("08")
    assert on_kind(stateful) == "live"
    assert on_kind(replace(stateful, needs=stateful.needs | Needs(tools=("cilium",)))) == "recorded: reason 1"
    assert on_kind(lesson("04")) == "live, no cluster in it"


def test_trials_that_this_computer_serves_are_named_where_the_engine_is_yours(ledger: Ledger) -> None:
    own_engine = rows(parity_document(ledger, [lesson("06")]))[0][FIRST_PLACE + 3]
    assert "`sources` recorded where" in own_engine


def test_trials_that_take_a_machine_are_named_where_there_is_none(ledger: Ledger) -> None:
    page = parity_document(ledger, [lesson("07")])
    cell = rows(page)[0][ENGINE_WITH_KIND]
    assert cell.startswith("live; `size`, `forensics` recorded")
    assert "machine of the lab's own" in reason(page, cell)


def test_trials_that_take_real_nodes_are_named_with_each_reason_where_nodes_are_simulated(ledger: Ledger) -> None:
    page = parity_document(ledger, [lesson("08")])
    live, *recorded = rows(page)[0][SIMULATED_NODES].split("; ")
    assert live == "live"
    about = lesson("08").real_nodes
    assert {trial: reason(page, cell) for cell in recorded for trial in cell.split("`")[1::2]} == about
