"""GitHub's workflows: what actionlint has to say of them, and that all they use is pinned."""

import re
from pathlib import Path

import pytest
import yaml

from labsupport.process.commands import CommandResult, LocalRunner
from labsupport.process.ownership import VIRTUAL_KIND
from labsupport.project import Project, this_project
from labsupport.systems.toolchain import Toolchain
from labsupport.systems.virtual import system

WORKFLOWS = sorted((this_project().root / ".github/workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def actionlint(*paths: Path) -> CommandResult:
    # Without the programs it would call where they are on PATH: everywhere the same.
    program = str(Toolchain().path("actionlint"))
    return LocalRunner().run([program, "-no-color", "-shellcheck=", "-pyflakes=", *map(str, paths)])


@pytest.mark.needs("actionlint")
def test_actionlint_finds_nothing() -> None:
    assert len(WORKFLOWS) == 2
    result = actionlint(*WORKFLOWS)
    assert result.succeeded, result.stdout


@pytest.mark.needs("actionlint")
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("needs: live", "needs: lively"),
        ("runs-on: ubuntu-24.04\n", "runs-on: ubuntu-95.10\n"),
        ("${{ matrix.command }}", "${{ matrix.comand }}"),
        ("pages: write", "pages: scribble"),
        ('cron: "17 4 * * 1"', 'cron: "17 4 * * 9"'),
    ],
)
def test_actionlint_would_find_a_mistake(tmp_path: Path, right: str, wrong: str) -> None:
    text = next(path for path in WORKFLOWS if path.stem == "notebooks").read_text()
    assert right in text
    broken = tmp_path / "broken.yml"
    broken.write_text(text.replace(right, wrong, 1))
    assert not actionlint(broken).succeeded


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_to_a_commit_and_say_its_version(workflow: Path) -> None:
    uses = [line.strip().removeprefix("- ") for line in workflow.read_text().splitlines() if "uses:" in line]
    assert uses
    assert not [line for line in uses if not PINNED.fullmatch(line)]


def test_the_same_action_has_the_same_version_everywhere() -> None:
    uses = {line for path in WORKFLOWS for line in re.findall(r"uses: (\S+@\S+ # \S+)", path.read_text())}
    assert len(uses) == len({line.partition("@")[0] for line in uses})


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_read_only_unless_a_job_says_more(workflow: Path) -> None:
    content = yaml.safe_load(workflow.read_text())
    assert content["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in content["jobs"].values())


def test_what_ci_requires_is_what_it_can_have(project: Project) -> None:
    """The suite's list on GitHub is the one of .ci/run, but for the browser, which not each image there has."""
    required = re.search(r'LAB_REQUIRE-([^}"]+)', (project.root / ".ci/run").read_text())
    on_github = re.search(r"require: (\S+)", (project.root / ".github/workflows/tests.yml").read_text())
    assert required and on_github
    assert set(required.group(1).split(",")) - set(on_github.group(1).split(",")) == {"browser"}


def test_the_cache_of_the_toolchain_goes_by_its_versions() -> None:
    for path in WORKFLOWS:
        text = path.read_text()
        assert text.count("hashFiles('toolchain/**')") == text.count("uses: actions/cache@") > 0, path.name


def test_what_is_left_out_of_a_kept_cache_is_left_out() -> None:
    """Of a folder that is named itself nothing is left out: only of what a pattern finds in it."""
    kept = {}
    for path in WORKFLOWS:
        for job, content in yaml.safe_load(path.read_text())["jobs"].items():
            for step in content["steps"]:
                if step.get("uses", "").startswith("actions/cache@"):
                    kept[path.stem, job] = step["with"]["path"].split()
    assert all(paths[:2] == ["/opt/lab-cache/*", "!/opt/lab-cache/build"] for paths in kept.values())
    assert kept["notebooks", "vm"][2:] == [f"!/opt/lab-cache/{system.AREA}"]


def test_each_week_the_trials_run_again_that_were_recorded_in_a_virtual_machine(project: Project) -> None:
    jobs = yaml.safe_load(next(path for path in WORKFLOWS if path.stem == "notebooks").read_text())["jobs"]
    asked = [step["env"]["TRIALS"] for step in jobs["vm"]["steps"] if "TRIALS" in step.get("env", {})]
    recorded = {path.name.partition("@")[0] for path in project.recorded_evidence.rglob(f"*@{VIRTUAL_KIND}.json")}
    assert [each.split(",") for each in asked] == [sorted(recorded)]
