"""Reads answers of cluster DNS as `nslookup` prints them, and tables them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from labsupport.display.tables import Cell, Column, Table, table
from labsupport.errors import EvidenceError
from labsupport.experiments.steps import Observation, Step

NO_SUCH_NAME = "NXDOMAIN"
DOMAIN = "default.svc.cluster.local"
_ADDRESS = re.compile(r"^Name:\s*(?P<name>\S+)\s*\nAddress(?: 1)?:\s*(?P<address>\d+(?:\.\d+){3})", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """What DNS says to one name: an address, or that there is none."""

    name: str
    address: str

    @property
    def word(self) -> str:
        return self.address or NO_SUCH_NAME


def read_answer(step: Step) -> Answer:
    """Read what `nslookup NAME` printed.

    Raises:
        EvidenceError: it is no answer: the server was not reached, or the command failed before it asked.
    """
    name = step.argv[-1]
    found = _ADDRESS.search(step.stdout)
    if found:
        return Answer(name, found["address"])
    if NO_SUCH_NAME in step.stdout + step.stderr:
        return Answer(name, "")
    raise EvidenceError(
        step.command,
        f"no answer in what it printed: {(step.stdout + step.stderr).strip()[-300:]!r}",
        "is the pod `probe` running, and CoreDNS? `kubectl get pods`",
    )


def answer_of(observation: Observation) -> Answer:
    """Read what `lab.ask_dns` has seen."""
    return Answer(observation.value["name"], next(iter(observation.value["addresses"]), ""))


def pod_addresses(step: Step) -> dict[str, str]:
    """Read `kubectl get pods --output json`: name → address, empty while there is none."""
    return {pod["metadata"]["name"]: pod["status"].get("podIP", "") for pod in step.json()["items"]}


def names_table(answers: Sequence[Answer], pods: Step) -> Table:
    """Each name, what DNS answers, and the state of the pod it should lead to."""
    ready = {
        pod["metadata"]["name"]: any(
            each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", [])
        )
        for pod in pods.json()["items"]
    }
    addresses = pod_addresses(pods)
    rows: list[list[Cell]] = []
    for answer in answers:
        pod = answer.name.partition(".")[0]
        rows.append([answer.name.removesuffix(f".{DOMAIN}"), answer.word, addresses.get(pod) or None, ready.get(pod)])
    columns: list[str | Column] = [
        Column("name", "code"), Column("DNS answers", "code"), Column("the pod's address", "code"), "is it ready?",
    ]  # fmt: skip
    return table("What cluster DNS knows", columns, rows, note=f"names in {DOMAIN}")
