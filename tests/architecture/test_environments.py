"""One version, one list of packages: pyproject.toml, the lock, conda and Binder say the same."""

import re
import tomllib
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from labsupport.experiments.evidence import read_folder
from labsupport.project import Project
from labsupport.systems.toolchain.catalogue import read_catalogue

# The project's own, and that of the hub's image.
LOCKS = ("requirements.lock", "deploy/jupyterhub/requirements.lock")


@pytest.fixture(scope="module")
def package(project: Project) -> dict[str, Any]:
    loaded: dict[str, Any] = tomllib.loads((project.root / "pyproject.toml").read_text())["project"]
    return loaded


@pytest.fixture(scope="module")
def locked(project: Project) -> dict[str, Version]:
    return {pin.partition("==")[0]: Version(pin.partition("==")[2]) for pin in entries(project, LOCKS[0])}


def entries(project: Project, lock: str) -> dict[str, str]:
    """What is locked, as name==version, each with all that the lock says of it."""
    text = (project.root / lock).read_text()
    found = (entry for entry in re.split(r"^(?=\S+==)", text, flags=re.MULTILINE) if entry.strip())
    return {entry.split()[0]: entry for entry in found}


def test_the_lock_satisfies_pyproject(package: dict[str, Any], locked: dict[str, Version]) -> None:
    wanted = [*package["dependencies"], *(one for extra in package["optional-dependencies"].values() for one in extra)]
    for requirement in map(Requirement, wanted):
        assert locked[canonicalize_name(requirement.name)] in requirement.specifier, requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_hashes_and_no_address(project: Project, lock: str) -> None:
    assert not [pin for pin, entry in entries(project, lock).items() if "--hash=sha256:" not in entry]
    text = (project.root / lock).read_text()
    assert "://" not in text
    assert "--index" not in text


def test_the_hub_has_the_packages_of_the_lock_and_its_own(project: Project, package: dict[str, Any]) -> None:
    ours, hubs = (entries(project, lock) for lock in LOCKS)
    names = {pin.partition("==")[0] for pin in ours}
    assert {pin: entry for pin, entry in hubs.items() if pin.partition("==")[0] in names}.items() <= ours.items()
    asked = (project.root / "deploy/jupyterhub/requirements.in").read_text()
    wanted = [*package["dependencies"], *re.findall(r"^[a-z].*", asked, re.MULTILINE)]
    assert {canonicalize_name(Requirement(one).name) for one in wanted} <= {pin.partition("==")[0] for pin in hubs}


def test_the_hub_is_of_this_version(project: Project) -> None:
    folder = project.root / "deploy/jupyterhub"
    [image] = yaml.safe_load((folder / "kustomization.yaml").read_text())["images"]
    assert image == {"name": "labs-hub", "newTag": project.version}
    assert f"--tag labs-hub:{project.version} ." in (folder / "Dockerfile").read_text()


def test_conda_has_the_packages_of_pyproject(project: Project, package: dict[str, Any]) -> None:
    python, *others = yaml.safe_load((project.root / "environment.yml").read_text())["dependencies"]
    assert others == ["pip", {"pip": package["dependencies"]}]
    name, _, version = python.partition("=")
    assert name == "python" and f"{version}.1" in SpecifierSet(package["requires-python"])


def test_binder_has_the_environment_of_conda(project: Project) -> None:
    assert (project.root / "binder/environment.yml").read_text() == (project.root / "environment.yml").read_text()


def test_binder_hooks_are_safe(project: Project) -> None:
    for name in ("postBuild", "start"):
        hook = project.root / "binder" / name
        assert hook.stat().st_mode & 0o111 == 0o111, name
        assert "\nset -e\n" in hook.read_text(), name
    assert (project.root / "binder/start").read_text().endswith('exec "$@"\n')


def test_the_launcher_looks_for_the_pythons_of_pyproject(project: Project, package: dict[str, Any]) -> None:
    assert package["requires-python"] == ">=3.11,<3.14"
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in (project.root / "lab").read_text()


def test_the_changelog_begins_with_this_version(project: Project) -> None:
    headings = re.findall(r"^## (\S+)", (project.root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == project.version


def test_what_is_recorded_was_seen_with_the_pinned_versions(project: Project) -> None:
    """`./lab bump` says what to record anew; this sees that it was."""
    pinned = {name: tool.version for name, tool in read_catalogue().tools.items() if tool.version}
    outdated = {
        f"{evidence.notebook}: {tool.name} {tool.version}, pinned is {pinned[tool.name]}"
        for evidence in read_folder(project.recorded_evidence)
        for tool in evidence.provenance.tools
        if tool.name in pinned and tool.version != pinned[tool.name]
    }
    assert not outdated
