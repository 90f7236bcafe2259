"""What a trial takes alone: no more than its notebook, and no less than its cells say."""

import re
from collections.abc import Iterator

import pytest

from labsupport.keeping import needs_of
from labsupport.lessons.catalog import LESSONS, Lesson, lesson
from labsupport.lessons.needs import Needs
from labsupport.notebooks import trials_of
from labsupport.project import Project

APART = [(about, trial) for about in LESSONS for trial in about.apart]
# What tells in the cells of a trial that it takes an engine that its notebook has beside its own, or a cluster.
SAID = {"systemd": r"systemd-machine|on=\"systemd\"", "old": r"release=\"old\"|on=\"old\""}


def cells_of(project: Project, about: Lesson, trial: str) -> str:
    source = (project.sources / f"{about.slug}.py").read_text()
    parts: Iterator[str] = iter(re.split(r"lab\.trial\(\s*\"([a-z0-9-]+)\"", source)[1:])
    return next(cells for name, cells in zip(parts, parts, strict=True) if name == trial)


@pytest.mark.parametrize(("about", "trial"), APART, ids=lambda each: getattr(each, "slug", each))
def test_what_a_trial_takes_alone_is_a_part_of_what_its_notebook_takes(
    project: Project, about: Lesson, trial: str
) -> None:
    needs, cells = about.apart[trial], cells_of(project, about, trial)
    assert trial in trials_of(project.notebooks / f"{about.slug}.ipynb")
    assert needs | about.needs == about.needs | Needs()
    for engine, words in SAID.items():
        assert (engine in needs.engines) >= bool(re.search(words, cells)), engine
    assert bool(needs.nodes) >= ("kubectl" in cells or "join_node(" in cells)
    assert needs.engine or not about.needs.engine


def test_trials_that_are_asked_for_take_what_they_take_together() -> None:
    about = lesson("01").asked_for(["unified", "two-drivers"])
    assert about.asked == ("unified", "two-drivers")
    assert (about.needs.nodes, about.needs.engines) == (0, ("old", "systemd"))
    assert lesson("01").asked_for(["kubelet-cgroupfs-runtime-systemd"]).needs == lesson("01").needs
    assert lesson("01").asked_for([]) == lesson("01")
    assert needs_of(["01-cgroup-drivers"], ["hierarchies"]) == Needs(engine=True, images=("lab/toolbox",))
