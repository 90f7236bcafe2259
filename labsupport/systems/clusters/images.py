"""Images that nodes start with, and how they get there: a seed made once, then linked into each node's containerd.

A seed (see machines/seeds.py) is kept in the cache; where this user is not root it lives as long as its machine.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from labsupport.errors import MachineError
from labsupport.process.commands import Runner
from labsupport.process.progress import Listener, Progress
from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.image_files import ProgramImage
from labsupport.systems.clusters.readiness import wait_with
from labsupport.systems.machines.machine import Machine
from labsupport.systems.machines.seeds import keep

PAUSE_IMAGE = "registry.k8s.io/pause:3.10.2"
CRI_PLUGINS = (
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
    "io.containerd.podsandbox.controller.v1.podsandbox",
)
CONTAINERD_NAMESPACE = "k8s.io"
# An image of 1 GB, unpacked, on a disk that others use too.
REMOVED_WITHIN_SECONDS = 300


class ImageSeeds:
    """Seeds in the cache folder, by what they hold."""

    def __init__(self, folder: Path, containerd: Path, ctr: Path) -> None:
        self.folder = folder
        self.containerd = containerd
        self.ctr = ctr

    def path_of(self, images: Sequence[ProgramImage], archives: Sequence[Path]) -> Path:
        """Where the seed with these images is, or would be. A file counts by its path: the cache's have a digest."""
        trees = [image.tree for image in images if image.tree]
        inputs = [self.containerd, *archives, *(image.program for image in images), *trees]
        facts = [(str(path.resolve()), path.stat().st_size) for path in inputs]
        words = [(image.name, list(image.arguments), image.place) for image in images]
        return self.folder / hashlib.sha256(json.dumps([facts, words]).encode()).hexdigest()[:16]

    def ensure(
        self, machine: Machine, images: Sequence[ProgramImage], archives: Sequence[Path], listener: Listener
    ) -> Path:
        """Return the seed with these images, made on `machine` if it is not there yet."""
        seed = self.path_of(images, archives)
        if seed.is_dir():
            return seed
        listener(Progress("preparing the nodes' images (about 2 s)"))
        work = machine.folder / "image-seed"
        remove(machine, work)
        work.mkdir()
        try:
            made = self._make(machine, work, images, archives)
            if os.geteuid():
                return made  # nobody outside may read it
            keep(made, seed)
        except BaseException:
            remove(machine, work)
            raise
        remove(machine, work)
        return seed

    def _make(self, machine: Machine, work: Path, images: Sequence[ProgramImage], archives: Sequence[Path]) -> Path:
        root, socket, configuration = work / "root", work / "containerd.sock", work / "containerd.toml"
        disabled = ", ".join(f'"{name}"' for name in CRI_PLUGINS)
        configuration.write_text(
            f'version = 3\nroot = "{root}"\nstate = "{work / "state"}"\nimports = []\n'
            f'disabled_plugins = [{disabled}]\n[grpc]\naddress = "{socket}"\n'
        )
        shown = [image.write(work / f"image-{position}.tar") for position, image in enumerate(images)]
        for position, archive in enumerate(archives):
            # An archive elsewhere may be hidden from the machine; its run folder never is.
            shown.append(Path(shutil.copyfile(archive, work / f"archive-{position}.tar")))
        daemon = Component("containerd@image-seed", machine, (str(self.containerd), "--config", str(configuration)))
        daemon.start()
        try:
            wait_with([daemon], socket.exists, "containerd to listen", within_seconds=60)
            for archive in shown:
                import_archive(machine.runner, self.ctr, archive, socket=socket)
        finally:
            daemon.stop()
        return root


def remove(machine: Machine, folder: Path) -> None:
    """Remove a folder in which root's files may be: outside there may be no root to do it."""
    with suppress(MachineError):  # it has ended, and what it left is for whoever sweeps
        machine.runner.run(["rm", "-rf", str(folder)], within_seconds=REMOVED_WITHIN_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


def import_archive(runner: Runner, ctr: Path, archive: Path, *, socket: Path) -> list[str]:
    """Import an image archive (docker save, OCI) into a node's containerd; return the names it had."""
    words = [str(ctr), f"--address={socket}", f"--namespace={CONTAINERD_NAMESPACE}"]
    result = runner.run([*words, "images", "import", "--local", str(archive)], within_seconds=120)
    result.or_raise("is it an image archive, as `docker save` writes? is the disk full?")
    return [line.split()[0] for line in result.stdout.splitlines() if line.strip()]
