"""`./lab` from nothing: finds Python, makes its environment once, survives being killed, says clearly what is missing.

No network: the lock of these clones names one small wheel made here.
"""

import ensurepip
import hashlib
import os
import shutil
import signal
import stat
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from labsupport import bundling
from labsupport.backends import LabOptions
from labsupport.process.commands import CommandResult, Invocation, LocalRunner
from labsupport.process.waiting import wait_until
from labsupport.project import Project

TOOLS = ("sh", "dirname", "readlink", "cmp", "cat")
NOBODY = 65534
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
# Debian and its kind keep what ensurepip installs elsewhere.
WHEELS_OF_PYTHON = (Path(ensurepip.__file__).parent / "_bundled", Path("/usr/share/python-wheels"))
COMMAND_LINE = 'import sys; print("command line:", *sys.argv[1:]); import lockedwheel'


@contextmanager
def place() -> Iterator[Path]:
    """A folder that every user may enter, as none may enter pytest's own."""
    with tempfile.TemporaryDirectory(prefix="launcher-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def clone(project: Project) -> Iterator[Project]:
    with place() as folder:
        yield make_clone(project, folder)


@pytest.fixture(scope="module")
def set_up(project: Project) -> Iterator[tuple[Project, CommandResult]]:
    """A clone that has its environment, and what its first start said; tests leave both as they are."""
    with place() as folder:
        made = make_clone(project, folder)
        yield made, launch(made, "run", "a b")


def make_clone(project: Project, folder: Path) -> Project:
    """A clone in a folder with a space: the launcher and package of this one, a tiny lock, a tiny command line."""
    root = folder / "a clone"
    shutil.copytree(project.root / "labsupport", root / "labsupport", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(project.root / "lab", root / "lab")
    (root / "labsupport" / "cli.py").write_text(COMMAND_LINE)
    wheels = folder / "wheels"
    wheels.mkdir()
    wheel = wheels / "lockedwheel-1.0-py3-none-any.whl"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    content = {
        "lockedwheel.py": "",
        "lockedwheel-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: lockedwheel\nVersion: 1.0\n",
        "lockedwheel-1.0.dist-info/WHEEL": tags,
        "lockedwheel-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in content.items():
            archive.writestr(zipfile.ZipInfo(name), text)  # of 1980: the same wheel, and lock, in every clone
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (root / "requirements.lock").write_text(f"lockedwheel==1.0 \\\n    --hash=sha256:{digest}\n")
    return Project(root)


def launch(
    clone: Project, *words: str, environment: Mapping[str, str] | None = None, folder: str = "/"
) -> CommandResult:
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"file://{clone.root.parent}/wheels".replace(" ", "%20")}
    runner = LocalRunner(
        {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **offline, **(environment or {})}
    )
    return runner.run([str(clone.root / "lab"), *words], within_seconds=120, invocation=Invocation(folder=Path(folder)))


def path_without_python(folder: Path) -> Path:
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (folder / tool).symlink_to(found)
    return folder


def open_to_everyone(clone: Project) -> None:
    for folder in (clone.root, clone.root.parent / "wheels"):
        folder.chmod(folder.stat().st_mode | stat.S_IROTH | stat.S_IXOTH)


def test_first_start_sets_up_and_the_second_does_not(set_up: tuple[Project, CommandResult]) -> None:
    clone, first = set_up
    assert first.exit_code == 0, first.stderr
    assert first.stdout == "command line: run a b\n"
    assert "MB to download" in first.stderr
    assert "minutes" in first.stderr
    second = launch(clone, "status")
    assert (second.stdout, second.stderr) == ("command line: status\n", "")


@pytest.fixture
def bundle(clone: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a clone with a tiny lock takes where there is no network: its wheel, and pip."""
    wheels = clone.root.parent / "wheels"
    pip = next(wheel for folder in WHEELS_OF_PYTHON for wheel in folder.glob("pip-*.whl"))
    shutil.copy(pip, wheels)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", wheels.as_uri())
    target = clone.root.parent / "a bundle"
    return bundling.bundle(clone, ["09-claims"], LabOptions(engine="replay"), target).path


def test_a_moved_clone_still_works_through_a_link(set_up: tuple[Project, CommandResult], tmp_path: Path) -> None:
    root = set_up[0].root
    moved = root.rename(root.parent / "elsewhere")
    try:
        (tmp_path / "link").symlink_to(moved / "lab")
        result = LocalRunner().run([str(tmp_path / "link"), "here"])
    finally:
        moved.rename(root)
    assert (result.stdout, result.stderr) == ("command line: here\n", "")


def test_a_killed_set_up_is_redone(clone: Project, tmp_path: Path) -> None:
    killed = LocalRunner({"PIP_NO_INDEX": "1"}).start([str(clone.root / "lab")], log=tmp_path / "log")
    wait_until(lambda: (clone.root / ".venv" / "bin").exists(), "the half-made environment", within_seconds=60)
    killed.close()
    assert not (clone.root / ".venv" / "requirements.lock").exists()
    assert launch(clone, "again").stdout == "command line: again\n"


def test_ctrl_c_during_set_up_ends_with_130(clone: Project, tmp_path: Path) -> None:
    stopped = LocalRunner({"PIP_NO_INDEX": "1"}).start([str(clone.root / "lab")], log=tmp_path / "log")
    wait_until(lambda: (clone.root / ".venv").exists(), "the half-made environment", within_seconds=60)
    os.killpg(stopped.pid, signal.SIGINT)
    assert stopped.wait(60) == 130
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_two_at_once_make_one_environment_for_a_changed_lock(
    clone: Project, set_up: tuple[Project, CommandResult], tmp_path: Path
) -> None:
    shutil.copytree(set_up[0].root / ".venv", clone.root / ".venv", symlinks=True)
    assert launch(clone).stderr == ""
    lock = clone.root / "requirements.lock"
    lock.write_text(f"# changed\n{lock.read_text()}")
    wheels = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(clone.root.parent / "wheels")}
    both = [LocalRunner(wheels).start([str(clone.root / "lab")], log=tmp_path / f"log-{n}") for n in (1, 2)]
    assert [one.wait(120) for one in both] == [0, 0]
    said = "".join((tmp_path / f"log-{n}").read_text() for n in (1, 2))
    assert said.count("Setting up") == 1
    assert said.count("command line:") == 2
    assert launch(clone).stderr == ""


def test_no_python_says_what_to_install(clone: Project, tmp_path: Path) -> None:
    result = launch(clone, environment={"PATH": str(path_without_python(tmp_path / "bin"))})
    assert result.exit_code == 3
    assert "there is no python3 on PATH" in result.stderr
    assert "apt-get install python3 python3-venv" in result.stderr


def test_a_python_out_of_range_is_named(clone: Project, tmp_path: Path) -> None:
    folder = path_without_python(tmp_path / "bin")
    old = folder / "python3"
    old.write_text('#!/bin/sh\ncase "$2" in *print*) echo python3 is 3.14.1 at /opt/python3 ;; *) exit 1 ;; esac\n')
    old.chmod(0o755)
    result = launch(clone, environment={"PATH": str(folder)})
    assert result.exit_code == 3
    assert "python3 is 3.14.1 at /opt/python3" in result.stderr
    assert "3.11, 3.12 or 3.13" in result.stderr


def hide_ensurepip(clone: Project) -> None:
    """Make set-up see what a Debian without python3-venv shows it: a Python without ensurepip."""
    (clone.root / "sitecustomize.py").write_text("import sys\nsys.modules['ensurepip'] = None\n")


@pytest.mark.needs("root")
def test_root_gets_debians_venv_package_and_is_told(clone: Project, tmp_path: Path) -> None:
    hide_ensurepip(clone)
    fake = tmp_path / "bin" / "apt-get"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\n')
    fake.chmod(0o755)
    result = launch(clone, environment={"PATH": f"{fake.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"})
    assert result.exit_code == 0, result.stderr
    package = f"python3.{sys.version_info.minor}-venv"
    assert (tmp_path / "asked").read_text() == f"install --yes --no-install-recommends {package}\n"
    assert f"Installing Debian's {package}" in result.stderr


def test_without_root_the_exact_command_is_printed(clone: Project, tmp_path: Path) -> None:
    hide_ensurepip(clone)
    bare = path_without_python(tmp_path / "bin")
    (bare / "python3").symlink_to(sys.executable)
    result = launch(clone, environment={"PATH": str(bare)})
    assert result.exit_code == 3
    assert f"sudo apt-get install --yes --no-install-recommends python3.{sys.version_info.minor}-venv" in result.stderr
    assert not (clone.root / ".venv").exists()


def test_no_network_is_one_clear_message(clone: Project) -> None:
    closed = {"PIP_NO_INDEX": "0", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    result = launch(clone, environment=closed)
    assert result.exit_code == 3
    assert "What to do: connect to the network" in result.stderr
    assert "Traceback" not in result.stderr
    assert not clone.root.joinpath(".venv", "requirements.lock").exists()


def test_a_wrong_hash_is_refused(clone: Project) -> None:
    lock = clone.root / "requirements.lock"
    lock.write_text(f"lockedwheel==1.0 --hash=sha256:{'0' * 64}\n")
    result = launch(clone)
    assert result.exit_code == 1
    assert "HASHES" in result.stderr.upper()


@pytest.mark.needs("root")
def test_somebody_elses_clone_is_one_clear_message(clone: Project) -> None:
    open_to_everyone(clone)
    runner = LocalRunner({"PATH": SYSTEM_PATH})
    result = runner.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--", str(clone.root / "lab")]
    )
    assert result.exit_code == 3, result.stderr
    assert "is not writable for this user" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.needs("root")
def test_under_sudo_the_environment_belongs_to_the_caller(clone: Project) -> None:
    open_to_everyone(clone)
    os.chown(clone.root, NOBODY, NOBODY)
    caller = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY), "PATH": SYSTEM_PATH}
    result = launch(clone, "x", environment=caller)
    assert result.exit_code == 0, result.stderr
    made = list((clone.root / ".venv").rglob("*"))
    assert {path.lstat().st_uid for path in made} == {NOBODY}


@pytest.mark.needs("root")
def test_a_clone_that_root_made_is_one_clear_message_under_sudo(clone: Project) -> None:
    open_to_everyone(clone)
    caller = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY), "PATH": SYSTEM_PATH}
    result = launch(clone, "run", environment=caller)
    assert result.exit_code == 3, result.stderr
    assert "belongs to root, and nobody may not write there" in result.stderr
    assert f"sudo chown -R nobody '{clone.root}'" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (clone.root / ".venv").exists()


@pytest.mark.needs("root")
def test_a_bundle_sets_it_up_where_there_is_no_network(bundle: Path, clone: Project) -> None:
    result = LocalRunner().run(
        ["unshare", "--net", str(clone.root / "lab"), "unbundle", str(bundle)],
        within_seconds=120,
        invocation=Invocation(environment={"PIP_NO_INDEX": "", "PIP_FIND_LINKS": ""}),
    )
    assert (result.exit_code, result.stdout) == (0, f"command line: unbundle {bundle}\n"), result.stderr
    assert "download" not in result.stderr
    assert (clone.root / ".venv" / "bin" / "pip").exists()
    assert not (clone.root / ".venv" / "wheels").exists()
    assert [path.name for path in bundle.parent.glob(".*")] == []


def test_a_bundle_that_was_cut_off_sets_up_nothing(bundle: Path, clone: Project) -> None:
    bundle.write_bytes(bundle.read_bytes()[:100_000])
    result = launch(clone, "unbundle", str(bundle))
    assert result.exit_code == 1
    assert "only the beginning of one" in result.stderr
    assert not (clone.root / ".venv").exists()


def test_a_bundle_of_another_edition_is_refused(bundle: Path, clone: Project) -> None:
    lock = clone.root / "requirements.lock"
    lock.write_text(f"# changed\n{lock.read_text()}")
    result = launch(clone, "unbundle", str(bundle))
    assert result.exit_code == 2
    assert "another edition" in result.stderr
    assert not (clone.root / ".venv").exists()
