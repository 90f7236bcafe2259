"""Reads who is connected to whom from what `ss` prints, and tables it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from labsupport.display.tables import Column, Table, table
from labsupport.experiments.steps import Step

SERVERS = {"etcd": "etcd.sock", "kube-apiserver": "6443"}
ETCD_PORT = "2379"  # where kind made the cluster
_PROCESS = re.compile(r'users:\(\("(?P<name>[^"]+)"')
_FILE_FIELDS, _PORT_FIELDS = 8, 5


@dataclass(frozen=True)
class Connections:
    """Pairs of server and client, by the names of their processes."""

    pairs: frozenset[tuple[str, str]]

    def of(self, server: str) -> list[str]:
        """Who else is connected to it, by name: etcd's own gateway talks to etcd too."""
        return sorted(client for found, client in self.pairs if found == server != client)

    def table(self) -> Table:
        rows = [[server, ", ".join(self.of(server)) or None] for server in SERVERS]
        return table("Who is connected", ["to", Column("programs", "code")], rows)


def read_connections(files: Step, *ports: Step) -> Connections:
    """Read the connections to etcd's socket file, or its port, and to the API server's port.

    Args:
        files: `ss --unix --processes --no-header`.
        ports: `ss --tcp --processes --numeric --no-header`, from each place that clients run on.
    """
    found = {("etcd", client) for client in _on_file(files, SERVERS["etcd"])}
    found |= {("etcd", client) for step in ports for client in _on_port(step, ETCD_PORT)}
    found |= {("kube-apiserver", client) for step in ports for client in _on_port(step, SERVERS["kube-apiserver"])}
    return Connections(frozenset(found))


def _on_file(step: Step, name: str) -> Iterator[str]:
    """Both ends are sockets of one computer: the server's has the file's name, and the number of its peer."""
    lines = [line.split(None, _FILE_FIELDS) for line in step.lines]
    by_number = {words[5]: words[-1] for words in lines if len(words) > _FILE_FIELDS}
    for words in lines:
        if len(words) > 7 and words[4].endswith(f"/{name}") and (peer := _PROCESS.search(by_number.get(words[7], ""))):
            yield peer["name"]


def _on_port(step: Step, port: str) -> Iterator[str]:
    for line in step.lines:
        words = line.split(None, _PORT_FIELDS)
        if len(words) > _PORT_FIELDS and words[4].endswith(f":{port}") and (process := _PROCESS.search(words[-1])):
            yield process["name"]
