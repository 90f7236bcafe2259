"""The exercise: from what pods were asked, name how they are connected and what is wrong. Reads files; runs nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from labsupport.experiments.exercises import Exercise, Requirement
from labsupport.lessons.answers import SeedAnswer
from labsupport.process.commands import Runner

FOLDER = Path("assets/05-cni-plugins/exercise")
ANSWER = FOLDER / "diagnosis.yaml"
DATAPLANES = ("plain", "flannel-vxlan", "flannel-host-gw", "flannel-udp", "bgp", "ovs", "mesh")
FAULTS = {
    "overlay-blocked": "a firewall between the nodes drops the overlay's packets",
    "daemon-ended": "the daemon of one node has ended",
    "flow-missing": "the switch of one node has lost the flow that leads to the other's pods",
    "route-missing": "one node has lost its route to the other's pods",
    "policy": "a network policy forbids it",
    "wire-too-narrow": "the wire between the nodes takes smaller packets than the pods were told",
}


@dataclass(frozen=True)
class Case:
    """What is wrong in one case, and what in its results tells so."""

    dataplane: str
    fault: str
    tells_dataplane: str
    tells_fault: str


CASES = (
    Case(
        "flannel-vxlan", "overlay-blocked",
        "Compare the largest packet with 1500, and look for the device of the route to the other node.",
        "The route is there and its device is up, small packets are lost like large ones, and pods of one node do "
        "talk. What lies between the two devices?",
    ),
    Case(
        "flannel-udp", "daemon-ended",
        "Compare the largest packet with 1500: how long is an IPv4 and a UDP header?",
        "In this dataplane a program, not the kernel, hands packets over. Look at the list of programs.",
    ),
    Case(
        "plain", "route-missing",
        "Nothing is missing of the packet's size, and none of the programs is a dataplane's.",
        "Where would node-1 send a packet for 10.244.1.0/24?",
    ),
    Case(
        "bgp", "policy",
        "Look at who wrote the routes (`proto`).",
        "Not even the pod on the same node is reached, and every route is there. What is asked before a route?",
    ),
    Case(
        "flannel-vxlan", "wire-too-narrow",
        "Compare the largest packet with 1500, and look for the device of the route to the other node.",
        "Everything small gets through. Who told the pods that the largest packet would?",
    ),
    Case(
        "ovs", "flow-missing",
        "Look at the interfaces of the nodes: which of them is no kernel's tunnel and no bridge of the kernel?",
        "All programs run, the node's own routes are there, and pods of one node talk. Who decides where their packets "
        "go, if not a route?",
    ),
    Case(
        "mesh", "overlay-blocked",
        "Look at the routes for pods: how many are there, and how large is the range?",
        "The members still know each other, pods of one node do talk, and small packets are lost like large ones.",
    ),
)  # fmt: skip

ANSWERS = tuple(
    SeedAnswer(
        f"{FAULTS[case.fault]}. {case.tells_dataplane} {case.tells_fault}",
        f"`dataplane: {case.dataplane}`, `fault: {case.fault}`",
    )
    for case in CASES
)


@dataclass(frozen=True)
class Diagnosis:
    """What the learner wrote; `trouble` is why it cannot be read."""

    dataplane: str = ""
    fault: str = ""
    trouble: str = ""


def diagnosis(runner: Runner, seed: int = 0) -> Exercise[Diagnosis]:
    """Make the exercise; the seed chooses the case."""
    case = CASES[seed % len(CASES)]
    return Exercise(
        "diagnosis",
        f"Read {case_file(seed).name}, and write into {ANSWER.name} which dataplane it is and what is wrong.",
        lambda: read_diagnosis(ANSWER),
        lambda seen: bool(seen.dataplane or seen.fault or seen.trouble),
        requirements_of(case),
        hints=(
            "Begin with the largest packet: 1500 bytes are what the wire takes. What is missing went to a header.",
            "Then routes (who wrote them, which device), then programs, then who answers whom.",
        ),
        praise=f"It is {case.dataplane}, and {FAULTS[case.fault]}. Size, then routes, then who answers whom: that "
        "order tells most dataplanes apart without knowing anything else of the cluster.",
    )


def case_file(seed: int) -> Path:
    """Where the results of a case are."""
    return FOLDER / f"case-{seed % len(CASES)}.txt"


def requirements_of(case: Case) -> tuple[Requirement[Diagnosis], ...]:
    """What an answer must be, for one case."""
    return (
        Requirement(
            "the file can be read",
            lambda seen: not seen.trouble,
            lambda seen: seen.trouble,
            "Two lines, each with a name, a colon, a blank and a word: `dataplane: plain` and `fault: policy`.",
        ),
        Requirement(
            "both names are known",
            lambda seen: seen.dataplane in DATAPLANES and seen.fault in FAULTS,
            lambda seen: (
                f"dataplane is one of {', '.join(DATAPLANES)}, not {seen.dataplane!r}; "
                f"fault is one of {', '.join(FAULTS)}, not {seen.fault!r}."
            ),
            "The cell above lists both kinds of names; write them as they stand there.",
        ),
        Requirement(
            "the dataplane",
            lambda seen: seen.dataplane == case.dataplane,
            lambda seen: f"With {seen.dataplane} the results would look otherwise. {case.tells_dataplane}",
            f"It is one of these two: {_two_of(DATAPLANES, case.dataplane)}.",
        ),
        Requirement(
            "the fault",
            lambda seen: seen.fault == case.fault,
            lambda seen: f"If {FAULTS[seen.fault]}, the results would look otherwise. {case.tells_fault}",
            f"It is one of these two: {_two_of(FAULTS, case.fault)}.",
        ),
    )


def _two_of(names: Iterable[str], right: str) -> str:
    """The right name and the one that follows it, in the order in which both are listed."""
    known = list(names)
    place = known.index(right)
    return " and ".join(each for each in known if each in (right, known[(place + 1) % len(known)]))


def read_diagnosis(path: Path) -> Diagnosis:
    """Read the answer; an empty one where there is none."""
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Diagnosis()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return Diagnosis(trouble=f"{path.name} cannot be read as YAML: {error}")
    if content is None:
        return Diagnosis()
    if not isinstance(content, dict):
        return Diagnosis(trouble=f"{path.name} must have two lines, `dataplane: …` and `fault: …`.")
    return Diagnosis(str(content.get("dataplane") or ""), str(content.get("fault") or ""))
