"""What an engine can begin with so that it has the lab's images: a seed in the cache for each set of images.

Made once, by an engine of its own that loads the images as every engine would; loading them takes seconds each time.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from labsupport.errors import MachineError
from labsupport.process.progress import Listener, Progress, silent
from labsupport.systems.engines.private import start_private_engine
from labsupport.systems.engines.settings import EngineFolders
from labsupport.systems.engines.tools import EngineTools
from labsupport.systems.images.archives import archives_of, missing_images
from labsupport.systems.images.images import Images
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.seeds import keep
from labsupport.systems.toolchain import Toolchain

AREA = "engine-seeds"


class EngineSeeds:
    """Seeds for the engines that are made of `tools`."""

    def __init__(self, toolchain: Toolchain, tools: EngineTools, listener: Listener = silent) -> None:
        self._toolchain = toolchain
        self._tools = tools
        self._listener = listener

    def find(self, *names: str) -> Path | None:
        """Return the seed with images such as `lab/toolbox`; None where it has not been made."""
        if not names or missing_images(self._toolchain, *names):
            return None
        seed = self._path_of(names)
        return seed if seed.is_dir() else None

    def ensure(self, machine: Machine, *names: str) -> None:
        """Have the seed with these images, all built; make it on a machine inside `machine` where it is missing.

        Only root makes any, since all in it is root's. Engines do without: that it cannot be kept is no error.
        """
        if not names or os.geteuid() or self.find(*names):
            return
        self._listener(Progress(f"Preparing engines with {' and '.join(names)} (about 3 s), once"))
        inner = machine.nested("engine-seed")
        try:
            keep(self._make(inner, names), self._path_of(names))
        except MachineError as error:
            self._listener(Progress(f"{error.happened}: each engine loads its images by itself"))
        finally:
            inner.close()

    def _make(self, machine: Machine, names: Sequence[str]) -> Path:
        engine = start_private_engine(machine, self._tools)
        Images(engine, self._toolchain).ensure(*names)
        engine.close()
        assert engine.daemon is not None
        engine.daemon.stop()
        return EngineFolders(machine.folder / "engine").containerd

    def _path_of(self, names: Sequence[str]) -> Path:
        """Where the seed is, or would be. A file counts by its path: the cache's have a digest of what they are."""
        programs = [(self._tools.programs / name).resolve() for name in ("dockerd", "containerd")]
        facts = [*programs, *archives_of(self._toolchain, *sorted(names))]
        digest = hashlib.sha256(json.dumps(list(map(str, facts))).encode()).hexdigest()
        return self._toolchain.cache / AREA / digest[:16]
