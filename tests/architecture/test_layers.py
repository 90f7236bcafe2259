"""The import contract of pyproject.toml holds; it is the architecture diagram."""

from labsupport.process.commands import Invocation, LocalRunner
from labsupport.project import Project


def test_imports_go_down_only(project: Project) -> None:
    tool = project.python.parent / "lint-imports"
    result = LocalRunner().run([str(tool)], within_seconds=120, invocation=Invocation(folder=project.root))
    assert result.succeeded, result.stdout
