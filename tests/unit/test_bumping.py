"""Changing versions, on texts and files: what is written, and that all of it is or none."""

from pathlib import Path

import pytest

from labsupport.bumping.packages import asking_for
from labsupport.bumping.replacing import replace_together
from labsupport.errors import ToolchainError, UsageError
from labsupport.project import Project
from labsupport.systems.toolchain.catalogue import Pin, read_catalogue
from labsupport.systems.toolchain.pinning import check_version, module_at, pin_of, with_values

TOML = """\
[one]
version = "1" # because
module = "a@v1"

[one.tools]
version = "1"
"""


def test_only_the_section_meant_changes_and_comments_stay() -> None:
    changed = with_values(TOML, "one", {"version": "2", "module": "a@v2"})
    assert changed == TOML.replace('"1" # because', '"2" # because').replace("a@v1", "a@v2")


@pytest.mark.parametrize(("section", "key"), [("two", "version"), ("one", "sha256"), ("one.tools", "module")])
def test_what_is_not_there_once_is_refused(section: str, key: str) -> None:
    with pytest.raises(ToolchainError):
        with_values(TOML, section, {key: "2"})


@pytest.mark.parametrize(
    ("module", "version", "told", "expected"),
    [
        ("a/b@v1.0.0", "1.1.0", None, "a/b@v1.1.0"),
        ("a/b@v1.0.0+incompatible", "1.1.0", None, "a/b@v1.1.0+incompatible"),
        ("a/b@v2.0.0-beta.1", "1.1.0", "v2.0.0-beta.2", "a/b@v2.0.0-beta.2"),
    ],
)
def test_a_module_has_the_number_of_its_release_or_the_one_told(
    module: str, version: str, told: str | None, expected: str
) -> None:
    assert module_at(Pin("x", "projects.x", "1.0.0", module=module), version, told) == expected


def test_a_tool_stands_for_its_project(project: Project) -> None:
    catalogue = read_catalogue()
    assert pin_of(catalogue, "kubelet") == pin_of(catalogue, "kubernetes")
    assert "kubelet" in pin_of(catalogue, "kubernetes").tools


def test_every_pin_can_be_written(project: Project) -> None:
    text = (project.root / "toolchain/versions.toml").read_text()
    for pin in read_catalogue().pins.values():
        assert with_values(text, pin.section, {"version": pin.version}) == text, pin.name
        assert not pin.module or with_values(text, pin.section, {"module": pin.module}) == text, pin.name


@pytest.mark.parametrize("version", ["", "latest", "main", "-1", "1 2", "1/../2", '1"'])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(UsageError):
        check_version(version)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('  "PyYAML>=6",', '  "PyYAML>=6.1",'),
        ("      - pyyaml>=6", "      - pyyaml>=6.1"),
        ('  "pyyaml<7,>=6",', '  "pyyaml<7,>=6.1",'),
        ('  "pyyaml>=6,<7",', '  "pyyaml>=6.1,<7",'),
        ('  "pyyaml<7",', '  "pyyaml<7",'),
        ('  "pyyaml",', '  "pyyaml",'),
        ('  "types-PyYAML>=6",', '  "types-PyYAML>=6",'),
        ('  "pyyaml-env>=6",', '  "pyyaml-env>=6",'),
        ("  # pyyaml>=6 is needed", "  # pyyaml>=6 is needed"),
    ],
)
def test_the_least_that_is_asked_for_rises(line: str, expected: str) -> None:
    assert asking_for("PyYAML", "6.1", f"{line}\n") == f"{expected}\n"


def test_files_change_together_or_not_at_all(tmp_path: Path) -> None:
    one, new, folder = files = [tmp_path / name for name in ("one", "new", "folder")]
    one.write_text("old")
    folder.mkdir()  # a folder cannot be replaced by a file: the last of three fails
    with pytest.raises(ToolchainError) as caught:
        replace_together(dict.fromkeys(files, b"new"))
    assert "nothing was changed" in str(caught.value)
    assert one.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "one"]
    folder.rmdir()
    replace_together(dict.fromkeys(files, b"new"))
    assert {file.read_text() for file in files} == {"new"}
    assert new.stat().st_mode & 0o777 == 0o644
