"""How Debian's packages are asked for: what is downloaded, when the lists are updated, what the refusals say."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from labsupport.errors import RequirementMissing, ToolchainError
from labsupport.process.commands import Invocation
from labsupport.process.progress import silent
from labsupport.systems.toolchain.catalogue import DebianSet
from labsupport.systems.toolchain.debian import AptGet
from tests.scripted import Answer, ScriptedRunner

GREETINGS = DebianSet(packages=("hello",), megabytes=1, tools={})
SIMULATED = "Inst libgreet1 (2.0-1 Debian:12 [amd64])\nInst hello (2.10-3 Debian:12 [amd64])\nConf hello\n"
Script = dict[tuple[str, ...], Answer]


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A computer that has apt-get and dpkg-deb, and a folder to unpack into."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("apt-get", "dpkg-deb"):
        (programs / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(programs))
    (tmp_path / "unpacked").mkdir()
    return tmp_path / "unpacked"


def _download(argv: Sequence[str], invocation: Invocation) -> Answer:
    assert invocation.folder is not None
    for name in argv[2:]:
        (invocation.folder / f"{name}_1_amd64.deb").touch()
    return (0, "", "")


def _show(argv: Sequence[str], _: Invocation) -> Answer:
    return (0, f"{Path(argv[-1]).name.partition('_')[0]} 2.10-3", "")


def test_a_set_comes_with_the_libraries_this_computer_lacks(debian: Path) -> None:
    runner = ScriptedRunner(
        {
            ("apt-get", "install", "--simulate"): (0, SIMULATED, ""),
            ("apt-get", "download"): _download,
            ("dpkg-deb", "-W"): _show,
            ("dpkg-deb", "--extract"): (0, "", ""),
        }
    )
    assert AptGet(runner, silent).unpack(GREETINGS, debian) == {"hello": "2.10-3", "libgreet1": "2.10-3"}
    assert [argv[1] for argv in runner.asked].count("--extract") == 2
    assert not (debian / "downloads").exists()


@pytest.mark.needs("root")
def test_package_lists_are_updated_only_when_they_are_stale(debian: Path) -> None:
    answers = iter([(100, "", "E: Unable to locate package hello"), (0, "", "")])
    runner = ScriptedRunner(
        {
            ("apt-get", "install", "--simulate"): lambda *_: next(answers),
            ("apt-get", "-o"): (0, "", ""),
            ("apt-get", "download"): _download,
            ("dpkg-deb", "-W"): _show,
            ("dpkg-deb", "--extract"): (0, "", ""),
        }
    )
    AptGet(runner, silent).unpack(GREETINGS, debian)
    assert [argv[-1] for argv in runner.asked].count("update") == 1


def test_another_distribution_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequirementMissing, match="install your system's packages of hello"):
        AptGet(ScriptedRunner({}), silent).unpack(GREETINGS, tmp_path)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("E: Temporary failure resolving 'deb.example'", RequirementMissing),
        ("E: Hash Sum mismatch", ToolchainError),
        ("E: You don't have enough free space in /x.", OSError),
    ],
)
def test_a_download_that_fails_says_which_kind_of_trouble_it_is(debian: Path, said: str, kind: type[Exception]) -> None:
    script: Script = {("apt-get", "install", "--simulate"): (0, "", ""), ("apt-get", "download"): (100, "", said)}
    with pytest.raises(kind, match=r"hello|enough free space"):
        AptGet(ScriptedRunner(dict(script)), silent).unpack(GREETINGS, debian)
