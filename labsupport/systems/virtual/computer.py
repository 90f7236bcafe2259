"""Virtual machines: starts, finds and ends them. Each is one emulator on a namespaces machine, and ends with that.

So it has an owner, a run folder and an address as every machine has, and the kernel takes all of it with its owner.
What it writes to its disk is in a file without a name, which is gone when the emulator is.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labsupport.errors import LabError, MachineError, RequirementMissing, WaitExpired
from labsupport.process.ownership import RUN_ROOT_VARIABLE, VIRTUAL_KIND, Owner, caller, run_root
from labsupport.process.progress import Listener, Progress, silent
from labsupport.process.waiting import wait_until
from labsupport.project import Project
from labsupport.systems.capabilities import free_disk_gb, virtual_machine
from labsupport.systems.machines.machine import Service
from labsupport.systems.machines.namespaces import NamespacesMachine, attach, start_namespaces_machine
from labsupport.systems.machines.run_folders import LabRecord, records
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.virtual import hardware, keys
from labsupport.systems.virtual.hardware import Acceleration, Shared
from labsupport.systems.virtual.system import DISK_GIGABYTES, ensure_system

EMULATOR = "emulator"
CONSOLE = Path("log") / "console.log"
SHARED_FOLDER = Path("vm") / "shared"
SYSTEM_PYTHON = Path("/usr/bin/python3")
PROJECT_FILE = Path("project")
ACCELERATION_FILE = Path("vm") / "acceleration"
READY = "lab: ready"
# With KVM it takes three seconds, emulated fifteen.
READY_WITHIN_SECONDS = {"kvm": 60, "tcg": 300}
LEAST_MEGABYTES = 2048
MOST_MEGABYTES = 6144
# By measure a node with pods writes 15 MB to its disk; notebooks that build images and make disks write more.
LEAST_FREE_MEGABYTES = 2000
LOST_WRITES = "I/O error, dev vda"
LAST_LINES = 12


@dataclass(frozen=True)
class VirtualComputer:
    """A running virtual machine for one clone of the project. `stays`: it ends with nobody."""

    machine: NamespacesMachine
    project: Project
    stays: bool

    @property
    def name(self) -> str:
        return self.machine.name

    @property
    def address(self) -> str:
        """Where its port 22 is; only who has the key in its run folder comes in."""
        return self.machine.address

    @property
    def key(self) -> Path:
        return self.machine.folder / "vm" / keys.CLIENT_KEY

    @property
    def is_ours(self) -> bool:
        """Whether this user may come in: who started it may, and root."""
        return os.access(self.key, os.R_OK)

    @property
    def known_hosts(self) -> Path:
        return self.machine.folder / "vm" / keys.KNOWN_HOSTS

    @property
    def patience(self) -> float:
        """How many times longer than here things may take in it."""
        return hardware.PATIENCE[(self.machine.folder / ACCELERATION_FILE).read_text()]

    def is_alive(self) -> bool:
        """Whether its emulator runs; what it runs may hang all the same."""
        try:
            return LabRecord.read(self.machine.folder).is_alive()
        except MachineError:  # it has been ended
            return False

    def has_lost_writes(self) -> bool:
        """Whether its disk could not be written to, as its kernel says on the console."""
        return LOST_WRITES in _console(self.machine.folder / CONSOLE)

    def free_megabytes(self) -> int:
        """How much is free on this computer's disk that has what it writes."""
        return shutil.disk_usage(self.machine.folder).free >> 20

    def outlive_owner(self) -> None:
        """Go on when the process ends that owns it."""
        self.machine.outlive_owner()

    def close(self) -> None:
        """End it, all it runs, and what it left."""
        self.machine.close()


def start_virtual_computer(
    project: Project, toolchain: Toolchain, *, owner: Owner | None, listener: Listener = silent
) -> VirtualComputer:
    """Start one, and return it when its systemd is up and somebody answers in it.

    Raises:
        RequirementMissing: it cannot be had here.
        MachineError: it did not come up, with the last lines of its console; nothing of it is left.
    """
    megabytes = require_place()
    toolchain.ensure(hardware.group_of_tools())
    system = ensure_system(toolchain.store, listener)
    machine = start_namespaces_machine(
        owner=owner,
        visible=[toolchain.cache],
        writable=[project.root],
        kind=VIRTUAL_KIND,
    )
    try:
        words = hardware.emulator(toolchain)
        acceleration = hardware.find_acceleration(words, system, machine.runner, toolchain.store, listener)
        listener(
            Progress(
                f"Starting the virtual machine {machine.name}: {megabytes} MB of memory, up to {DISK_GIGABYTES} GB of "
                f"disk while it runs, Linux {system.release}, {acceleration.in_words}"
            )
        )
        folders = shared_folders(project, toolchain.cache, Path(sys.base_prefix))
        _write_settings(machine, project, folders)
        devices = [
            *("-m", str(megabytes)),
            *hardware.boot(system),
            *hardware.devices(system, machine.folder / CONSOLE, machine.address),
            *hardware.share("settings", machine.folder / SHARED_FOLDER, writable=False),
        ]
        for tag, each in folders.items():
            devices += hardware.share(tag, each.path, writable=each.how == "written")
        try:
            _boot(machine, words, acceleration, devices)
        except MachineError as error:
            if acceleration.name != "kvm":
                raise
            hardware.forget_acceleration(system, toolchain.store)
            if machine.service(EMULATOR).is_running():
                raise
            emulated = Acceleration("tcg", "with KVM its emulator ended")
            listener(Progress(f"{error.happened}\nStarting it once more, with {emulated.in_words}"))
            _boot(machine, words, emulated, devices)
        machine.end_after(EMULATOR)
    except BaseException:
        machine.close()
        raise
    return VirtualComputer(machine, project, stays=owner is None)


def running_virtual_computers(project: Project) -> list[VirtualComputer]:
    """Return the virtual machines for this clone that run, the newest last."""
    root = run_root()
    found = []
    for folder, record in sorted(records(root).items(), key=lambda each: each[1].created if each[1] else ""):
        if record is None or record.kind != VIRTUAL_KIND or not record.is_alive():
            continue
        try:
            if clone_of(folder) == project.root and READY in _console(folder / CONSOLE):
                found.append(VirtualComputer(attach(folder.name, root=root), project, stays=record.owner is None))
        except (OSError, LabError):  # it ends at this moment
            continue
    return found


def clone_of(folder: Path) -> Path | None:
    """The clone that a virtual machine with this run folder is for; None where that is not written yet."""
    written = folder / PROJECT_FILE
    return Path(written.read_text()) if written.exists() else None


def why_not_used(folder: Path, project: Project) -> tuple[str, str]:
    """Say why a virtual machine with this run folder is not used by commands of this clone, and what to do."""
    clone = clone_of(folder)
    if clone is not None and clone != project.root:
        return f"is a virtual machine of the clone {clone}", "use it from there, or start a lab here: ./lab up"
    if clone is None or READY not in _console(folder / CONSOLE):
        return "is a virtual machine that is still starting", "wait until it says that it is up"
    return "is a virtual machine that has its own ./lab", "use a command that goes there: ./lab shell"


def shared_folders(project: Project, cache: Path, interpreter: Path) -> dict[str, Shared]:
    """What a virtual machine sees of this computer, by tag: the clone, its Python and packages, and the cache.

    In the order in which they are mounted: one may be below another.
    """
    folders = {"clone": Shared(project.root, "written"), "packages": Shared(project.root / ".venv", "read")}
    if interpreter != Path("/usr"):  # there the machine has its own, of the same release of Debian
        folders["python"] = Shared(interpreter, "read")
    folders["cache"] = Shared(cache, "over")
    return folders


def memory_for(available: int) -> int:
    """Return how much memory one gets, in MB, where so much is available: half, within limits.

    Raises:
        RequirementMissing: too little for a lab.
    """
    if available < LEAST_MEGABYTES + 512:
        raise RequirementMissing(
            "start a virtual machine",
            f"{available} MB of memory are available, and it takes {LEAST_MEGABYTES} MB for itself",
            "end other programs, or other labs (`./lab status`)",
        )
    return min(MOST_MEGABYTES, max(LEAST_MEGABYTES, available // 2))


def require_place() -> int:
    """Return how much memory one gets, in MB; refuse what could not work, before anything is got for it.

    Raises:
        RequirementMissing: there are none here, too little memory or disk, or a Python that the machine has not.
    """
    possible = virtual_machine()
    if not possible.available:
        raise RequirementMissing("start a virtual machine", possible.because, possible.change_it)
    require_disk(run_root())
    require_python(Path(sys.base_prefix), (sys.version_info.major, sys.version_info.minor))
    return memory_for(_available_megabytes())


def require_python(prefix: Path, running: tuple[int, int], system: Path = SYSTEM_PYTHON) -> None:
    """Refuse a Python of /usr that is not this system's own: in the machine, /usr has that one alone.

    Raises:
        RequirementMissing: it is another.
    """
    has = f"python{running[0]}.{running[1]}"
    if prefix != Path("/usr") or not system.exists() or system.resolve().name == has:
        return
    raise RequirementMissing(
        "start a virtual machine",
        f"./lab runs with {has} of /usr, and in the machine there is this system's own, {system.resolve().name}",
        "have python3-venv installed and remove .venv, so that it is made with that one; or use a Python that is "
        "not in /usr",
    )


def require_disk(root: Path) -> None:
    """Refuse where this computer has no disk for what one writes.

    Raises:
        RequirementMissing: less is free than what a lab takes.
    """
    _, gigabytes = free_disk_gb(root)
    free = round(gigabytes * 1000)
    if free < LEAST_FREE_MEGABYTES:
        raise RequirementMissing(
            "start a virtual machine",
            f"{free} MB are free on the disk with {root}, and it takes {LEAST_FREE_MEGABYTES} MB for what it writes",
            f"free some space there, or choose another disk: {RUN_ROOT_VARIABLE}=FOLDER",
        )


def _available_megabytes() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) // 1024


def _write_settings(machine: NamespacesMachine, project: Project, folders: dict[str, Shared]) -> None:
    shared = machine.folder / SHARED_FOLDER
    shared.parent.mkdir(mode=0o700)
    shared.mkdir()
    keys.write_keys(shared.parent, shared, machine.address)
    owner = caller()
    lines = [f"{tag} {each.how} {each.path}\n" for tag, each in folders.items()]
    (shared / "folders").write_text("".join(lines))
    (shared / "address").write_text(f"{hardware.ADDRESS}/24\n")
    (shared / "gateway").write_text(f"{hardware.GATEWAY}\n")
    (shared / "outside").write_text(f"{machine.host_address}\n")
    (shared / "account").write_text(f"{owner.uid} {owner.gid}\n" if owner.uid else "")
    (machine.folder / PROJECT_FILE).write_text(str(project.root))


def _boot(machine: NamespacesMachine, words: Sequence[str], acceleration: Acceleration, devices: Sequence[str]) -> None:
    (machine.folder / ACCELERATION_FILE).write_text(acceleration.name)
    processor = [*hardware.processor(acceleration), "-smp", str(hardware.processors(acceleration))]
    service = machine.start(EMULATOR, [*words, *processor, *devices])
    _wait_ready(service, machine.folder / CONSOLE, acceleration)


def _wait_ready(service: Service, console: Path, acceleration: Acceleration) -> None:
    def answers() -> bool:
        if service.exit_code is not None:
            raise _not_up(f"its emulator ended with {service.exit_code}", [service.log, console])
        return READY in _console(console)

    within = READY_WITHIN_SECONDS[acceleration.name]
    try:
        wait_until(answers, "the virtual machine", within_seconds=within, every_seconds=0.05)
    except WaitExpired as expired:
        happened = f"it was not ready within {within} s, with {acceleration.in_words}"
        raise _not_up(happened, [service.log, console]) from expired


def _not_up(happened: str, logs: Sequence[Path]) -> MachineError:
    lines = [line for log in logs if log.exists() for line in _console(log).splitlines()[-LAST_LINES:]]
    return MachineError(
        "start a virtual machine",
        "\n  ".join([f"{happened}; its console ends:", *lines]),
        "see what the last lines name; `./lab clean --all` has its system made anew",
    )


def _console(log: Path) -> str:
    return log.read_text(errors="replace") if log.exists() else ""
