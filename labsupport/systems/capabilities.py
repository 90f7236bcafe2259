"""What this computer can do for a lab: each a yes, or a no with the reason and what would change it. Only looks."""

import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labsupport.process.commands import LocalRunner, Runner
from labsupport.process.ownership import is_guest, run_root
from labsupport.systems.clusters.kubeconfig import current_context
from labsupport.systems.guests.fitness import is_elsewhere, unfit_for_guests
from labsupport.systems.kernel_features import FEATURES, KernelFeatures
from labsupport.systems.machines.connections import ask_about_itself
from labsupport.systems.machines.own_engine import host_in_use, own_kubeconfigs, unfit
from labsupport.systems.toolchain.store import CACHE_VARIABLE, cache_folder

OLDEST_KERNEL = (5, 12)
ENOUGH_MEMORY_GB = 2.0
ENOUGH_DISK_GB = 6.0
_CAP_SYS_ADMIN = 21
_CAP_SYS_RESOURCE = 24
_CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "devices", "freezer", "blkio")
OR_RECORDED = "; or recorded evidence (--engine replay)"
_NEEDS_ROOT = f"use `sudo ./lab …`; or a Docker engine (--machine container){OR_RECORDED}"
_NO_DEBIAN = "its {} of Debian packages, and this is no Debian or Ubuntu"
_NEEDS_DEBIAN = f"use Debian or Ubuntu; or a Docker engine, as a guest container there has a Debian{OR_RECORDED}"
_OTHER_KERNEL = "use another kernel, or a machine with a kernel of its own (--machine vm)"


@dataclass(frozen=True)
class Capability:
    """Something a lab may need. `because` says how that is known; `change_it` is empty where it is there."""

    name: str
    available: bool
    because: str
    change_it: str = ""


class Capabilities:
    """All of them, in the order they are shown."""

    def __init__(self, rows: list[Capability]) -> None:
        self.rows = tuple(rows)
        self._by_name = {row.name: row for row in rows}

    def __iter__(self) -> Iterator[Capability]:
        return iter(self.rows)

    def __getitem__(self, name: str) -> Capability:
        return self._by_name[name]


def probe(runner: Runner | None = None, *, megabytes_to_build: int | None = None) -> Capabilities:
    """Look at this computer.

    Args:
        megabytes_to_build: what the first lab takes of its disk to build what it lacks; None where that is elsewhere.
    """
    if not sys.platform.startswith("linux"):
        return Capabilities(
            [
                namespaces_machine(),
                docker_engine(),
                container_machine(),
                guest_container(),
                simulated_cluster(),
                own_cluster(),
                *_room(megabytes_to_build),
                *_programs(),
            ]
        )
    kernel = KernelFeatures(runner or LocalRunner())
    return Capabilities(
        [
            _root(),
            namespaces_machine(),
            docker_engine(),
            container_machine(),
            guest_container(),
            virtual_machine(),
            kind_cluster(),
            simulated_cluster(),
            own_cluster(),
            _user_namespaces(),
            _capability_sys_resource(),
            *_cgroups(),
            _systemd(),
            *_kernel(kernel),
            *(_device(path, purpose) for path, purpose in _DEVICES.items()),
            *_room(megabytes_to_build),
            _way_out(),
            _machines_way_out(),
            _products(),
            *_programs(),
        ]
    )


_DEVICES = {"/dev/kvm": "fast virtual machines", "/dev/net/tun": "a way out for a machine"}


def _yes(name: str, because: str) -> Capability:
    return Capability(name, True, because)


def _no(name: str, because: str, change_it: str) -> Capability:
    return Capability(name, False, because, change_it)


def _root() -> Capability:
    if os.geteuid() == 0:
        return _yes("root", "this process is root")
    with_sudo = "; sudo is here" if shutil.which("sudo") else ""
    change_it = _NEEDS_ROOT if _has_debian_packages() else _NEEDS_DEBIAN
    return _no("root", f"this is user {os.geteuid()}{with_sudo}", change_it)


def _has_debian_packages() -> bool:
    return all(map(shutil.which, ("apt-get", "dpkg-deb")))


def namespaces_machine() -> Capability:
    """Say whether this process can start one."""
    name = "namespaces machine"
    if not sys.platform.startswith("linux"):
        because = f"this is {platform.system()}, and it takes Linux"
        return _no(name, because, "use a Docker engine (--machine container), which brings a Linux kernel")
    if not (is_guest() or _has_debian_packages()):
        return _no(name, _NO_DEBIAN.format("tools and images are made"), _NEEDS_DEBIAN)
    if os.geteuid() != 0:
        return _no(name, "it takes root", _NEEDS_ROOT)
    if not _has_capability(_CAP_SYS_ADMIN):
        return _no(name, "this root may not make namespaces (no CAP_SYS_ADMIN), as in a container", _NEEDS_ROOT)
    release = tuple(int("0" + "".join(filter(str.isdigit, part))) for part in platform.release().split(".")[:2])
    if release < OLDEST_KERNEL:
        wanted = ".".join(map(str, OLDEST_KERNEL))
        return _no(name, f"kernel {platform.release()} is older than {wanted}", _OTHER_KERNEL)
    kinds = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
    if missing := [kind for kind in kinds if not Path(f"/proc/self/ns/{kind}").exists()]:
        return _no(name, f"this kernel has no {', '.join(missing)} namespaces", _OTHER_KERNEL)
    return _yes(name, "root, and a kernel with all namespaces")


def docker_engine(host: str | None = None) -> Capability:
    """Say whether a Docker engine of the user's answers, where their `docker` would look for it."""
    name = "own Docker engine"
    host = host or host_in_use()
    if not host.startswith("unix://"):
        return _yes(name, f"DOCKER_HOST says {host} (not asked)")
    path = host.removeprefix("unix://")
    start_it = "start Docker, or Docker Desktop; only `--engine own` and the container machine need it"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(0.2)
            connection.connect(path)
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            headers = _headers(connection.recv(4096).decode(errors="replace"))
            return _yes(name, f"answers at {host}, API {headers['api-version']}; `--engine own` uses it")
    except PermissionError:
        join = "join its group (`sudo usermod -aG docker $USER`, then log in again)"
        return _no(name, f"this user may not use {path}", join)
    except (OSError, KeyError) as error:
        return _no(name, f"nothing answers at {path} ({type(error).__name__})", start_it)


def simulated_cluster() -> Capability:
    """Say whether this user can have a cluster with simulated nodes at once: nothing is got for who did not ask."""
    from labsupport.systems.clusters.tools import WITH_SIMULATED_NODES
    from labsupport.systems.toolchain import Toolchain

    name = "simulated nodes"
    if because := place_for_simulated_cluster():
        return _no(name, because, "`./lab clean` by that user removes it")
    if missing := Toolchain().missing(*WITH_SIMULATED_NODES):
        because = f"{', '.join(missing)}: not here, and not needed where nodes can be real"
        return _no(name, because, "`./lab run 08 --cluster simulated` gets them; recorded evidence is shown without")
    return _yes(name, "a control plane of this user's own processes: what there is where no machine can start")


def place_for_simulated_cluster() -> str:
    """Why this user can have no volumes on this computer; empty where they can."""
    from labsupport.systems.clusters.simulated.volumes import why_no_place

    return why_no_place()


def own_cluster() -> Capability:
    """Say whether the user's kubeconfig has a current context; nobody is asked whether its cluster answers."""
    name = "own cluster"
    file = own_kubeconfigs()[0]
    choose = "choose one (`kubectl config use-context …`); only `--cluster own` needs it"
    try:
        context, server = current_context(file.read_text())
    except (OSError, ValueError) as error:
        return _no(name, f"{file} names no cluster: {getattr(error, 'strerror', None) or error}", choose)
    return _yes(name, f"context {context} at {server} (not asked); `--cluster own` uses it")


def container_machine() -> Capability:
    """Say whether this user can start one: whether the engine's kernel is this computer's shows when it starts."""
    name = "container machine"
    if not sys.platform.startswith("linux"):
        because = f"this is {platform.system()}, whose engines run in a virtual machine and share no sockets with it"
        return _no(name, because, "nothing to do: a guest container takes its place")
    host = host_in_use()
    engine = docker_engine(host)
    if not engine.available:
        return _no(name, engine.because, engine.change_it)
    if because := unfit(host, ask_about_itself(host) if host.startswith("unix://") else {}):
        return _no(name, because, "nothing to do where a guest container takes its place; or --engine replay")
    if not _has_debian_packages():
        because = _NO_DEBIAN.format("image is made")
        return _no(name, because, "nothing to do where a guest container takes its place; or --engine replay")
    return _yes(name, f"a Docker engine {engine.because.partition(';')[0]}; in it run the lab's own engine and cluster")


def guest_container() -> Capability:
    """Say whether the whole lab can run in a container of the user's engine, on whatever kernel that has."""
    name = "guest container"
    if is_guest():
        return _no(name, "this is the inside of one", "nothing to do")
    host = host_in_use()
    info = ask_about_itself(host)
    because, change_it = unfit_for_guests(host, info)
    if because:
        return _no(name, because, change_it)
    asked = "; on another computer, so only with --machine container" if is_elsewhere(host) else ""
    what = f"{info.get('OperatingSystem', 'an engine')}, {info.get('Architecture')}, kernel {info['KernelVersion']}"
    return _yes(name, f"{what}, cgroup v{info.get('CgroupVersion', '1')} at {host}: `./lab` runs in it there{asked}")


def virtual_machine() -> Capability:
    """Say whether `--machine vm` can start one: whether its guests run with KVM shows when the first does."""
    name = "virtual machine"
    if is_guest():
        return _no(name, "this is the inside of a guest", "nothing to do")
    machine = namespaces_machine()
    if not machine.available:
        return _no(name, f"its emulator runs on a namespaces machine, and {machine.because}", machine.change_it)
    return _yes(name, "a kernel, a systemd and cgroup v2 of its own: ask for it with --machine vm")


def kind_cluster() -> Capability:
    """Say whether a lab can have a cluster of kind."""
    name = "kind cluster"
    machine = namespaces_machine()
    whose, asked = "the lab's own engine", "--cluster kind"
    if not machine.available:
        host = host_in_use()
        engine = docker_engine(host)
        because = unfit(host, ask_about_itself(host)) if engine.available else engine.because
        if because:
            return _no(name, f"{machine.because}; nor on an engine of yours: {because}", machine.change_it)
        whose, asked = f"your own engine at {host}", "--engine own --cluster kind"
    if not _has_debian_packages():
        return _no(name, _NO_DEBIAN.format("nodes' image is made"), _NEEDS_DEBIAN)
    return _yes(name, f"its nodes are containers of {whose}: ask for it with {asked}")


def _headers(response: str) -> dict[str, str]:
    lines = (line.partition(":") for line in response.splitlines()[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def _user_namespaces() -> Capability:
    name = "user namespaces"
    switches = {
        "user/max_user_namespaces": ("0", "sysctl user.max_user_namespaces=15000"),
        "kernel/unprivileged_userns_clone": ("0", "sysctl kernel.unprivileged_userns_clone=1"),
        "kernel/apparmor_restrict_unprivileged_userns": (
            "1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    }
    if not Path("/proc/self/ns/user").exists():
        return _no(name, "this kernel was built without them", _OTHER_KERNEL)
    for entry, (off, change) in switches.items():
        path = Path("/proc/sys") / entry
        if path.exists() and path.read_text().strip() == off:
            return _no(name, f"{entry.replace('/', '.')} is {off}", f"`sudo {change}`; no lab needs it so far")
    return _yes(name, "this kernel has them, and users may make them")


def _capability_sys_resource() -> Capability:
    name = "CAP_SYS_RESOURCE"
    if _has_capability(_CAP_SYS_RESOURCE):
        return _yes(name, "held by this process")
    because = "not held by this process: OOM scores cannot be lowered, limits not raised"
    return _no(name, because, "labs work without it; engines older than Docker 23 refuse `--privileged`")


def _has_capability(number: int) -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def _cgroups() -> Iterator[Capability]:
    version_1, version_2 = _cgroup_controllers()
    if "memory" in version_2:
        yield _yes("cgroup v2", f"mounted with {', '.join(sorted(version_2))}")
    else:
        because = "controllers are mounted as version 1" if version_1 else "no controller is mounted"
        change = "boot with systemd.unified_cgroup_hierarchy=1, or use --machine vm"
        yield _no("cgroup v2", because, change)
    for controller in _CONTROLLERS:
        in_version_2 = {"blkio": "io", "devices": "", "freezer": ""}.get(controller, controller)
        if controller in version_1:
            yield _yes(f"cgroup {controller}", f"version 1, at {version_1[controller]}")
        elif in_version_2 in version_2 or (version_2 and not in_version_2):
            yield _yes(f"cgroup {controller}", f"version 2{f', as {in_version_2}' if in_version_2 else ', built in'}")
        else:
            change = "boot with cgroup_enable=memory" if controller == "memory" else _OTHER_KERNEL
            yield _no(f"cgroup {controller}", "no hierarchy has it", change)


def _cgroup_controllers() -> tuple[dict[str, str], set[str]]:
    """Return where each version 1 controller is mounted, and the controllers of the version 2 hierarchy."""
    version_1: dict[str, str] = {}
    version_2: set[str] = set()
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split()[:3]
        path = before.split()[4]
        if kind == "cgroup":
            version_1.update({option: path for option in options.split(",") if option in _CONTROLLERS})
        elif kind == "cgroup2":
            version_2.update((Path(path) / "cgroup.controllers").read_text().split())
    return version_1, version_2


def _systemd() -> Capability:
    if Path("/run/systemd/system").is_dir():
        return _yes("systemd", "it is PID 1 here")
    because = f"PID 1 is {Path('/proc/1/comm').read_text().strip()}"
    return _no(
        "systemd", because, "experiments with the systemd cgroup driver boot one in a container, or --machine vm"
    )


def _kernel(features: KernelFeatures) -> Iterator[Capability]:
    for feature in FEATURES:
        verdict = features.verdict(feature)
        change = "" if verdict.available else f"{_OTHER_KERNEL}; it is for {feature.purpose}"
        yield Capability(feature.name, verdict.available, verdict.because, change)


def _device(path: str, purpose: str) -> Capability:
    if os.access(path, os.R_OK | os.W_OK):
        return _yes(path, "this user may use it")
    because = "this user may not use it" if Path(path).exists() else "there is none"
    return _no(path, because, f"it is for {purpose}; labs work without it")


def _room(megabytes_to_build: int | None) -> Iterator[Capability]:
    memory = _free_memory_gb()
    if memory is None:
        yield _yes("memory", "not known on this system")
    elif memory >= ENOUGH_MEMORY_GB:
        yield _yes("memory", f"{memory:.1f} GB free")
    else:
        because = f"{memory:.1f} GB free; a lab with a cluster takes about {ENOUGH_MEMORY_GB:g} GB"
        yield _no("memory", because, "end other programs, or other labs (`./lab status`)")
    folder, disk = free_disk_gb(run_root())
    if disk >= ENOUGH_DISK_GB:
        yield _yes("disk", f"{disk:.1f} GB free at {folder}")
    else:
        because = f"{disk:.1f} GB free at {folder}; tools, images and a lab take up to {ENOUGH_DISK_GB:g} GB"
        yield _no("disk", because, "free some; `./lab clean --all` removes all that labs keep")
    if megabytes_to_build is not None:
        yield _disk_to_build(cache_folder(), megabytes_to_build / 1000)


def _disk_to_build(cache: Path, wanted_gb: float) -> Capability:
    """Say whether the cache's disk has room for what building takes of it while it lasts."""
    name = "disk for building"
    if not wanted_gb:
        return _yes(name, "nothing has to be built for what can be live here")
    folder, disk = free_disk_gb(cache)
    because = f"{disk:.1f} GB free at {folder}; the first lab takes up to {wanted_gb:.0f} GB while tools are built"
    if disk >= wanted_gb:
        return _yes(name, because)
    change_it = f"free some, or choose another disk: {CACHE_VARIABLE}=FOLDER; `./lab run 06` takes less"
    return _no(name, because, change_it)


def free_disk_gb(wanted: Path) -> tuple[Path, float]:
    """Return the folder that is there of a path, and how much its disk has free."""
    folder = next(path for path in (wanted, *wanted.parents) if path.exists())
    return folder, shutil.disk_usage(folder).free / 1e9


def _free_memory_gb() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) / 1e6 for line in lines if line.startswith("MemAvailable"))


def _way_out() -> Capability:
    """Whether there is a route; what answers at its end shows when something is downloaded."""
    name = "route to the internet"
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000" and fields[7] == "00000000":
            return _yes(name, f"by {fields[0]}; whether anything answers shows at the first download")
    return _no(name, "there is no default route", "connect to a network; labs that are set up need none")


def _products() -> Capability:
    """Whether CNI products can be downloaded: asks where their manifests are, which takes three seconds at most."""
    from labsupport.systems.products import why_not_here
    from labsupport.systems.toolchain import Toolchain

    name, reasons = "CNI products", why_not_here(Toolchain())
    if there := [product for product, reason in reasons.items() if not reason]:
        rest = [f"{product} not: {reason}" for product, reason in reasons.items() if reason]
        return _yes(name, "; ".join([f"{', '.join(there)} can be had for notebook 05", *rest]))
    because = "; ".join(sorted(set(reasons.values())))
    return _no(name, because, "nothing to do: notebook 05 shows how they work without them; or connect to the internet")


def _machines_way_out() -> Capability:
    because = "machines of this edition have no way out, so that what happens in them does not depend on it"
    return _no("internet inside a machine", because, "nothing to do: no experiment needs it")


def _programs() -> Iterator[Capability]:
    go = shutil.which("go")
    if go:
        version = Path(go).resolve().parent.parent / "VERSION"
        said = version.read_text().split()[0] if version.is_file() else "a go of unknown version"
        yield _yes("Go", f"{said} at {go}")
    else:
        yield _no("Go", "not on PATH", "nothing to do: a lab that has to build a tool gets its own Go")
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser:
        yield _yes("Chromium", f"at {browser}")
    else:
        yield _no("Chromium", "not on PATH", "`apt-get install chromium`; only the browser tests need it")
