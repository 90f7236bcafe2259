"""The same command in a guest: a container of the user's own engine, where this computer cannot have a lab itself, or
a virtual machine.

Owns when, and what is told on the way. Nothing of it happens inside: there `./lab` is on a computer like any other.
"""

import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labsupport import virtual
from labsupport.errors import UsageError
from labsupport.process.progress import Listener, Progress
from labsupport.project import Project

if TYPE_CHECKING:
    from labsupport.backends import LabOptions
    from labsupport.lessons.needs import Needs
    from labsupport.systems.guests.container import Guest, Lifeline
    from labsupport.systems.machines.own_engine import OwnEngine

ADDRESS = re.compile(rb"JupyterLab: (http://\S+)")
PORTS_TRIED = 50
NOT_SEEN = (
    "Your engine does not see {}: the clone is copied there, and results come back. "
    "Docker Desktop shares it when you add it in Settings > Resources > File sharing."
)


@dataclass(frozen=True)
class Task:
    """A command for a guest: its words after `./lab`, and what it needs there.

    `virtual`: the guest is a virtual machine; it has what these `notebooks` take, or all of them where none is named,
    and of them what these `trials` take, as far as these `options` have it live.
    """

    words: tuple[str, ...] = ()
    port: int = 0
    stays: bool = False
    records: bool = False
    notebooks: tuple[str, ...] = ()
    trials: tuple[str, ...] = ()
    virtual: bool = False
    options: "LabOptions | None" = None


def is_wanted(options: "LabOptions") -> bool:
    """Whether a command with these options has to run in a guest."""
    from labsupport.backends import takes_a_guest

    return takes_a_guest(options.or_from_environment())


def run(
    project: Project, task: Task, listener: Listener, *, ready: Callable[[], None], opened: Callable[[str], object]
) -> int:
    """Run `./lab` with these words in a guest of its own; return its exit code.

    Args:
        ready: called when all is there, before the command's own output begins.
        opened: gets JupyterLab's address, when the command prints one.

    Raises:
        RequirementMissing, MachineError: there is no guest to be had; nothing of it is left.
    """
    from labsupport.systems.guests import copies, streams

    if task.virtual:
        return virtual.run(
            project,
            _command(project, task.words),
            _needs(project, task),
            listener,
            options=task.options,
            port=task.port,
            stays=task.stays,
            ready=ready,
            watch=_watching(opened),
        )
    with _guest(project, task, listener) as (guest, lifeline), ExitStack() as stack:
        stack.enter_context(nullcontext() if guest.shared else copies.saving_work(guest))
        ready()
        code = streams.run_in(guest, _command(project, task.words), watch=_watching(opened))
        if task.records and not guest.shared:
            copies.copy_out(guest, copies.RECORDS)
        if task.stays and code == 0:
            lifeline.let_it_stay()
        return code


def run_in_running(
    project: Project, words: Sequence[str], *, as_user: bool = False, also_virtual: bool = True
) -> int | None:
    """Run `./lab` with these words in the guest that is up, else the newest; None where there is none."""
    from labsupport.systems.guests import streams

    found = running(project)
    if not found and not also_virtual:
        return None
    if not found:
        return virtual.run_in_running(project, _command(project, words), as_user=as_user)
    guest = next((each for each in found if each.stays), found[-1])
    return streams.run_in(guest, _command(project, words), as_user=as_user)


def running(project: Project) -> "list[Guest]":
    """Return the guest containers of this clone that run."""
    from labsupport.systems.capabilities import guest_container

    if not guest_container().available:
        return []
    from labsupport.systems.guests.container import running_guests

    return running_guests(_engine(), project)


def down(project: Project, listener: Listener) -> int | None:
    """End the lab that is up in a guest, and that; bring results here; None where none is up."""
    from labsupport.systems.guests import copies, streams
    from labsupport.systems.guests.container import end_guest

    code = virtual.down(project, _command(project, ["down"]), listener)
    for guest in [each for each in running(project) if each.stays]:
        code = streams.run_in(guest, _command(project, ["down"]))
        if not guest.shared:
            copies.copy_out(guest)
        end_guest(guest)
    return code


def free_port(first: int) -> int:
    """Return the first port from there on that nothing on this computer listens on.

    Raises:
        UsageError: all that were tried are taken.
    """
    for port in range(first, first + PORTS_TRIED):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            return port
    tried = f"listen on 127.0.0.1, ports {first} to {first + PORTS_TRIED - 1}"
    raise UsageError(tried, "none of them is free", "choose another: --port NUMBER")


def clean(*, caches: bool) -> list[str]:
    """Remove what guest containers left on the user's engine; with `caches`, also their image and volume."""
    from labsupport.systems.capabilities import guest_container

    if not guest_container().available:
        return []
    from labsupport.systems.guests.container import remove_volume, sweep_guests
    from labsupport.systems.guests.image import remove_guest_images

    engine = _engine()
    removed = [f"what {name} had left" for name in sweep_guests(engine)]
    if caches:
        removed += [f"the volume {name} on your own engine" for name in remove_volume(engine)]
        removed += [f"the image {name} on your own engine" for name in remove_guest_images(engine)]
    return removed


@contextmanager
def _guest(project: Project, task: Task, listener: Listener) -> "Iterator[tuple[Guest, Lifeline]]":
    """Give a guest container that ends with the block, or with this process; unless it was let stay."""
    from labsupport.systems.guests import copies
    from labsupport.systems.guests.container import GuestOptions, end_guest, start_guest, sweep_guests
    from labsupport.systems.guests.image import ensure_guest_image
    from labsupport.systems.toolchain.store import Store, cache_folder

    if task.stays and (up := [each.name for each in running(project) if each.stays]):
        raise UsageError("./lab up", f"{up[0]} is up already", "use it (`./lab shell`), or end it: ./lab down")
    engine = _engine()
    image = ensure_guest_image(engine, Store(cache_folder()), listener)
    sweep_guests(engine)
    guest, lifeline = start_guest(engine, image, GuestOptions(project, task.port))
    try:
        if not guest.shared:
            listener(Progress(NOT_SEEN.format(project.root)))
            copies.copy_in(guest)
        listener(Progress(f"The lab runs in the container {guest.name} of your engine at {engine.host}"))
        yield guest, lifeline
    finally:
        lifeline.close()
        if not lifeline.stays:
            end_guest(guest)


def _needs(project: Project, task: Task) -> "Needs":
    from labsupport import keeping
    from labsupport.notebooks import find_trials

    chosen = find_trials(project, task.notebooks, task.trials) if task.notebooks or task.trials else []
    return keeping.needs_of([each.slug for each in chosen], task.trials)


def _engine() -> "OwnEngine":
    from labsupport.systems.machines.own_engine import OwnEngine

    return OwnEngine()


def _command(project: Project, words: Sequence[str]) -> list[str]:
    return ["sh", str(project.root / "lab"), *words]


def _watching(opened: Callable[[str], object]) -> Callable[[bytes], None]:
    """Return what looks for JupyterLab's address in the output, and tells it once."""
    seen = b""
    told = False

    def watch(content: bytes) -> None:
        nonlocal seen, told
        if told:
            return
        seen = (seen + content)[-4096:]
        if (found := ADDRESS.search(seen)) and seen[found.end() :]:
            told = True
            opened(found[1].decode())

    return watch
