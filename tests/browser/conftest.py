"""A real JupyterLab and a real Chromium, both of this computer. work/ and build/ are of the tests' own."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from labsupport.notebooks import find_notebooks
from labsupport.project import Project
from labsupport.starting import Server, serve
from labsupport.workspace import hand_out
from tests.browser.jupyterlab_page import LabPage

PORT = 18888
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]


@pytest.fixture(scope="session")
def classroom(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """This project, with empty work/ and build/ that belong to the tests: nothing of the developer's is touched."""
    root = tmp_path_factory.mktemp("classroom")
    # The package is copied: it finds its project by where it lies.
    for name in ("labsupport", "notebooks"):
        shutil.copytree(project.root / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".venv", "toolchain"):
        (root / name).symlink_to(project.root / name)
    made = Project(root)
    made.work.mkdir()
    made.build.mkdir()
    return made


@pytest.fixture(scope="session")
def lab_environment(classroom: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a lab gives its server, with a program on PATH that is nowhere else."""
    program = tmp_path_factory.mktemp("bin") / "only-in-the-lab"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return {"PYTHONPATH": str(classroom.root), "PATH": path, "LAB_WORD": "as the lab has it"}


@pytest.fixture(scope="session")
def server(classroom: Project, lab_environment: dict[str, str]) -> Iterator[Server]:
    hand_out(classroom, find_notebooks(classroom, ["00"]))
    with serve(classroom, lab_environment, port=PORT) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM_ARGUMENTS, timeout=180_000
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lab_page(chromium: Any, server: Server, project: Project, request: pytest.FixtureRequest) -> Iterator[LabPage]:
    """One page for the tests of a file: opening JupyterLab takes longer than all they do in it."""
    made = LabPage(chromium.new_page(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce"), server.url)
    yield made
    made.keep_screenshot(project.build / "screenshots" / f"{request.module.__name__.rpartition('.')[2]}.png")
    made.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Function) -> Iterator[None]:
    """Keep what the page of JupyterLab looked like at the end of each test that has one, before a fixture closes it."""
    try:
        yield
    finally:
        if lab_page := item.funcargs.get("lab_page"):
            lab_page.keep_screenshot(item.funcargs["project"].build / "screenshots" / f"{item.name}.png")
