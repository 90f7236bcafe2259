"""Labs outside a notebook: what works here, getting ready, holding one, `up` and `down`, and cleaning up after any."""

import operator
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from labsupport.backends import (
    ATTACH_VARIABLE,
    CLUSTER_FILES,
    ENGINE_FILE,
    NOTHING_CHOSEN,
    Backends,
    LabOptions,
    Plan,
    attach_backends,
    attach_to_end,
    end_and_look,
    folder_of_lab,
    have_tools,
    make_toolchain,
    plan,
    running_backends,
    start_backends,
    takes_a_guest,
    tool_groups,
)
from labsupport.errors import MachineError, RequirementMissing, UsageError
from labsupport.lessons.catalog import LESSONS, lesson
from labsupport.lessons.needs import Needs
from labsupport.process.interrupts import interrupts_later
from labsupport.process.ownership import VIRTUAL_KIND, Owner, run_roots
from labsupport.process.progress import Listener, silent
from labsupport.project import Project, this_project

if TYPE_CHECKING:
    from labsupport.systems.capabilities import Capability
    from labsupport.systems.machines.run_folders import LabRecord
    from labsupport.systems.toolchain.costs import Cost

NO_OPTIONS = LabOptions()


@dataclass(frozen=True)
class LabStatus:
    """One running lab. `owner` says with what it ends; `inside` in which virtual machine it is, if in one."""

    name: str
    machine: str
    engine: str
    cluster: str
    address: str
    started: str
    owner: str
    inside: str = ""


def doctor() -> "list[Capability]":
    """Say what works on this computer; changes nothing."""
    from labsupport.systems.capabilities import probe

    options = NO_OPTIONS.or_from_environment()
    # What a container takes is on its engine's disk.
    to_build = None if options.machine != "vm" and takes_a_guest(options) else megabytes_to_build()
    return list(probe(megabytes_to_build=to_build))


def megabytes_to_build() -> int:
    """Return how much of the cache's disk the first lab here takes while it builds what it lacks; looks only."""
    chosen = plan(NO_OPTIONS)
    live = [one.slug for one in LESSONS if not chosen.why_not(one.needs)]
    to_build = costs_of_tools(chosen.within(needs_of(live))) if live else []
    return sum(each.disk_megabytes for each in to_build if each.minutes)


def costs_of_tools(wanted: Needs) -> "list[Cost]":
    """Return what a lab with `wanted` would first have to build and unpack; looks only."""
    from labsupport.systems.images.recipes import recipe_of, tools_of
    from labsupport.systems.toolchain.catalogue import read_catalogue
    from labsupport.systems.toolchain.costs import costs_of

    of_images = [tool for name in wanted.images for tool in tools_of(recipe_of(name))]
    return costs_of(read_catalogue(), make_toolchain().missing(*tool_groups(wanted), *of_images))


def prepare(options: LabOptions, needs: Needs, listener: Listener = silent) -> None:
    """Get every tool and image that `needs` take, as far as they can be live here; afterwards they start in seconds.

    Raises:
        RequirementMissing, ToolchainError: something cannot be had here.
    """
    from labsupport.systems.images import missing_images

    chosen = plan(options.or_from_environment())
    wanted = chosen.within(needs)
    if chosen.is_visit or not tool_groups(wanted):
        return  # a visit takes few tools, and gets them when it starts
    toolchain = have_tools(wanted, listener)
    # Building takes an engine, asking what is missing does not.
    if missing_images(toolchain, *wanted.images):
        with running_backends(replace(chosen, no_engine=""), Needs(engine=True, images=wanted.images), listener):
            pass


def needs_of(notebooks: Sequence[str] = (), trials: Sequence[str] = ()) -> Needs:
    """What the named notebooks need together, or these trials of them; all of them, when none is named."""
    chosen = [lesson(name).asked_for(trials) for name in notebooks] or LESSONS
    return reduce(operator.or_, [one.needs for one in chosen])


def _all_needs(chosen: Plan) -> Needs:
    """What a lab for all notebooks has: where not all can be live, what those need that can."""
    if not (chosen.is_visit or chosen.simulates):
        return needs_of()
    live = [one.needs for one in LESSONS if not chosen.why_not(one.needs)]
    least = Needs(engine=chosen.own_engine, nodes=int(chosen.own_cluster), images=("lab/toolbox",))
    return reduce(operator.or_, live, least)


@contextmanager
def hold(options: LabOptions, listener: Listener = silent) -> Iterator[LabStatus]:
    """Keep a lab alive for the length of a block; it ends with this process, however that ends."""
    chosen = plan(options.or_from_environment())
    prepare(options, needs_of(), listener)
    with running_backends(chosen, _all_needs(chosen), listener) as backends:
        backends.keep_baseline()
        yield _status_of(backends, f"process {os.getpid()}")


def up(options: LabOptions, listener: Listener = silent) -> LabStatus:
    """Start a lab that only `down` ends.

    Raises:
        UsageError: one is up already.
        RequirementMissing: nothing can be live here.
    """
    chosen = plan(options.or_from_environment())
    if not chosen.is_anything_live:
        nothing = f"there would be nothing to keep alive: {chosen.why_not(needs_of())}"
        raise RequirementMissing(
            "./lab up", nothing, "run it with sudo; or `./lab start`, which shows recorded evidence"
        )
    require_none_up(this_project())
    prepare(options, needs_of(), listener)
    backends = start_backends(chosen, _all_needs(chosen), owner=Owner.this_process(), listener=listener)
    try:
        assert backends.home is not None
        backends.keep_baseline()
        # Only now: an end before this moment, of whatever kind, leaves no half-made lab up.
        backends.home.outlive_owner()
        return _status_of(backends, "./lab down")
    except BaseException:
        with interrupts_later():
            backends.close()
        raise


def which_is_up(project: Project) -> str:
    """The lab that `./lab down` would end: one on this computer, or this clone's virtual machine; empty if none is."""
    return next((one.name for one in _running() if one.owner is None and not _is_of_another(one, project)), "")


def require_none_up(project: Project) -> None:
    """Refuse a second lab beside the one that is up.

    Raises:
        UsageError: one is.
    """
    if already := which_is_up(project):
        raise UsageError("./lab up", f"{already} is up already", "use it (`./lab shell`), or end it: ./lab down")


def is_any_here() -> bool:
    """Whether a lab runs on this computer itself."""
    return any(one.kind != VIRTUAL_KIND for one in _running())


def status() -> list[LabStatus]:
    """Return the labs that run on this computer, newest first."""
    return [_status_from(record) for record in reversed(_running())]


def environment_of(name: str | None = None, options: LabOptions = NO_OPTIONS) -> dict[str, str]:
    """Return what a shell, server or kernel needs to use a running lab; without a name, the one that is up.

    A name that is empty means a lab with nothing live: there, docker and kubectl only say so, and `options` are
    what kernels decide by, as there is nothing to attach to.

    Raises:
        UsageError: no such lab runs.
    """
    if name == "":
        return {**Backends(Plan(None)).environment, **options.as_environment()}
    backends = attach_backends(_the_running(name).name)
    assert backends.home is not None
    return {**backends.environment, **NOTHING_CHOSEN, ATTACH_VARIABLE: backends.home.name}


def down(name: str | None = None, listener: Listener = silent) -> list[str]:
    """End the lab that `up` started; return what was ended.

    Raises:
        MachineError: something of it is left.
    """
    ended = []
    for record in _running():
        ours = record.owner is None and not _is_of_another(record, this_project())
        if record.name == name or (name is None and ours):
            if left := end_and_look(attach_to_end(record.name)):
                raise MachineError(f"end {record.name}", f"left: {'; '.join(map(str, left))}", "run ./lab clean")
            ended.append(f"{record.name} ended; nothing is left of it.")
    return ended


def clean(*, caches: bool, listener: Listener = silent) -> list[str]:
    """Remove what labs left behind; with `caches`, also tools and images. Running labs are not touched.

    Raises:
        UsageError: the caches are wanted, and a running lab uses them.
    """
    from labsupport.systems.machines.sweeping import sweep_abandoned
    from labsupport.systems.toolchain.store import cache_folder

    names = [*sweep_all(), *(name for root in _writable_roots() for name in sweep_abandoned(root))]
    removed = [f"what {name} had left" for name in names]
    if caches:
        removed += _remove_machine_images()
    if caches and (running := status()):
        happened = f"{running[0].name} runs, from tools in {cache_folder()}"
        raise UsageError("./lab clean --all", happened, f"end it first: it ends with {running[0].owner}")
    if caches and cache_folder().is_dir():
        freed = _megabytes(cache_folder())
        shutil.rmtree(cache_folder())
        removed.append(f"{cache_folder()}: tools and images, {freed:.0f} MB; the next lab gets them again")
    untouched = [f"{one.name} still runs, and ends with {one.owner}: not touched" for one in status()]
    return removed + untouched


def sweep_all() -> list[str]:
    """End and remove what labs have left whose owners have ended; return the names of those labs."""
    from labsupport.systems.machines.sweeping import sweep

    return [name for root in _writable_roots() for name in sweep(root)]


def reset(name: str | None = None, listener: Listener = silent) -> list[str]:
    """Remove every container, network, volume and image from the running lab that the lab did not bring itself."""
    if not is_any_here():
        return []
    backends = attach_backends(_the_running(name).name)
    assert backends.home is not None
    removed = backends.back_to_baseline() or ["nothing to remove"]
    return [f"{backends.home.name}: {each}" for each in removed]


def _writable_roots() -> list[Path]:
    return [root for root in run_roots() if os.access(root, os.W_OK)]


def _running() -> "list[LabRecord]":
    from labsupport.systems.machines.run_folders import records

    everywhere = [record for root in run_roots() for record in records(root).values()]
    found = [record for record in everywhere if record is not None and record.is_alive()]
    return sorted(found, key=lambda record: record.created)


def _is_of_another(record: "LabRecord", project: Project) -> bool:
    """Whether it is a virtual machine of another clone; one whose clone is gone is everybody's to end."""
    if record.kind != VIRTUAL_KIND:
        return False
    from labsupport.systems.virtual.computer import clone_of

    clone = clone_of(folder_of_lab(record.name))
    return clone is not None and clone != project.root and not _is_gone(clone)


def _is_gone(folder: Path) -> bool:
    """Whether there is no such folder. One that this user may not look at is there."""
    with suppress(PermissionError):
        try:
            folder.stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
    return False


def _the_running(name: str | None) -> "LabRecord":
    found = _running()
    # What is in a virtual machine is used by commands that run there.
    running = [one for one in found if one.kind != VIRTUAL_KIND]
    fitting = [one for one in running if one.name == name] if name else [one for one in running if one.owner is None]
    if fitting or (running and not name):
        return (fitting or running)[-1]
    for one in reversed(found):
        if one.kind == VIRTUAL_KIND and name in (None, one.name):
            from labsupport.systems.virtual.computer import why_not_used

            because, do = why_not_used(folder_of_lab(one.name), this_project())
            raise UsageError(f"use the lab {name or 'that is up'}", f"{one.name} {because}", do)
    raise UsageError(
        f"use the lab {name or 'that is up'}", "no such lab runs", "start one: ./lab up; ./lab status lists them"
    )


def _status_of(backends: Backends, owner: str) -> LabStatus:
    if backends.home is None:
        return LabStatus("", "none", f"replay: {backends.plan.no_engine}", "replay", "", "", owner)
    name = backends.home.name
    return next(replace(_status_from(record), owner=owner) for record in _running() if record.name == name)


def _status_from(record: "LabRecord") -> LabStatus:
    from labsupport.systems.machines.launching import Settings
    from labsupport.systems.machines.sweeping import VISIT_KIND

    folder = folder_of_lab(record.name)
    ends_with = f"process {record.owner.pid}" if record.owner else "./lab down"
    if record.owner is None and _is_of_another(record, this_project()):
        from labsupport.systems.virtual.computer import clone_of

        ends_with += f" in {clone_of(folder)}"
    visits = record.kind == VISIT_KIND
    return LabStatus(
        record.name,
        "none" if visits else record.kind,
        ("own" if visits else "private") if (folder / ENGINE_FILE).exists() else "none",
        next((kind for kind, file in CLUSTER_FILES.items() if (folder / file).exists()), "none"),
        record.engine if visits else Settings.read(folder).address,
        record.created,
        ends_with,
    )


def _remove_machine_images() -> list[str]:
    """Remove the image of container machines from the user's own engine, if there is one of either."""
    from labsupport.systems.capabilities import container_machine

    if not container_machine().available:
        return []
    from labsupport.systems.machines.container_image import remove_images
    from labsupport.systems.machines.own_engine import OwnEngine

    return [f"the image {name} on your own engine" for name in remove_images(OwnEngine())]


def _megabytes(folder: Path) -> float:
    """What is freed when a folder goes: of files with holes, such as a disk, what is written in them."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.lstat().st_blocks for path in files) * 512 / 1e6
