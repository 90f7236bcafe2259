"""The network of one engine's machine as plain records: each namespace, what is in it, and what it is wired to.

Joins what the kernel says (namespaces.py) with the names the engine has for it. Draws nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from labsupport.systems.network.namespaces import Contents, read_namespaces

if TYPE_CHECKING:
    from labsupport.process.commands import Runner
    from labsupport.systems.engines.engine import Engine

MACHINE, CONTAINER, OVERLAY = "machine", "container", "overlay"
SHOWN_KINDS = ("veth", "bridge", "macvlan", "ipvlan", "vxlan")


@dataclass(frozen=True)
class Space:
    """A network namespace somebody has a name for; `file` is where it is found, empty for the machine's own."""

    name: str
    kind: str
    file: str
    network: str = ""


def read_topology(engine: "Engine", runner: "Runner", name: str) -> dict[str, Any]:
    """Read the network of the machine `runner` runs in, on which `engine` is.

    Returns:
        {"machine", "spaces": [{"name", "kind", "network", "same_as", "links", "routes", "rules"}]}; a link is {"name",
        "kind", "mac", "addresses", "master", "parent", "wire", "vni"}, where `wire` is [space, link] at the other end
        of a veth pair, `parent` [space, link] a macvlan or ipvlan sits on.
    """
    spaces = spaces_of(engine, name)
    contents = read_namespaces(runner, list(dict.fromkeys(space.file for space in spaces)))
    known = [space for space in spaces if space.file in contents]
    names = {_bridge_of(network): str(network.name) for network in engine.client.networks.list()}
    return topology_of(name, known, contents, names)


def spaces_of(engine: "Engine", name: str) -> list[Space]:
    """The namespaces that an engine knows of: the machine's own, called `name`, its containers', its overlays'."""
    client = engine.client
    spaces = [Space(name, MACHINE, "")]
    folder = ""
    for container in sorted(client.containers.list(), key=lambda each: str(each.name)):
        settings = container.attrs["NetworkSettings"]
        key = str(settings["SandboxKey"])
        folder = str(PurePath(key).parent)
        spaces.append(Space(str(container.name), CONTAINER, key, ", ".join(settings["Networks"])))
    hidden = [each for each in client.networks.list() if each.attrs["Driver"] == "overlay"]
    return spaces + [
        Space(f"{network.name} (overlay)", OVERLAY, f"{folder}/1-{str(network.id)[:10]}", str(network.name))
        for network in hidden
        if folder and network.attrs.get("Scope") == "swarm"
    ]


def topology_of(
    name: str, spaces: Sequence[Space], contents: Mapping[str, Contents], bridges: Mapping[str, str]
) -> dict[str, Any]:
    """Put the records together.

    Args:
        bridges: name of a bridge interface → the engine's network it is of.
    """
    firsts: dict[int, Space] = {}
    for space in spaces:
        firsts.setdefault(contents[space.file].number, space)
    own = {space.name: contents[space.file] for space in firsts.values()}
    ends = dict(_wires(own))
    records = []
    for space in spaces:
        first = firsts[contents[space.file].number]
        held = contents[space.file] if first is space else None
        records.append(
            {
                "name": space.name,
                "kind": space.kind,
                "network": space.network,
                "same_as": "" if held else first.name,
                "links": [_link(space.name, link, held, ends, own, bridges) for link in held.links] if held else [],
                "routes": [_route(route) for route in held.routes] if held else [],
                "rules": list(held.rules) if held else [],
            }
        )
    return {"machine": name, "spaces": records}


def _link(
    space: str,
    link: Mapping[str, Any],
    held: Contents,
    ends: Mapping[tuple[str, int], tuple[str, str]],
    own: Mapping[str, Contents],
    bridges: Mapping[str, str],
) -> dict[str, Any]:
    info = link.get("linkinfo", {})
    kind = info.get("info_kind") or ("loopback" if link.get("link_type") == "loopback" else link.get("link_type", ""))
    return {
        "name": link["ifname"],
        "kind": kind,
        "mac": link.get("address", ""),
        "addresses": [
            f"{each['local']}/{each['prefixlen']}" for each in link.get("addr_info", ()) if each["family"] == "inet"
        ],
        "master": link.get("master", ""),
        "network": bridges.get(link["ifname"], ""),
        "wire": list(ends.get((space, link["ifindex"]), ())),
        "parent": _parent(space, link, own) if kind in ("macvlan", "ipvlan") else [],
        "vni": info.get("info_data", {}).get("id") if kind == "vxlan" else None,
    }


def _wires(own: Mapping[str, Contents]) -> Iterator[tuple[tuple[str, int], tuple[str, str]]]:
    """For each end of a veth pair whose other end is in a known namespace: (space, index) → (space, name) there.

    The kernel tells the other end's index, which is unique in its namespace only: what decides is that both name each
    other, and that two ends which see each other's namespaces by one number go to the same one.
    """
    veths = [
        (space, link)
        for space, held in own.items()
        for link in held.links
        if link.get("linkinfo", {}).get("info_kind") == "veth" and "link_index" in link
    ]
    for space, link in veths:
        others = [
            (there, other)
            for there, other in veths
            if (other["ifindex"], other["link_index"]) == (link["link_index"], link["ifindex"])
            and (there == space) == ("link_netnsid" not in link)
        ]
        if len(others) == 1:
            there, other = others[0]
            yield (space, link["ifindex"]), (there, other["ifname"])


def _parent(space: str, link: Mapping[str, Any], own: Mapping[str, Contents]) -> list[str]:
    """Where a macvlan or ipvlan sits: in the machine's own namespace, where the engine made it."""
    if link.get("link") and "link_netnsid" not in link:
        return [space, link["link"]]
    machine, held = next(iter(own.items()))
    return next(([machine, each["ifname"]] for each in held.links if each["ifindex"] == link.get("link_index")), [])


def _route(route: Mapping[str, Any]) -> str:
    words = [route["dst"], *(["via", route["gateway"]] if "gateway" in route else []), "dev", route.get("dev", "?")]
    return " ".join(words)


def _bridge_of(network: Any) -> str:
    options = network.attrs.get("Options") or {}
    return str(options.get("com.docker.network.bridge.name") or f"br-{str(network.id)[:12]}")
