"""Measures the private engine."""

from labsupport.benchmark import readings
from labsupport.benchmark.equipment import TOOLBOX, Equipment, Seen


def measure_engine(equipment: Equipment) -> Seen:
    """Start an engine from nothing, run one container on it to its end, and end it."""
    from labsupport.systems.engines.private import start_private_engine
    from labsupport.systems.images import Images

    tools = equipment.engine_tools
    with equipment.machine("engine") as lab:
        engine = start_private_engine(lab.machine, tools)
        ready = lab.clock.seconds
        Images(engine, equipment.toolchain).ensure(TOOLBOX)
        engine.runner.run(["docker", "run", "--rm", TOOLBOX, "true"]).or_raise()
        container = lab.clock.seconds
        peak = readings.peak_megabytes(lab.name)
        engine.close()
        closing = lab.close()
    return Seen({"engine-ready": ready, "engine-container": container, "engine-close": closing, "engine-peak": peak})
