"""The emulator: the words it is started with, and whether this computer's processor can run the guest itself.

KVM may be there and not work, as in many a virtual machine: that is found out by starting a guest that only says so.
"""

import json
import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from labsupport.errors import WaitExpired
from labsupport.process.commands import Runner
from labsupport.process.progress import Listener, Progress, silent
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.toolchain.catalogue import Platform
from labsupport.systems.toolchain.store import Store
from labsupport.systems.virtual.system import System

KVM = Path("/dev/kvm")
SAID_BY_A_GUEST = "lab: a guest runs here"
# A guest whose processor is emulated says it after three seconds, one with KVM in less than one.
PROBE_WITHIN_SECONDS = 20
PROBE_MEGABYTES = 512
SAID_NOTHING = f"with {KVM} a guest said nothing for {PROBE_WITHIN_SECONDS} s"
VERDICTS = "vm-probes"
# A computer with too much else to do says nothing either: it is asked again.
SILENCE_HOLDS_SECONDS = 60 * 60
# Reserved for documentation: no network of a lab, an engine or a cluster has them.
NETWORK = "192.0.2.0/24"
GATEWAY, ADDRESS = "192.0.2.2", "192.0.2.15"
# Measured: a Python that counts takes twenty times longer where the processor is emulated, most that waits does not.
PATIENCE = {"kvm": 1.0, "tcg": 8.0}
PROGRAMS = {"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}
MODELS = {"amd64": "q35", "arm64": "virt"}
# The least that programs of today take: instructions that came later are emulated slower than what they replace.
EMULATED = {"amd64": "Nehalem", "arm64": "cortex-a72"}
# More than its emulated interrupt controller knows are refused.
MOST_EMULATED = {"arm64": 8}
CONSOLES = {"amd64": "ttyS0", "arm64": "ttyAMA0"}


@dataclass(frozen=True)
class Acceleration:
    """How guests run: `name` is kvm or tcg, the emulator's words; `because` says why not kvm."""

    name: str
    because: str = ""

    @property
    def in_words(self) -> str:
        return "KVM" if self.name == "kvm" else f"software emulation, many times slower ({self.because})"


@dataclass(frozen=True)
class Shared:
    """A folder of this computer that the guest sees at the same path.

    `how` is written, read, or over: what the guest writes there is its own, and ends with it.
    """

    path: Path
    how: str


def group_of_tools() -> str:
    """The group of versions.toml with what a virtual machine takes here."""
    return f"vm-{Platform.here().arch}"


def emulator(toolchain: Toolchain) -> list[str]:
    """The first words of every start: the program, and where its own files are."""
    arch = Platform.here().arch
    program = toolchain.path(PROGRAMS[arch])
    words = [str(program), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", MODELS[arch]]
    if toolchain.cache in program.parents:
        root = toolchain.debian_root(f"vm-{arch}")
        words += [word for name in ("qemu", "seabios") for word in ("-L", str(root / "usr/share" / name))]
    return words


def processor(acceleration: Acceleration) -> list[str]:
    if acceleration.name == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi", "-cpu", EMULATED[Platform.here().arch]]


def processors(acceleration: Acceleration) -> int:
    """How many a guest has: as many as this process may use, as far as its kind of machine takes so many."""
    here = len(os.sched_getaffinity(0))
    return here if acceleration.name == "kvm" else min(here, MOST_EMULATED.get(Platform.here().arch, here))


def boot(system: System, *words: str) -> list[str]:
    """The kernel and its command line. Nobody is in there whom guards against the processor's flaws would keep out."""
    console = f"console={CONSOLES[Platform.here().arch]}"
    line = (console, "net.ifnames=0", "panic=-1", "mitigations=off", "loglevel=5", "SYSTEMD_COLORS=0", *words)
    return ["-kernel", str(system.kernel), "-initrd", str(system.first_files), "-append", " ".join(line)]


def devices(system: System, console: Path, listens_at: str) -> list[str]:
    """The disk, whose changes are a file without a name; the console's log; a network on which only port 22 answers.

    Where that file cannot grow the guest is told: left to itself, the emulator would hold it without a word.
    """
    return [
        *("-drive", f"file={system.disk},if=virtio,format=raw,snapshot=on,cache=unsafe,discard=unmap,werror=report"),
        *("-chardev", f"file,id=console,path={console}", "-serial", "chardev:console"),
        "-netdev",
        f"user,id=net,restrict=on,ipv6=off,net={NETWORK},host={GATEWAY},hostfwd=tcp:{listens_at}:22-{ADDRESS}:22",
        *("-device", "virtio-net-pci,netdev=net,romfile="),
        *("-device", "virtio-rng-pci"),
    ]


def share(tag: str, folder: Path, *, writable: bool) -> list[str]:
    only = "" if writable else ",readonly=on"
    return [
        *("-fsdev", f"local,id={tag},path={folder},security_model=passthrough,multidevs=remap{only}"),
        *("-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"),
    ]


def find_acceleration(
    words: Sequence[str], system: System, runner: Runner, store: Store, listener: Listener = silent
) -> Acceleration:
    """Say how guests run here; that they run with KVM is found out once for each boot of this computer.

    That they do not may pass: another program that has the processor's help ends. A refusal, which comes at once, is
    not kept; silence, which takes its time, for a while.

    Args:
        words: of the emulator.
        runner: runs it where a guest of this lab would run.
    """
    if not KVM.exists():
        return Acceleration("tcg", f"there is no {KVM}")
    if not os.access(KVM, os.R_OK | os.W_OK):
        return Acceleration("tcg", f"this user may not use {KVM}")
    if known := _known(_verdict(system, store)):
        return known
    listener(Progress(f"Finding out whether a guest runs with {KVM}: at most {PROBE_WITHIN_SECONDS} s"))
    found = _probe([*words, *processor(Acceleration("kvm"))], system, runner)
    if found.name == "kvm" or found.because == SAID_NOTHING:
        with suppress(OSError):  # a cache that cannot be written to: it is found out each time
            _verdict(system, store).parent.mkdir(exist_ok=True)
            _verdict(system, store).write_text(json.dumps({"name": found.name, "because": found.because}))
    return found


def forget_acceleration(system: System, store: Store) -> None:
    """Have it found out anew at the next start."""
    with suppress(OSError):
        _verdict(system, store).unlink(missing_ok=True)


def _verdict(system: System, store: Store) -> Path:
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return store.root / VERDICTS / f"{boot_id}-{system.disk.parent.name}.json"


def _known(verdict: Path) -> Acceleration | None:
    try:
        found = Acceleration(**json.loads(verdict.read_text()))
        holds = found.name == "kvm" or time.time() - verdict.stat().st_mtime < SILENCE_HOLDS_SECONDS
    except (OSError, ValueError, TypeError):  # there is none, or it is half written
        return None
    return found if holds else None


def _probe(words: Sequence[str], system: System, runner: Runner) -> Acceleration:
    """Start a guest with KVM that only says that it runs, and wait for that, not for long."""
    console = ("-serial", "stdio", "-m", str(PROBE_MEGABYTES))
    try:
        result = runner.run([*words, *console, *boot(system, "lab.probe")], within_seconds=PROBE_WITHIN_SECONDS)
    except WaitExpired:
        return Acceleration("tcg", SAID_NOTHING)
    if SAID_BY_A_GUEST in result.stdout:
        return Acceleration("kvm")
    lines = (result.stderr.strip() or result.stdout.strip() or f"exit code {result.exit_code}").splitlines()
    said = re.sub(r"^qemu-system-\w+: (error: )?", "", lines[0])
    return Acceleration("tcg", f"with {KVM} no guest starts: {said}")
