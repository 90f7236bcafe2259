"""Who runs where: what /proc says inside a machine, read and drawn."""

from typing import Any

from labsupport.experiments.steps import Observation
from labsupport.lessons.start import doctor_table, drawing, memory_table
from labsupport.systems.capabilities import Capability
from labsupport.systems.machines.census import Process, read_census

ID = "a9" * 32
GROUPS = f"""\
/proc/1/cgroup:8:pids:/
/proc/1/cgroup:0::/init
/proc/27/cgroup:8:pids:/node-1
/proc/27/cgroup:0::/node-1/init
/proc/40/cgroup:8:pids:/docker/{ID}
/proc/40/cgroup:0::/docker/{ID}
/proc/50/cgroup:8:pids:/node-1/kubepods/besteffort/pod12/{ID}
/proc/50/cgroup:0::/
/proc/60/cgroup:0::/old/system.slice/docker-{ID}.scope
/proc/70/cgroup:0::/init
"""
STATUSES = "\n".join(
    f"Name:\t{name}\nPid:\t{pid}\nPPid:\t1\nVmRSS:\t   {kilobytes} kB"
    for name, pid, kilobytes in [
        ("init", 1, 1024),
        ("kubelet", 27, 2048),
        ("sleep", 40, 512),
        ("web", 50, 1024),
        ("db", 60, 1024),
        ("new", 99, 1),
    ]
)


def test_a_cgroup_says_where_a_process_belongs() -> None:
    assert read_census(GROUPS, STATUSES) == [
        Process(1, "init", 1.0),
        Process(27, "kubelet", 2.0, "node-1"),
        Process(40, "sleep", 0.5, "", ID),
        Process(50, "web", 1.0, "node-1", ID),
        Process(60, "db", 1.0, "old", ID),
    ]


def test_threads_of_the_kernel_and_what_has_ended_are_left_out() -> None:
    assert read_census("/proc/2/cgroup:0::/\n", "Name:\tkthreadd\nPid:\t2\n") == []
    assert read_census("", "") == []


def seen() -> Observation:
    machine: dict[str, Any] = {
        "name": "lab-1", "address": "169.254.1.2", "what": "the engine",
        "processes": [{"name": "dockerd", "megabytes": 80}],
        "containers": [{"name": "container web", "megabytes": 2, "processes": ["sleep", "sh"]}],
    }  # fmt: skip
    node = {"name": "node-1", "address": "10.200.0.2", "what": "a node", "processes": [], "containers": []}
    computer = {"kernel": "Linux 6", "processors": 2, "memory_megabytes": 4096}
    return Observation("00-start-here/whereabouts", "whereabouts", {"computer": computer, "machines": [machine, node]})


def test_machines_are_drawn_in_the_machine_that_holds_them() -> None:
    figure = drawing(seen())
    assert "1 machines inside: node-1" in " ".join(figure.alt.split())
    assert figure.svg.index("lab-1") < figure.svg.index("container web") < figure.svg.index("node-1")
    assert figure.table.rows == (("lab-1", "dockerd", "", 80), ("lab-1", "sleep, sh", "container web", 2))


def test_memory_is_added_up_by_machine() -> None:
    assert memory_table(seen()).rows == (("lab-1", "the engine", 2, 82), ("node-1", "a node", 0, 0))


def test_what_does_not_work_comes_last_and_says_what_would_change_it() -> None:
    rows = doctor_table([Capability("kvm", False, "no device", "load it"), Capability("root", True, "it is")]).text
    assert rows.index("✓ yes") < rows.index("✗ no") < rows.index("load it")
