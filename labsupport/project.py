"""Where things lie in a clone. Owns the folder names; makes and removes nothing."""

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Project:
    """A clone of this project, seen as its folders."""

    root: Path

    @property
    def notebooks(self) -> Path:
        return self.root / "notebooks"

    @property
    def sources(self) -> Path:
        return self.notebooks / "source"

    @property
    def assets(self) -> Path:
        return self.notebooks / "assets"

    @property
    def recorded_evidence(self) -> Path:
        return self.notebooks / "evidence"

    @property
    def claims(self) -> Path:
        return self.notebooks / "claims.yaml"

    @property
    def work(self) -> Path:
        """Learners' copies; ignored by git."""
        return self.root / "work"

    @property
    def build(self) -> Path:
        """What commands produce; ignored by git, safe to delete."""
        return self.root / "build"

    @property
    def live_evidence(self) -> Path:
        return self.build / "evidence"

    @property
    def report(self) -> Path:
        return self.build / "report"

    @property
    def class_page(self) -> Path:
        return self.build / "class"

    @property
    def benchmark(self) -> Path:
        return self.build / "bench"

    @property
    def python(self) -> Path:
        """The interpreter every kernel, test and tool runs with: this one (./lab's own .venv, or conda's)."""
        return Path(sys.executable)

    @property
    def version(self) -> str:
        return (self.root / "labsupport" / "VERSION").read_text().strip()


def this_project() -> Project:
    """Return the clone this package was imported from."""
    return Project(Path(__file__).resolve().parent.parent)
