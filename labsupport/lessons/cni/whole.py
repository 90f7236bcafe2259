"""All dataplanes side by side: what pods were answered, what was on the wire, and what became of policies."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labsupport.display.tables import Cell, Table, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Step
from labsupport.lessons.cni.matrix import FITS, FROM_NODE, LARGEST, NO_ANSWER, QUESTIONS, TOO_LARGE, Matrix

ANSWERS, NOT_ASKED = "answers", "not asked"
GOES_ON, CUT_OFF = "goes on as before", "cut off"
DENY, ALLOW, EGRESS = "deny", "allow", "no egress"
# What each policy is judged by: a question that it forbids, or lets through.
_JUDGED_BY = {DENY: "other node", ALLOW: "other node", EGRESS: "same node"}
_POLICIES = {DENY: "“deny”: another pod asks", ALLOW: "“allow here”: here asks", EGRESS: "no egress: here asks"}


@dataclass(frozen=True)
class Findings:
    """What one dataplane showed.

    Args:
        open: what pods were answered without any policy, and their node too.
        carried: what carries packets between nodes.
        policies: name of a policy ("deny", "allow", "no egress") → what was answered then.
        meanwhile: what became of a pod that kept asking while “deny” was added.
    """

    open: Matrix
    carried: str
    policies: Mapping[str, Matrix] = field(default_factory=dict)
    meanwhile: str = NOT_ASKED


def what_became_of(kept_asking: Step) -> str:
    """Say what a pod that kept asking was answered: to the end, or until a policy cut it off.

    Raises:
        EvidenceError: it asked nothing, or was answered neither so nor so.
    """
    answers = [line for line in kept_asking.lines if line in (ANSWERS, NO_ANSWER)]
    if answers and NO_ANSWER not in answers:
        return GOES_ON
    if ANSWERS in answers:
        first_silence = answers.index(NO_ANSWER)
        if first_silence and ANSWERS not in answers[first_silence:]:
            return CUT_OFF
    happened = f"the answers were {', '.join(answers) or 'none at all'}"
    raise EvidenceError(kept_asking.command, happened, "run the cells of this section again, from its first")


def dataplanes_table(title: str, dataplanes: Mapping[str, Findings]) -> Table:
    """A column for each dataplane."""
    each = dataplanes.values()
    rows: list[list[Cell]] = [[name, *(_answer(one.open, question) for one in each)] for question, name in _asked()]
    rows.append(["source address, as seen there", *(one.open.asker_seen("other node") for one in each)])
    rows += [[name, *(one.open.answers[name] for one in each)] for name in (LARGEST, FITS, TOO_LARGE)]
    rows.append(["carried between nodes by", *(one.carried for one in each)])
    rows += [[name, *(_judged(one, policy) for one in each)] for policy, name in _POLICIES.items()]
    rows.append(["“deny” added while it asks", *(one.meanwhile for one in each)])
    return table(title, ["asked", *dataplanes], rows)


def _asked() -> list[tuple[str, str]]:
    names = {"service": "its Service", "name": "its name (DNS)", FROM_NODE: "from the node: a pod on the other node"}
    return [(each, names.get(each, f"a pod on the {each}")) for each in (*QUESTIONS, FROM_NODE)]


def _answer(matrix: Matrix, question: str) -> str:
    answer = matrix.answers.get(question, NOT_ASKED)
    return answer if answer in (NO_ANSWER, NOT_ASKED) else ANSWERS


def _judged(findings: Findings, policy: str) -> str:
    matrix = findings.policies.get(policy)
    return NOT_ASKED if matrix is None else _answer(matrix, _JUDGED_BY[policy])
