"""Finding notebooks by the words people type, and making them from their source."""

import json
from pathlib import Path

import pytest

from labsupport.errors import UsageError
from labsupport.notebooks import find_notebooks, find_trials, generate, generate_all, trials_of, with_stored_output
from labsupport.project import Project

SOURCE = """\
# %% [markdown]
# # A question?

# %% tags=["parameters"]
engine = "auto"

# %% [markdown]
# ## First experiment

# %%
answer = None
### BEGIN SOLUTION
answer = 42
### END SOLUTION

# %% [markdown]
# ## What we settled

# %% tags=["nbval-check-output"]
print("settled")
"""


@pytest.fixture
def course(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.sources.mkdir(parents=True)
    for slug in ("01-cgroup-drivers", "02-log-drivers", "06-dockerfile-instructions"):
        (project.sources / f"{slug}.py").write_text(SOURCE)
    generate_all(project)
    return project


@pytest.mark.parametrize(
    "name",
    ["06", "6", "06-dockerfile-instructions", "dockerfile", "notebooks/06-dockerfile-instructions.ipynb", "DOCKERFILE"],
)
def test_a_notebook_answers_to_many_names(course: Project, name: str) -> None:
    assert [one.slug for one in find_notebooks(course, [name])] == ["06-dockerfile-instructions"]


def test_no_name_means_all_in_course_order(course: Project) -> None:
    assert [one.slug[:2] for one in find_notebooks(course, [])] == ["01", "02", "06"]


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [("dokerfile-instructions", "06-dockerfile-instructions"), ("02-log-driver5", "02-log-drivers")],
)
def test_a_wrong_name_gets_the_nearest(course: Project, typed: str, nearest: str) -> None:
    with pytest.raises(UsageError) as raised:
        find_notebooks(course, [typed])
    assert f"did you mean {nearest}?" in raised.value.do


@pytest.mark.parametrize("typed", ["drivers", "", "99", "../etc"])
def test_a_name_that_fits_none_or_several_is_refused_with_the_list(course: Project, typed: str) -> None:
    with pytest.raises(UsageError, match="01-cgroup-drivers, 02-log-drivers"):
        find_notebooks(course, [typed])


def test_solutions_stay_with_the_maintainers() -> None:
    made = generate(SOURCE, None)
    assert "42" not in made
    assert "SOLUTION" not in made
    assert "Write your answer here" in made


def test_a_file_to_write_gets_its_lines_without_comment_marks_and_without_the_solution() -> None:
    source = "# %%\n# %%writefile a.Dockerfile\n# FROM x\n# ### BEGIN SOLUTION\n# RUN y\n# ### END SOLUTION\n# # z\n"
    cell = json.loads(generate(source, None))["cells"][0]
    assert "".join(cell["source"]) == (
        "%%writefile a.Dockerfile\nFROM x\n# Write your answer here, then run this cell.\n# z"
    )


def test_commands_between_marks_are_a_solution_too() -> None:
    source = "# %%\n# ### BEGIN SOLUTION\n# !docker network connect back web\n# ### END SOLUTION\n"
    cell = json.loads(generate(source, None))["cells"][0]
    assert "".join(cell["source"]) == "# Write your answer here, then run this cell."


def test_generating_twice_gives_the_same_bytes() -> None:
    assert generate(SOURCE, generate(SOURCE, None)) == generate(SOURCE, None)


def test_cell_ids_follow_their_section() -> None:
    cells = json.loads(generate(SOURCE, None))["cells"]
    assert [cell["id"] for cell in cells] == [
        "a-question",
        "a-question-2",
        "first-experiment",
        "first-experiment-2",
        "what-we-settled",
        "what-we-settled-2",
    ]
    more = SOURCE.replace(
        "# ## What we settled", "# Some more words.\n\n# %%\nengine\n\n# %% [markdown]\n# ## What we settled"
    )
    assert {cell["id"] for cell in cells} <= {cell["id"] for cell in json.loads(generate(more, None))["cells"]}


def test_only_the_compared_cell_keeps_its_output() -> None:
    executed = json.loads(generate(SOURCE, None))
    for cell in executed["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "df-08 confirmed\n"}]
            cell["execution_count"] = 7
    stored = with_stored_output(generate(SOURCE, None), json.dumps(executed))
    kept = generate(SOURCE, stored)
    code = [cell for cell in json.loads(kept)["cells"] if cell["cell_type"] == "code"]
    assert kept == stored
    assert [bool(cell["outputs"]) for cell in code] == [False, False, True]
    assert [cell["execution_count"] for cell in code] == [None, None, 3]


def test_trials_are_found_in_the_notebooks_that_open_them(course: Project) -> None:
    opens = '# %%\ntrial = lab.trial("{}", settles=["nw-01"])\n\n# %%\nother = lab.trial(\n    "{}",\n)\n'
    for slug, first in (("01-cgroup-drivers", "limits"), ("02-log-drivers", "rotation")):
        (course.notebooks / f"{slug}.ipynb").write_text(generate(opens.format(first, "shared"), None))
    assert trials_of(course.notebooks / "01-cgroup-drivers.ipynb") == ["limits", "shared"]

    def found(names: list[str], *trials: str) -> list[str]:
        return [one.slug[:2] for one in find_trials(course, names, trials)]

    assert found([], "rotation") == found(["02"], "rotation") == ["02"]
    assert found([], "shared", "limits") == ["01", "02"]
    assert found([]) == ["01", "02", "06"]
    for names, trial in (([], "limit"), (["02"], "limits")):
        with pytest.raises(UsageError, match=f"find the trial '{trial}'"):
            found(names, trial)
