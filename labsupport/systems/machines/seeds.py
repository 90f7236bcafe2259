"""A containerd root prepared once and linked into each machine that wants one: its images are there in milliseconds.

A seed is kept in the cache, which is read-only inside a machine: nothing a container does can reach through the links.
All in it is root's, who may be inside only: so it is the machine that plants it. Knows no image.
"""

import fcntl
import shutil
from pathlib import Path

from labsupport.errors import CommandFailed, MachineError
from labsupport.process.commands import LocalRunner, Runner

# Databases, and blobs of less than a megabyte, are copied; larger ones and what is unpacked are linked.
PLANT = r"""
set -eu
seed=$1 root=$2
cd "$seed"
mkdir -p -m 700 "$root"
find . -path '*/snapshots/*' -prune -o \( -type d -o -name '*.db' -o -size -1024k \) -print0 |
    tar --create --no-recursion --null --files-from=- | tar --extract --directory="$root"
find . -path '*/snapshots/*' -prune -print -o -type f -size +1023k ! -name '*.db' -print |
    while read -r path; do ln -s "$seed/${path#./}" "$root/${path#./}"; done
"""


def plant(runner: Runner, seed: Path, root: Path) -> None:
    """Make `root` a containerd root with the images of `seed`: databases copied, contents linked."""
    runner.run(["sh", "-c", PLANT, "sh", str(seed), str(root)]).or_raise("free some disk space")


def keep(made: Path, seed: Path) -> None:
    """Copy the containerd root `made`, which nothing uses any more, to `seed` in the cache: whole or not at all.

    Raises:
        MachineError: it could not be kept there.
    """
    draft = seed.parent / f".{seed.name}"
    try:
        seed.parent.mkdir(parents=True, exist_ok=True)
        with (seed.parent / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one at a time, so that a draft found here was a killed lab's
            try:
                shutil.rmtree(draft, ignore_errors=True)
                if not seed.is_dir():
                    # Images may hold devices: whoever opens a /dev/full to copy it never comes to its end.
                    LocalRunner().run(["cp", "--archive", str(made), str(draft)], within_seconds=300).or_raise()
                    draft.rename(seed)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    except (OSError, CommandFailed) as error:
        tried = f"keep prepared images in {seed}"
        raise MachineError(tried, str(error), "free some space there, or remove broken caches") from error
