"""Records a cluster's timeline: notes where it stood, asks DNS meanwhile, and reads it all at the end.

The only file of the timeline that talks to anybody.
"""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from labsupport.systems.timeline.records import timeline_records

ASK_EVERY_SECONDS = 0.1
ANSWER_WITHIN_SECONDS = 0.5
WATCHED = ("/api/v1/namespaces/{}/pods", "/api/v1/namespaces/{}/persistentvolumeclaims")


class Watchable(Protocol):
    """The part of an API door that the recorder needs."""

    def get(self, path: str) -> dict[str, Any]: ...

    def changes(self, path: str, since: str) -> list[dict[str, Any]]: ...


class TimelineRecorder:
    """Records from the moment it is made until `read`.

    Args:
        audit_log: of the API server; only what is written to it from now on counts.
        door: for what watches tell.
        dns_address: whom to ask for `names`.
        names: in full, such as web-0.web.default.svc.cluster.local; asked ten times a second until `read`.
    """

    def __init__(
        self,
        audit_log: Path,
        door: Watchable,
        dns_address: str,
        *,
        names: Sequence[str] = (),
        namespace: str = "default",
    ) -> None:
        self._audit_log = audit_log
        self._door = door
        self._namespace = namespace
        self._from_byte = audit_log.stat().st_size
        self._since = {path: self._revision(path) for path in (each.format(namespace) for each in WATCHED)}
        self._questions = _Questions(dns_address, names)

    def read(self) -> list[dict[str, Any]]:
        """Stop asking, and return the records of all that happened."""
        answers = self._questions.end()
        notices = [notice for path, since in self._since.items() for notice in self._door.changes(path, since)]
        with self._audit_log.open("rb") as log:
            log.seek(self._from_byte)
            lines = log.read().decode(errors="replace").splitlines()
        return timeline_records(lines, namespace=self._namespace, notices=notices, answers=answers)

    def _revision(self, path: str) -> str:
        return str(self._door.get(f"{path}?limit=1")["metadata"]["resourceVersion"])


class _Questions:
    """Asks a name server for some names again and again, from a thread of its own."""

    def __init__(self, server: str, names: Sequence[str]) -> None:
        self._server = server
        self._names = names
        self._answers: list[dict[str, Any]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="dns questions", daemon=True)
        if names:
            self._thread.start()

    def end(self) -> list[dict[str, Any]]:
        self._over.set()
        if self._names:
            self._thread.join(timeout=5)
        return self._answers

    def _ask(self) -> None:
        import dns.resolver

        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [self._server]
        resolver.lifetime = ANSWER_WITHIN_SECONDS
        while True:
            # A last round after the end: what became true just before it counts.
            last = self._over.is_set()
            for name in self._names:
                addresses = _addresses(resolver, name)
                if addresses is not None:
                    self._answers.append({"at": time.time(), "name": name, "addresses": addresses})
            if last:
                return
            self._over.wait(ASK_EVERY_SECONDS)


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
