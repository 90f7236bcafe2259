"""Pages that are made in part: only the marked place is written; answers by seed as a table."""

import pytest

from labsupport.documents import filled
from labsupport.errors import UsageError
from labsupport.lessons.answers import Change, SeedAnswer, answers_section

BEGIN, END = "<!-- timing: made by ./lab generate -->", "<!-- end of timing -->"


def test_only_the_marked_place_of_a_page_is_written() -> None:
    made = filled(f"# Notes\n\n{BEGIN}\nold\n{END}\n\nQuestions\n", "timing", "new", "06-x.md")
    assert made == f"# Notes\n\n{BEGIN}\n\nnew\n\n{END}\n\nQuestions\n"


@pytest.mark.parametrize("page", ["# Notes\n", f"# Notes\n{BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_a_page_without_the_place_is_refused(page: str) -> None:
    with pytest.raises(UsageError, match="place is not marked"):
        filled(page, "timing", "new", "06-x.md")


def test_each_seed_is_a_row_with_its_answer() -> None:
    said = answers_section([SeedAnswer("no port", "`a`"), SeedAnswer("no name", "`b`")], "the notebook's")
    assert "| 0 | no port | `a` |\n| 1 | no name | `b` |\n" in said
    assert "2 is 0 again" in said
    assert "the notebook's" not in said


def test_where_one_answer_serves_all_seeds_it_stands_below() -> None:
    said = answers_section([SeedAnswer("no port"), SeedAnswer("no name")], "FROM x\nRUN y\n")
    assert "| 1 | no name |\n" in said
    assert said.endswith("```\nFROM x\nRUN y\n```")


def test_a_change_is_told_and_made() -> None:
    assert Change("fast", "slow").told() == "`fast` becomes `slow`"
    assert Change("fast").told() == "Without `fast`"
    assert Change("fast", "slow").made_in("class: fast") == "class: slow"
    with pytest.raises(UsageError, match="does not have it"):
        Change("fast", "slow").made_in("class: slow")
