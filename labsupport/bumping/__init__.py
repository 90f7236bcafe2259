"""Changes a version everywhere it stands (`./lab bump`): all files that say it, or none.

tools      the toolchain: versions.toml, a go.mod and go.sum, checksums
packages   Python's: pyproject.toml, requirements.lock, the two environment.yml
replacing  new content for several files at once
outdated   which recorded evidence was seen with the version there was
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labsupport.bumping import outdated, packages, tools
from labsupport.bumping.replacing import replace_together
from labsupport.errors import UsageError
from labsupport.process.commands import LocalRunner
from labsupport.process.progress import Listener, silent
from labsupport.project import Project
from labsupport.systems.toolchain.builds import BuildRunner
from labsupport.systems.toolchain.catalogue import Pin, read_catalogue
from labsupport.systems.toolchain.pinning import check_version, pin_of
from labsupport.systems.toolchain.store import Store, cache_folder


@dataclass(frozen=True)
class Bumped:
    """A changed version: the files that say it, from the project's folder, and the experiments to record anew.

    `virtual` are those to record anew in a virtual machine.
    """

    name: str
    before: str
    after: str
    files: tuple[Path, ...]
    experiments: tuple[str, ...]
    virtual: tuple[str, ...] = ()

    def as_text(self) -> str:
        if not self.files:
            return f"{self.name} is at {self.after} already: nothing was changed."
        lines = [f"{self.name} {self.before} -> {self.after}", *(f"changed {path}" for path in self.files)]
        if not (self.experiments or self.virtual):
            return "\n".join([*lines, "No recorded evidence was seen with it. Next: ./lab test"])
        seen = f"{_seen(self.experiments)}{_seen(self.virtual, ' in a virtual machine')}".removeprefix("; ")
        lines.append(f"Seen with {self.before}, so to be recorded anew: {seen}")
        numbers = " ".join(each[:2] for each in _by_notebook(self.experiments))
        records = [f"./lab record {numbers}"] if numbers else []
        records += [
            f"./lab record {notebook[:2]} --machine vm --trials {','.join(trials)}"
            for notebook, trials in _by_notebook(self.virtual).items()
        ]
        lines.append(f"Next: {', '.join(records)}, then ./lab verify and ./lab test")
        return "\n".join(lines)


def bump(
    project: Project,
    name: str,
    version: str,
    *,
    module: str | None = None,
    is_package: bool = False,
    runner: BuildRunner | None = None,
    listener: Listener = silent,
) -> Bumped:
    """Change the version of a tool, of its project, of Go, of a published file, or of a Python package.

    Args:
        is_package: a Python package is meant, although a tool has its name.
        module: the version of a Go module that is numbered apart from its project's releases.

    Raises:
        UsageError: nothing here has that name, or there is no such version; nothing was changed.
        RequirementMissing: no network, or a newer Go is needed; nothing was changed.
        ToolchainError: a version could not be changed; nothing was.
    """
    number = check_version(version)
    store = Store(cache_folder())
    change = tools.Change(project, store, runner or LocalRunner(), listener)
    pin = _pin(project, name, is_package)
    if number == pin.version and not module:
        return Bumped(name, pin.version, number, (), ())
    if module and not pin.module:
        raise UsageError(f"./lab bump {name} --module {module}", f"{name} is built from no module", "leave it out")
    contents = tools.changed(change, pin, number, module) if pin.section else packages.changed(change, name, number)
    seen, virtual = outdated.experiments(project, pin), outdated.experiments(project, pin, virtual=True)
    done = Bumped(pin.name, pin.version, number, tuple(contents), seen, virtual)
    replace_together({project.root / path: content for path, content in contents.items()})
    return done


def _seen(experiments: Sequence[str], where: str = "") -> str:
    counted = (f"{notebook} ({_counted(len(trials))})" for notebook, trials in _by_notebook(experiments).items())
    return f"; {', '.join(counted)}{where}" if experiments else ""


def _by_notebook(experiments: Sequence[str]) -> dict[str, list[str]]:
    """Return the trials of each notebook."""
    found: dict[str, list[str]] = {}
    for experiment in experiments:
        notebook, _, trial = experiment.partition("/")
        found.setdefault(notebook, []).append(trial)
    return found


def _counted(experiments: int) -> str:
    return f"{experiments} experiment{'s' if experiments > 1 else ''}"


def _pin(project: Project, name: str, is_package: bool) -> Pin:
    """What has this name: in the toolchain, else in the lock of Python packages, which have no section."""
    catalogue = read_catalogue(project.root / "toolchain")
    known = name in catalogue.pins or name in catalogue.tools
    package = packages.locked_version(project, name) if is_package or not known else None
    if package:
        return Pin(name, "", package)
    if is_package:
        raise UsageError(f"change the version of {name!r}", "requirements.lock has no such package", "correct the name")
    return pin_of(catalogue, name)
