"""How a node gets its images: the script that plants a seed, run on files of a test's own."""

from pathlib import Path

from labsupport.process.commands import LocalRunner
from labsupport.systems.clusters.images import plant


def test_a_planted_seed_copies_what_changes_and_links_the_rest(tmp_path: Path) -> None:
    seed, root = tmp_path / "seed", tmp_path / "root"
    snapshot = seed / "io.containerd.snapshotter.v1.overlayfs" / "snapshots" / "1" / "fs" / "snapshots"
    snapshot.mkdir(parents=True)
    (snapshot / "file").write_text("deep")
    (seed / "io.containerd.snapshotter.v1.overlayfs" / "metadata.db").write_text("db")
    blobs = seed / "io.containerd.content.v1.content" / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (blobs / "small").write_text("small")
    (blobs / "large").write_bytes(b"0" * (2 << 20))
    plant(LocalRunner(), seed, root)
    planted = root / "io.containerd.snapshotter.v1.overlayfs"
    assert (planted / "snapshots" / "1").readlink() == seed / planted.relative_to(root) / "snapshots" / "1"
    assert (planted / "snapshots" / "1" / "fs" / "snapshots" / "file").read_text() == "deep"
    assert not (planted / "metadata.db").is_symlink()
    content = root / "io.containerd.content.v1.content" / "blobs" / "sha256"
    assert [(content / name).is_symlink() for name in ("small", "large")] == [False, True]
