"""The commands of who teaches: words in, exit code out. What they do is in the modules that they call."""

from pathlib import Path
from typing import Annotated

import typer

from labsupport import console
from labsupport.choices import Cluster, ClusterChoice, Machine, MachineChoice, Notebooks, lab_options
from labsupport.project import this_project

app = typer.Typer()


@app.command()
def bundle(
    notebooks: Notebooks = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Else build/lab-VERSION-PLATFORM.bundle.")
    ] = None,
    cluster: Cluster = ClusterChoice.AUTO,
    machine: Machine = MachineChoice.AUTO,
) -> None:
    """Pack all that notebooks take into one file, for a room without a network. There: `./lab unbundle FILE`.

    It has Python packages, tools and images, for the same kind of computer, Debian and Python as this one; with
    `--cluster kind` or `--machine container` also what those take. Beside it is its SHA-256.

    Examples: `./lab bundle` · `./lab bundle 00 06 --to /media/stick/lab.bundle`
    """
    from labsupport import bundling
    from labsupport.bundle import platform_here
    from labsupport.notebooks import find_notebooks

    project = this_project()
    chosen = [one.slug for one in find_notebooks(project, notebooks or [])]
    target = (to or project.build / f"lab-{project.version}-{platform_here()}.bundle").absolute()
    with console.Screen() as screen:
        made = bundling.bundle(project, chosen, lab_options(cluster=cluster, machine=machine), target, screen.show)
    print(f"{made.path}: {made.megabytes} MB, and {made.unpacked_megabytes} MB unpacked; SHA-256 {made.sha256}")
    print(f"Take it and {made.path.name}.sha256 along. In a clone of this edition: ./lab unbundle FILE")


@app.command()
def unbundle(source: Annotated[Path, typer.Argument(metavar="FILE", help="What `./lab bundle` made.")]) -> None:
    """Set up from a bundle: Python packages, tools and images, without a network.

    Each part comes whole or not at all; when it was stopped, run it again, and it goes on. Afterwards `./lab run` and
    `./lab start` take nothing else.

    Example: `./lab unbundle /media/stick/lab.bundle`
    """
    from labsupport import bundling

    with console.Screen() as screen:
        arrived = bundling.unbundle(this_project(), source, screen.show)
    print(f"{arrived.came} folders came to {arrived.cache}; {arrived.were_there} were there.")
    print(f"Ready without a network: ./lab run {' '.join(one[:2] for one in arrived.notebooks)}")


@app.command("class")
def class_(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help='With what `lab.progress("a name")` wrote.')],
) -> None:
    """Merge what learners handed in into one page, build/class/index.html: who is where, what stops people.

    A learner types `lab.progress("their name")` in any notebook, and hands in the file that it names. Of each name the
    newest counts. Files that are something else, or broken, are named and skipped.
    """
    from labsupport import classroom, starting

    project = this_project()
    made = classroom.merge(project, folder)
    starting.give_folders_to_caller(project)
    for name, why in made.skipped.items():
        print(f"skipped  {name}: {why}")
    print(f"{made.learners} learners, {len(made.skipped)} files skipped. Page: {made.path.relative_to(project.root)}")
