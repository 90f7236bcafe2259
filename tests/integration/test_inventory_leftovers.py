"""Every kind of leftover is seen: each is made on purpose, in a lab's name, and must be reported, and no other.

A check that cannot fail would prove nothing.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labsupport.process.commands import Background, Invocation, LocalRunner, PrefixRunner
from labsupport.process.ownership import Owner, new_name
from labsupport.process.waiting import wait_until
from labsupport.systems.inventory import PROBES, Inventory, leftovers, names_in_use, settings_now, take_inventory
from labsupport.systems.machines.namespaces import start_namespaces_machine
from labsupport.systems.machines.sweeping import sweep
from labsupport.systems.toolchain import Toolchain

pytestmark = pytest.mark.needs("machine")
HOST = LocalRunner()


def run(*argv: str) -> str:
    return HOST.run(argv).or_raise().stdout.strip()


@contextmanager
def a_process(name: str, folder: Path) -> Iterator[None]:
    group = Path(f"/sys/fs/cgroup/{'pids/' if Path('/sys/fs/cgroup/pids').exists() else ''}{name}")
    group.mkdir()
    sleeper = background("sleep", "300", folder=folder)
    (group / "cgroup.procs").write_text(str(sleeper.pid))
    yield
    sleeper.close()
    wait_until(lambda: not (group / "cgroup.procs").read_text(), "it to leave", within_seconds=30)
    group.rmdir()


@contextmanager
def a_mount(name: str, folder: Path) -> Iterator[None]:
    place = folder / name
    place.mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", str(place))
    yield
    run("umount", str(place))
    place.rmdir()


@contextmanager
def an_interface(name: str, folder: Path) -> Iterator[None]:
    run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-p")
    yield
    run("ip", "link", "delete", name)


@contextmanager
def a_cgroup(name: str, folder: Path) -> Iterator[None]:
    group = next(path.parent for path in Path("/sys/fs/cgroup").glob("**/cgroup.procs")) / name
    group.mkdir()
    yield
    group.rmdir()


@contextmanager
def a_namespace(name: str, folder: Path) -> Iterator[None]:
    run("ip", "netns", "add", name)
    yield
    run("ip", "netns", "delete", name)


@contextmanager
def a_loop_device(name: str, folder: Path) -> Iterator[None]:
    (folder / name).mkdir()
    disk = folder / name / "disk"
    disk.touch()
    os.truncate(disk, 1 << 20)
    device = run("losetup", "--find", "--show", str(disk))
    yield
    run("losetup", "--detach", device)
    shutil.rmtree(folder / name)


@contextmanager
def a_run_folder(name: str, folder: Path) -> Iterator[None]:
    (folder / name).mkdir()
    yield
    (folder / name).rmdir()


def background(*argv: str, folder: Path) -> Background:
    return HOST.start(argv, log=folder / "background.log", invocation=Invocation())


MADE: dict[str, Callable[[str, Path], object]] = {
    "process": a_process,
    "mount": a_mount,
    "interface": an_interface,
    "cgroup": a_cgroup,
    "namespace": a_namespace,
    "loop device": a_loop_device,
    "run folder": a_run_folder,
}
# Some cannot be made alone: a process is a member of a cgroup, a mount and a loop's file lie in the run folder.
COMES_WITH = {"process": {"cgroup"}, "mount": {"run folder"}, "loop device": {"run folder"}, "interface": set()}


@pytest.mark.parametrize("kind", MADE)
def test_each_kind_of_leftover_is_seen(kind: str, tmp_path: Path) -> None:
    name = new_name()
    assert leftovers(name, root=tmp_path) == []
    with MADE[kind](name, tmp_path):  # type: ignore[attr-defined]
        seen = {thing.kind for thing in leftovers(name, root=tmp_path)}
        assert seen == {kind} | COMES_WITH.get(kind, set())
        assert leftovers(new_name(), root=tmp_path) == []
    # A loop device is let go of when the last who looks at it does.
    wait_until(lambda: leftovers(name, root=tmp_path) == [], "it to be gone", within_seconds=30)


def test_a_firewall_rule_is_seen(tmp_path: Path) -> None:
    """In a network namespace of the test's own, as this computer's firewall is not the test's to change."""
    toolchain = Toolchain()
    toolchain.ensure("machine")
    tools = LocalRunner({"PATH": f"{toolchain.bin_folder('machine')}:{os.environ['PATH']}"})
    name, place = new_name(), "firewall-of-a-test"
    run("ip", "netns", "add", place)
    try:
        host = PrefixRunner(tools, ["nsenter", f"--net=/run/netns/{place}", "--"])
        rules = f'add table ip try\nadd chain ip try one\nadd rule ip try one counter comment "{name}"\n'
        host.run(["nft", "-f", "-"], invocation=Invocation(stdin=rules)).or_raise()
        (thing,) = leftovers(name, root=tmp_path, host=host)
        assert str(thing) == f'firewall rule: nft: counter packets 0 bytes 0 comment "{name}"'
        assert leftovers(new_name(), root=tmp_path, host=host) == []
    finally:
        run("ip", "netns", "delete", place)


def test_a_changed_kernel_setting_is_seen(tmp_path: Path) -> None:
    before = Inventory(new_name(), (), settings={**settings_now(), "kernel.panic": "-1"})
    (thing,) = leftovers(before.name, before, root=tmp_path)
    assert thing.kind == "kernel setting"
    assert thing.what.startswith("kernel.panic was -1, and is ")


def test_every_probe_is_tried_here() -> None:
    assert {*MADE, "firewall rule", "in the kernel"} == set(PROBES)


def test_a_running_machine_has_of_everything_but_leftovers() -> None:
    machine = start_namespaces_machine(owner=Owner.this_process())
    machine.nested("inner").start("sleeper", ["sleep", "300"])
    inventory = take_inventory(machine.name)
    assert len(inventory.of_kind("process")) == 5, inventory.of_kind("process")
    assert inventory.of_kind("interface") == [machine.name]
    assert len(inventory.of_kind("namespace")) == 12
    assert inventory.of_kind("run folder") == [str(machine.folder)]
    assert machine.name in names_in_use()
    machine.close()
    assert leftovers(machine.name, inventory) == []
    assert machine.name not in names_in_use()


def test_a_process_that_escaped_its_cgroup_is_seen_by_its_namespace(tmp_path: Path) -> None:
    machine = start_namespaces_machine(owner=Owner.this_process())
    before = take_inventory(machine.name)
    escaped = background("nsenter", f"--net=/proc/{machine.pid}/ns/net", "sleep", "300", folder=tmp_path)
    wait_until(lambda: Path(f"/proc/{escaped.pid}/comm").read_text() == "sleep\n", "it to be inside", within_seconds=30)
    machine.close()
    assert {thing.kind for thing in leftovers(machine.name, before)} == {"process", "namespace"}
    escaped.close()
    assert leftovers(machine.name, before) == []


def test_a_map_that_the_kernel_still_holds_is_seen_by_its_number(tmp_path: Path) -> None:
    toolchain = Toolchain()
    machine = start_namespaces_machine(
        owner=Owner.this_process(), tools=[toolchain.bin_folder("ebpf")], visible=[toolchain.cache]
    )
    make = "bpftool map create /sys/fs/bpf/one type array key 4 value 8 entries 1 name one"
    machine.runner.run(["sh", "-ec", f"mount -t bpf bpf /sys/fs/bpf; {make}"]).or_raise()
    before = take_inventory(machine.name)
    assert len(before.of_kind("in the kernel")) == 1
    holder = background("nsenter", f"--mount=/proc/{machine.pid}/ns/mnt", "sleep", "300", folder=tmp_path)
    wait_until(lambda: Path(f"/proc/{holder.pid}/comm").read_text() == "sleep\n", "it to be inside", within_seconds=30)
    machine.close()
    assert {thing.kind for thing in leftovers(machine.name, before)} >= {"in the kernel"}
    holder.close()
    wait_until(lambda: leftovers(machine.name, before) == [], "the map to be gone", within_seconds=30)


def test_a_loop_device_of_a_killed_lab_is_detached_by_the_sweep(tmp_path: Path) -> None:
    """Attached by its path inside, which says nothing of the lab: found by the file behind it."""
    machine = start_namespaces_machine(owner=None, root=tmp_path)
    script = "truncate -s 1M /tmp/disk && losetup --find --show /tmp/disk"
    device = machine.runner.run(["sh", "-c", script]).or_raise().stdout.strip()
    os.kill(machine.pid, 9)
    wait_until(lambda: not Path(f"/proc/{machine.pid}").exists(), "its end", within_seconds=30)
    assert take_inventory(machine.name, root=tmp_path).of_kind("loop device") == [device]
    assert sweep(tmp_path) == [machine.name]
    wait_until(lambda: leftovers(machine.name, root=tmp_path) == [], "all of it to be gone", within_seconds=30)
    assert not Path(f"/sys/block/{Path(device).name}/loop").exists()
