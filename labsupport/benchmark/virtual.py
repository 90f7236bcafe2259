"""Measures the virtual machine: how soon it is up, and an engine and a cluster in it, by a benchmark there."""

from labsupport.benchmark.equipment import Clock, Equipment, Seen

IN_THERE = ("engine", "cluster")
# Emulated, they take some minutes.
WITHIN_SECONDS = 1500


def measure_virtual(equipment: Equipment) -> Seen:
    """Start a virtual machine from nothing, measure an engine and a cluster in it, and end it.

    Raises:
        RequirementMissing, MachineError: none can start here.
        CommandFailed: what was to be measured in it failed.
    """
    from labsupport.benchmark.result import Result
    from labsupport.process.commands import Invocation
    from labsupport.process.ownership import Owner
    from labsupport.systems.virtual.computer import start_virtual_computer
    from labsupport.systems.virtual.sessions import Sessions

    project, toolchain = equipment.project, equipment.toolchain
    clock = Clock()
    computer = start_virtual_computer(project, toolchain, owner=Owner.this_process(), listener=equipment.listener)
    try:
        values: dict[str, float | None] = {"vm-ready": clock.seconds}
        sessions = Sessions(computer, toolchain)
        words = ["sh", str(project.root / "lab"), "bench", *IN_THERE, "--rounds", "1", "--json"]
        there = Invocation(environment=sessions.settings, folder=project.root)
        told = sessions.run(words, within_seconds=WITHIN_SECONDS, invocation=there).or_raise().stdout
        found = {one.name: one.median for one in Result.model_validate_json(told).measures}
        values |= {f"vm-{name}": found[name] for name in ("engine-ready", "cluster-ready", "statefulset")}
        clock = Clock()
    finally:
        computer.close()
    return Seen({**values, "vm-close": clock.seconds})
