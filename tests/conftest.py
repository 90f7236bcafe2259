"""What every test shares: the project, and the rule that a missing capability skips aloud, or fails where required."""

import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator

import pytest

from labsupport.project import Project, this_project
from labsupport.systems.capabilities import kind_cluster, virtual_machine
from labsupport.systems.inventory import names_in_use
from labsupport.systems.toolchain import Toolchain
from tests.leaks import find_leaks, new_names
from tests.machines import why_no_machine


def _no_root() -> str:
    return "" if os.geteuid() == 0 else "this user is not root"


def _no_browser() -> str:
    return "" if shutil.which("chromium") else "chromium is not on PATH"


def _no_kind() -> str:
    found = kind_cluster()
    return why_no_machine() or ("" if found.available else found.because)


def _no_helm() -> str:
    # Where its release cannot be downloaded it is built, which takes minutes: nothing but charts of products needs it.
    return "its release was not downloaded, nor was it built" if Toolchain().missing("helm") else ""


def _no_actionlint() -> str:
    return "it was not downloaded, nor was it built; ./lab test gets it" if Toolchain().missing("actionlint") else ""


def _no_binder() -> str:
    return "" if "binder" in required() else "it takes minutes and the network; LAB_REQUIRE=binder has it run"


def _no_hub() -> str:
    return "" if "hub" in required() else "it takes minutes and the network; LAB_REQUIRE=hub has it run"


def _no_offline() -> str:
    return "" if "offline" in required() else "it takes minutes and gigabytes; LAB_REQUIRE=offline has it run"


def _no_vm() -> str:
    # Where its processor is emulated it takes minutes, and the first start makes a system of 1 GB.
    asked = "" if "vm" in required() else "it takes minutes and a system of 1 GB; `./lab test --vm` runs these alone"
    found = virtual_machine()
    return asked or ("" if found.available else found.because)


# Why a capability is missing; empty where it is there. The engine needs nothing but a machine: its tools are built.
WHY_NOT: dict[str, Callable[[], str]] = {
    "root": _no_root,
    "machine": why_no_machine,
    "engine": why_no_machine,
    "cluster": why_no_machine,
    "kind": _no_kind,
    "browser": _no_browser,
    "helm": _no_helm,
    "actionlint": _no_actionlint,
    "binder": _no_binder,
    "hub": _no_hub,
    "offline": _no_offline,
    "vm": _no_vm,
}


# LAB_REQUIRE also names images whose making takes minutes: their tests make them instead of skipping.
COSTLY_IMAGES = {"lab/agnhost", "lab/debian"}


def required() -> set[str]:
    return {name for name in os.environ.get("LAB_REQUIRE", "").split(",") if name}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--parity",
        action="store_true",
        help="ask kind and the container machine all that a cluster promises, and run notebooks on kind",
    )
    parser.addoption("--vm", action="store_true", help="run what takes a virtual machine, and nothing else")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--vm"):
        os.environ["LAB_REQUIRE"] = ",".join([*required(), "vm"])
    # A shell starts what it puts in the background with Ctrl-C ignored, and `nohup` has a closed terminal ignored: what
    # tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # pytest's workers, which are children, are to have the seed that the header tells.
    os.environ["LAB_SEED"] = str(SEED)
    if unknown := required() - WHY_NOT.keys() - COSTLY_IMAGES:
        known = ", ".join(sorted(WHY_NOT.keys() | COSTLY_IMAGES))
        raise pytest.UsageError(
            f"LAB_REQUIRE lists {', '.join(sorted(unknown))}, which nothing provides; known: {known}"
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--vm"):
        others = [item for item in items if not any("vm" in mark.args for mark in item.iter_markers("needs"))]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
    # Engines and clusters on a machine that does other things too: what fails once and then passes is shown as a RERUN,
    # with the failure, and is worth a look. What no engine takes part in has no second attempt.
    for item in items:
        if any(item.iter_markers("needs")):
            item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """Return when a file is run: first what takes longest, beside which others go on.

    Playwright keeps an event loop running in the main thread until the session ends: nothing may come after it.
    """
    if "browser" in item.path.parts:
        return 2
    return 0 if item.path.name == "test_live.py" else 1


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for capability in mark.args:
            reason = WHY_NOT[capability]()
            if reason and capability in required():
                pytest.fail(f"LAB_REQUIRE lists {capability}, but {reason}", pytrace=False)
            if reason:
                pytest.skip(f"needs {capability}: {reason}")


# One seed for all that is random in a run, so that it can be repeated.
SEED = int(os.environ.get("LAB_SEED") or random.SystemRandom().randrange(10**6))


def pytest_report_header() -> str:
    return f"seed: {SEED} (LAB_SEED={SEED} repeats this run)"


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Randomness of a test's own: the same for the same seed, whichever tests run beside it."""
    print(f"LAB_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture(scope="session")
def project() -> Project:
    return this_project()


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test that may start a lab: nothing of an ended lab is left. Other kinds start none."""
    if not any(request.node.iter_markers("needs")):
        yield
        return
    before = names_in_use()
    yield
    if left := find_leaks(new_names(before)):
        pytest.fail("left behind:\n" + "\n".join(left), pytrace=False)
