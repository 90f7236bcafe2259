"""Where each namespace, interface and wire of a topology is drawn. Decides places; paints nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from labsupport.display.style import MUTED, PANEL, PAPER, SERIES, Hue

Record = Mapping[str, Any]
WIDTH, GAP, MARGIN, WIDEST = 6.2, 0.12, 0.1, 1.7
LINE_INCHES, BOX_INCHES, BETWEEN_INCHES = 0.15, 0.12, 0.62


@dataclass(frozen=True)
class Box:
    """A rectangle with lines of text; the first is bold. In inches, y downwards."""

    x: float
    y: float
    width: float
    lines: tuple[str, ...]
    fill: Hue = PAPER
    edge: Hue = MUTED

    @property
    def height(self) -> float:
        return BOX_INCHES + LINE_INCHES * len(self.lines)

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


@dataclass(frozen=True)
class Style:
    """How a kind of connection is drawn."""

    name: str
    hue: Hue
    dashes: Any


VETH = Style("veth pair", SERIES[0], "solid")
MACVLAN = Style("macvlan or ipvlan: part of the interface below", SERIES[1], (0, (4, 2)))
VXLAN = Style("VXLAN: frames inside UDP", SERIES[2], (0, (1, 1.2)))
ROUTED = Style("routed by the machine", MUTED, (0, (5, 2, 1, 2)))


@dataclass(frozen=True)
class Connection:
    style: Style
    start: tuple[float, float]
    end: tuple[float, float]
    label: str = ""


class Host:
    """Where everything of one machine is drawn, between `left` and `left + width`."""

    def __init__(self, record: Record, left: float, width: float, mac: bool) -> None:
        self.name = str(record["machine"])
        self.left, self.width = left, width
        self._mac = mac
        spaces: Sequence[Record] = record["spaces"]
        self.machine = next(space for space in spaces if space["kind"] == "machine")
        self.sharing = [space for space in spaces if space["same_as"] == self.machine["name"]]
        apart = [space for space in spaces if not space["same_as"] and space is not self.machine]
        # Those on one network stand side by side, so that their wires do not cross.
        apart.sort(key=lambda space: (str(space["network"]), str(space["name"])))
        self.containers = [space for space in apart if space["kind"] == "container"]
        self.overlays = [space for space in apart if space["kind"] == "overlay"]

    @cached_property
    def container_boxes(self) -> dict[str, Box]:
        boxes = {space["name"]: (space["name"], *self._addresses(space)) for space in self.containers}
        deepest = max((len(lines) for lines in boxes.values()), default=1)
        padded = {name: lines + ("",) * (deepest - len(lines)) for name, lines in boxes.items()}
        return self._row(padded, 0.0)

    @cached_property
    def overlay_boxes(self) -> dict[str, Box]:
        """Below the first container on it, and to its left, so that the container's other wires pass."""
        boxes = {}
        for space in self.overlays:
            wired = {link["wire"][0] for link in space["links"] if link["wire"]}
            above = next((box for name, box in self.container_boxes.items() if name in wired), None)
            if above is not None:
                vni = next((link["vni"] for link in space["links"] if link["vni"]), "?")
                lines = (str(space["network"]), "overlay: br0", f"vxlan {vni}")
                width = above.width * 0.62
                boxes[space["name"]] = Box(above.x, self._below(self.container_boxes), width, lines, PANEL)
        return boxes

    @cached_property
    def machine_top(self) -> float:
        above = {**self.container_boxes, **self.overlay_boxes}
        return self._below(above) if above else 0.0

    @cached_property
    def bridge_boxes(self) -> dict[str, Box]:
        masters = {link["master"] for link in self.machine["links"] if link["master"]}
        bridges = [link for link in self.machine["links"] if link["kind"] == "bridge" and link["name"] in masters]
        lines = {
            link["name"]: (
                *dict.fromkeys([link["network"] or link["name"], link["name"]]),
                *map(_bare, link["addresses"]),
            )
            for link in sorted(bridges, key=self._mean_of_attached)
        }
        top = self.machine_top + 0.34 + LINE_INCHES * len(self.sharing)
        return self._row(lines, top)

    @cached_property
    def uplink_boxes(self) -> dict[str, Box]:
        links = [
            link
            for link in self.machine["links"]
            if link["kind"] not in ("bridge", "loopback") and not link["master"] and link["addresses"]
        ]
        lines = {link["name"]: (link["name"], *self._told(link)) for link in links}
        bridges = self.bridge_boxes
        top = self._below(bridges) if bridges else self.machine_top + 0.34
        return self._row(lines, top, widest=self.width)

    @property
    def bottom(self) -> float:
        lowest = {**self.bridge_boxes, **self.uplink_boxes}
        return max((box.y + box.height for box in lowest.values()), default=self.machine_top + 0.5)

    @property
    def way_out(self) -> Box | None:
        """The interface that the default route leaves by; the first, where there is no such route."""
        routes = [route.split() for route in self.machine["routes"]]
        out = next((words[-1] for words in routes if words[0] == "default"), next(iter(self.uplink_boxes), ""))
        return self.uplink_boxes.get(out)

    def boxes(self) -> Iterator[Box]:
        for row in (self.container_boxes, self.overlay_boxes, self.bridge_boxes, self.uplink_boxes):
            yield from row.values()

    def connections(self) -> Iterator[Connection]:
        targets = {**self.bridge_boxes, **self.uplink_boxes}
        for space in [*self.containers, *self.overlays]:
            box = {**self.container_boxes, **self.overlay_boxes}.get(space["name"])
            if box is not None:
                for link in space["links"]:
                    yield from self._from_link(space, link, box, targets)
        for name, box in self.bridge_boxes.items():
            uplink = self.way_out
            if uplink and self._has_route(name):
                end = (_towards(uplink, box.middle), uplink.y)
                yield Connection(ROUTED, (box.middle, box.y + box.height), end)

    def _from_link(self, space: Record, link: Record, box: Box, targets: Mapping[str, Box]) -> Iterator[Connection]:
        if not _leaves(link):
            return
        start = (self._port(space, link, box), box.y + box.height)
        if link["wire"] and link["kind"] == "veth":
            there, name = link["wire"]
            master = next((each["master"] for each in self._links_of(there) if each["name"] == name), "")
            target = self.overlay_boxes.get(there) if there in self.overlay_boxes else targets.get(master)
            if target is not None and space["kind"] == "container":
                yield Connection(VETH, start, (_towards(target, start[0]), target.y), name)
        elif link["parent"] and link["parent"][1] in targets:
            target = targets[link["parent"][1]]
            yield Connection(MACVLAN, start, (_towards(target, start[0]), target.y))
        elif link["kind"] == "vxlan" and (uplink := self.way_out):
            yield Connection(VXLAN, start, (_towards(uplink, start[0]), uplink.y))

    def _port(self, space: Record, link: Record, box: Box) -> float:
        """Where a link leaves its box: side by side, in the order of the links."""
        wired = [each["name"] for each in space["links"] if _leaves(each)]
        return box.x + box.width * (wired.index(link["name"]) + 1) / (len(wired) + 1)

    def _has_route(self, bridge: str) -> bool:
        return any(route.split()[-1] == bridge for route in self.machine["routes"])

    def _links_of(self, space: str) -> Sequence[Record]:
        known = [self.machine, *self.containers, *self.overlays]
        return next((each["links"] for each in known if each["name"] == space), ())

    def _mean_of_attached(self, bridge: Record) -> float:
        ports = {link["name"] for link in self.machine["links"] if link["master"] == bridge["name"]}
        places = [
            self.container_boxes[space["name"]].middle
            for space in self.containers
            for link in space["links"]
            if link["wire"] and link["wire"][1] in ports
        ]
        return sum(places) / len(places) if places else self.left

    def _addresses(self, space: Record) -> tuple[str, ...]:
        links = [link for link in space["links"] if link["kind"] != "loopback"]
        told = [line for link in links for line in (link["name"], *self._told(link))]
        return tuple(told) or ("only lo",)

    def _told(self, link: Record) -> tuple[str, ...]:
        return (*map(_bare, link["addresses"]), *([link["mac"]] if self._mac else []))

    def _row(self, lines: Mapping[str, tuple[str, ...]], top: float, *, widest: float = WIDEST) -> dict[str, Box]:
        count = max(len(lines), 1)
        slot = (self.width - 2 * MARGIN + GAP) / count
        width = min(slot - GAP, widest)
        offset = self.left + MARGIN + (slot - GAP - width) / 2
        return {name: Box(offset + place * slot, top, width, text) for place, (name, text) in enumerate(lines.items())}

    def _below(self, boxes: Mapping[str, Box]) -> float:
        return max((box.y + box.height for box in boxes.values()), default=0.0) + BETWEEN_INCHES


def _leaves(link: Record) -> bool:
    return bool(link["wire"] or link["parent"] or link["kind"] == "vxlan")


def _towards(box: Box, x: float) -> float:
    """The point of a box's upper side that is nearest to `x`."""
    return min(max(x, box.x + 0.1), box.x + box.width - 0.1)


def _bare(address: str) -> str:
    return address.partition("/")[0]


def placed(records: Sequence[Record], mac: bool) -> Iterator[Host]:
    shares = [max(_columns(record), 2) for record in records]
    left = 0.0
    for record, share in zip(records, shares, strict=True):
        width = (WIDTH - GAP * (len(records) - 1)) * share / sum(shares)
        yield Host(record, left, width, mac)
        left += width + GAP


def _columns(record: Record) -> int:
    return sum(1 for space in record["spaces"] if space["kind"] == "container" and not space["same_as"])
