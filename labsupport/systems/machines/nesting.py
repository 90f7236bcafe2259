"""Starts and ends inner machines for who is not root: `python -I -S nesting.py FOLDER REQUEST`, run inside by PID 1.

There it is root, whoever asked. REQUEST is JSON: {"do": "start", "name": …, "user": …, "group": …, "system": …} or
{"do": "end", "name": …}. Says nothing, or JSON with the words of an error. Standard library only: see inside/.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path.insert(0, __file__.rsplit("/", 4)[0])

from labsupport.errors import LabError, MachineError
from labsupport.process.commands import LocalRunner, Runner
from labsupport.process.waiting import wait_until
from labsupport.systems.machines import inner
from labsupport.systems.machines.launching import Settings, System, bare_interpreter
from labsupport.systems.machines.requests import ControlSocket
from labsupport.systems.machines.run_folders import remove
from labsupport.systems.machines.sweeping import remove_cgroups_inside

if TYPE_CHECKING:
    from labsupport.systems.machines.machine import Machine

START_WITHIN_SECONDS = 90


def ask_to_start(machine: "Machine", settings: Settings, name: str, system: System | None) -> None:
    """Have an inner machine started by the root inside `machine`; its folder is then this user's.

    Raises:
        MachineError: it did not start; nothing of it is left.
    """
    booted = {key: _plain(value) for key, value in asdict(system).items()} if system else None
    _ask(machine, settings, {"do": "start", "name": name, "user": os.getuid(), "group": os.getgid(), "system": booted})


def ask_to_end(machine: "Machine", settings: Settings, name: str) -> None:
    """Have an inner machine ended, and what it left removed, by the root inside `machine`."""
    _ask(machine, settings, {"do": "end", "name": name})


def _ask(machine: "Machine", settings: Settings, request: dict[str, Any]) -> None:
    argv = [*bare_interpreter(settings.interpreter), __file__, str(machine.folder), json.dumps(request)]
    result = machine.runner.run(argv, within_seconds=START_WITHIN_SECONDS)
    if result.exit_code == MachineError.exit_code and result.stdout.startswith("{"):
        raise MachineError(**json.loads(result.stdout))
    result.or_raise()


def _plain(value: object) -> object:
    return [str(each) for each in value] if isinstance(value, tuple) else str(value)


def main(folder: Path, request: dict[str, Any]) -> None:
    """Do what was asked, as root inside the machine whose run folder is `folder`."""
    name, control = request["name"], ControlSocket(folder)
    if request["do"] == "start":
        _start(folder, control, request)
    elif inner.inner_folder(folder, name).is_dir():
        control.ask({"do": "signal", "name": inner.service_of(name), "number": 9})
        there = ControlSocket(inner.inner_folder(folder, name))
        wait_until(lambda: not there.is_answered(), f"{name} to end", within_seconds=60, every_seconds=0.005)
        _clear(inner.inner_folder(folder, name), name)


def _start(folder: Path, control: ControlSocket, request: dict[str, Any]) -> None:
    booted = request["system"]
    system = booted and System(Path(booted["tree"]), _paths(booted["shown"]), _paths(booted["tools"]))
    inside: Runner = LocalRunner()
    owner = (request["user"], request["group"])
    inner.start_inner(folder, Settings.read(folder), control, inside, request["name"], _clear, system, owner)


def _clear(folder: Path, cgroup: str) -> None:
    remove_cgroups_inside(cgroup.rpartition("/")[2])
    remove(folder)


def _paths(texts: list[str]) -> tuple[Path, ...]:
    return tuple(map(Path, texts))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), json.loads(sys.argv[2]))
    except LabError as error:
        print(json.dumps({"tried": error.tried, "happened": error.happened, "do": error.do}))
        sys.exit(MachineError.exit_code)
