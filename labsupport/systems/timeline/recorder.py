"""Records a cluster's timeline: notes where it stood, asks DNS and looks at disks meanwhile, reads it all at the end.

The only file of the timeline that talks to anybody.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from labsupport.process.waiting import patiently, wait_until
from labsupport.systems.timeline.records import timeline_records

ASK_EVERY_SECONDS = 0.1
LOOK_EVERY_SECONDS = 0.2
ANSWER_WITHIN_SECONDS = 1.0
# What DNS is told reaches it within milliseconds: an answer that stays for three questions is not about to change.
STEADY_ANSWERS = 3
STEADY_WITHIN_SECONDS = 10
PATHS = {
    "pods": "/api/v1/namespaces/{}/pods",
    "persistentvolumeclaims": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "persistentvolumes": "/api/v1/persistentvolumes",
    "statefulsets": "/apis/apps/v1/namespaces/{}/statefulsets",
    "endpointslices": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
}
# Whose writes have an answer without the object.
WATCHED = ("pods",)


class Watchable(Protocol):
    """The part of an API door that the recorder needs."""

    def get(self, path: str) -> dict[str, Any]: ...

    def changes(self, path: str, since: str) -> list[dict[str, Any]]: ...


# What a disk holds: [files, bytes] by the path of each folder.
Look = Callable[[], Mapping[str, Sequence[int]]]


class TimelineRecorder:
    """Records from the moment it is made until `read`.

    Args:
        audit_log: of the API server; only what is written to it from now on counts.
        door: for what watches tell.
        dns_address, dns_port: whom to ask for `names`.
        fault_journal: of the cluster; only what is written to it from now on counts.
        names: in full, such as web-0.web.default.svc.cluster.local; asked ten times a second until `read`.
        look: at a disk; called five times a second until `read`.
    """

    def __init__(
        self,
        audit_log: Path,
        door: Watchable,
        dns_address: str,
        *,
        names: Sequence[str] = (),
        look: Look | None = None,
        dns_port: int = 53,
        fault_journal: Path | None = None,
        namespace: str = "default",
    ) -> None:
        self._audit_log = _Tail(audit_log)
        self._faults = _Tail(fault_journal) if fault_journal else None
        self._door = door
        self._namespace = namespace
        self._paths = {resource: path.format(namespace) for resource, path in PATHS.items()}
        self._first = {resource: door.get(path) for resource, path in self._paths.items()}
        self._questions = _Questions(dns_address, dns_port, names)
        self._asking = _Repeated(self._questions.ask, ASK_EVERY_SECONDS) if names else None
        self._looks: list[dict[str, Any]] = []
        self._looking = _Repeated(lambda: self._looks.append(_looked(look)), LOOK_EVERY_SECONDS) if look else None

    def read(self) -> list[dict[str, Any]]:
        """Stop asking and looking, and return the records of all that happened."""
        for repeated in (self._asking, self._looking):
            if repeated is not None:
                repeated.end()
        notices = [notice for resource in WATCHED for notice in self._changes(resource)]
        first = {resource: listed.get("items") or () for resource, listed in self._first.items()}
        return timeline_records(
            self._audit_log.lines(),
            namespace=self._namespace,
            notices=notices,
            answers=self._questions.answers,
            looks=self._looks,
            faults=self._faults.lines() if self._faults else (),
            first=first,
        )

    def _changes(self, resource: str) -> list[dict[str, Any]]:
        return self._door.changes(self._paths[resource], str(self._first[resource]["metadata"]["resourceVersion"]))


class _Repeated:
    """Does something again and again from a thread of its own: first before this returns, last when it ends."""

    def __init__(self, do: Callable[[], None], every_seconds: float) -> None:
        self._do = do
        self._every_seconds = every_seconds
        self._over = threading.Event()
        do()
        self._thread = threading.Thread(target=self._go_on, name="timeline", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop. A last turn is taken after the end: what became true just before it counts."""
        self._over.set()
        self._thread.join(timeout=60)

    def _go_on(self) -> None:
        while not self._over.wait(self._every_seconds):
            self._do()
        self._do()


def _looked(look: Look) -> dict[str, Any]:
    at = time.time()
    return {"at": at, "folders": look()}


class _Tail:
    """What is written to a file from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._from_byte = path.stat().st_size

    def lines(self) -> list[str]:
        with self._path.open("rb") as file:
            file.seek(self._from_byte)
            return file.read().decode(errors="replace").splitlines()


class _Questions:
    """Asks a name server for some names, and keeps its answers."""

    def __init__(self, server: str, port: int, names: Sequence[str]) -> None:
        self._server, self._port = server, port
        self._names = names
        self.answers: list[dict[str, Any]] = []

    def ask(self) -> None:
        resolver = _resolver(self._server, self._port)
        for name in self._names:
            asked = time.time()
            addresses = _addresses(resolver, name)
            at = asked if addresses is None else time.time()
            self.answers.append({"at": at, "name": name, "addresses": addresses})


def _resolver(server: str, port: int) -> Any:
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [server]
    resolver.port = port
    resolver.lifetime = patiently(ANSWER_WITHIN_SECONDS)
    return resolver


def steady_answer(server: str, port: int, name: str) -> list[str]:
    """Return what a name server answers to a name once it has answered the same for a moment.

    Raises:
        WaitExpired: it does not answer, or its answers go on changing.
    """
    resolver = _resolver(server, port)
    given: list[list[str] | None] = []

    def is_steady() -> bool:
        given.append(_addresses(resolver, name))
        return given[-1] is not None and given[-STEADY_ANSWERS:] == [given[-1]] * STEADY_ANSWERS

    wait_until(
        is_steady,
        f"a steady answer to {name}",
        within_seconds=STEADY_WITHIN_SECONDS,
        every_seconds=ASK_EVERY_SECONDS,
        last_seen=lambda: f"its last answers: {given[-3:]}",
        do="is CoreDNS running? `./lab status`",
    )
    return given[-1] or []


def _addresses(resolver: Any, name: str) -> list[str] | None:
    """What the server answers: addresses, none for a name it does not know, None when it does not answer."""
    import dns.exception
    import dns.resolver

    try:
        return sorted(str(record) for record in resolver.resolve(name, "A"))
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError):
        return None
