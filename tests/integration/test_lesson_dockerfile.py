"""The exercise of notebook 06 on a real engine: takes the solution, and leads each wrong answer one step further."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labsupport.experiments.exercises import Answer, Exercise, faults_of_exercise
from labsupport.lessons.dockerfile import rewrite
from labsupport.lessons.dockerfile.exercise import ANSWER, BAD, FOLDER, Rewrite
from labsupport.systems.engines.engine import Engine
from tests.engines import private_engine
from tests.lessons import copy_assets, solution

pytestmark = pytest.mark.needs("engine")

SLUG = "06-dockerfile-instructions"
COPY = "FROM lab/toolbox\nCOPY service download publish /app/\n"
SECRET = "--mount=type=secret,id=session,target=/root/session"
WORK = f"RUN {SECRET} /app/download && /app/publish >/app/receipt && rm -r /tmp/download\n"
EXEC = 'CMD ["/app/service"]\n'
WRONG = {
    "does not build": (f"{COPY}RUN /app/publish >/app/receipt\n{EXEC}", "it builds"),
    "does no work": (f"{COPY}{EXEC}", "the receipt is right"),
    "starts nothing": (f"{COPY}{WORK}", "the service runs"),
    "copies everything": (f"{COPY.replace('service download publish', '.')}{WORK}{EXEC}", "no credential in any layer"),
    "cleans up too late": (
        f"{COPY}RUN {SECRET} /app/download && /app/publish >/app/receipt\nRUN rm -r /tmp/download\n{EXEC}",
        "small",
    ),
    "one layer too many": (
        "FROM lab/toolbox\nCOPY service /app/\nCOPY download publish /app/\n" + WORK + EXEC,
        "few layers",
    ),
    "shell stays process 1": (f"{COPY}{WORK}CMD /app/service; echo over\n", "it stops when told"),
}


@pytest.fixture
def engine() -> Iterator[Engine]:
    with private_engine("lab/toolbox") as started:
        yield started


@pytest.fixture
def exercise(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exercise[Rewrite]:
    copy_assets(SLUG, tmp_path)
    monkeypatch.chdir(tmp_path)
    return rewrite(engine.runner)


def test_it_takes_the_solution_and_refuses_wrong_answers_with_a_step_each(
    exercise: Exercise[Rewrite], engine: Engine
) -> None:
    answers = [
        Answer(name, lambda text=text: ANSWER.write_text(text), leads_to)  # type: ignore[misc]
        for name, (text, leads_to) in WRONG.items()
    ]
    # The bad ones of other seeds are wrong answers to this one.
    answers += [
        Answer(name, lambda name=name: ANSWER.write_text((FOLDER / name).read_text()), "no credential in any layer")  # type: ignore[misc]
        for name in list(BAD)[1:]
    ]
    answers.append(Answer("the solution", lambda: ANSWER.write_text(solution(SLUG)) and None, None))
    assert faults_of_exercise(exercise, answers) == []
    assert engine.client.containers.list(all=True) == []
    assert [tag for image in engine.client.images.list() for tag in image.tags] == ["lab/toolbox:latest"]
