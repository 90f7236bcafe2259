"""Plain routes, laid once and by hand: what an administrator of two nodes would do. The cluster's own choice."""

from labsupport.systems.clusters.components import Component
from labsupport.systems.clusters.network import cni_configuration, route_commands
from labsupport.systems.clusters.node import NodeOnMachine
from labsupport.systems.dataplanes.dataplane import Fabric, remove_links, remove_routes, run_lines

PLAIN = "plain"


class PlainRoutes:
    """Each pod on a wire of its own (`ptp`), and a route to every other node's pods."""

    name = PLAIN

    def configuration(self, node: NodeOnMachine) -> str:
        return cni_configuration(node.node.identity.pods)

    def connect(self, fabric: Fabric) -> None:
        addresses = {position: node.address for position, node in enumerate(fabric.nodes)}
        run_lines(fabric.machine, ["ip", "-batch", "-"], route_commands(addresses, fabric.plan, of=None))
        for position, node in enumerate(fabric.nodes):
            run_lines(node.machine, ["ip", "-batch", "-"], route_commands(addresses, fabric.plan, of=position))

    def daemons(self, fabric: Fabric, node: NodeOnMachine) -> list[Component]:
        return []

    def is_up(self, node: NodeOnMachine) -> bool:
        return True

    def disconnect(self, fabric: Fabric) -> None:
        remove_routes(fabric, fabric.machine, *(node.machine for node in fabric.nodes))
        for node in fabric.nodes:
            remove_links(node)
