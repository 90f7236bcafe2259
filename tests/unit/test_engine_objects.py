"""How what was removed is told."""

import pytest

from labsupport.systems.engines.objects import Removed


@pytest.mark.parametrize(
    ("removed", "told"),
    [
        (Removed(), "nothing"),
        (Removed(containers=("a",)), "1 container"),
        (
            Removed(containers=("a", "b"), volumes=("v",), build_cache=2),
            "2 containers, 1 volume, 2 build cache records",
        ),
    ],
)
def test_removed_says_how_many_of_each(removed: Removed, told: str) -> None:
    assert str(removed) == told
    assert bool(removed) == (told != "nothing")
