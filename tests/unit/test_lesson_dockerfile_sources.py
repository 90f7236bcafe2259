"""Notebook 06's readers of what COPY and ADD left, and of what a build took from the cache."""

import pytest

from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step
from labsupport.lessons.dockerfile import caching_table, read_cached, read_landing

PROGRESS = """\
#1 [internal] load build definition from Dockerfile
#7 [3/4] ADD http://10.0.0.2/notes.txt /fetched/
#7 CACHED

#6 [2/4] COPY notes.txt /copied/
#6 DONE 0.1s

#8 [two-runs 4/4] RUN apt-get update
#8 0.2 #6 CACHED is what a program printed
#8 DONE 0.3s
"""


def step(stdout: str = "", stderr: str = "") -> Step:
    return Step("06-dockerfile-instructions/sources", 1, ("docker", "build"), 0, stdout, stderr, 0.1)


def lines(**stages: str) -> str:
    return "".join(f"{stage.replace('_', '-')}/{entry}\n" for stage, entry in stages.items())


class TestLanding:
    def test_files_are_read_with_mode_owner_and_whether_the_date_is_the_sources(self) -> None:
        landing = read_landing(
            step(
                lines(
                    copy_file="a b.txt|regular file|640|0:0|981173106|7", add_git="x|regular file|644|0:0|1795469530|9"
                )
            )
        )
        assert landing.names("copy-file") == ["a b.txt"]
        dates = {row[0]: row[-1] for row in landing.table().rows}
        assert dates == {"copy-file": "the source's", "add-git": "new"}

    def test_folders_are_no_names_and_unknown_stages_have_none(self) -> None:
        landing = read_landing(step(lines(add_tar="folder|directory|755|1000:1000|981173106|4096")))
        assert landing.names("add-tar") == landing.names("nothing") == []

    @pytest.mark.parametrize(
        ("added", "differing"),
        [
            ("n|regular file|640|0:0|981173106|7", []),
            ("n|regular file|600|0:0|981173106|7", ["tar"]),
            ("n|regular file|640|1000:1000|981173106|7", ["tar"]),
            ("n|symbolic link|640|0:0|981173106|7", ["tar"]),
            ("folder/n|regular file|640|0:0|981173106|7", ["tar"]),
        ],
    )
    def test_what_copy_and_add_leave_is_compared_in_every_respect(self, added: str, differing: list[str]) -> None:
        both = lines(copy_tar="n|regular file|640|0:0|981173106|7", add_tar=added)
        assert read_landing(step(both)).differing() == differing

    @pytest.mark.parametrize("garbage", ["", "sh: stat: not found", "a|b|c"])
    def test_garbage_is_refused(self, garbage: str) -> None:
        with pytest.raises(EvidenceError, match="no file is listed"):
            read_landing(step(garbage))


class TestCaching:
    def test_steps_are_in_the_dockerfiles_order_and_only_the_builders_word_counts(self) -> None:
        assert list(read_cached(step(stderr=PROGRESS)).items()) == [
            ("COPY notes.txt /copied/", False),
            ("ADD http://10.0.0.2/notes.txt /fetched/", True),
            ("RUN apt-get update", False),
        ]

    def test_builds_are_tabled_side_by_side(self) -> None:
        table = caching_table({"first": {"COPY a": False}, "again": {"COPY a": True}})
        assert [row[1] for row in table.rows] == ["done anew", "cached"]

    def test_quiet_progress_tells_nothing(self) -> None:
        with pytest.raises(EvidenceError, match="no step of a Dockerfile"):
            read_cached(step(stderr="ERROR: failed to solve"))
