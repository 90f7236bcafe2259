"""What exists on this computer in a lab's name. Looks only; `machines/sweeping.py` removes.

Each probe below says where it looks. All go by owner (the lab's name, its namespaces, its run folder), so that two labs
at once do not confuse them. What belongs to no lab, the settings that all of the computer shares, is compared with how
it was before.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labsupport.process.commands import LocalRunner, Runner
from labsupport.process.ownership import run_root
from labsupport.systems.kernel_programs import Held, all_held, held_by
from labsupport.systems.machines.loops import attached_loops, loops_into
from labsupport.systems.machines.run_folders import GONE_PREFIX
from labsupport.systems.machines.sweeping import cgroups_of

# What kubelet, dockerd and kube-proxy are known to change where nothing stops them.
WATCHED_SETTINGS = (
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "vm/max_map_count",
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/forwarding",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv4/conf/all/route_localnet",
    "net/bridge/bridge-nf-call-iptables",
    "net/netfilter/nf_conntrack_max",
)
# A module's name, in the place where launchers have the name of their file.
KEEPER = "labsupport.systems.visits.keeper"
_NAMESPACE_KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
_ANY_LAB = re.compile(r"(?<![0-9a-z-])lab-[0-9a-f]{6}(?![0-9a-z])")


@dataclass(frozen=True)
class Thing:
    """One thing that exists in a lab's name."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


@dataclass(frozen=True)
class Inventory:
    """All that exists in a lab's name; the namespaces its processes are in; the settings of the whole computer.

    `held` are the programs and maps it had the kernel hold: once it has ended, only their numbers tell whose they are.
    """

    name: str
    things: tuple[Thing, ...]
    namespaces: frozenset[str] = frozenset()
    held: frozenset[Held] = frozenset()
    settings: Mapping[str, str] = field(default_factory=dict)

    def of_kind(self, kind: str) -> list[str]:
        return [thing.what for thing in self.things if thing.kind == kind]


@dataclass(frozen=True)
class Search:
    """For whom to look, and how: `namespaces` and `held` are what the lab is known to have had."""

    name: str
    namespaces: frozenset[str]
    held: frozenset[Held]
    root: Path
    host: Runner

    def names(self, text: str) -> bool:
        """Whether a text speaks of the lab."""
        return self.name in _ANY_LAB.findall(text)


def take_inventory(
    name: str, *, before: Inventory | None = None, root: Path | None = None, host: Runner | None = None
) -> Inventory:
    """Return what exists in the name of a lab, running or not.

    Args:
        before: an earlier inventory, to find what nobody can see the owner of once the lab has ended.
        host: runs nft and iptables-save; a firewall that neither can list is not looked at.
    """
    namespaces, held = namespaces_of(name), frozenset(held_by(_members(name)))
    if before is not None:
        namespaces, held = namespaces | before.namespaces, held | before.held
    search = Search(name, namespaces, held, root or run_root(), host or LocalRunner())
    things = [Thing(kind, what) for kind, probe in PROBES.items() for what in sorted(probe(search))]
    return Inventory(name, tuple(things), namespaces, held, settings_now())


def leftovers(
    name: str, before: Inventory | None = None, *, root: Path | None = None, host: Runner | None = None
) -> list[Thing]:
    """Return what an ended lab left: everything in its name, and settings that are not as in `before`."""
    now = take_inventory(name, before=before, root=root, host=host)
    changed = [
        Thing("kernel setting", f"{entry} was {value}, and is {now.settings.get(entry)}")
        for entry, value in (before.settings if before else {}).items()
        if now.settings.get(entry) != value
    ]
    return [*now.things, *changed]


def names_in_use(*, root: Path | None = None) -> set[str]:
    """Return the name of every lab that something exists of, alive or not: in folders, cgroups, interfaces, loops."""
    root = root or run_root()
    texts = [path.name for path in root.iterdir()] if root.is_dir() else []
    texts += [path.name for path in Path("/sys/class/net").iterdir()]
    texts += [path.name for path in Path("/sys/fs/cgroup").glob("lab-*")]
    texts += [path.name for path in Path("/sys/fs/cgroup").glob("*/lab-*")]
    texts += [loop.backing for loop in attached_loops()]
    return {name for text in texts for name in _ANY_LAB.findall(text)}


def settings_now() -> dict[str, str]:
    """Return the watched settings of this computer (/proc/sys), those that its kernel has."""
    found = {}
    for entry in WATCHED_SETTINGS:
        path = Path("/proc/sys") / entry
        if path.exists():
            found[entry.replace("/", ".")] = path.read_text().strip()
    return found


def namespaces_of(name: str) -> frozenset[str]:
    """Return the namespaces, such as net:[4026532], that processes in the lab's cgroups are in and we are not."""
    ours = set(_namespaces_of_process("self"))
    theirs: set[str] = set()
    for pid in _members(name):
        theirs.update(_namespaces_of_process(str(pid)))
    return frozenset(theirs - ours)


def _processes(search: Search) -> Iterator[str]:
    """Members of its cgroups; launchers, PID 1s and keepers of its run folder; whoever is in one of its namespaces."""
    members = _members(search.name)
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        launches = len(words) > 4 and words[3].endswith(("/machines/init.py", KEEPER)) and search.names(words[4])
        if int(folder.name) in members or launches or _namespaces_inhabited(search, folder):
            yield f"{folder.name} {' '.join(words).strip()[:120]}"


def _mounts(search: Search) -> Iterator[str]:
    """Mounts of our own mount namespace whose path or source speaks of it; those inside are counted as a namespace."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        root, path, source = fields[3], fields[4], fields[fields.index("-") + 2]
        if not path.startswith("/run/netns/") and any(search.names(text) for text in (root, path, source)):
            yield path


def _interfaces(search: Search) -> Iterator[str]:
    """Interfaces of our own network namespace that have its name or an alias that speaks of it."""
    for folder in Path("/sys/class/net").iterdir():
        try:
            alias = (folder / "ifalias").read_text()
        except OSError:
            alias = ""
        if search.names(folder.name) or search.names(alias):
            yield folder.name


def _firewall_rules(search: Search) -> Iterator[str]:
    """Lines of `nft list ruleset` and `iptables-save` in our own network namespace that speak of it."""
    for argv in (["nft", "list", "ruleset"], ["iptables-save"], ["ip6tables-save"]):
        result = search.host.run(argv)
        yield from (f"{argv[0]}: {line.strip()}" for line in result.stdout.splitlines() if search.names(line))


def _cgroups(search: Search) -> Iterator[str]:
    """Its cgroup, and those below, in every hierarchy mounted on /sys/fs/cgroup."""
    for group in cgroups_of(search.name):
        yield from (folder for folder, _, _ in os.walk(group))


def _kept_namespaces(search: Search) -> Iterator[str]:
    """Namespaces that live: of its processes, or kept by a file mounted from nsfs (as `ip netns` does)."""
    alive: set[str] = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            alive.update(_namespaces_inhabited(search, folder))
    yield from alive
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "nsfs" and (fields[3] in search.namespaces or search.names(fields[4])):
            yield f"{fields[3]} at {fields[4]}"


def _loop_devices(search: Search) -> Iterator[str]:
    """Loop devices whose file lies in its run folder, or lay there when they were attached."""
    into = {loop.path for folder in _folders(search) for loop in loops_into(folder)}
    yield from (str(loop.path) for loop in attached_loops() if loop.path in into or search.names(loop.backing))


def _held_by_the_kernel(search: Search) -> Iterator[str]:
    """Programs and maps (eBPF) that its files pinned, and what belongs to these."""
    yield from (f"{kind} {number}" for kind, number in (search.held & all_held() if search.held else ()))


def _run_folders(search: Search) -> Iterator[str]:
    """Its run folder, also one set aside for removal."""
    yield from (str(folder) for folder in _folders(search) if folder.exists())


def _folders(search: Search) -> tuple[Path, Path]:
    return search.root / search.name, search.root / f"{GONE_PREFIX}{search.name}"


PROBES: Mapping[str, Callable[[Search], Iterator[str]]] = {
    "process": _processes,
    "mount": _mounts,
    "interface": _interfaces,
    "firewall rule": _firewall_rules,
    "cgroup": _cgroups,
    "namespace": _kept_namespaces,
    "loop device": _loop_devices,
    "in the kernel": _held_by_the_kernel,
    "run folder": _run_folders,
}


def _members(name: str) -> set[int]:
    found: set[int] = set()
    for group in cgroups_of(name):
        for folder, _, _ in os.walk(group):
            try:
                found.update(map(int, (Path(folder) / "cgroup.procs").read_text().split()))
            except OSError:
                continue
    return found


def _namespaces_inhabited(search: Search, process: Path) -> set[str]:
    """Return the lab's namespaces that a process is in. The kernel gives the number of a dead one to another lab's."""
    inside = search.namespaces.intersection(_namespaces_of_process(process.name))
    if inside:
        try:
            others = set(_ANY_LAB.findall((process / "cgroup").read_text())) - {search.name}
        except OSError:
            return set()
        return set() if others else set(inside)
    return set()


def _namespaces_of_process(pid: str) -> list[str]:
    found = []
    for kind in _NAMESPACE_KINDS:
        try:
            found.append(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
        except OSError:
            return found
    return found
