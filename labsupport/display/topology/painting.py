"""Draws the networks of machines: a box for each network namespace, a line for each wire; the table has every address.

Takes plain records as systems/network/topology.py makes them; knows no engine. What is drawn is what was found.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from labsupport.display.figures import Figure, draw
from labsupport.display.style import INK, LINE, MUTED, PANEL, PAPER
from labsupport.display.tables import Cell, Column, Table, table
from labsupport.display.topology.places import (
    BOX_INCHES,
    LINE_INCHES,
    MARGIN,
    WIDTH,
    Box,
    Connection,
    Host,
    Record,
    placed,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES_A_ROW, INCHES_A_LETTER = 0.36, 0.066
SMALL, TINY = 7.5, 6.5


def topology_figure(title: str, records: Sequence[Record], *, alt: str, switch: str = "", mac: bool = False) -> Figure:
    """Draw machines side by side.

    Args:
        alt: the point of the drawing; what was found is counted after it.
        switch: what the machines' ways out lead to, drawn as a line below; nothing where it is empty.
        mac: write the MAC address of each interface too.
    """
    hosts = list(placed(records, mac))
    bottom = max(host.bottom for host in hosts) + 0.2 + (0.4 if switch else 0.0)
    counted = ", ".join(
        f"{host.name} with {len(host.containers) + len(host.sharing)} containers and {len(host.bridge_boxes)} bridges"
        for host in hosts
    )
    return draw(
        title,
        lambda axes: _paint(axes, hosts, bottom, switch),
        alt=f"{alt} Drawn: {counted}.",
        twin=topology_table(title, records),
        rows=(bottom + 0.1) / INCHES_A_ROW,
    )


def topology_table(title: str, records: Sequence[Record]) -> Table:
    """Every interface and route of every namespace as a row."""
    columns: list[str | Column] = [
        "machine", "namespace", Column("interface", "code"), "kind", Column("address", "code"), Column("MAC", "code"),
        Column("leads to", "code"),
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for record in records:
        for space in record["spaces"]:
            start: list[Cell] = [record["machine"], space["name"]]
            if space["same_as"]:
                rows.append([*start, None, "the same namespace", None, None, space["same_as"]])
            for link in space["links"]:
                if link["kind"] == "loopback" and len(space["links"]) > 1:
                    continue
                addresses = ", ".join(link["addresses"]) or None
                rows.append([*start, link["name"], link["kind"], addresses, link["mac"] or None, _leads_to(link)])
            for route in space["routes"]:
                target, _, way = route.partition(" ")
                rows.append([*start, way.rpartition(" ")[2], "route", target, None, way])
            if space["rules"]:
                rows.append([*start, None, "firewall", f"{len(space['rules'])} rules", None, None])
    return table(title, columns, rows, header_columns=2)


def _leads_to(link: Record) -> str | None:
    if link["wire"]:
        return ": ".join(link["wire"])
    if link["parent"]:
        return f"on {': '.join(link['parent'])}"
    if link["vni"]:
        return f"VXLAN {link['vni']}"
    return link["master"] or None


def _paint(axes: "Axes", hosts: Sequence[Host], bottom: float, switch: str) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(bottom, -0.05)
    for host in hosts:
        _paint_machine(axes, host)
    connections = [each for host in hosts for each in host.connections()]
    for each in connections:
        _paint_connection(axes, each)
    for host in hosts:
        for box in host.boxes():
            _paint_box(axes, box)
    if switch:
        _paint_switch(axes, hosts, bottom - 0.3, switch)
    styles = list(dict.fromkeys(each.style for each in connections))
    for style in styles:
        axes.plot([], [], color=style.hue.light, linestyle=style.dashes, linewidth=1.6, label=style.name)
    if styles:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8)


def _paint_machine(axes: "Axes", host: Host) -> None:
    from matplotlib.patches import Rectangle

    top, height = host.machine_top, host.bottom - host.machine_top + 0.1
    frame = Rectangle(
        (host.left, top), host.width, height, facecolor=PANEL.light, edgecolor=LINE.light, linewidth=1.2, zorder=0
    )
    axes.add_patch(frame)
    told = [f"{host.name}: its own namespace" if host.name != "machine" else "the machine's own namespace"]
    told += [f"{space['name']}, a container, is in here too" for space in host.sharing]
    for place, line in enumerate(told):
        axes.text(
            host.left + MARGIN, top + 0.1 + 0.17 * place, line, fontsize=SMALL, va="top", zorder=2.6,
            weight="bold" if place else "normal", color=INK.light if place else MUTED.light,
            bbox={"facecolor": PANEL.light, "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip


def _paint_box(axes: "Axes", box: Box) -> None:
    from matplotlib.patches import FancyBboxPatch

    patch = FancyBboxPatch(
        (box.x, box.y), box.width, box.height, boxstyle="round,pad=0,rounding_size=0.05",
        facecolor=box.fill.light, edgecolor=box.edge.light, linewidth=1.1, zorder=3,
    )  # fmt: skip
    axes.add_patch(patch)
    for place, line in enumerate(box.lines):
        axes.text(
            box.middle, box.y + BOX_INCHES / 2 + LINE_INCHES * (place + 0.5), _fitting(line, box.width), ha="center",
            va="center", fontsize=SMALL if place == 0 else TINY, weight="bold" if place == 0 else "normal", zorder=4,
        )  # fmt: skip


def _paint_connection(axes: "Axes", each: Connection) -> None:
    (x1, y1), (x2, y2) = each.start, each.end
    axes.plot([x1, x2], [y1, y2], color=each.style.hue.light, linestyle=each.style.dashes, linewidth=1.5, zorder=2)
    if each.label:
        share = min(0.24 / (y2 - y1), 0.5)
        axes.text(
            x1 + (x2 - x1) * share, y1 + (y2 - y1) * share, each.label, fontsize=TINY, ha="center", va="center",
            color=MUTED.light, zorder=2.5, bbox={"facecolor": PAPER.light, "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip


def _paint_switch(axes: "Axes", hosts: Sequence[Host], y: float, name: str) -> None:
    axes.plot([0.2, WIDTH - 0.2], [y, y], color=INK.light, linewidth=2.4, solid_capstyle="round", zorder=2)
    axes.text(WIDTH / 2, y + 0.06, name, ha="center", va="top", fontsize=SMALL)
    for host in hosts:
        if way_out := host.way_out:
            axes.plot([way_out.middle] * 2, [way_out.y + way_out.height, y], color=INK.light, linewidth=1.5, zorder=2)


def _fitting(line: str, width: float) -> str:
    """As much of a line as a box of that width shows."""
    most = int(width / INCHES_A_LETTER)
    return line if len(line) <= most else f"{line[: most - 1]}…"
