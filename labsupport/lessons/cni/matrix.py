"""The probe matrix: what pods answer each other, one dataplane beside the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from labsupport.display.tables import Cell, Table, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step
from labsupport.experiments.trial import Trial

NO_ANSWER = "no answer"
QUESTIONS = ("same node", "other node", "service", "name")
FROM_NODE = "from the node"
LARGEST, FITS, TOO_LARGE = "largest packet", "packet of the largest size", "packet one byte larger"
ASSETS = "assets/05-cni-plugins"
PLENTY_SECONDS = 120


@dataclass(frozen=True)
class Matrix:
    """What one round of questions showed.

    Args:
        answers: question → the address the server saw, or "no answer"; the size of the largest packet; what arrived.
        addresses: address → who has it.
    """

    answers: Mapping[str, str]
    addresses: Mapping[str, str] = field(default_factory=dict)

    @property
    def silent(self) -> list[str]:
        """The questions that got no answer."""
        return [each for each in QUESTIONS if self.answers.get(each) == NO_ANSWER]

    @property
    def largest(self) -> int:
        return int(self.answers.get(LARGEST, "0"))

    def asker_seen(self, question: str) -> str:
        """Whom the server took the asker for."""
        answer = self.answers.get(question, NO_ANSWER)
        return self.addresses.get(answer, answer)


def ask(
    trial: Trial, asker: str = "here", *, and_node: bool = False, silence: int = 10, silence_of_near: int = 10
) -> Matrix:
    """Have a pod ask all questions of the matrix, by the commands that one would type; and its node ask a pod.

    Args:
        silence: seconds until silence is no answer.
        silence_of_near: the same of the pod on the same node.
    """
    found = trial.run("kubectl get pods,services --output json", repeatable=False).json()["items"]
    pods = {each["metadata"]["name"]: each["status"]["podIP"] for each in found if each["kind"] == "Pod"}
    [service] = [each["spec"]["clusterIP"] for each in found if each["metadata"]["name"] == "web"]
    words = f"{pods['near']} {pods['far']} {service} {silence} {silence_of_near}"
    said = trial.run(f"kubectl exec {asker} -- sh /probe/matrix {words}", within_seconds=PLENTY_SECONDS)
    matrix = read_matrix(said, pods)
    if not and_node:
        return matrix
    said = trial.run(f"kubectl exec host -- sh /probe/from-node {pods['far']}:8080")
    return Matrix({**matrix.answers, **read_answers(said)}, matrix.addresses)


def read_matrix(said: Step, addresses: Mapping[str, str]) -> Matrix:
    """Read what the script `matrix` printed: a line for each question, a tab before the answer.

    Raises:
        EvidenceError: an answer is missing.
    """
    answers = read_answers(said)
    wanted = {*QUESTIONS, LARGEST, FITS, TOO_LARGE}
    if missing := wanted - answers.keys():
        raise EvidenceError(
            said.command,
            f"nothing about {', '.join(sorted(missing))} in what it printed: {(said.stdout + said.stderr)[-300:]!r}",
            "are the pods ready? `kubectl get pods`",
        )
    return Matrix(answers, {address: f"pod {name}" for name, address in addresses.items()})


def read_answers(said: Step) -> dict[str, str]:
    """Read lines of what was asked, a tab, and the answer."""
    return dict(line.split("\t", 1) for line in said.lines if "\t" in line)


def matrix_table(title: str, columns: Mapping[str, Matrix], more: Sequence[Sequence[Cell]] = ()) -> Table:
    """The matrices side by side; `more` are further rows, each with its name first."""
    rows: list[list[Cell]] = [
        [_named(question), *(_answer(each, question) for each in columns.values())] for question in QUESTIONS
    ]
    rows += [[name, *(each.answers[name] for each in columns.values())] for name in (LARGEST, FITS, TOO_LARGE)]
    return table(title, ["asked", *columns], [*rows, *(list(row) for row in more)])


def _named(question: str) -> str:
    return {"service": "its Service", "name": "its name (DNS)"}.get(question, f"a pod on the {question}")


def _answer(matrix: Matrix, question: str) -> Cell:
    seen = matrix.asker_seen(question)
    return seen if seen == NO_ANSWER else f"answers; sees {seen}"
