"""Takes back what a visit has made on the user's engine and cluster, wherever it was stopped. Removes nothing else."""

import os
from pathlib import Path

from labsupport.errors import EngineError
from labsupport.systems.engines.labelled_docker import SETTINGS
from labsupport.systems.machines.run_folders import LabRecord, remove
from labsupport.systems.machines.sweeping import end_process
from labsupport.systems.visits.daemons import end_daemons


def end_visit(record: LabRecord, folder: Path) -> None:
    """End a visit whose run folder was set aside at `folder`.

    Raises:
        LabError: the engine or the cluster does not answer; the folder stays, and the next sweep tries again.
    """
    if record.init is not None and record.init.pid != os.getpid():
        end_process(record.init)
    end_daemons(folder, record.name)
    # The API server makes its audit log, and the way there, when it first has to tell: maybe after the folder had gone.
    remove(folder.with_name(record.name))
    if record.engine and (folder / SETTINGS).exists():  # without these it never answered the lab, which made nothing
        _leave_engine(record, folder)
    from labsupport.systems.clusters.own_place import leave_own_cluster
    from labsupport.systems.clusters.simulated.volumes import remove_volumes

    leave_own_cluster(folder)
    remove_volumes(folder)
    remove(folder)


def _leave_engine(record: LabRecord, folder: Path) -> None:
    from docker.errors import DockerException

    from labsupport.systems.clusters.kind.helper import clear
    from labsupport.systems.engines.owned import Owned
    from labsupport.systems.machines.own_engine import OwnEngine
    from labsupport.systems.visits.visit import visits_to

    engine = OwnEngine(record.engine)
    try:
        clear(engine.client, folder)
        Owned(engine.client, record.name, folder, lambda: visits_to(record.engine, but=record.name)).remove()
    except (DockerException, OSError) as error:
        raise EngineError(
            f"remove what {record.name} made on the engine at {record.engine}", str(error), "./lab clean tries again"
        ) from error
    finally:
        engine.client.close()
