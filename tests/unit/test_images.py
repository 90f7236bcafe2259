"""Which images there are, what goes into them, and what an engine may call a built one."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from labsupport.errors import ToolchainError, UsageError
from labsupport.systems.images.archives import dockerfile_of, identities_in
from labsupport.systems.images.recipes import RECIPES, recipe_of, tools_of
from labsupport.systems.images.staging import stage_toolbox
from tests.scripted import ScriptedRunner

LOADER = "ld-linux-x86-64.so.2"


@pytest.mark.parametrize("name", ["lab/toolbox", "lab/toolbox:latest"])
def test_an_image_is_known_with_and_without_its_tag(name: str) -> None:
    assert recipe_of(name).tag == "lab/toolbox:latest"


@pytest.mark.parametrize("name", ["toolbox", "lab/nosuch", "alpine", "lab/toolbox:2"])
def test_an_image_no_lab_builds_is_refused_with_those_it_does(name: str) -> None:
    with pytest.raises(UsageError, match="lab/toolbox, lab/agnhost"):
        recipe_of(name)


def test_every_recipe_has_a_dockerfile_from_its_base() -> None:
    for recipe in RECIPES.values():
        base = f"lab/{recipe.base}" if recipe.base else "scratch"
        assert f"\nFROM {base}\n" in dockerfile_of(recipe).read_text()


def test_an_image_needs_what_its_base_needs() -> None:
    assert tools_of(RECIPES["agnhost"]) == ("agnhost", "images")


def unpacked_packages(root: Path, *, without: str = "") -> Path:
    """A tree as Debian's packages have it; its loader is an absolute link that must not lead to this computer's."""
    libraries = root / "lib/x86_64-linux-gnu"
    for folder in (root / "bin", root / "lib64", libraries):
        folder.mkdir(parents=True)
    for name in ("busybox", "dash", "bash"):
        (root / "bin" / name).write_text(name)
    for name in ("libc.so.6", "libresolv.so.2", "libtinfo.so.6.4", LOADER):
        (libraries / name).write_text(f"the tree's {name}")
    (libraries / "libtinfo.so.6").symlink_to("libtinfo.so.6.4")
    (root / "lib64" / LOADER).symlink_to(f"/lib/x86_64-linux-gnu/{LOADER}")
    if without:
        (root / without).unlink()
    return root


def test_toolbox_holds_the_trees_own_files_and_a_link_per_command(tmp_path: Path) -> None:
    context = tmp_path / "context"
    loader = context / "root/lib64" / LOADER
    stage_toolbox(
        context, unpacked_packages(tmp_path / "debian"), ScriptedRunner({(str(loader),): (0, "ash\nsh\nls\n", "")})
    )
    assert loader.read_text() == f"the tree's {LOADER}"
    assert not loader.is_symlink()
    assert (context / "root/lib/x86_64-linux-gnu/libtinfo.so.6").read_text() == "the tree's libtinfo.so.6.4"
    assert (context / "root/bin/sh").readlink() == Path("busybox")
    assert (context / "root/bin/dash").read_text() == "dash"
    assert (context / "root/tmp").stat().st_mode & 0o7777 == 0o1777


def test_a_package_that_lacks_a_file_is_named(tmp_path: Path) -> None:
    debian = unpacked_packages(tmp_path / "debian", without="lib/x86_64-linux-gnu/libresolv.so.2")
    with pytest.raises(ToolchainError, match=r"libresolv\.so\.2"):
        stage_toolbox(tmp_path / "context", debian, ScriptedRunner({}))


def test_identities_are_the_manifests_and_the_configs_digest(tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    parts = {
        "index.json": {"manifests": [{"digest": "sha256:aa"}]},
        "manifest.json": [{"Config": "blobs/sha256/bb"}],
    }
    with tarfile.open(archive, "w") as files:
        for name, content in parts.items():
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            files.addfile(member, io.BytesIO(data))
    assert identities_in(archive) == ["sha256:aa", "sha256:bb"]
