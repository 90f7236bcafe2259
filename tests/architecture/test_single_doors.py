"""Each door to the outside is in one place, and the tree has no junk drawers."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from labsupport.project import Project, this_project

PACKAGE = this_project().root / "labsupport"
MODULES = sorted(PACKAGE.rglob("*.py"))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Everything in a module, the module itself first: parsed once for all rules."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@pytest.fixture(scope="module", autouse=True)
def _forget_them() -> Iterator[None]:
    """So many objects would make every later collection of garbage take longer."""
    yield
    nodes_of.cache_clear()


def imports_of(path: Path) -> Iterator[str]:
    """Yield every imported name of a module, dotted: `from os import path` gives os.path."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers_of(*names: str) -> set[str]:
    return {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        for imported in imports_of(path)
        if any(imported == name or imported.startswith(f"{name}.") for name in names)
    }


def callers_of(owner: str, name: str) -> set[str]:
    """Return modules that mention owner.name, such as time.sleep."""
    return {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.Attribute)
        and node.attr == name
        and isinstance(node.value, ast.Name)
        and node.value.id == owner
    }


def test_the_scanner_sees_imports_and_calls(tmp_path: Path) -> None:
    module = tmp_path / "one.py"
    module.write_text("def f():\n    from subprocess import run\n    import time as t\n")
    assert set(imports_of(module)) == {"subprocess.run", "time"}


def test_only_commands_imports_subprocess() -> None:
    assert importers_of("subprocess", "multiprocessing", "pty") <= {"process/commands.py"}
    assert importers_of("subprocess") == {"process/commands.py"}
    assert not callers_of("os", "system") | callers_of("os", "popen")


def test_only_waiting_sleeps() -> None:
    assert callers_of("time", "sleep") == {"process/waiting.py"}
    assert not importers_of("time.sleep")


def test_only_the_command_line_imports_its_library() -> None:
    assert importers_of("typer", "rich", "click") == {"cli.py", "choices.py", "teaching.py"}


def test_only_display_imports_what_draws() -> None:
    drawers = importers_of("ipywidgets", "anywidget", "IPython", "matplotlib")
    assert {Path(name).parts[0] for name in drawers} <= {"display"}


def test_no_shell_between_us_and_a_command() -> None:
    offenders = [
        f"{path.relative_to(PACKAGE)}:{node.value.lineno}"
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.keyword) and node.arg == "shell" and not _is_false(node.value)
    ]
    assert not offenders


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


@pytest.mark.parametrize("drawer", ["utils", "util", "helpers", "common", "base", "core", "misc"])
def test_no_junk_drawers(drawer: str, project: Project) -> None:
    tracked = [path for folder in ("labsupport", "tests") for path in (project.root / folder).rglob("*.py")]
    assert not [path for path in tracked if path.stem == drawer or path.parent.name == drawer]


def test_every_module_says_what_it_owns() -> None:
    silent = [
        path for path in MODULES if isinstance(tree := nodes_of(path)[0], ast.Module) and not ast.get_docstring(tree)
    ]
    assert not silent


def test_importing_the_package_is_cheap() -> None:
    """Nothing heavy at import time: `./lab --version` and a notebook's first cell pay for it."""
    heavy = {"docker", "kubernetes", "matplotlib", "papermill", "jupytext", "nbformat", "pyroute2", "ipywidgets"}
    for name in ("__init__.py", "cli.py", "console.py", "running.py", "notebooks.py"):
        tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {alias.name.split(".")[0] for node in top if isinstance(node, ast.Import) for alias in node.names}
        names |= {(node.module or "").split(".")[0] for node in top if isinstance(node, ast.ImportFrom)}
        assert not names & heavy, name
