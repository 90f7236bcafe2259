"""The commands of who teaches: words in, exit code out. What they do is in the modules that they call."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from labsupport import console
from labsupport.choices import Cluster, ClusterChoice, Machine, MachineChoice, Notebooks, lab_options, show_table
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
    """Pack all that notebooks take into one file, for a room without a network. There: `sudo ./lab unbundle FILE`.

    It has Python packages, tools and images, for the same kind of computer, Debian and Python as this one; with
    `--cluster kind` or `--machine container` also what those take. Beside it is its SHA-256. Tools and images are for
    notebooks that can be live on this computer, so on Linux say `sudo`; where a lab takes a guest container, as on
    Docker Desktop, it has Python packages only.

    Examples: `sudo ./lab bundle` · `sudo ./lab bundle 00 06 --to /media/stick/lab.bundle`
    """
    from labsupport import bundling
    from labsupport.bundle import platform_here
    from labsupport.notebooks import find_notebooks

    project = this_project()
    chosen = [one.slug for one in find_notebooks(project, notebooks or [])]
    target = (to or project.build / f"lab-{project.version}-{platform_here()}.bundle").absolute()
    with console.Screen() as screen:
        made = bundling.bundle(project, chosen, lab_options(cluster=cluster, machine=machine), target, screen.show)
    for reason, numbers in made.recorded.items():
        print(f"Without what a live lab takes for {' '.join(numbers)}, which is not to be had here: {reason}")
    print(f"{made.path}: {made.megabytes} MB, and {made.unpacked_megabytes} MB unpacked; SHA-256 {made.sha256}")
    print(f"Take it and {made.path.name}.sha256 along. In a clone of this edition: sudo ./lab unbundle FILE")


@app.command()
def unbundle(source: Annotated[Path, typer.Argument(metavar="FILE", help="What `./lab bundle` made.")]) -> None:
    """Set up from a bundle: Python packages, tools and images, without a network.

    Each part comes whole or not at all; when it was stopped, run it again, and it goes on. Afterwards `./lab run` and
    `./lab start` take nothing else. Say `sudo` where you say it then: with and without it, tools lie in two places.

    Example: `sudo ./lab unbundle /media/stick/lab.bundle`
    """
    from labsupport import bundling

    with console.Screen() as screen:
        arrived = bundling.unbundle(this_project(), source, screen.show)
    print(f"{arrived.came} folders came to {arrived.cache}; {arrived.were_there} were there.")
    sudo = "sudo " if "SUDO_UID" in os.environ else ""
    print(f"Ready without a network: {sudo}./lab run {' '.join(one[:2] for one in arrived.notebooks)}")


@app.command()
def room(
    learners: Annotated[list[str], typer.Argument(metavar="LEARNER…", help="Their accounts on this computer.")],
    port: Annotated[
        int, typer.Option(help="The first learner's; others have those that follow, or the next free ones.")
    ] = 8900,
) -> None:
    """Give each of several accounts on this server a lab and a JupyterLab of their own, until Ctrl-C.

    Takes root. Each learner finds their address in ~/labs/address.txt and comes through SSH; their notebooks are in
    ~/labs/work and stay. Before anything starts, it is checked that all labs fit. Ctrl-C ends them all.

    Example: `sudo ./lab room anna ben`
    """
    from labsupport import hosting

    project = this_project()
    found = hosting.learners_of(learners)
    hosting.require_room(project, found)
    with console.Screen() as screen, hosting.seats(project, found, port) as seats:
        hosting.settle(seats, screen.show)
        screen.close()
        rows = [(one.learner.name, str(one.port or ""), one.problem or "is up") for one in seats]
        show_table(("Learner", "Port", "Their lab"), rows)
        if up := [one for one in seats if not one.problem]:
            where = f"{hosting.HOME_FOLDER}/{hosting.ADDRESS_FILE}"
            print(f"Each finds the address in ~/{where}, and comes by way of SSH, with their port in both places:")
            print(f"  ssh -L {up[0].port}:127.0.0.1:{up[0].port} {up[0].learner.name}@SERVER")
            print("Ctrl-C ends all labs.", flush=True)
        for seat in hosting.ended(seats):
            print(f"The lab of {seat.learner.name} has ended.", flush=True)
    raise typer.Exit(0 if len(up) == len(seats) else 1)


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
    print(f"Learners: {made.learners}. Files skipped: {len(made.skipped)}. Page: {made.path.relative_to(project.root)}")


def show_outlook(*, as_json: bool) -> None:
    """Print what a class is in for here: `./lab doctor --class`."""
    from labsupport import outlook

    found = outlook.look_ahead(lab_options())
    if as_json:
        print(json.dumps(found.as_data(), indent=2))
        return
    if found.guest:
        print(found.guest)
        return
    print("What is live here:")
    rows = [("live" if one.live else "recorded", one.notebook, one.because, one.change_it) for one in found.notebooks]
    show_table(("", "Notebook", "Why", "To change it"), rows)
    if found.missing:
        print(
            f"To get before class: up to {found.download_megabytes} MB to download, and about "
            f"{max(1, round(found.minutes))} min on 2 cores. `./lab run` gets it, or `./lab unbundle` from a bundle:"
        )
        costs = [(one.what, str(one.download_megabytes), f"{one.minutes:.1f}") for one in found.missing]
        show_table(("What", "MB to download, at most", "Minutes"), costs)
    else:
        print(
            "To get before class: nothing. Tools and images are here, and a lab starts in seconds, without a network."
        )
    if found.rooms:
        print(f"\nSide by side: {found.labs} more labs fit.")
        rooms = [
            (one.name, "?" if one.fits is None else str(one.fits), one.because, one.change_it) for one in found.rooms
        ]
        show_table(("By", "Labs", "Why", "For more"), rooms)
