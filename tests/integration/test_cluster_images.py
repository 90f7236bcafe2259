"""How nodes and engines get their images: the script that plants a seed, and how one is kept, on a test's own files."""

from pathlib import Path

import pytest

from labsupport.errors import MachineError
from labsupport.process.commands import LocalRunner
from labsupport.systems.machines.seeds import keep, plant


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


@pytest.fixture
def made(tmp_path: Path) -> Path:
    root = tmp_path / "made"
    root.mkdir()
    (root / "meta.db").write_text("whole")
    return root


def test_what_a_killed_lab_had_half_kept_is_replaced(made: Path, tmp_path: Path) -> None:
    half = tmp_path / "cache" / ".seed"
    half.mkdir(parents=True)
    (half / "more").write_text("half")
    keep(made, tmp_path / "cache" / "seed")
    assert {path.name: path.read_text() for path in (tmp_path / "cache" / "seed").iterdir()} == {"meta.db": "whole"}
    assert not half.exists()


def test_a_seed_that_is_there_stays(made: Path, tmp_path: Path) -> None:
    seed = tmp_path / "cache" / "seed"
    seed.mkdir(parents=True)
    keep(made, seed)
    assert list(seed.iterdir()) == []


def test_a_seed_that_cannot_be_kept_leaves_nothing(made: Path, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="keep prepared images"):
        keep(made / "nothing", tmp_path / "cache" / "seed")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]
