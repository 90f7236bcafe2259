"""Follows one TCP connection attempt through network namespaces: which interface its first packet passed, and when.

tcpdump listens in each namespace at once; all have one clock, so their lines put together are the packet's path.
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labsupport.errors import MachineError, WaitExpired
from labsupport.process.waiting import wait_until
from labsupport.systems.machines.machine import Machine, Service
from labsupport.systems.network.capture import said_by, wait_until_written

LISTENING = "listening on"
LISTENS_WITHIN_SECONDS = 60.0
# 1723996800.123456 eth0  Out IP 172.17.0.3.41000 > 172.17.0.2.8080: Flags [S], …
_PACKET = re.compile(r"^(\d+\.\d+) (\S+)\s+(In|Out|B|M|P)\s+IP (\S+)\.(\d+) > (\S+)\.(\d+): Flags \[([^\]]*)\]")

_numbers = itertools.count(1)


class Trace:
    """Listening in several namespaces, from the moment this is made until `read`.

    Args:
        namespaces: name → file of the namespace; an empty one is the machine's own.
        ports: the first and the last of the TCP ports that count.

    Raises:
        MachineError: tcpdump does not listen somewhere; the message has its own words.
    """

    def __init__(self, machine: Machine, tcpdump: Path, namespaces: Mapping[str, str], ports: tuple[int, int]) -> None:
        only = f"tcp[tcpflags] & tcp-syn != 0 and portrange {ports[0]}-{ports[1]}"
        self._services: dict[str, Service] = {}
        for name, file in namespaces.items():
            inside = ["nsenter", f"--net={file}", "--"] if file else []
            words = ["-i", "any", "-l", "-n", "-tt", "--immediate-mode", "-Z", "root", only]
            self._services[name] = machine.start(f"trace{next(_numbers)}", [*inside, str(tcpdump), *words])
        try:
            wait_until(self._all_listen, "tcpdump", within_seconds=LISTENS_WITHIN_SECONDS, every_seconds=0.01)
        except WaitExpired:
            said = "; ".join(f"{name}: {said_by(service) or 'nothing'}" for name, service in self._services.items())
            self._stop()
            raise MachineError("listen with tcpdump", said, "`./lab doctor` says what is missing") from None

    def read(self) -> list[dict[str, Any]]:
        """Stop listening; return what passed: see `passages`."""
        for service in self._services.values():
            wait_until_written(service)
        self._stop()
        return passages((name, said_by(service).splitlines()) for name, service in self._services.items())

    def _all_listen(self) -> bool:
        return all(LISTENING in said_by(service) for service in self._services.values())

    def _stop(self) -> None:
        for service in self._services.values():
            service.stop()


def passages(said: Iterable[tuple[str, Sequence[str]]]) -> list[dict[str, Any]]:
    """Put the lines of several tcpdumps in the order of time.

    Returns:
        {"space", "link", "way" ("in" or "out"), "from", "to", "what" ("SYN" or "SYN ACK")} for each packet at each
        interface, a repetition of the same left out. Addresses have their port behind a colon.
    """
    found: list[tuple[float, dict[str, Any]]] = []
    for space, lines in said:
        for packet in filter(None, map(_PACKET.match, lines)):
            at, link, way, source, source_port, target, target_port, flags = packet.groups()
            passed = {"space": space, "link": link, "way": "out" if way == "Out" else "in"}
            ends = {"from": f"{source}:{source_port}", "to": f"{target}:{target_port}"}
            found.append((float(at), {**passed, **ends, "what": "SYN ACK" if "." in flags else "SYN"}))
    ordered = [passage for _, passage in sorted(found, key=lambda each: each[0])]
    return [passage for place, passage in enumerate(ordered) if passage not in ordered[:place]]
