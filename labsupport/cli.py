"""The command line: words in, exit code out.

With choices.py and teaching.py, which has the commands of who teaches, the only file that imports typer and rich.
Commands call lab.py, running.py, starting.py and testing.py and never a machine, engine or cluster.
Everything heavy is imported by the command that needs it: `./lab --version` answers at once.
"""

import json
import os
import shlex
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from labsupport import console, guest, teaching
from labsupport.choices import (
    JOBS,
    Allow,
    AsJson,
    Cluster,
    ClusterChoice,
    Engine,
    EngineChoice,
    Jobs,
    Machine,
    MachineChoice,
    Notebooks,
    Trials,
    lab_options,
    show_table,
    trials_in,
)
from labsupport.errors import LabError, UsageError
from labsupport.process.ownership import is_guest
from labsupport.project import this_project

if TYPE_CHECKING:
    from labsupport.backends import LabOptions

INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Hands-on labs on Docker and Kubernetes: every claim is settled by an experiment you run.

    **Begin with** `./lab doctor` (what works on this computer), then `./lab start` (JupyterLab on a live lab).

    A lab is private: its own engine and cluster, nothing of yours is used or changed, and it ends with the command
    that started it. Your copies of the notebooks are in work/, reports in build/report/, tools in your cache folder.

    Without root, or without Linux, it takes a Docker engine of yours, such as Docker Desktop: the same commands then
    run in one container there. With neither, notebooks show recorded evidence.

    **Exit codes**: 0 all is well · 1 something failed · 2 the command was not understood · 3 this computer lacks
    something, and the message says how to get it · 130 stopped with Ctrl-C.""",
)

app.add_typer(teaching.app)


def main() -> int:
    """Run the command line and return its exit code; a LabError becomes one clear message."""
    # A closed terminal or a polite kill ends a command as Ctrl-C does, so that it takes its lab with it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    try:
        app(prog_name="./lab")
    except LabError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as problem:
        print(LabError(*_what_the_system_said(problem)), file=sys.stderr)
        return LabError.exit_code
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED and not is_guest():
            print("\nStopped. What the lab had started has ended.", file=sys.stderr)
        return int(leaving.code or 0)
    return 0


@app.callback(invoke_without_command=True)
def lab(version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    if version:
        print(f"lab {this_project().version}")
        raise typer.Exit


@app.command()
def start(
    engine: Engine = EngineChoice.AUTO,
    cluster: Cluster = ClusterChoice.AUTO,
    machine: Machine = MachineChoice.AUTO,
    allow_cluster_changes: Allow = False,
    port: Annotated[int, typer.Option(help="First port to try; the next free one is taken.")] = 8888,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
) -> None:
    """Open JupyterLab on a live lab.

    Notebooks are copied to work/, and your edits there are kept. Kernels and terminals have docker and kubectl of this
    lab on PATH. The server listens on this computer only. **Ctrl-C** ends JupyterLab and the lab.

    On Linux say `sudo ./lab start`; without it, a Docker engine of yours has the lab, or nothing is live.

    Example: `./lab start`, or on a remote computer `./lab start --no-browser` and open the address it prints.
    """
    from labsupport import keeping, starting, workspace
    from labsupport.notebooks import all_notebooks

    project = this_project()
    options = lab_options(engine, cluster, machine, allow_cluster_changes)
    if guest.is_wanted(options):
        chosen = guest.free_port(port)
        more = ("--no-browser", "--port", str(chosen))
        _run_in_guest(options, guest.Task(more, port=chosen), opens=browser and _has_display())
    handout = workspace.hand_out(project, all_notebooks(project))
    for name in handout.kept:
        print(f"Kept your edited work/{name}; a newer edition is there: ./lab reset {name}")
    with console.Screen() as screen, keeping.hold(options, screen.show) as live:
        screen.close()
        with starting.serve(project, keeping.environment_of(live.name, options), port=port) as server:
            if live.name:
                print(f"Lab {live.name} is live: engine {live.engine}, cluster {live.cluster}, machine {live.machine}")
            else:
                print(f"Nothing is live here: {live.engine}")
            print(f"JupyterLab: {server.url}\nCtrl-C ends JupyterLab and the lab.", flush=True)
            if browser and _has_display():
                typer.launch(server.url)
            server.wait()


@app.command()
def run(
    notebooks: Notebooks = None,
    engine: Engine = EngineChoice.AUTO,
    cluster: Cluster = ClusterChoice.AUTO,
    machine: Machine = MachineChoice.AUTO,
    allow_cluster_changes: Allow = False,
    jobs: Jobs = JOBS,
    trials: Trials = "",
) -> None:
    """Execute notebooks from top to bottom and write build/report/index.html.

    Works on copies; goes on after a notebook that failed, and then ends with exit code 1. The last lines say how many
    were live, and how to have more: on Linux that takes `sudo`, or a Docker engine.

    Examples: `sudo ./lab run` · `sudo ./lab run 06` · `./lab run --engine replay` (needs neither root nor Docker) ·
    `./lab run 04 --trials neighbour` (the other trials from recorded evidence)
    """
    only = trials_in(trials)
    project = this_project()
    options = lab_options(engine, cluster, machine, allow_cluster_changes)
    if guest.is_wanted(options):
        _run_in_guest(options, guest.Task(notebooks=tuple(notebooks or ()), trials=only))
    results = console.execute(project, notebooks or [], options, jobs=jobs, trials=only)
    raise typer.Exit(console.summarise(project, results, options))


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def test(context: typer.Context) -> None:
    """Run the whole test suite: lint, types, layers, tests. Arguments go to pytest, which then runs alone.

    Tests that need what is not here skip and say so; `LAB_REQUIRE=engine,browser` turns such skips into failures. On
    Linux say `sudo`: most tests of engines and clusters need root.

    Examples: `sudo ./lab test` · `./lab test tests/unit -k notebooks` · `sudo ./lab test --parity`
    """
    from labsupport import testing

    options = lab_options(EngineChoice.AUTO, ClusterChoice.AUTO, MachineChoice.AUTO)
    if guest.is_wanted(options):
        _run_in_guest(options, guest.Task())
    results = testing.run_checks(
        this_project(), context.args, show=console.print_line, listener=console.print_announcement
    )
    print(
        "\n".join(f"{'ok    ' if one.exit_code == 0 else 'FAILED'} {one.name} ({one.seconds:.0f} s)" for one in results)
    )
    raise typer.Exit(any(one.exit_code for one in results))


@app.command()
def doctor(
    for_class: Annotated[
        bool, typer.Option("--class", help="Before a class: what is live, what to get before, how many labs fit.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what works on this computer, what does not, why, and how to change it. Changes nothing.

    On Linux say `sudo` where you say it to start a lab: with and without it tools lie in two folders, and without it
    no machine of the lab's own can start.

    Examples: `sudo ./lab doctor` · `sudo ./lab doctor --class`
    """
    from labsupport import keeping

    if for_class:
        teaching.show_outlook(as_json=as_json)
        return
    found = keeping.doctor()
    if as_json:
        print(json.dumps([vars(one) for one in found], indent=2, default=str))
        return
    rows = [("yes" if one.available else "no", one.name, one.because, one.change_it) for one in found]
    show_table(("", "What", "Why", "To change it"), rows)


@app.command()
def up(
    engine: Engine = EngineChoice.AUTO,
    cluster: Cluster = ClusterChoice.AUTO,
    machine: Machine = MachineChoice.AUTO,
    allow_cluster_changes: Allow = False,
) -> None:
    """Start a lab that stays until `./lab down`. Then: `./lab shell`.

    With `--engine own` and `--cluster own` its commands go to your own engine, where what they make has the lab's
    label, and to a namespace of the lab's on your own cluster; `./lab down` takes all of it back, and nothing else.
    """
    from labsupport import keeping

    options = lab_options(engine, cluster, machine, allow_cluster_changes)
    if guest.is_wanted(options):
        _run_in_guest(options, guest.Task(stays=True))
    with console.Screen() as screen:
        live = keeping.up(options, screen.show)
    address = f", address {live.address}" if live.address else ""
    print(f"Lab {live.name} is up: engine {live.engine}, cluster {live.cluster}{address}")
    print("./lab shell opens a shell with its docker and kubectl; ./lab down ends it.")


@app.command()
def status(as_json: AsJson = False) -> None:
    """List the labs that run on this computer."""
    from labsupport import keeping, virtual

    _run_in_running_guest(also_virtual=False)
    running = keeping.status()
    running += virtual.status(this_project(), lambda progress: print(progress.text, file=sys.stderr))
    if as_json:
        print(json.dumps([vars(one) for one in running], indent=2, default=str))
    elif not running:
        print("No lab is running. ./lab start or ./lab up starts one.")
    for one in [] if as_json else running:
        print(f"{one.name}  machine {one.machine}  engine {one.engine}  cluster {one.cluster}  address {one.address}")
        within = f", in the virtual machine {one.inside}" if one.inside else ""
        print(f"            since {one.started}, ends with {one.owner}{within}")


@app.command(context_settings={"ignore_unknown_options": True})
def shell(command: Annotated[list[str] | None, typer.Argument(help="Run this instead of your shell.")] = None) -> None:
    """Open a shell whose docker and kubectl are those of the running lab.

    Examples: `./lab shell` · `./lab shell docker ps`
    """
    from labsupport import keeping

    _run_in_running_guest(as_user=True)
    environment = {**os.environ, **keeping.environment_of()}
    argv = command or [os.environ.get("SHELL", "/bin/sh")]
    try:
        os.execvpe(argv[0], argv, environment)
    except OSError as problem:
        raise UsageError(" ".join(argv), str(problem.strerror), "name a program that is on PATH") from problem


@app.command()
def down() -> None:
    """End the lab that `./lab up` started, and say what was left of it (nothing)."""
    from labsupport import keeping

    if (code := guest.down(this_project(), console.print_announcement)) is not None:
        raise typer.Exit(code)
    with console.Screen() as screen:
        ended = keeping.down(listener=screen.show)
    print("\n".join(ended) or "No lab was up.")


@app.command()
def reset(
    notebook: Annotated[str | None, typer.Argument(help="Also bring back a fresh copy of this one.")] = None,
) -> None:
    """Back to a known state: the running lab's trial objects go; NOTEBOOK in work/ becomes a fresh copy."""
    from labsupport import keeping, starting, workspace
    from labsupport.notebooks import find_notebooks

    project = this_project()
    _run_in_running_guest()
    chosen = find_notebooks(project, [notebook]) if notebook else []
    for name in workspace.hand_out(project, chosen, reset=True).written if chosen else ():
        print(f"fresh copy: work/{name}")
    starting.give_folders_to_caller(project)
    print("\n".join(keeping.reset()) or "No running lab had objects to remove.")


@app.command()
def clean(
    everything: Annotated[bool, typer.Option("--all", help="Also the downloaded and built tools and images.")] = False,
) -> None:
    """Remove everything any lab left on this computer. Your notebooks in work/ stay.

    With `sudo` for labs that were started so, and `sudo ./lab clean --all` for their tools.
    """
    from labsupport import hosting, keeping

    with console.Screen() as screen:
        removed = [*guest.clean(caches=everything), *keeping.clean(caches=everything, listener=screen.show)]
    removed += hosting.sweep(this_project())
    print("\n".join(removed) or "Nothing was left.")


@app.command()
def record(notebooks: Notebooks = None, machine: Machine = MachineChoice.AUTO, trials: Trials = "") -> None:
    """Run notebooks live and keep what was seen as recorded evidence (for maintainers).

    Writes notebooks/evidence/ and the stored output of each notebook's last cell. Nothing is written for a notebook
    that failed.

    Example: `./lab record 04 --machine vm --trials neighbour,swarm` (no other evidence is touched)
    """
    from labsupport import recording

    only = trials_in(trials)
    project = this_project()
    recording.require_generated(project)
    options = lab_options(EngineChoice.PRIVATE, ClusterChoice.AUTO, machine)
    if guest.is_wanted(options):
        _run_in_guest(options, guest.Task(records=True, notebooks=tuple(notebooks or ()), trials=only))
    results = console.execute(project, notebooks or [], options, recording=True, trials=only)
    passed = [(one.slug, one.path) for one in results if one.outcome == "passed"]
    for path in recording.record(project, passed, only):
        print(f"recorded {path.relative_to(project.root)}")
    raise typer.Exit(console.summarise(project, results, options))


@app.command()
def verify(
    notebooks: Notebooks = None,
    cluster: Cluster = ClusterChoice.AUTO,
    machine: Machine = MachineChoice.AUTO,
    trials: Trials = "",
    as_json: AsJson = False,
) -> None:
    """Run notebooks live and compare with the recorded evidence; print the ledger. Exit code 1 when they differ.

    Those that cannot be live with these options are named and left out. Writes the report as well:
    build/report/index.html.

    Examples: `./lab verify 06` · `./lab verify --cluster kind` (does kind give the same verdicts?) ·
    `./lab verify 04 --trials neighbour` (of that trial alone)
    """
    from labsupport import recording
    from labsupport.backends import plan

    only = trials_in(trials)
    project = this_project()
    options = lab_options(EngineChoice.PRIVATE, cluster, machine)
    if guest.is_wanted(options):
        _run_in_guest(options, guest.Task(notebooks=tuple(notebooks or ()), trials=only))
    recording.require_recorded(project)
    live, others = recording.live_there(project, notebooks or [], plan(options), only)
    for slug, reason in others.items():
        print(f"left out  {slug}: {reason}", file=sys.stderr)
    results = console.execute(project, live, options, recording=True, trials=only)
    console.write_report_for_caller(project, results)
    found = recording.verify(project, [one.slug for one in results], only)
    print(json.dumps(found.as_data(), indent=2) if as_json else found.as_text())
    failed = [one for one in results if one.outcome != "passed"]
    for one in failed:
        print(f"FAILED  {one.slug}: {one.error}", file=sys.stderr)
    raise typer.Exit(bool(failed) or not found.agrees)


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="Of a subject or a measure.")] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="How many rounds of each; else 5, and fewer of some.")
    ] = None,
    notebooks: Annotated[bool, typer.Option("--notebooks", help="Also run the course, once (4 minutes).")] = False,
    check: Annotated[bool, typer.Option("--check", help="End with 1 where a median misses its target.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how long labs take to start and end and what they weigh; write build/bench/index.html.

    Subjects: `kind` `cluster` `floor` `flannel` `engine` `beside` `pods` `disk`, about 8 minutes on 2 cores that have
    nothing else to do; `vm` and `notebooks` only where they are named. Each round measures them one after the other,
    every other round in reverse, so that those a ratio compares take turns. Median and range of each measure are shown
    with its target. **Ctrl-C** keeps what was measured.

    Examples: `./lab bench` · `./lab bench cluster floor --rounds 10` · `./lab bench vm` · `./lab bench --check --json`
    """
    from labsupport import benchmark

    options = lab_options(EngineChoice.AUTO, ClusterChoice.AUTO, MachineChoice.AUTO)
    if guest.is_wanted(options):
        _run_in_guest(options, guest.Task())
    project = this_project()
    with console.Screen() as screen:
        result = benchmark.run(project, names or [], rounds=rounds, notebooks=notebooks, listener=screen.show)
    print(result.model_dump_json(indent=2) if as_json else benchmark.in_words(project, result))
    if result.stopped:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(bool(result.failures) or (check and bool(result.missed)))


@app.command()
def bump(
    name: Annotated[str, typer.Argument(help="A tool or project of toolchain/versions.toml, go, or a Python package.")],
    version: Annotated[str, typer.Argument(help="Its new version, such as 1.37.3.")],
    module: Annotated[
        str | None, typer.Option(help="Of its Go module, where that is numbered apart from its releases.")
    ] = None,
    package: Annotated[bool, typer.Option("--package", help="A Python package, though a tool has its name.")] = False,
) -> None:
    """Change a version everywhere it stands, lock anew, and say what evidence to record anew (for maintainers).

    All files change together, or none. Needs the network; builds nothing.

    Examples: `./lab bump etcd 3.7.3` · `./lab bump moby 29.9.0 --module 2.0.0-beta.25` · `./lab bump jupyterlab 4.6.2`
    """
    from labsupport import bumping

    with console.Screen() as screen:
        done = bumping.bump(this_project(), name, version, module=module, is_package=package, listener=screen.show)
    print(done.as_text())


@app.command()
def generate() -> None:
    """Write `notebooks/*.ipynb` from `notebooks/source/*.py`, and the pages made from evidence (for maintainers).

    These are docs/ledger.md, docs/parity.md, and in `docs/notes/` the tables of timing and the answers. Stored outputs
    are kept.
    """
    from labsupport.documents import write_documents
    from labsupport.notebooks import generate_all

    project = this_project()
    changed = [*(one.path for one in generate_all(project)), *write_documents(project)]
    print("\n".join(f"wrote {path.relative_to(project.root)}" for path in changed) or "All was up to date.")


def _run_in_guest(options: "LabOptions", task: guest.Task, *, opens: bool = False) -> NoReturn:
    """Run this very command, with the task's words after it, in a guest of its own; leave with its exit code."""
    virtual = options.or_from_environment().machine == MachineChoice.VM
    task = replace(task, words=(*sys.argv[1:], *task.words), virtual=virtual, options=options)
    with console.Screen() as screen:
        code = guest.run(
            this_project(),
            task,
            screen.show,
            ready=screen.close,
            opened=lambda address: typer.launch(address) if opens else None,
        )
    raise typer.Exit(code)


def _run_in_running_guest(*, as_user: bool = False, also_virtual: bool = True) -> None:
    """Run this very command in the guest that runs, if there is one, and leave with its exit code."""
    code = guest.run_in_running(this_project(), sys.argv[1:], as_user=as_user, also_virtual=also_virtual)
    if code is not None:
        raise typer.Exit(code)


def _what_the_system_said(problem: OSError) -> tuple[str, str, str]:
    """Tell an error of the operating system that no part of the project expected, in the usual three sentences."""
    files = " and ".join(str(name) for name in (problem.filename, problem.filename2) if name)
    where = f": {files}" if files else ""
    return (
        f"./lab {shlex.join(sys.argv[1:])}",
        f"{problem.strerror or problem}{where}",
        "make room, or give your user the right to that place; ./lab doctor says what works here",
    )


def _has_display() -> bool:
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    sys.exit(main())
