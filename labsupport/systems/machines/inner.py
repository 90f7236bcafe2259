"""Inner machines: a machine within a machine, on a switch, whose end is its own. Cluster nodes, and other engines'.

Owns their folders, addresses and ends. All of it also ends with the outer machine, whose kernel objects they are.
"""

import contextlib
import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from labsupport.errors import MachineError
from labsupport.process.commands import Runner
from labsupport.process.ownership import Owner, give_to_caller
from labsupport.process.progress import silent
from labsupport.systems.machines import links
from labsupport.systems.machines.launching import (
    INIT_LOG,
    START_WITHIN_SECONDS,
    SYSTEM_START_WITHIN_SECONDS,
    Announcements,
    Settings,
    System,
    init_argv,
    offline_resolver,
    paths,
)
from labsupport.systems.machines.requests import SOCKET_NAME, ControlSocket
from labsupport.systems.machines.run_folders import remove
from labsupport.systems.machines.sweeping import end_process, remove_cgroups

Clear = Callable[[Path, str], None]

# A name is also a host name, a cgroup and an interface of the switch.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,13}[a-z0-9]|[a-z]")
_TAKEN_NAMES = frozenset({"lo", "outer", links.SWITCH, "init"})


def service_of(name: str) -> str:
    """The name that the outer machine knows an inner one's launcher by."""
    return f"machine-{name}"


def inner_folder(outer_folder: Path, name: str) -> Path:
    return outer_folder / "machines" / name


def clear(folder: Path, cgroup: str) -> None:
    """Remove what an inner machine left that has ended."""
    remove_cgroups(cgroup)
    remove(folder)


def start_inner(
    outer_folder: Path,
    outer: Settings,
    control: ControlSocket,
    runner: Runner,
    name: str,
    clear: Clear = clear,
    system: System | None = None,
    user: tuple[int, int] | None = None,
) -> None:
    """Start an inner machine and put it on the switch; `clear` removes what one left that did not start.

    Args:
        system: what it boots, where it is not to have this computer's files.
        user: whose its folder and control socket are, by uid and gid, where they are not the outer machine's user's.

    Raises:
        MachineError: the name is in use or unfit, no address is left, or it did not start. Nothing of it is left.
    """
    _check_name(name)
    network = network_inside(outer)
    folder = _claim_folder(outer_folder, name, f"{outer.cgroup}/{name}", clear)
    try:
        settings = replace(
            outer,
            name=name,
            address=_claim_address(outer_folder, folder, network),
            host_address=str(network[1]),
            resolver=offline_resolver(str(network[1])),
            cgroup=f"{outer.cgroup}/{name}",
            depth=outer.depth + 1,
            keeps_network=False,
            system=str(system.tree) if system else "",
            shown=paths(system.shown) if system else (),
            tools=paths(system.tools) if system else outer.tools,
            user=user[0] if user else outer.user,
        )
        settings.write(folder)
        if user:
            os.chown(folder, *user)
        links.make_switch(outer_folder, network, runner)
        announced = _launch(folder, settings, control)
        try:
            pid_there = announced.wait_for_pid()
            links.plug_in(name, f"{settings.address}/{network.prefixlen}", settings.host_address, pid_there, runner)
            announced.wait_for_ready()
            give_to_caller(folder / SOCKET_NAME)
        except MachineError:
            announced.raise_failure()
            raise
        finally:
            announced.close()
    except BaseException:
        clear(folder, f"{outer.cgroup}/{name}")
        raise


def network_inside(outer: Settings) -> ipaddress.IPv4Network:
    """Return the network of the machines inside one; the first address is its own."""
    return ipaddress.IPv4Network(f"10.{200 + outer.depth}.0.0/24")


def end_inner(folder: Path, init: Owner) -> None:
    """End an inner machine with all in it, and remove what it left; nothing, if it has ended already."""
    if not folder.exists():
        return
    cgroup = Settings.read(folder).cgroup
    end_process(init)
    clear(folder, cgroup)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in _TAKEN_NAMES:
        raise MachineError(
            f"start an inner machine called {name!r}",
            "a name has up to 15 small letters, digits and dashes, starts with a letter, "
            f"and is none of {', '.join(sorted(_TAKEN_NAMES))}",
            "choose such a name",
        )


def _claim_folder(outer_folder: Path, name: str, cgroup: str, clear: Clear) -> Path:
    folder = inner_folder(outer_folder, name)
    if folder.exists():
        if ControlSocket(folder).is_answered():
            raise MachineError(f"start an inner machine called {name}", f"{name} runs already", "close that one first")
        clear(folder, cgroup)
    (folder / "log").mkdir(parents=True)
    (folder / "private").mkdir(mode=0o700)
    (folder / "home").mkdir()
    return folder


def _claim_address(outer_folder: Path, folder: Path, network: ipaddress.IPv4Network) -> str:
    """Take the first address that nobody has: each is a link to the folder that has it, made only where none is."""
    addresses = outer_folder / "addresses"
    addresses.mkdir(exist_ok=True)
    for address in list(network)[2:-1]:
        claim = addresses / str(address)
        if claim.is_symlink() and not claim.exists():
            claim.unlink(missing_ok=True)
        with contextlib.suppress(FileExistsError):
            claim.symlink_to(folder)
            return str(address)
    raise MachineError(
        f"find an address in {network} for {folder.name}", "all are in use", "close inner machines that nobody uses"
    )


def _launch(folder: Path, settings: Settings, control: ControlSocket) -> Announcements:
    reader, writer = os.pipe()
    try:
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8"}
        argv = init_argv(folder, status=1, interpreter=settings.interpreter)
        control.start(service_of(settings.name), argv, environment, folder / INIT_LOG, stdout=writer)
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    within_seconds = SYSTEM_START_WITHIN_SECONDS if settings.system else START_WITHIN_SECONDS
    return Announcements(reader, folder / INIT_LOG, silent, within_seconds)
