"""A bundle gives back what went in, or says what is wrong with it."""

import json
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labsupport.backends import LabOptions
from labsupport.bundle import BundleReader, BundleWriter, Manifest, digest_of_lock, platform_here, python_here
from labsupport.bundling import entries_of_release, why_recorded
from labsupport.errors import LabError, ToolchainError, UsageError

AREA, KEY = "debian/bookworm-amd64", "machine-1"
MEMBER = f"cache/{AREA}/{KEY}.tar"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "requirements.lock").write_text("one==1\n")
    return tmp_path / "clone"


@pytest.fixture
def manifest(clone: Path) -> Manifest:
    lock = digest_of_lock(clone)
    return Manifest("0.1", platform_here(), python_here(), lock, "2026-01-01", os.geteuid(), ("00-start-here",))


@pytest.fixture
def bundle(tmp_path: Path, manifest: Manifest) -> Path:
    folder = tmp_path / KEY
    (folder / "root").mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "wrapper").write_text("names this cache")
    (folder / "root" / "program").write_bytes(os.urandom(5000))
    (folder / "root" / "program").chmod(0o4755)
    (folder / "root" / "absolute").symlink_to("/nowhere")
    os.link(folder / "root" / "program", folder / "root" / "same")
    (tmp_path / "one-1-py3-none-any.whl").write_bytes(b"wheel")
    with BundleWriter(tmp_path / "lab.bundle", lambda more: None) as writer:
        writer.add_wheel(tmp_path / "one-1-py3-none-any.whl")
        writer.add_folder(AREA, folder, leaving_out="bin")
        writer.finish(manifest)
    return tmp_path / "lab.bundle"


def take_all(bundle: Path, into: Path) -> None:
    into.mkdir()
    with BundleReader(bundle) as reader:
        reader.take_wheels(into / "wheels")
        for name, (_, key) in reader.folders().items():
            reader.take_folder(name, into / key)


def test_what_comes_out_is_what_went_in(bundle: Path, tmp_path: Path, clone: Path) -> None:
    take_all(bundle, tmp_path / "out")
    root, made = tmp_path / KEY / "root", tmp_path / "out" / KEY / "root"
    assert (made / "program").read_bytes() == (root / "program").read_bytes()
    assert (made / "program").stat().st_mode == (root / "program").stat().st_mode
    assert (made / "program").samefile(made / "same")
    assert (made / "absolute").readlink() == Path("/nowhere")
    assert not (tmp_path / "out" / KEY / "bin").exists()
    assert (tmp_path / "out" / "wheels" / "one-1-py3-none-any.whl").read_bytes() == b"wheel"
    with BundleReader(bundle) as reader:
        reader.require_useful(clone)
        assert reader.folders() == {MEMBER: (AREA, KEY)}
        assert reader.manifest.notebooks == ("00-start-here",)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_the_beginning_of_one_is_refused(bundle: Path, share: float) -> None:
    content = bundle.read_bytes()
    bundle.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(LabError, match="only the beginning of one"):
        BundleReader(bundle)


def test_every_changed_byte_is_found(bundle: Path, tmp_path: Path) -> None:
    content = bundle.read_bytes()
    # All of its end, which says where everything begins; of the rest a sample.
    for place in (*range(0, len(content) - 300, 211), *range(len(content) - 300, len(content))):
        bundle.write_bytes(content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :])
        out = tmp_path / f"out-{place}"
        try:
            take_all(bundle, out)
        except LabError:
            continue
        # What a zip file says of itself twice may differ; what comes out may not.
        assert (out / KEY / "root" / "program").read_bytes() == (tmp_path / KEY / "root" / "program").read_bytes()


@pytest.mark.parametrize(
    ("name", "text"), [("a.txt", "hello"), ("manifest.json", "{"), ("manifest.json", '{"schema": "other-1"}')]
)
def test_another_zip_file_is_no_bundle(tmp_path: Path, name: str, text: str) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr(name, text)
    with pytest.raises(UsageError, match="no bundle of this project"):
        BundleReader(tmp_path / "other.zip")


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        BundleReader(tmp_path / "none")


def test_more_than_the_manifest_lists_is_refused(bundle: Path) -> None:
    with zipfile.ZipFile(bundle, "a") as more:
        more.writestr("wheels/evil-1-py3-none-any.whl", b"")
    with pytest.raises(ToolchainError, match="not what its manifest lists"):
        BundleReader(bundle)


@pytest.mark.parametrize(
    ("change", "why"),
    [({"platform": "plan9-vax"}, "plan9-vax"), ({"python": "2.7"}, r"Python 2\.7"), ({"lock": "0"}, "another edition")],
)
def test_one_for_another_place_says_what_differs(
    clone: Path, manifest: Manifest, change: dict[str, str], why: str
) -> None:
    assert manifest.why_not_here(clone) == ""
    found = replace(manifest, **change).why_not_here(clone)  # type: ignore[arg-type]
    assert why.replace("\\", "") in found


def _link_out(tar: tarfile.TarFile) -> None:
    link = tarfile.TarInfo("way")
    link.type, link.linkname = tarfile.SYMTYPE, "/tmp"
    tar.addfile(link)
    tar.addfile(tarfile.TarInfo("way/escaped"))


def _climb(tar: tarfile.TarFile) -> None:
    tar.addfile(tarfile.TarInfo("../escaped"))


@pytest.mark.parametrize("fill", [_link_out, _climb])
def test_nothing_is_written_outside(
    tmp_path: Path, manifest: Manifest, fill: Callable[[tarfile.TarFile], None]
) -> None:
    writer = BundleWriter(tmp_path / "lab.bundle", lambda more: None)
    with writer, writer._member(MEMBER) as target, tarfile.open(fileobj=target, mode="w|") as tar:
        fill(tar)
    with zipfile.ZipFile(tmp_path / "lab.bundle", "a") as file:
        members = {name: vars(each) for name, each in writer._members.items()}
        file.writestr("manifest.json", json.dumps({**vars(manifest), "members": members}))
    with BundleReader(tmp_path / "lab.bundle") as reader, pytest.raises(ToolchainError, match="outside its folder"):
        reader.take_folder(MEMBER, tmp_path / "out" / "key")
    assert not (tmp_path / "out" / "escaped").exists()
    assert not Path("/tmp/escaped").exists()


@pytest.mark.parametrize("name", ["cache/../key.tar", "cache//key.tar", "cache/area/...tar", "cache/key.tar"])
def test_a_folder_stays_in_the_cache(bundle: Path, name: str) -> None:
    with BundleReader(bundle) as reader:
        reader.manifest.members[name] = reader.manifest.members[MEMBER]
        with pytest.raises(ToolchainError, match="outside the cache folder"):
            reader.folders()


def test_wheels_of_other_patch_releases_come_along() -> None:
    here = ".".join(map(str, sys.version_info[:3]))
    minor = python_here()
    lock = (
        "always==1 \\\n    --hash=sha256:aa\n"
        f"old==2.10 ; python_full_version < '{here}' \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
        f"old==4.1 ; python_full_version >= '{here}' \\\n    --hash=sha256:dd\n"
        "elsewhere==1 ; sys_platform == 'win32' \\\n    --hash=sha256:ee\n"
    )
    assert entries_of_release(lock, f"{minor}.0") == (
        ["old==2.10 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"] if here != f"{minor}.0" else []
    )
    assert entries_of_release(lock, f"{minor}.99") == []


def test_a_bundle_says_for_which_notebooks_it_has_nothing_live() -> None:
    assert why_recorded(["06-dockerfile-instructions", "09-claims", "08-statefulset"], LabOptions(engine="replay")) == {
        "--engine replay was asked for": ["06", "08"]
    }
