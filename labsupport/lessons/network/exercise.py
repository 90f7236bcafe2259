"""The exercise: `web` cannot reach `db`, for a reason that the seed chooses. Looks at what the containers reach now."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labsupport.experiments.exercises import Exercise, Requirement, fault_by_seed
from labsupport.lessons.answers import SeedAnswer
from labsupport.process.commands import CommandResult, Runner

ROLES = ("web", "db", "guest")
PORT = 5432
ANSWER = "the books"
# The networks of web and db, and the name of the container of db, as break.sh makes them; the place is its argument.
FAULTS: tuple[tuple[str, ...], ...] = (
    ("web: front", "db: back", "db"),
    ("web: back, front", "db: back", "database"),
    ("web: bridge", "db: bridge", "db"),
    ("web: back, front", "db: back", "db"),
    ("web: back, front", "db: none", "db"),
)
# For each, what is wrong, and commands that repair it.
REPAIRS = (
    ("web and db have no network in common", ("docker network connect back web",)),
    (
        "the container of db has another name, and no alias",
        ("docker network disconnect back database", "docker network connect --alias db back database"),
    ),
    (
        "both are on the default bridge, which knows no names",
        ("docker network connect back web", "docker network connect back db"),
    ),
    (
        "containers on `back` may not talk to each other: `enable_icc=false`",
        (
            "docker network create --label exercise=repair shop",
            "docker network connect shop web",
            "docker network connect shop db",
            "docker network disconnect back db",
        ),
    ),
    (
        "db has no network, and `none` cannot be combined",
        ("docker network disconnect none db", "docker network connect back db"),
    ),
)
ANSWERS = tuple(SeedAnswer(wrong, "<br>".join(f"`{command}`" for command in repair)) for wrong, repair in REPAIRS)
ICC_OFF = 3
MACHINE_OWN = "host"


@dataclass(frozen=True)
class Found:
    """What is there, and who reaches whom. `networks` has, for each role, its networks and its addresses on them."""

    fault: int
    names: Mapping[str, str] = field(default_factory=dict, hash=False)
    networks: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    published: str = ""
    resolves_to: str = ""
    web_gets: str = ""
    guest_gets: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        return [role for role in ROLES if role not in self.names]

    @property
    def shared(self) -> list[str]:
        """The networks that web and db are both on."""
        return sorted(set(self.networks.get("web", ())) & set(self.networks.get("db", ())))

    @property
    def signature(self) -> tuple[str, ...]:
        told = [f"{role}: {', '.join(sorted(self.networks.get(role, ())))}" for role in ("web", "db")]
        return (*told, self.names.get("db", ""))

    @property
    def is_untouched(self) -> bool:
        """Whether nobody has started: there is nothing, or all is as break.sh made it."""
        return not self.names or (self.signature == FAULTS[self.fault] and not self.web_gets)


def repair(runner: Runner, seed: int = 0) -> Exercise[Found]:
    """Make the exercise; it looks through `runner`, and changes nothing."""
    fault = FAULTS.index(fault_by_seed(FAULTS, seed))
    looking = _Looking(runner, fault)
    return Exercise(
        "repair",
        f"`docker exec web wget -q -O - http://db:{PORT}/` fails. Find out why, and repair it with `docker` commands.",
        looking.look,
        lambda seen: not seen.is_untouched,
        REQUIREMENTS,
        hints=HINTS,
        praise="web reaches db by its name, and guest does not. That is what networks of your own are for: a name and "
        "a way for those who are on one together, and neither for anybody else.",
        remove=looking.remove,
    )


REQUIREMENTS: tuple[Requirement[Found], ...] = (
    Requirement(
        "all three run",
        lambda seen: not seen.missing,
        lambda seen: (
            f"No container with the label role={seen.missing[0]} runs. Start it again, as break.sh does, or run "
            "the cell with break.sh again."
        ),
        "`!docker ps --all --filter label=exercise=repair` lists them, those that ended too; `!docker start NAME`.",
    ),
    Requirement(
        "they share a network",
        lambda seen: bool(seen.shared),
        lambda seen: (
            f"web is on {_told(seen, 'web')}, db on {_told(seen, 'db')}: no network has both. `docker network connect` "
            "puts a running container on one more."
        ),
        "web and db belong on `back` together: `docker network connect back NAME`. A container on `none` must leave it "
        "first: `docker network disconnect none NAME`.",
    ),
    Requirement(
        "web knows the name db",
        lambda seen: bool(seen.resolves_to),
        lambda seen: _why_no_name(seen),
        "`docker network disconnect back NAME`, then `docker network connect --alias db back NAME`, for the container "
        "that is the database.",
    ),
    Requirement(
        "db answers web",
        lambda seen: seen.web_gets == ANSWER,
        lambda seen: (
            f"web resolves db to {seen.resolves_to}, and gets no answer from there. They share "
            f"{', '.join(seen.shared)}: what did somebody tell that network not to do? "
            f"`docker network inspect {seen.shared[0]}` has its options."
        ),
        "An option of a network cannot be changed: make another network, without it, and put web and db on that one.",
    ),
    Requirement(
        "nobody else reaches db",
        lambda seen: not seen.guest_gets and not seen.published,
        lambda seen: (
            f"web reaches db. So does {'everybody, at ' + seen.published if seen.published else 'guest'}"
            f"{', at ' + seen.guest_gets[0] if seen.guest_gets else ''}. Only web and db should share a network, "
            "and no port of db needs to be published."
        ),
        "`docker inspect guest` and `docker inspect db`: which network is in both? Take db off it.",
    ),
)

HINTS = (
    "Begin with the name: `docker exec web nslookup db`. Then with the way: ask for the address.",
    "`docker inspect web` and `docker inspect db` end with the networks of each, its aliases and addresses. Which "
    "network has both? Who makes a name known there?",
    "`docker network create`, `connect --alias`, `disconnect` are all you need.",
)


class _Looking:
    """Reads the containers by their labels, and has web and guest ask."""

    def __init__(self, runner: Runner, fault: int) -> None:
        self._runner = runner
        self._fault = fault
        self._looked = False

    def look(self) -> Found:
        listed = self._run("docker ps --filter label=exercise=repair --format {{.Names}}").or_raise().stdout.split()
        self._looked = True
        described = (
            json.loads(self._run(shlex.join(["docker", "inspect", *listed])).or_raise().stdout) if listed else []
        )
        by_role: dict[str, Mapping[str, Any]] = {each["Config"]["Labels"].get("role", ""): each for each in described}
        names = {role: by_role[role]["Name"].lstrip("/") for role in ROLES if role in by_role}
        networks = {role: _networks(by_role[role]) for role in names}
        found = Found(self._fault, names, networks, _published(by_role.get("db", {})))
        if found.missing:
            return found
        return Found(
            self._fault, names, networks, found.published,
            resolves_to=self._resolved(names["web"]),
            web_gets=self._asked(names["web"], "db", within_seconds=5),
            guest_gets=tuple(self._reached(names["guest"], ["db", *filter(None, networks["db"].values())])),
        )  # fmt: skip

    def remove(self) -> None:
        """Remove the three containers and both networks, where there has been something to look at."""
        if not self._looked:
            return
        listed = self._run("docker ps --all --quiet --filter label=exercise=repair").stdout.split()
        if listed:
            self._run(shlex.join(["docker", "rm", "--force", *listed]))
        made = self._run("docker network ls --quiet --filter label=exercise=repair").stdout.split()
        if made:
            self._run(shlex.join(["docker", "network", "rm", *made]))

    def _reached(self, name: str, addresses: Sequence[str]) -> list[str]:
        return [address for address in addresses if self._asked(name, address, within_seconds=2) == ANSWER]

    def _asked(self, name: str, where: str, *, within_seconds: int) -> str:
        wget = f"timeout {within_seconds} wget -q -O - http://{where}:{PORT}/"
        return self._run(f"docker exec {name} {wget}").stdout.strip()

    def _resolved(self, name: str) -> str:
        said = self._run(f"docker exec {name} timeout 2 ping -c 1 -W 1 db").stdout
        address = re.search(r"PING db \(([\d.]+)\)", said)
        return address[1] if address else ""

    def _run(self, command: str) -> CommandResult:
        return self._runner.run(shlex.split(command), within_seconds=60)


def _networks(container: Mapping[str, Any]) -> dict[str, str]:
    found = container["NetworkSettings"]["Networks"]
    return {name: str(each.get("IPAddress") or "").replace("invalid IP", "") for name, each in found.items()}


def _published(container: Mapping[str, Any]) -> str:
    """Where everybody reaches the container: a port of the machine, or the machine's own network."""
    if MACHINE_OWN in container.get("NetworkSettings", {}).get("Networks", {}):
        return "the machine's own address, for it is on the network host"
    ports = container.get("NetworkSettings", {}).get("Ports") or {}
    return next((f"port {each[0]['HostPort']} of the machine" for each in ports.values() if each), "")


def _told(seen: Found, role: str) -> str:
    return " and ".join(sorted(seen.networks.get(role, ()))) or "no network"


def _why_no_name(seen: Found) -> str:
    if seen.shared == ["bridge"]:
        return (
            "web and db share the default bridge only, and there containers have no names for each other. A network "
            "that you make has a DNS."
        )
    name = seen.names["db"]
    return (
        f"web and db share {', '.join(seen.shared)}, but nothing there is called db: the container is called {name}. "
        "A container can have more names on a network: `docker network connect --alias`. It must not be on it already."
    )
