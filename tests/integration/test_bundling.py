"""What a bundle brings to another cache runs there; a damaged one brings only what is whole."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from labsupport.bundle import BundleWriter, Manifest, digest_of_lock, platform_here, python_here
from labsupport.bundling import unbundle
from labsupport.errors import ToolchainError
from labsupport.process.commands import Invocation, LocalRunner
from labsupport.project import Project
from labsupport.systems.toolchain import Toolchain
from tests.scripted import Answer, ScriptedRunner

PROGRAM = "#!/bin/sh\nexec echo $0 here\n"


def _download(argv: Sequence[str], invocation: Invocation) -> Answer:
    assert invocation.folder is not None
    (invocation.folder / f"{argv[-1]}_1_amd64.deb").touch()
    return (0, "", "")


def _show(argv: Sequence[str], _: Invocation) -> Answer:
    return (0, f"{Path(argv[-1]).name.partition('_')[0]} 1", "")


def _extract(argv: Sequence[str], _: Invocation) -> Answer:
    root = Path(argv[-1])
    # With libraries of its own a program gets a wrapper, which names the place of the cache.
    (root / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    (root / "usr/bin").mkdir()
    (root / "usr/bin/tini-static").write_text(PROGRAM)
    (root / "usr/bin/tini-static").chmod(0o755)
    return (0, "", "")


@pytest.fixture
def folder(tmp_path: Path) -> tuple[Path, Path]:
    """A cache elsewhere, and a set of unpacked packages in it."""
    runner = ScriptedRunner(
        {
            ("apt-get", "install", "--simulate"): (0, "", ""),
            ("apt-get", "download"): _download,
            ("dpkg-deb", "-W"): _show,
            ("dpkg-deb", "--extract"): _extract,
        }
    )
    elsewhere = tmp_path / "elsewhere"
    (found,) = Toolchain(elsewhere, runner, uses_path=False).folders("docker-init")
    return elsewhere, found


@pytest.fixture
def bundle(tmp_path: Path, project: Project, folder: tuple[Path, Path]) -> Path:
    elsewhere, found = folder
    with BundleWriter(tmp_path / "lab.bundle", lambda more: None) as writer:
        writer.add_folder("tools/any", _tool(tmp_path))
        writer.add_folder(str(found.parent.relative_to(elsewhere)), found, leaving_out="bin")
        writer.finish(Manifest("0", platform_here(), python_here(), digest_of_lock(project.root), "2026-01-01", 0))
    return tmp_path / "lab.bundle"


def _with_damage(bundle: Path, below: str) -> bytes:
    """The bundle's bytes, with those in the middle of one member's data turned over: its headers are as they were."""
    with zipfile.ZipFile(bundle) as archive:
        (member,) = (each for each in archive.infolist() if each.filename.startswith(below))
    start = member.header_offset + len(member.FileHeader(zip64=True)) + member.compress_size // 4
    data = bytearray(bundle.read_bytes())
    for at in range(start, start + member.compress_size // 2):
        data[at] ^= 0xFF
    return bytes(data)


def _tool(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny-1"
    folder.mkdir()
    (folder / "tiny").write_text(PROGRAM)
    return folder


def test_what_came_runs_in_the_other_cache(
    bundle: Path, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "a cache"))
    assert (unbundle(project, bundle).came, unbundle(project, bundle).came) == (2, 0)
    said = LocalRunner().run([str(Toolchain(uses_path=False).path("docker-init"))]).or_raise().stdout
    assert said.startswith(str(tmp_path / "a cache"))


def test_what_is_damaged_stays_out_and_the_next_run_goes_on(
    bundle: Path, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    whole = bundle.read_bytes()
    bundle.write_bytes(_with_damage(bundle, "cache/debian/"))
    with pytest.raises(ToolchainError, match="copy it again"):
        unbundle(project, bundle)
    assert (tmp_path / "cache" / "tools" / "any" / "tiny-1").is_dir()
    assert not (tmp_path / "cache" / "debian").exists() or not [*(tmp_path / "cache" / "debian").glob("*/*")]
    assert not [*(tmp_path / "cache" / "partial").iterdir()]
    bundle.write_bytes(whole)
    arrived = unbundle(project, bundle)
    assert (arrived.came, arrived.were_there) == (1, 1)


def test_another_checksum_beside_it_ends_it_at_once(
    bundle: Path, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    bundle.with_name("lab.bundle.sha256").write_text(f"{64 * '0'}  lab.bundle\n")
    with pytest.raises(ToolchainError, match="copy both files again"):
        unbundle(project, bundle)
    assert not (tmp_path / "cache" / "tools").exists()
