"""The same command in a virtual machine with a kernel of its own, where that was asked for by name.

Owns when it is started and ended. What `./lab` needs in there is got here first: there it would take many times longer.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from labsupport.errors import LabError, MachineError, RequirementMissing
from labsupport.process.commands import Invocation
from labsupport.process.interrupts import interrupts_later
from labsupport.process.ownership import Owner
from labsupport.process.progress import Listener, Progress
from labsupport.project import Project

if TYPE_CHECKING:
    from labsupport.backends import LabOptions
    from labsupport.keeping import LabStatus
    from labsupport.lessons.needs import Needs
    from labsupport.systems.virtual.computer import VirtualComputer
    from labsupport.systems.virtual.sessions import Sessions

# Emulated, Python alone takes ten.
STATUS_WITHIN_SECONDS = 120


def run(
    project: Project,
    argv: Sequence[str],
    needs: "Needs",
    listener: Listener,
    *,
    options: "LabOptions | None" = None,
    port: int,
    stays: bool,
    ready: Callable[[], None],
    watch: Callable[[bytes], None],
) -> int:
    """Run a command in a virtual machine of its own; return its exit code.

    Args:
        needs: what the command takes there.
        options: which engine and cluster it has there.
        port: one of the machine's that is to be reached here, where it is not 0.
        stays: the machine goes on when the command ends well.
        ready: called when all is there, before the command's own output begins.
        watch: gets a copy of what the command prints.

    Raises:
        RequirementMissing, MachineError: there is no virtual machine to be had; nothing of it is left.
    """
    from labsupport import keeping
    from labsupport.backends import LabOptions, make_toolchain
    from labsupport.systems.virtual.computer import require_place, start_virtual_computer
    from labsupport.systems.virtual.sessions import Sessions

    if stays:
        keeping.require_none_up(project)
    require_place()
    # In there a lab is on a namespaces machine: what that takes is got as for one on this computer.
    keeping.prepare(replace((options or LabOptions()).or_from_environment(), machine="namespaces"), needs, listener)
    toolchain = make_toolchain(listener)
    computer = start_virtual_computer(project, toolchain, owner=Owner.this_process(), listener=listener)
    ending = True
    try:
        listener(Progress(f"The lab runs in the virtual machine {computer.name}"))
        ready()
        code = Sessions(computer, toolchain).run_in_front(argv, port=port, watch=watch)
        if stays and code == 0:
            computer.outlive_owner()
            ending = False
        return code
    finally:
        if ending:
            with interrupts_later():
                computer.close()


def running(project: Project) -> "list[VirtualComputer]":
    """Return the virtual machines of this clone that run."""
    from labsupport.systems.virtual.computer import running_virtual_computers

    return running_virtual_computers(project)


def run_in_running(project: Project, argv: Sequence[str], *, as_user: bool) -> int | None:
    """Run a command in the virtual machine that is up, else in the newest where no lab runs here; None elsewhere.

    One of root's is passed by where a lab of this user's runs.
    """
    from labsupport import keeping

    found = running(project)
    chosen = next((each for each in found if each.stays), None)
    others = keeping.is_any_here()
    if chosen is None and found and not others:
        chosen = found[-1]
    if chosen and others and not chosen.is_ours:
        chosen = None
    return None if chosen is None else _sessions(chosen).run_in_front(argv, as_user=as_user)


def status(project: Project, listener: Listener) -> "list[LabStatus]":
    """Return the labs that run in virtual machines of this clone; tell of one in which nobody answers."""
    from labsupport.keeping import LabStatus

    found = []
    for computer in running(project):
        try:
            sessions = _sessions(computer)
            words = ["sh", str(project.root / "lab"), "status", "--json"]
            there = Invocation(environment=sessions.settings)
            said = sessions.run(words, within_seconds=STATUS_WITHIN_SECONDS, invocation=there)
            labs = json.loads(said.or_raise().stdout)
        except LabError as error:
            listener(Progress(f"What runs in {computer.name} is not listed: {error.happened}"))
            continue
        found += [LabStatus(**{**each, "inside": computer.name}) for each in labs]
    return found


def down(project: Project, argv: Sequence[str], listener: Listener) -> int | None:
    """End the lab that is up in a virtual machine with that command, and the machine; None where none is up.

    The machine ends whether or not anybody in it answers: all that runs in it ends with it.
    """
    code = None
    for computer in [each for each in running(project) if each.stays]:
        sessions = _sessions(computer)
        try:
            code = sessions.run_in_front(argv)
        except MachineError as lost:
            listener(Progress(f"{lost.happened}: it is ended as it is"))
            code = 0
        finally:
            with interrupts_later():
                computer.close()
    return code


def _sessions(computer: "VirtualComputer") -> "Sessions":
    from labsupport.backends import make_toolchain
    from labsupport.systems.virtual.sessions import Sessions

    if not computer.is_ours:
        happened = f"{computer.name} is a virtual machine that root started, and only root comes in"
        raise RequirementMissing(f"use {computer.name}", happened, "run it with sudo: `sudo ./lab …`")
    return Sessions(computer, make_toolchain())
