"""Holds a pod against the pod that took its place: what is the same, what is new."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labsupport.display.tables import Cell, Column, Table, table
from labsupport.experiments.steps import Step
from labsupport.lessons.statefulset.names import Answer


@dataclass(frozen=True)
class Identity:
    """What one pod was, by `kubectl get pod --output json`, DNS and its own notes."""

    facts: Mapping[str, str]


@dataclass(frozen=True)
class Replacement:
    """A pod before and after."""

    before: Identity
    after: Identity

    @property
    def kept(self) -> list[str]:
        return [name for name, value in self.before.facts.items() if self.after.facts[name] == value]

    @property
    def new(self) -> list[str]:
        return [name for name in self.before.facts if name not in self.kept]

    def table(self) -> Table:
        columns: list[str | Column] = ["", Column("before", "code"), Column("after", "code"), "the same?"]
        rows: list[list[Cell]] = [
            [name, value, self.after.facts[name], self.after.facts[name] == value]
            for name, value in self.before.facts.items()
        ]
        return table("The pod before and after", columns, rows)


def identity_of(pod: Step, claim: Step, answer: Answer) -> Identity:
    """Put together who a pod is.

    Args:
        pod: `kubectl get pod NAME --output json`.
        claim: `kubectl get persistentvolumeclaim CLAIM --output json`.
        answer: of DNS to the pod's name.
    """
    found: Mapping[str, Any] = pod.json()
    metadata, spec = found["metadata"], found["spec"]
    claims = [
        volume["persistentVolumeClaim"]["claimName"] for volume in spec["volumes"] if "persistentVolumeClaim" in volume
    ]
    return Identity(
        {
            "name": metadata["name"],
            "host name": spec.get("hostname", ""),
            "claim": ", ".join(claims),
            "volume": claim.json()["spec"]["volumeName"],
            "DNS name": answer.name,
            "unique id": metadata["uid"],
            "address": found["status"].get("podIP", ""),
            "DNS answers": answer.word,
        }
    )
