"""A room without a network, rehearsed: a bundle, a fresh clone, an empty cache, no route, and the whole course.

It takes minutes and some 8 GB of disk, so it is one of the weekly ones.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from labsupport.lessons.catalog import LESSONS
from labsupport.process.commands import CommandResult, Invocation, LocalRunner
from labsupport.project import Project
from tests.clones import copy_clone

pytestmark = [pytest.mark.needs("root", "machine", "engine", "cluster", "offline"), pytest.mark.timeout(4000)]

# A computer in such a room has its loopback, and nothing else.
NO_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that everybody can reach and whose gigabytes are not kept, as pytest's own are."""
    with tempfile.TemporaryDirectory(prefix="lab-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_bundle_is_all_that_the_course_takes(project: Project, room: Path) -> None:
    bundle = room / "lab.bundle"
    LocalRunner().run([str(project.root / "lab"), "bundle", "--to", str(bundle)], within_seconds=2400).or_raise()
    clone, cache = copy_clone(project, room / "clone"), room / "cache"
    home = {"HOME": str(room / "home"), "LAB_CACHE": str(cache), "PATH": SYSTEM_PATH, "GOPROXY": "off"}

    def without_a_network(*argv: str) -> CommandResult:
        invocation = Invocation(environment=home, folder=clone.root)
        return LocalRunner().run([*NO_NETWORK, *argv], within_seconds=1800, invocation=invocation)

    assert without_a_network("ip", "route").or_raise().stdout == ""
    without_a_network("./lab", "unbundle", str(bundle)).or_raise()
    brought = tools_of(cache)
    ran = without_a_network("./lab", "run")
    assert ran.succeeded, ran.stdout + ran.stderr[-3000:]
    assert f"{len(LESSONS)} of {len(LESSONS)} notebooks passed" in ran.stdout
    # What came is used as it came: nothing was built, nor taken from elsewhere.
    assert brought == tools_of(cache) != set()


def tools_of(cache: Path) -> set[str]:
    return {
        str(path.relative_to(cache)) for area in ("tools", "debian", "images") for path in (cache / area).glob("*/*")
    }
