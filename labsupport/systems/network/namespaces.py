"""Reads what one network namespace has: `ip -j` and `iptables-save`, run inside it. Decides nothing about engines.

Many namespaces are read by one shell, because each process in a machine costs more than what it reads.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labsupport.errors import MachineError
from labsupport.process.commands import Runner

_MARK = "== "
# Arguments: names of files that are network namespaces; an empty one is the machine's own.
_SCRIPT = f"""
for file in "$@"; do
    echo "{_MARK}$file"
    [ -n "$file" ] && inside="nsenter --net=$file" || inside=
    $inside readlink /proc/self/ns/net || continue
    $inside ip -j -d address
    $inside ip -j route
    $inside iptables-save
done
"""
_NAMESPACE = re.compile(r"net:\[(\d+)\]")


@dataclass(frozen=True)
class Contents:
    """What one network namespace has, as its tools print it.

    Args:
        number: the kernel's number of the namespace; equal numbers, same namespace.
        links: of `ip -j -d address`.
        routes: of `ip -j route`.
        rules: lines of `iptables-save` that begin with `-A`, each with its table before it.
    """

    number: int
    links: tuple[Mapping[str, Any], ...]
    routes: tuple[Mapping[str, Any], ...]
    rules: tuple[str, ...]


def read_namespaces(runner: Runner, files: Sequence[str]) -> dict[str, Contents]:
    """Return what is in each of these network namespaces; the name "" is the one that `runner` runs in.

    A namespace that ended meanwhile is left out.

    Raises:
        MachineError: a tool failed, or printed something else.
    """
    argv = ["sh", "-c", _SCRIPT, "sh", *files]
    result = runner.run(argv).or_raise("`./lab doctor` says what is missing")
    return parse_namespaces(result.stdout)


def parse_namespaces(said: str) -> dict[str, Contents]:
    """Read what the script printed."""
    blocks = re.split(rf"^{_MARK}(.*)$\n?", said, flags=re.MULTILINE)[1:]
    found = {}
    for file, block in zip(blocks[::2], blocks[1::2], strict=True):
        lines = block.splitlines()
        number = _NAMESPACE.fullmatch(lines[0]) if lines else None
        if number is None:
            continue
        try:
            links, routes = (json.loads(line or "[]") for line in lines[1:3])
        except ValueError as error:
            raise MachineError(
                f"read the network namespace {file or 'of the machine'}",
                f"`ip -j` printed no JSON: {error}",
                "`./lab doctor` says which iproute2 is used",
            ) from None
        # A link that went while it was listed is an empty object.
        found[file] = Contents(
            int(number[1]), tuple(link for link in links if link), tuple(routes), tuple(_rules(lines[3:]))
        )
    return found


def _rules(lines: Sequence[str]) -> list[str]:
    rules, table = [], ""
    for line in lines:
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A"):
            rules.append(f"-t {table} {line}")
    return rules
