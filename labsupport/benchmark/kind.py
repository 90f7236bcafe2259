"""Measures a cluster that the real kind makes on an engine of the lab's, doing what the embedded one does too."""

from labsupport.backends.choosing import KIND
from labsupport.benchmark import readings
from labsupport.benchmark.clusters import bring_up_statefulset, note_phase
from labsupport.benchmark.equipment import Clock, Equipment, Seen


def measure_kind(equipment: Equipment) -> Seen:
    """Start an engine, have kind make a cluster of one node on it, bring up a StatefulSet, and have kind delete it."""
    from labsupport.systems.clusters.kind import have_node_image, start_kind_cluster
    from labsupport.systems.engines.private import start_private_engine

    with equipment.machine("engine", KIND) as lab:
        engine = start_private_engine(lab.machine, equipment.engine_tools)
        have_node_image(equipment.toolchain).put_on(engine)
        clock, phases = Clock(), dict[str, float]()
        cluster = start_kind_cluster(
            lab.machine,
            engine,
            equipment.kind_tools,
            archives=equipment.archives,
            shown=[equipment.project.root],
            listener=lambda told: note_phase(phases, told, clock.seconds),
        )
        values: dict[str, float | None] = {
            "kind-create": clock.seconds,
            "kind-cpu": readings.processor_seconds(lab.name),
        }
        bring_up_statefulset(equipment, cluster)
        values["kind-statefulset"] = lab.clock.seconds
        values["kind-rest"] = readings.rest_megabytes(lab.name)
        clock = Clock()
        cluster.close()
        values["kind-delete"] = clock.seconds
        engine.close()
    return Seen(values, parts={"kind-create": phases})
